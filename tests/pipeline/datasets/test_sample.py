"""What the drawn faces promise: neither trivial nor hopeless. Slow: networks are trained."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline import datasets
from pipeline.cli.commands import main
from pipeline.config import Data

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn") / "faces"
    datasets.load(Data("sample", root=str(root)))
    return root


@pytest.fixture(scope="module")
def parts(drawn: Path) -> dict[str, tuple[np.ndarray, pd.DataFrame]]:
    """16×16 grey pixels and rows, by split."""
    rows = datasets.load(Data("sample", root=str(drawn)))
    grey = (cv2.imread(path, cv2.IMREAD_GRAYSCALE) for path in rows["path"])
    pixels = np.stack([cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA).ravel() for picture in grey])
    return {split: (pixels[rows["split"] == split] / 255, rows[rows["split"] == split]) for split in ("train", "test")}


def test_a_linear_model_on_pixels_does_not_find_the_gender(parts) -> None:
    (x, train), (x_test, test) = parts["train"], parts["test"]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000)).fit(x, train["gender"])
    assert 0.55 <= model.score(x_test, test["gender"]) <= 0.80


def test_a_linear_model_on_pixels_hardly_finds_the_age(parts) -> None:
    (x, train), (x_test, test) = parts["train"], parts["test"]
    model = make_pipeline(StandardScaler(), Ridge(100.0)).fit(x, train["age"])
    constant = np.abs(test["age"] - train["age"].mean()).mean()
    assert np.abs(test["age"] - model.predict(x_test)).mean() >= 0.75 * constant


def test_a_network_finds_both(drawn: Path, parts, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["train", "mobilenetv2", "--root", str(drawn), "--runs", str(tmp_path)]) == 0
    results = json.loads((Path(capsys.readouterr().out.splitlines()[-1]) / "results.json").read_text())["targets"]
    constant = np.abs(parts["test"][1]["age"] - parts["train"][1]["age"].mean()).mean()
    assert 0.90 <= results["gender"]["accuracy"] <= 0.98
    assert results["age"]["mae"] <= 0.5 * constant
