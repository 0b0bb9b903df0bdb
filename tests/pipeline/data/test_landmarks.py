"""Landmarks that cannot be those of the faces are refused or told with a count."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import datasets
from pipeline.config import Data
from pipeline.data import manifests
from pipeline.utils.errors import RequestError
from tests.conftest import write_picture

FACE = np.array([[40, 40], [60, 41], [50, 52], [43, 63], [58, 62]], float)  # in a box 30 25 40 50
BOX = (30.0, 25.0, 40.0, 50.0)
COUNT = 5


def turned(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return (FACE - 50) @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]] + 50


def persons(points: np.ndarray) -> np.ndarray:
    return points[[1, 0, 2, 4, 3]]


def write(folder: Path, faces: list[np.ndarray], box: tuple[float, ...] = BOX, without: str = "") -> Path:
    table = pd.DataFrame(
        [[*np.ravel(points), *box] for points in faces], columns=[*manifests.LANDMARKS, *manifests.BOX]
    )
    table = table.drop(columns=[name for name in table if without and name.startswith(without)])
    paths = [write_picture(folder / f"{i}.jpg", seed=i, size=96).name for i in range(len(faces))]
    table.assign(path=paths, age=3).to_csv(folder / "faces.csv", index=False)
    return folder / "faces.csv"


def load(table: Path, aligned: bool = True, **options: object) -> pd.DataFrame:
    return datasets.load(Data("csv", root=str(table), aligned=aligned, **options))


@pytest.mark.parametrize("without", ["", "mouth", "nose"])
@pytest.mark.parametrize("angle", [0, 20, -40])
def test_faces_as_seen_are_aligned(angle: float, without: str, tmp_path: Path, caplog) -> None:
    assert len(load(write(tmp_path, [turned(angle)] * COUNT, without=without))) == COUNT
    assert not caplog.records


@pytest.mark.parametrize("without", ["", "mouth"])
def test_the_persons_left_is_refused_and_the_columns_that_mend_it_named(without: str, tmp_path: Path) -> None:
    table = write(tmp_path, [persons(turned(angle)) for angle in (0, 10, 20, 90, 0)], without=without)
    with pytest.raises(RequestError, match=r"in 5 of 5 rows with landmarks left_eye is right of right_eye") as error:
        load(table)
    words = str(error.value).partition("data.columns ")[2].partition(";")[0].split()
    rows = load(table, columns=dict(zip(words[::2], words[1::2], strict=True)))
    assert (rows["left_eye_x"] < rows["right_eye_x"]).tolist() == [True, True, True, False, True]


def test_only_the_mouths_left_and_right_may_be_the_persons(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="5 of 5 rows with landmarks mouth_left is right of mouth_right"):
        load(write(tmp_path, [FACE[[0, 1, 2, 4, 3]]] * COUNT))


def test_eyes_alone_are_judged_as_of_upright_faces(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    faces = [np.full_like(FACE, np.nan) for _ in range(COUNT)]
    for number, points in enumerate(faces):
        points[:2] = (persons(FACE) if number < 3 else FACE)[:2]
    with pytest.raises(RequestError, match="in 3 of 5 rows with landmarks left_eye is right of"):
        load(write(tmp_path, faces))
    faces[2][:2] = FACE[:2]
    assert len(load(write(tmp_path, faces))) == COUNT
    assert (
        "in 2 of 5 rows with landmarks left_eye is right of right_eye; these faces are aligned as they" in caplog.text
    )


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (FACE * (1, -1) + (0, 100), "the eyes are below the mouth"),
        (FACE / 96, "far outside the face box, or both eyes are in one pixel"),
        (FACE * 4, "far outside the face box"),
        (FACE + (0, 200), "far outside the face box"),
    ],
    ids=["y from the bottom", "shares", "another size", "another place"],
)
def test_points_in_other_coordinates_are_refused_or_told(points: np.ndarray, said: str, tmp_path: Path, caplog) -> None:
    with pytest.raises(RequestError, match=f"in 3 of 5 rows with landmarks .*{said}"):
        load(write(tmp_path, [points] * 3 + [FACE] * 2))
    load(write(tmp_path, [points] * 2 + [FACE] * 3))
    assert "in 2 of 5 rows with landmarks" in caplog.text and said in caplog.text


def test_few_faces_upside_down_are_told_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(load(write(tmp_path, [turned(180), turned(90), FACE, FACE]))) == 4
    assert [message for message in caplog.messages if "rows with landmarks" in message] == [
        "dataset csv: in 1 of 4 rows with landmarks the eyes are below the mouth; these faces are aligned as they are"
    ]


def test_landmarks_that_are_not_used_refuse_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(load(write(tmp_path, [persons(FACE)] * COUNT), aligned=False)) == COUNT
    assert "without --aligned they are not used" in caplog.text


@pytest.mark.parametrize(
    ("box", "points", "lacking"),
    [((np.nan,) * 4, FACE, "the face box x y w h"), (BOX, np.full_like(FACE, np.nan), "eyes")],
    ids=["box", "eyes"],
)
def test_nothing_to_align_by_is_refused(
    box: tuple[float, ...], points: np.ndarray, lacking: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=f"none of 5 rows has {lacking}: .*clean"):
        load(write(tmp_path, [points] * COUNT, box))


def test_rows_that_are_not_aligned_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(write(tmp_path, [FACE, np.full_like(FACE, np.nan), FACE]))
    assert r"1 of 3 rows lack the face box (0) or eyes (1) and are not aligned" in caplog.text
