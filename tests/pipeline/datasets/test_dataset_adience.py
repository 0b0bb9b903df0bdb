"""Adience from fold files in the true format, with the true counts of odd labels."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import datasets
from pipeline.config import Data, FoldSplit, RandomSplit
from pipeline.datasets import adience
from pipeline.utils.errors import RequestError
from tests.conftest import write_picture

HEADER = "user_id\toriginal_image\tface_id\tage\tgender\tx\ty\tdx\tdy\ttilt_ang\tfiducial_yaw_angle\tfiducial_score\n"
SIZES, REPEATED = (4496, 3745, 3953, 3459, 3834), (12, 15, 59, 13, 18)
# Age labels as they are spelled in the lists; the counts are ours, but their sums within a group are DATASETS.md's.
LABELS = {
    "(0, 2)": 2488, "2": 3, "3": 18, "(4, 6)": 2140, "(8, 12)": 2119, "13": 168, "(8, 23)": 6, "(15, 20)": 1642,
    "22": 149, "(25, 32)": 5004, "23": 96, "29": 11, "32": 7, "34": 105, "35": 293, "(27, 32)": 72, "(25, 23)": 1,
    "(38, 43)": 2293, "36": 56, "42": 1, "45": 88, "(38, 42)": 46, "(38, 48)": 6, "(48, 53)": 830, "46": 1, "55": 76,
    "56": 2, "(60, 100)": 872, "57": 24, "58": 5, "None": 748,
}  # fmt: skip
GROUPS = dict(zip(adience.AGES, (2509, 2140, 2293, 1791, 5589, 2490, 909, 901), strict=True))
GENDERS = {"f": 9368, "m": 8124, "u": 1100, "": 778}


def write_lists(folder: Path, name: str = "fold_{}_data.txt", newline: str = "\n", mark: str = "") -> Path:
    """Five lists with as many rows, repeated rows and labels as the real ones; 168 accounts, each in one fold."""
    rng = np.random.default_rng(0)
    ages, genders = (labels(counts, rng) for counts in (LABELS, GENDERS))
    for fold, (size, repeated) in enumerate(zip(SIZES, REPEATED, strict=True)):
        rows = [
            f"{fold}{i % 33}@N0{fold}\t{i}_{fold}_o.jpg\t{i}\t{next(ages)}\t{next(genders)}\t0\t0\t9\t9\t0\t0\t1"
            for i in range(size - repeated)
        ]
        text = mark + HEADER + "\n".join(rows + rows[:repeated]) + "\n"
        (folder / name.format(fold)).write_bytes(text.replace("\n", newline).encode())
    return folder


def labels(counts: dict[str, int], rng: np.random.Generator) -> Iterator[str]:
    every = list(chain.from_iterable(repeat(label, count) for label, count in counts.items()))
    return iter(np.array(every, object)[rng.permutation(len(every))])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lists(tmp_path_factory.mktemp("lists"))


def test_each_face_is_one_row_of_its_fold(root: Path) -> None:
    assert adience.load(str(root))["fold"].value_counts().sort_index().tolist() == [4484, 3730, 3894, 3446, 3816]


def test_odd_ages_are_mapped_to_the_eight_groups(root: Path) -> None:
    assert adience.load(str(root))["age_group"].value_counts().to_dict() == GROUPS


def test_strict_ages_are_the_eight_groups_and_one_slip(root: Path) -> None:
    strict = adience.load(str(root), ages="strict")["age_group"]
    named = {age.replace(" ", "")[1:-1].replace(",", "-"): n for age, n in LABELS.items() if age.startswith("(")}
    expected = {age: named[age] + (age == "25-32") for age in adience.AGES}
    assert strict.value_counts().to_dict() == expected


def test_only_f_and_m_are_labels(root: Path) -> None:
    genders = adience.load(str(root))["gender"]
    assert genders.value_counts(dropna=False).to_dict() == {"female": 9368, "male": 8124, np.nan: 1878}


def test_the_path_follows_the_choice_of_pictures(root: Path) -> None:
    first = {which: adience.load(str(root), pictures=which)["path"].iloc[0] for which in ("aligned", "faces")}
    assert first["aligned"] == str(root / "aligned/00@N00/landmark_aligned_face.0.0_0_o.jpg")
    assert first["faces"] == str(root / "faces/00@N00/coarse_tilt_aligned_face.0.0_0_o.jpg")


def test_frontal_lists_are_other_lists(tmp_path: Path) -> None:
    write_lists(tmp_path, "fold_frontal_{}_data.txt")
    assert len(adience.load(str(tmp_path), view="frontal")) == 19_370
    with pytest.raises(RequestError, match=r"fold_0_data\.txt"):
        adience.load(str(tmp_path))


@pytest.mark.parametrize(("newline", "mark"), [("\r\n", ""), ("\n", "\ufeff")])
def test_windows_lists_say_the_same(newline: str, mark: str, root: Path, tmp_path: Path) -> None:
    windows = adience.load(str(write_lists(tmp_path, newline=newline, mark=mark)))
    pd.testing.assert_frame_equal(windows.drop(columns="path"), adience.load(str(root)).drop(columns="path"))


def small(folder: Path, accounts: int = 40, each: int = 3) -> Path:
    """A few accounts, pictures and all, in a folder with a space in its name."""
    root = folder / "my faces"
    rows: dict[int, list[str]] = {fold: [] for fold in range(5)}
    for account in range(accounts):
        for face in range(each):
            number = account * each + face
            rows[account % 5].append(
                f"{account}@N\t{number}_o.jpg\t{face}\t(25, 32)\t{'fm'[face % 2]}\t0\t0\t9\t9\t0\t0\t1"
            )
            write_picture(root / f"aligned/{account}@N/landmark_aligned_face.{face}.{number}_o.jpg", number, 16)
    for fold, lines in rows.items():
        (root / f"fold_{fold}_data.txt").write_text(HEADER + "\n".join(lines))
    return root


@pytest.mark.parametrize("fold", range(5))
def test_no_account_is_in_two_splits(fold: int, tmp_path: Path) -> None:
    rows = datasets.load(Data("adience", root=str(small(tmp_path)), split=FoldSplit(fold, val=0.2)))
    assert (rows.groupby("subject")["split"].nunique() == 1).all()
    assert (rows["fold"][rows["split"] == "test"] == fold).all()
    assert Counter(rows["split"]) == {"test": 24, "val": 18, "train": 78}  # 0.2 of 96, in whole accounts of 3


def test_a_fold_that_is_none_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no fold 5, there are 0 to 4"):
        datasets.load(Data("adience", root=str(small(tmp_path)), split=FoldSplit(5)))


def test_the_split_by_image_leaks(tmp_path: Path) -> None:
    from pipeline.data import splits

    split = RandomSplit(test=0.2, val=0.0, by="image")
    rows = datasets.load(Data("adience", root=str(small(tmp_path, each=20)), split=split))
    found = splits.leaks(rows[rows["split"] == "test"], rows[rows["split"] == "train"])
    assert found["subjects"].mean() > 0.95


def test_a_list_cut_in_a_row_loses_that_row_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = small(tmp_path)
    text = (root / "fold_3_data.txt").read_text()
    (root / "fold_3_data.txt").write_text(text[: -len("\t9\t9\t0\t0\t1")])
    with caplog.at_level(logging.WARNING):
        assert len(adience.load(str(root))) == 119
    assert "fold_3_data.txt: 1 rows do not have 12 fields" in caplog.text


def test_an_age_that_no_list_had_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = small(tmp_path)
    text = (root / "fold_0_data.txt").read_text()
    (root / "fold_0_data.txt").write_text(text.replace("(25, 32)", "(70, 71)", 2))
    with caplog.at_level(logging.WARNING):
        assert adience.load(str(root))["age_group"].isna().sum() == 2
    assert "2 count as unknown" in caplog.text


def test_a_list_that_is_no_list_is_named(tmp_path: Path) -> None:
    root = small(tmp_path)
    (root / "fold_1_data.txt").write_text("<html>\nnot found\n</html>\n")
    with pytest.raises(RequestError, match=r"fold_1_data\.txt"):
        adience.load(str(root))


def test_an_archive_that_is_not_unpacked_is_named(tmp_path: Path) -> None:
    (tmp_path / "aligned.tar.gz").write_bytes(b"")
    with pytest.raises(RequestError, match=r"unpack aligned\.tar\.gz"):
        adience.load(str(tmp_path))


def test_pictures_in_another_case_are_found(tmp_path: Path) -> None:
    root = small(tmp_path)
    picture = next(root.rglob("*.jpg"))
    picture.rename(picture.with_suffix(".JPG"))
    assert len(datasets.load(Data("adience", root=str(root)))) == 120


@pytest.mark.parametrize(("unpacked", "asked"), [("faces", "aligned"), ("aligned", "faces")])
def test_the_pictures_that_are_unpacked_are_named(unpacked: str, asked: str, tmp_path: Path) -> None:
    root = small(tmp_path)
    (root / "aligned").rename(root / unpacked)
    with pytest.raises(RequestError, match=f"holds {unpacked}/ and no {asked}/.* add --pictures {unpacked} "):
        datasets.load(Data("adience", root=str(root), pictures=asked))
