"""The margin that labels.json tells: what training left about faces, or what whole pictures have about them."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import pandas as pd
import pytest

from pipeline.config import Data, Experiment
from pipeline.faces import margins
from pipeline.faces.detector import Detector
from tests.conftest import manifest_of, with_stage, write_picture


@pytest.fixture(scope="module")
def hopper() -> np.ndarray:
    return cv2.imread(str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))


def rows_of(paths: list[Path], **columns: float) -> pd.DataFrame:
    return manifest_of(paths, split="train", **columns)


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.3])
def test_of_whole_pictures_it_is_what_lies_about_their_faces(
    margin: float, hopper: np.ndarray, tiny: Experiment, tmp_path: Path
) -> None:
    x, y, w, h = Detector()([hopper[:, :, ::-1].copy()])[0][0].box
    half, centre = (0.5 + margin) * max(w, h), np.array([x + w / 2, y + h / 2])
    left, top = np.round(centre - half).astype(int)
    right, low = np.round(centre + half).astype(int)
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        cv2.imwrite(str(path), hopper[max(top, 0) : low, max(left, 0) : right])
    assert margins.about_faces(tiny, rows_of(paths)) == pytest.approx(margin, abs=0.05)


def test_where_pictures_were_cut_to_boxes_it_is_that_of_the_cut(tiny: Experiment, tmp_path: Path) -> None:
    paths = [write_picture(tmp_path / "1.png")]
    cut = with_stage(tiny, data=Data("csv", margin=0.25))
    assert margins.about_faces(cut, rows_of(paths, x=1.0, y=1.0, w=9.0, h=9.0)) == 0.25


def test_where_no_face_is_found_it_is_the_configurations(tiny: Experiment, tmp_path: Path) -> None:
    paths = [write_picture(tmp_path / f"{number}.png", seed=number) for number in range(3)]
    assert margins.about_faces(tiny, rows_of(paths)) == tiny.stages[-1].data.margin
