"""FG-NET: labels from names, a person is a fold; folders that are not it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pipeline import datasets
from pipeline.config import Data, FoldSplit
from pipeline.utils.errors import RequestError
from tests.conftest import write_picture

PICTURES = {  # name: person and age
    "001A02.JPG": ("001", 2),
    "001A43a.JPG": ("001", 43),
    "001A43b.jpg": ("001", 43),
    "002A00.JPG": ("002", 0),
    "078A11.JPG": ("078", 11),
}


def write_fgnet(root: Path, *more: str, folder: str = "images") -> str:
    for i, name in enumerate([*PICTURES, *more]):
        write_picture((root / folder / name).with_suffix(".jpg"), seed=i, size=16).rename(root / folder / name)
    return str(root)


def test_names_say_person_and_age(tmp_path: Path) -> None:
    rows = datasets.load(Data("fgnet", root=write_fgnet(tmp_path)))
    assert {Path(r.path).name: (r.subject, r.age) for r in rows.itertuples()} == PICTURES


def test_a_fold_is_a_person(tmp_path: Path) -> None:
    rows = datasets.load(Data("fgnet", root=write_fgnet(tmp_path), split=FoldSplit(fold=78)))
    assert set(rows["subject"][rows["split"] == "test"]) == {"078"}
    assert rows["fold"].tolist() == [1, 1, 1, 2, 78]


def test_its_own_split_leaves_the_first_person_out(tmp_path: Path) -> None:
    rows = datasets.load(Data("fgnet", root=write_fgnet(tmp_path)))
    assert set(rows["subject"][rows["split"] == "test"]) == {"001"}


@pytest.mark.parametrize("folder", ["Images", "IMAGES", "FGNET/images", "."])
def test_the_folder_in_any_case_or_deeper_or_the_root_itself(folder: str, tmp_path: Path) -> None:
    root = write_fgnet(tmp_path / "FG-NET of mine", folder=folder)
    assert len(datasets.load(Data("fgnet", root=root))) == len(PICTURES)


def test_strange_names_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_fgnet(tmp_path, "078A.JPG", "Thumb.jpg")
    with caplog.at_level(logging.WARNING):
        assert len(datasets.load(Data("fgnet", root=root))) == len(PICTURES)
    assert "2 names are not like <person>" in caplog.text
    assert "078A.JPG" in caplog.text


def test_only_strange_names_are_an_error(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "holiday.jpg", size=16)
    with pytest.raises(RequestError, match=r"none of 1 pictures is named like <person>.*holiday\.jpg"):
        datasets.load(Data("fgnet", root=str(tmp_path)))


def test_an_empty_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        RequestError, match=r"holds no pictures <person>A<age>\.JPG: expected dataset fgnet; .*says where"
    ):
        datasets.load(Data("fgnet", root=str(tmp_path)))


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "FGNET.zip").write_bytes(b"PK")
    with pytest.raises(RequestError, match=r"unpack FGNET\.zip"):
        datasets.load(Data("fgnet", root=str(tmp_path)))


def test_copies_of_a_file_are_one_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = Path(write_fgnet(tmp_path))
    write_fgnet(tmp_path, folder="images/again")
    write_picture(root / "images" / "again" / "001A02.jpg", seed=99, size=16).rename(
        root / "images" / "again" / "001A02.JPG"
    )
    rows = datasets.load(Data("fgnet", root=str(root)))
    assert len(rows) == len(PICTURES) + 1  # another picture of that name stays
    assert "4 files have the name, bytes and labels of another and are left out" in caplog.text
