"""A row is a face, known by its path and its box: several faces of one image keep their own labels and results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import evaluate, train
from pipeline.config import Binary, Data, Experiment, OfficialSplit
from pipeline.data.manifests import BOX
from pipeline.evaluation import card, compare
from pipeline.training.runs import Run
from tests.conftest import smooth_picture, with_stage

IMAGES = 40


@pytest.fixture(scope="module")
def two_faces_an_image(tiny: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on images with a face on the left (female) and one on the right (male); one image has a third outside."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = []
    for number in range(IMAGES):
        Image.fromarray(np.hstack([smooth_picture(number), smooth_picture(number + 99)])).save(folder / f"{number}.png")
        split = ("train", "val", "test", "test")[number % 4]
        for left, gender in ((4, "female"), (68, "male")):
            rows.append((f"{number}.png", left, 4, 56, 56, gender, split))
    rows += [("2.png", 300, 4, 56, 56, "male", "test"), ("2.png", 400, 4, 56, 56, "female", "test")]
    table = pd.DataFrame(rows, columns=["path", *BOX, "gender", "split"]).sample(frac=1, random_state=0)
    table.to_csv(folder / "faces.csv", index=False)
    data = Data("csv", root=str(folder / "faces.csv"), split=OfficialSplit(val=0.0))
    run = train(replace(with_stage(tiny, data=data, epochs=1), targets=(Binary("gender"),)), folder / "runs")
    evaluate(run)
    return run


def test_metrics_by_group_are_those_of_the_predictions(two_faces_an_image: Run) -> None:
    predictions = pd.read_csv(two_faces_an_image.path / "predictions.csv")
    is_right = predictions["gender"] == predictions["gender_predicted"]
    text = card.write(two_faces_an_image)
    for gender, rows in is_right.groupby(predictions["gender"]):
        assert f"| {gender} | {len(rows)} | {rows.mean():.3g} " in text


def test_predictions_tell_the_faces_of_an_image_apart(two_faces_an_image: Run) -> None:
    predictions = pd.read_csv(two_faces_an_image.path / "predictions.csv")
    assert predictions.columns[:6].tolist() == ["path", *BOX, "subject"]
    assert (predictions["gender"] == predictions["x"].map({4: "female", 68: "male"})).all()
    assert len(predictions) == IMAGES // 2 * 2


def test_every_rejected_face_of_an_image_is_named(two_faces_an_image: Run) -> None:
    evaluate(two_faces_an_image)  # a second time: none is added twice
    rejected = pd.read_csv(two_faces_an_image.path / "rejected.csv")
    assert sorted(rejected["x"]) == [300, 400]
    assert set(rejected["reason"]) == {"its face box is outside"}


def test_runs_are_compared_face_by_face(two_faces_an_image: Run, tmp_path: Path) -> None:
    """The other run lists its rows in another order."""
    other = Run(tmp_path / "other")
    other.path.mkdir()
    for path in two_faces_an_image.path.iterdir():
        if path.is_file():
            (other.path / path.name).write_bytes(path.read_bytes())
    shuffled = pd.read_csv(other.path / "predictions.csv").sample(frac=1, random_state=1)
    shuffled.to_csv(other.path / "predictions.csv", index=False)
    compared = compare.compare([two_faces_an_image.path, other.path])
    assert (compared["difference"].dropna() == 0).all()
