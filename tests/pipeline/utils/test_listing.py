"""Folders are listed in one way, and listed files found whatever their case or Unicode form."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from pipeline import datasets
from pipeline.config import Data, RandomSplit
from pipeline.data import manifests, splits
from pipeline.inference import sources
from pipeline.utils import listing
from tests.conftest import write_picture

NFC, NFD = (unicodedata.normalize(form, "Zoë/Ségolène/é.jpg") for form in ("NFC", "NFD"))


def test_readers_and_predict_list_the_same_files(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for path in ("b/20_0_0_1.jpg", "b/._20_0_0_1.jpg", ".hidden/21_0_0_2.jpg", "__MACOSX/22_0_0_3.jpg", ".DS_Store"):
        write_picture((root / path).with_suffix(".jpg"), size=16)
    write_picture(elsewhere / "23_0_0_4.jpg", seed=1, size=16)
    (root / "a").symlink_to(elsewhere)
    (elsewhere / "round").symlink_to(root)
    expected = [str(root / "a/23_0_0_4.jpg"), str(root / "b/20_0_0_1.jpg")]
    assert sources.expand([str(root)]) == expected
    assert datasets.load(Data("utkface", root=str(root)))["path"].tolist() == expected


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_picture(tmp_path / "20_0_0_1.jpg", size=16)
    (tmp_path / "21_0_0_2.jpg").symlink_to(tmp_path / "gone.jpg")
    assert [bool(one.reason) for one in sources.pictures(sources.expand([str(tmp_path)]))] == [False, True]
    assert len(datasets.load(Data("utkface", root=str(tmp_path)))) == 1
    assert "1 of 2 listed pictures are not there" in caplog.text


@pytest.mark.parametrize(("listed", "there"), [(NFC, NFD), (NFD, NFC), (NFC.upper(), NFD)], ids=["NFD", "NFC", "case"])
def test_a_name_in_another_form_is_found(listed: str, there: str, tmp_path: Path) -> None:
    write_picture(tmp_path / there, size=16)
    (tmp_path / "faces.csv").write_text(f"path,age\n{listed},20\n", encoding="utf-8")
    rows = datasets.load(Data("csv", root=str(tmp_path / "faces.csv")))
    assert rows["path"].tolist() == sources.expand([str(tmp_path / listed)]) == [str(tmp_path / there)]


def test_the_file_of_just_that_name_comes_first(tmp_path: Path) -> None:
    paths = [
        write_picture(tmp_path / name, seed=i, size=16) for i, name in enumerate(("é.jpg", "E\u0301.jpg", "É.JPG"))
    ]
    finder = listing.Finder()
    assert [finder.find(path) for path in paths] == list(map(str, paths))
    assert finder.find(tmp_path / "e\u0301.jpg") == str(paths[0])
    assert finder.find(tmp_path / "gone" / "e.jpg") is None


def test_the_split_does_not_depend_on_the_unicode_form() -> None:
    names = [f"{letter}{number}.jpg" for letter in "éüñ" for number in range(20)]
    parts = []
    for form in ("NFC", "NFD"):
        paths = [unicodedata.normalize(form, f"José/{name}") for name in names]
        rows = pd.DataFrame({"path": paths, "subject": None, "split": None, "age": 3.0})
        rows = splits.assign(splits.limit(rows, 40), RandomSplit(0.3, 0.2, by="image"))
        parts.append((rows["split"].tolist(), manifests.examples_hash(rows, ["age"]), manifests.fingerprint(rows)))
    assert parts[0] == parts[1]


def test_linked_folders_are_read_once_and_what_macos_leaves_is_not(tmp_path: Path) -> None:
    for i in range(2):
        write_picture(tmp_path / "root" / "part1" / f"2{i}_0_0_{i}.jpg", seed=i, size=16)
        write_picture(tmp_path / "elsewhere" / f"3{i}_0_0_{i}.jpg", seed=10 + i, size=16)
    (tmp_path / "root" / "part3").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "a").symlink_to(tmp_path / "root" / "part1")
    write_picture(tmp_path / "50_0_0_0.jpg", size=16)
    (tmp_path / "root" / "up").symlink_to(tmp_path)
    (tmp_path / "root" / "part1" / "._20_0_0_0.jpg").write_bytes(b"Mac OS X")
    write_picture(tmp_path / "root" / "__MACOSX" / "40_0_0_0.jpg", size=16)
    rows = datasets.load(Data("utkface", root=str(tmp_path / "root")))
    assert [str(Path(path).relative_to(tmp_path)) for path in rows["path"]] == [
        *("root/part1/20_0_0_0.jpg", "root/part1/21_0_0_1.jpg"),  # and not as a/…
        *("root/part3/30_0_0_0.jpg", "root/part3/31_0_0_1.jpg"),
    ]


def test_names_that_no_text_can_hold_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_picture(tmp_path / "20_0_0_0.jpg", size=16)
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    shutil.copy(tmp_path / "20_0_0_0.jpg", tmp_path / os.fsdecode(b"caf\xe9") / "21_0_0_1.jpg")
    assert datasets.load(Data("utkface", root=str(tmp_path)))["age"].tolist() == [20]
    assert "1 names of pictures are no UTF-8" in caplog.text
