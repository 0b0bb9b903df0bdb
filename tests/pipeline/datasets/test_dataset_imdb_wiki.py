"""IMDB-WIKI from MATLAB files in the true format."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from pipeline import datasets
from pipeline.cli.commands import main
from pipeline.config import Data, RandomSplit
from pipeline.datasets import imdb_wiki
from pipeline.utils.errors import RequestError
from tests.conftest import write_picture

NAMES = (
    "01/nm0000001_rm1_1899-5-10_1968.jpg",
    "02/nm0000002_rm2_1960-7-1_2000.jpg",
    "02/nm0000002_rm3_1960-7-1_2001.jpg",
)


def cells(values: list[object]) -> np.ndarray:
    row = np.empty((1, len(values)), object)
    row[0, :] = values
    return row


def write_mat(folder: Path, part: str = "imdb", names: tuple[str, ...] = NAMES, struct: str = "", **changes) -> Path:
    """A .mat as the authors write it: one struct of 1×N fields, names in cells, and the pictures it lists."""
    count = len(names)
    boxes = np.empty((1, count), object)
    for i in range(count):
        boxes[0, i] = np.array([[3.0, 2.0, 11.0, 12.0]])
    fields = {
        "dob": np.array([[693726] + [716058] * (count - 1)], np.int32),
        "photo_taken": np.array([[1968, 2000, 2001][:count]], np.uint16),
        "full_path": cells(list(names)),
        "gender": np.array([[1.0, 0.0, np.nan][:count]]),
        "name": cells(["somebody"] * count),
        "face_location": boxes,
        "face_score": np.array([[2.5, -np.inf, 1.0][:count]]),
        "second_face_score": np.array([[np.nan, np.nan, 1.5][:count]]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / f"{part}.mat", {struct or part: fields | changes})
    for i, name in enumerate(names):
        write_picture(folder / name, seed=i, size=16)
    return folder.parent


def slow_age(dob: int, year: int) -> int:
    """The formula of DATASETS.md, one row at a time."""
    birth = datetime.fromordinal(max(int(dob) - 366, 1))
    return year - birth.year - (birth.month >= 7)


def dob_of(day: date) -> int:
    return day.toordinal() + 366


@pytest.mark.parametrize(
    ("birth", "age"),
    [
        (date(1899, 5, 10), 101),
        (date(1960, 6, 30), 40),
        (date(1960, 7, 1), 39),
        (date(1960, 2, 29), 40),
        (date(1960, 12, 31), 39),
        (date(1961, 1, 1), 39),
    ],
)
def test_age_at_the_middle_of_the_year_2000(birth: date, age: int) -> None:
    assert imdb_wiki.ages(np.array([dob_of(birth)]), np.array([2000]))[0] == age


def test_matlab_counts_from_year_zero() -> None:
    assert dob_of(date(1899, 5, 10)) == 693726


@given(st.lists(st.tuples(st.integers(-1000, 3_652_425), st.integers(1900, 2020)), min_size=1, max_size=50))
def test_the_fast_ages_equal_the_slow_formula(rows: list[tuple[int, int]]) -> None:
    births, years = np.array(rows).T
    assert imdb_wiki.ages(births, years).tolist() == [slow_age(b, y) for b, y in rows]


def test_a_date_that_is_none_has_no_age() -> None:
    assert imdb_wiki.ages(np.array([np.nan, 1e9]), np.array([2000, 2000])).isna().all()


def test_labels_scores_and_persons(tmp_path: Path) -> None:
    rows = imdb_wiki.load(str(write_mat(tmp_path / "imdb_crop")))
    assert rows["age"].tolist() == [69.0, 39.0, 40.0]
    assert rows["gender"].tolist()[:2] == ["male", "female"]
    assert rows["gender"].isna().tolist() == [False, False, True]
    assert rows["subject"].tolist() == ["imdb nm0000001", "imdb nm0000002", "imdb nm0000002"]
    assert rows["face_score"].tolist() == [2.5, -np.inf, 1.0]
    assert "x" not in rows


def test_whole_pictures_have_the_face_box(tmp_path: Path) -> None:
    rows = imdb_wiki.load(str(write_mat(tmp_path / "imdb")))
    assert rows[["x", "y", "w", "h"]].values[0].tolist() == [2.0, 1.0, 8.0, 10.0]
    assert rows["x"].isna().tolist() == [False, True, False]


def test_both_parts_are_read_where_both_are_there(tmp_path: Path) -> None:
    write_mat(tmp_path / "imdb_crop")
    write_mat(tmp_path / "wiki_crop", "wiki", ("17/10000217_1981-05-05_2009.jpg",))
    rows = datasets.load(Data("imdb_wiki", root=str(tmp_path)))
    assert rows["subject"].tolist()[-1] == "wiki 10000217"
    assert len(rows) == 4
    assert len(datasets.load(Data("imdb_wiki", root=str(tmp_path), part="wiki"))) == 1


def test_the_root_may_be_the_part_itself(tmp_path: Path) -> None:
    write_mat(tmp_path / "imdb_crop")
    assert len(imdb_wiki.load(str(tmp_path / "imdb_crop"))) == 3


def test_a_part_within_a_part_is_read(tmp_path: Path) -> None:
    write_mat(tmp_path / "imdb_crop")
    (tmp_path / "root" / "imdb_crop").mkdir(parents=True)
    (tmp_path / "imdb_crop").rename(tmp_path / "root" / "imdb_crop" / "imdb_crop")
    assert len(imdb_wiki.load(str(tmp_path / "root"))) == 3


def test_a_part_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_mat(tmp_path / "imdb_crop")
    with pytest.raises(RequestError, match=r"wiki_crop or wiki with wiki\.mat"):
        imdb_wiki.load(str(tmp_path), part="both")


def test_an_empty_root_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"imdb\.mat"):
        imdb_wiki.load(str(tmp_path))


def test_a_failed_download_is_no_matlab_file(tmp_path: Path) -> None:
    (tmp_path / "wiki_crop").mkdir()
    (tmp_path / "wiki_crop/wiki.mat").write_text("<html><body>404 not found</body></html>" * 10)
    with pytest.raises(RequestError, match=r"wiki\.mat is no readable MATLAB file"):
        imdb_wiki.load(str(tmp_path))


def test_a_download_cut_short_is_no_matlab_file(tmp_path: Path) -> None:
    root = write_mat(tmp_path / "imdb_crop")
    path = root / "imdb_crop/imdb.mat"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(RequestError, match=r"imdb\.mat is no readable MATLAB file"):
        imdb_wiki.load(str(root))


def test_the_struct_of_the_other_list_is_named(tmp_path: Path) -> None:
    root = write_mat(tmp_path / "imdb_crop", struct="wiki")
    with pytest.raises(RequestError, match="holds no struct 'imdb' but wiki"):
        imdb_wiki.load(str(root))


def test_a_field_that_is_too_short_is_an_error(tmp_path: Path) -> None:
    root = write_mat(tmp_path / "imdb_crop", gender=np.array([[1.0]]))
    with pytest.raises(RequestError, match="of one length"):
        imdb_wiki.load(str(root))


def test_cleaning_rejects_what_group_91_rejected(tmp_path: Path) -> None:
    """No row is left for the face detector to look at."""
    write_mat(
        tmp_path / "imdb_crop",
        face_score=np.array([[-np.inf, 1.0, 1.0]]),
        second_face_score=np.array([[np.nan, 8.0, np.nan]]),
        photo_taken=np.array([[1968, 2000, 1900]], np.uint16),
    )
    assert main(["clean", "imdb_wiki", "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert pd.read_csv(tmp_path / "out" / "rejected.csv")["reason"].tolist() == [
        "face score not above 0",
        "second face's score not below 8",
        "age not from 0 to 130",
    ]


def test_a_cleaned_table_takes_the_place_of_the_folder(tmp_path: Path) -> None:
    """As `clean` writes it; the experiment's own split divides what is left."""
    split = RandomSplit(test=0.1, val=0.1, by="image", stratify="age")
    root = write_mat(tmp_path / "imdb_crop")
    raw = datasets.read(Data("imdb_wiki", root=str(root)))
    raw.head(2).to_csv(tmp_path / "manifest.csv", index=False)
    data = Data("imdb_wiki", root=str(tmp_path / "manifest.csv"), split=split)
    assert datasets.load(data)["path"].tolist() == raw["path"].head(2).tolist()
    assert [target.name for target in datasets.offered(data)] == ["age", "gender"]
    with pytest.raises(RequestError, match="part say how its folder is read, but"):
        datasets.load(replace(data, part="imdb"))


def test_pictures_without_their_list_are_no_silent_half(tmp_path: Path) -> None:
    write_mat(tmp_path / "imdb_crop")
    (tmp_path / "wiki_crop").mkdir()
    with pytest.raises(RequestError, match=r"wiki_crop holds no wiki\.mat"):
        imdb_wiki.load(str(tmp_path))
