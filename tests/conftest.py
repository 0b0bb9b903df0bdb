"""Small real things that tests share: pictures on disk, a drawn dataset, one trained run."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from pipeline.config import (
    Augment,
    Binary,
    Data,
    Experiment,
    Head,
    Model,
    Optimizer,
    RandomSplit,
    Regression,
    Stage,
)
from pipeline.data import manifests

settings.register_profile("facet", deadline=None)  # machines are shared
settings.load_profile("facet")


def smooth_picture(seed: int, size: int = 64) -> np.ndarray:
    """uint8 RGB [size, size, 3] without hard edges, so that resampling errors stay small."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)


def write_picture(path: Path, seed: int = 0, size: int = 64) -> Path:
    """A smooth picture on disk, in the format of the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(smooth_picture(seed, size), cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture(autouse=True)
def memory_given_back(request: pytest.FixtureRequest) -> Iterator[None]:
    """A network is full of cycles of references, which Python finds late: large ones together would fill the memory."""
    yield
    if "slow" in request.keywords:  # after a small test it would take longer than the test
        gc.collect()


@pytest.fixture(scope="session", autouse=True)
def features_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features are kept here, and not in the user's cache folder."""
    os.environ["FACET_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    return Path(os.environ["FACET_CACHE"])


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a small drawn sample: 240 pictures."""
    from pipeline.datasets import sample

    root = tmp_path_factory.mktemp("faces") / "sample"
    sample.load(root, count=240)
    return root


@pytest.fixture(scope="session")
def faces_csv(faces: Path) -> Path:
    """The same drawn faces as a user's own CSV file."""
    return faces / "manifest.csv"


@pytest.fixture(scope="session")
def tiny(faces_csv: Path) -> Experiment:
    """An experiment that trains in seconds: the smallest network, 32 pixels, two epochs, both drawn targets."""
    stage = Stage(
        "train",
        data=Data("csv", root=str(faces_csv), split=RandomSplit(test=0.3, val=0.2)),
        epochs=2,
        batch_size=16,
        optimizer=Optimizer("adam", learning_rate=1e-3),
        augment=Augment(flip=0.5, rotation=10, brightness=0.2),
    )
    return Experiment(
        name="tiny",
        model=Model("shared_trunk", weights="none", image_size=32, head=Head(units=(16,), dropout=(0.2,), l2=1e-4)),
        targets=(Regression("age"), Binary("gender")),
        stages=(stage,),
    )


@pytest.fixture(scope="session")
def run(tiny: Experiment, tmp_path_factory: pytest.TempPathFactory):
    """A finished run of `tiny`: trained, evaluated and exported. Tests must not change it."""
    from pipeline import evaluate, export, train

    finished = train(tiny, tmp_path_factory.mktemp("runs"))
    evaluate(finished)
    export(finished)
    return finished


def manifest_of(paths: Iterable[Path], **columns: object) -> pd.DataFrame:
    """The manifest of a test's own pictures."""
    rows = pd.DataFrame({"path": list(map(str, paths))}).assign(**columns)
    return manifests.there(manifests.listed(rows, "test"), "test")


def relabelled(faces_csv: Path, folder: Path, **columns: object) -> str:
    """A copy of the drawn faces' CSV with other columns; the pictures stay where they are."""
    table = pd.read_csv(faces_csv)
    table = table.assign(path=[str(faces_csv.parent / path) for path in table["path"]], **columns)
    table.to_csv(folder / "relabelled.csv", index=False)
    return str(folder / "relabelled.csv")


def with_stage(experiment: Experiment, **changes: object) -> Experiment:
    """The experiment with its last stage changed."""
    *before, last = experiment.stages
    return replace(experiment, stages=(*before, replace(last, **changes)))
