"""Who is in which split: never in two, always the same, and what leaks is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.config import FoldSplit, OfficialSplit, RandomSplit
from pipeline.data import splits
from pipeline.utils.errors import RequestError
from tests.conftest import write_picture


def people(subjects: list[str], **columns: object) -> pd.DataFrame:
    paths = [f"root/{i}.jpg" for i in range(len(subjects))]
    return pd.DataFrame({"path": paths, "subject": pd.Series(subjects, dtype="str"), **columns})


def counts(rows: pd.DataFrame) -> dict[str, int]:
    return splits.leaks(rows[rows["split"] == "test"], rows[rows["split"] == "train"]).sum().to_dict()


@given(st.lists(st.sampled_from("abcdefghijklmnop"), min_size=1, max_size=80), st.floats(0, 0.5), st.floats(0, 0.4))
def test_no_subject_is_in_two_splits(subjects: list[str], test: float, val: float) -> None:
    rows = splits.assign(people(subjects), RandomSplit(test, val))
    assert (rows.groupby("subject")["split"].nunique() == 1).all()


@given(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=40), st.integers(1, 40))
def test_other_rows_change_nothing(subjects: list[str], kept: int) -> None:
    rows = people(subjects)
    whole, part = (splits.assign(r, RandomSplit(0.3, 0.3))["split"].tolist() for r in (rows, rows[:kept]))
    assert part == whole[:kept]


def test_shares_are_what_was_asked_for() -> None:
    rows = splits.assign(people([f"person {i}" for i in range(20_000)]), RandomSplit(test=0.2, val=0.1))
    shares = rows["split"].value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2, abs=0.01)
    assert shares["val"] == pytest.approx(0.1, abs=0.01)


def test_the_split_is_the_same_on_every_machine() -> None:
    """Golden: a change of the hash would change everybody's test rows."""
    rows = splits.assign(people([f"person {i}" for i in range(12)]), RandomSplit(test=0.3, val=0.3))
    assert "".join(split[1] for split in rows["split"]) == GOLDEN


GOLDEN = "araeaaarreaa"  # second letters of train, val, test


def test_by_image_ignores_the_subject_and_is_reported_as_leaking(tmp_path: Path) -> None:
    paths = [str(write_picture(tmp_path / f"{i}.png", seed=i, size=16)) for i in range(60)]
    rows = pd.DataFrame({"path": paths, "subject": pd.Series(["one", "two"] * 30, dtype="str")})
    leaking = splits.assign(rows, RandomSplit(0.3, 0.1, by="image"))
    assert counts(leaking) == {
        "subjects": (leaking["split"] == "test").sum(),
        "duplicates": 0,
        "near_duplicates": 0,
    }


def test_identical_pictures_without_a_subject_stay_together(tmp_path: Path) -> None:
    paths = [str(write_picture(tmp_path / f"{i}.png", seed=i % 10, size=16)) for i in range(40)]
    rows = pd.DataFrame({"path": paths, "subject": pd.Series([None] * 40, dtype="str")})
    split = splits.assign(rows, RandomSplit(0.4, 0.2))
    assert split.groupby(np.arange(40) % 10)["split"].nunique().max() == 1
    assert counts(split) == {"subjects": 0, "duplicates": 0, "near_duplicates": 0}


def test_copies_and_near_copies_are_counted(tmp_path: Path) -> None:
    paths = [write_picture(tmp_path / f"{i}.png", seed=i, size=64) for i in range(6)]
    (tmp_path / "copy.png").write_bytes(paths[0].read_bytes())
    Image.open(paths[1]).save(tmp_path / "near.jpg", quality=60)
    test = [tmp_path / "copy.png", tmp_path / "near.jpg"]
    rows = people(["a"] * 8, split=["train"] * 6 + ["test"] * 2)
    rows = rows.assign(path=[str(p) for p in [*paths, *test]], subject=pd.Series([None] * 8, dtype="str"))
    assert counts(rows) == {"subjects": 0, "duplicates": 1, "near_duplicates": 2}


@given(st.integers(-(2**63), 2**63 - 1), st.sets(st.integers(0, 63), max_size=5))
def test_near_counts_the_bits_that_differ_the_sign_too(one: int, flipped: set[int]) -> None:
    other = (one ^ sum(1 << bit for bit in flipped)) & (2**64 - 1)
    other = other - 2**64 if other >= 2**63 else other
    hashes = pd.Series([one, other, None], dtype="Int64")
    assert splits.near(hashes[1:], hashes[:1]).tolist() == [len(flipped) <= splits.NEAR, False]
    assert splits.with_near(hashes) == (2 if len(flipped) <= splits.NEAR else 0)


def test_official_lists_stay_and_validation_comes_from_training_only() -> None:
    listed = ["train"] * 500 + ["test"] * 100
    rows = splits.assign(people([f"p{i}" for i in range(600)], split=listed), OfficialSplit(val=0.1))
    assert (rows["split"][500:] == "test").all()
    assert set(rows["split"][:500]) == {"train", "val"}
    assert 30 <= (rows["split"] == "val").sum() <= 70


def test_official_validation_rows_are_used_as_they_stand() -> None:
    listed = ["train", "val", "test"] * 10
    rows = splits.assign(people([f"p{i}" for i in range(30)], split=listed), OfficialSplit(val=0.5))
    assert rows["split"].tolist() == listed


def test_a_misspelt_split_is_an_error() -> None:
    with pytest.raises(RequestError, match="'tets'"):
        splits.assign(people(["a", "b"], split=["train", "tets"]), OfficialSplit())


def test_limit_takes_the_same_rows_in_their_order() -> None:
    rows = people([f"p{i}" for i in range(50)])
    some = splits.limit(rows, 10)
    assert some["path"].tolist() == [p for p in rows["path"] if p in set(some["path"])]
    assert set(splits.limit(rows, 5)["path"]) <= set(some["path"])
    assert len(splits.limit(rows, 80)) == 50


def test_limit_and_split_by_image_are_independent() -> None:
    rows = splits.assign(splits.limit(people([None] * 400), 100), RandomSplit(0.2, 0.1, by="image"))
    assert (rows["split"] == "train").sum() > 50


@given(st.permutations(range(30)))
def test_strata_do_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    rows = people([f"p{i // 3}" for i in range(30)], race=[("a", "b")[i % 2] for i in range(30)])
    split = RandomSplit(0.3, 0.2, stratify="race")
    whole = splits.assign(rows, split).set_index("path")["split"]
    shuffled = splits.assign(rows.iloc[order].reset_index(drop=True), split).set_index("path")["split"]
    assert shuffled.sort_index().equals(whole.sort_index())


def folded(sizes: list[int]) -> pd.DataFrame:
    """Subjects with so many rows each, three folds."""
    subjects = [f"s{i}" for i, size in enumerate(sizes) for _ in range(size)]
    return people(subjects).assign(fold=pd.Series([int(s[1:]) % 3 for s in subjects], dtype="Int64"))


@given(st.lists(st.integers(1, 9), min_size=3, max_size=40), st.integers(0, 2), st.floats(0, 0.5))
def test_one_fold_is_the_test_and_validation_is_cut_by_subject(sizes: list[int], fold: int, val: float) -> None:
    rows = splits.assign(folded(sizes), FoldSplit(fold, val))
    assert ((rows["split"] == "test") == (rows["fold"] == fold)).all()
    assert (rows.groupby("subject")["split"].nunique() == 1).all()
    assert (rows["split"] == "val").sum() <= round(val * (rows["split"] != "test").sum())


def test_the_share_is_met_with_few_groups_of_different_sizes() -> None:
    rows = splits.assign(folded([40, 3, 9, 25, 7, 11, 30, 2, 14, 18, 5, 21]), FoldSplit(0, val=0.2))
    others = rows[rows["split"] != "test"]
    assert (others["split"] == "val").mean() == pytest.approx(0.2, abs=0.03)


def test_leave_one_person_out_is_a_fold_of_one() -> None:
    rows = people([str(i // 4) for i in range(40)])
    rows = splits.assign(rows.assign(fold=rows["subject"].astype("Int64")), FoldSplit(7, val=0.1))
    assert rows["subject"][rows["split"] == "test"].unique().tolist() == ["7"]


def test_data_without_folds_say_so() -> None:
    rows = people(["a", "b"]).assign(fold=pd.Series([pd.NA, pd.NA], dtype="Int64"))
    with pytest.raises(RequestError, match="no folds"):
        splits.assign(rows, FoldSplit(0))


def test_strata_are_cut_alike() -> None:
    ages = [20] * 100 + [30] * 50 + [40] * 10
    rows = people([f"p{i}" for i in range(160)], age=ages)
    rows = splits.assign(rows, RandomSplit(test=0.1, val=0.1, stratify="age"))
    counts_of = rows.groupby("age")["split"].value_counts().unstack()
    assert counts_of["test"].tolist() == [10, 5, 1]
    assert counts_of["val"].tolist() == [10, 5, 1]


def test_strata_keep_subjects_together() -> None:
    rows = people([f"p{i % 30}" for i in range(300)], age=[i % 7 for i in range(300)])
    rows = splits.assign(rows, RandomSplit(test=0.2, val=0.2, stratify="age"))
    assert (rows.groupby("subject")["split"].nunique() == 1).all()
    assert set(rows["split"]) == {"train", "val", "test"}


def test_a_stratum_that_is_no_column_is_an_error() -> None:
    with pytest.raises(RequestError, match="'weight'"):
        splits.assign(people(["a"]), RandomSplit(stratify="weight"))


@pytest.mark.parametrize("where", ["train", "test"])
def test_a_picture_that_cannot_be_read_hides_no_near_copy(where: str, tmp_path: Path) -> None:
    pictures = [Image.open(write_picture(tmp_path / f"{i}.png", seed=i)) for i in range(6)]
    rows = []
    for split, quality in (("train", 95), ("test", 90)):
        for i, picture in enumerate(pictures):
            picture.save(tmp_path / f"{split}{i}.jpg", quality=quality)
            rows.append((str(tmp_path / f"{split}{i}.jpg"), split))
    (tmp_path / "junk.jpg").write_bytes(b"junk")
    table = pd.DataFrame([*rows, (str(tmp_path / "junk.jpg"), where)], columns=["path", "split"])
    assert counts(table.assign(subject=None))["near_duplicates"] == 6
