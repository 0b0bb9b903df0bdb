"""Which row is in which split, and who is in two of them.

Shares are cut by a hash of the group, so the split is the same on every machine and in every run, and a row never
changes its split because others were added.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.config import FoldSplit, OfficialSplit, RandomSplit, Split
from pipeline.data import cells, manifests
from pipeline.utils.errors import RequestError
from pipeline.utils.listing import nfc

NEAR = 2  # bits of 64; on FairFace pairs at 2 are the same photograph, pairs at 4 no longer are


def assign(rows: pd.DataFrame, split: Split) -> pd.DataFrame:
    """The rows with `split` set to train, val or test.

    Raises RequestError where the dataset lacks what the split goes by: lists, folds, or the column of its strata.
    """
    return rows.assign(split=_CUT[split.kind](rows, split))


def limit(rows: pd.DataFrame, count: int | None) -> pd.DataFrame:
    """At most `count` rows (None: all), chosen by a hash of their names, in their old order."""
    if count is None or count >= len(rows):
        return rows
    chosen = np.argsort([_share(f"limit {name}") for name in _names(rows)], kind="stable")[:count]
    return rows.iloc[np.sort(chosen)].reset_index(drop=True)


def leaks(judged: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Which judged rows training has seen: a column of truth values for each way, in the order of `judged`.

    subjects: the row's subject has training rows. duplicates: its very bytes are among them. near_duplicates: nearly
    its picture is, the perceptual hashes differ in at most NEAR of 64 bits; duplicates are among these. Both tables may
    hold what `manifests.inspect` found (columns file_…); else the pictures are read.
    """
    judged, train = (
        t if "file_phash" in t else t.join(manifests.inspect(t["path"]).set_index(t.index)) for t in (judged, train)
    )
    return pd.DataFrame(
        {
            "subjects": judged["subject"].notna() & judged["subject"].isin(train["subject"].dropna()),
            "duplicates": judged["file_sha256"].isin(train["file_sha256"].dropna()),
            "near_duplicates": near(judged["file_phash"], train["file_phash"].dropna()),
        }
    )


def near(hashes: pd.Series, others: pd.Series) -> pd.Series:
    """Which perceptual hashes have one of the others at most NEAR bits away; what has no hash is near nothing."""
    others, known = np.unique(_bits(others)), hashes.notna().to_numpy()
    found = {h: bool((np.bitwise_count(others ^ h) <= NEAR).any()) for h in np.unique(_bits(hashes[known]))}
    is_near = np.zeros(len(hashes), bool)
    is_near[known] = [found[h] for h in _bits(hashes[known])]
    return pd.Series(is_near, index=hashes.index)


def with_near(hashes: pd.Series) -> int:
    """How many rows have another row's perceptual hash at most NEAR bits away."""
    values, counts = np.unique(_bits(hashes.dropna()), return_counts=True)
    near_others = sum(int((np.bitwise_count(values ^ one) <= NEAR).sum() > 1) for one in values[counts == 1])
    return int(counts[counts > 1].sum()) + near_others


def _bits(hashes: pd.Series) -> np.ndarray:
    """Signed numbers as the bits that they are kept in; of a signed one `bitwise_count` takes the absolute value."""
    return hashes.to_numpy(np.int64).view(np.uint64)


def _official(rows: pd.DataFrame, split: OfficialSplit) -> pd.Series:
    listed = rows["split"]
    strange = ~listed.isin(manifests.SPLITS)
    if strange.any():
        raise RequestError(
            f"the split of {strange.sum()} rows is none of {', '.join(manifests.SPLITS)}, the first is "
            f"{cells.shown(listed[strange].iloc[0])!r}: correct it"
        )
    train = (listed == "train").to_numpy()
    if (listed == "val").any() or split.val == 0:
        return listed
    shares = np.array([_share(group) for group in manifests.groups(rows[train])])
    listed = listed.copy()
    listed[train] = np.where(shares < split.val, "val", "train")
    return listed


def _random(rows: pd.DataFrame, split: RandomSplit) -> pd.Series:
    groups = manifests.groups(rows) if split.by == "subject" else _names(rows)
    if split.stratify is not None:
        return _stratified(rows, groups, split)
    shares = np.array([_share(group) for group in groups])
    bounds = np.searchsorted([split.test, split.test + split.val], shares, side="right")
    return pd.Series(np.array(["test", "val", "train"])[bounds], index=rows.index, dtype="str")


def _stratified(rows: pd.DataFrame, groups: pd.Series, split: RandomSplit) -> pd.Series:
    """Shares of every value of a column; a group of several goes with the least of them."""
    if split.stratify not in rows:
        raise RequestError(f"split stratify: no column {split.stratify!r}; there are: {', '.join(rows.columns)}")
    strata = rows[split.stratify].astype(str).groupby(groups).transform("min")
    test = groups.groupby(strata).transform(_take, share=split.test)
    val = groups[~test].groupby(strata[~test]).transform(_take, share=split.val / (1 - split.test))
    return _named(test, val.reindex(rows.index, fill_value=False))


def _folds(rows: pd.DataFrame, split: FoldSplit) -> pd.Series:
    """One fold is the test; validation is cut from the others by subject."""
    folds = sorted(rows["fold"].dropna().unique())
    if split.fold not in folds:
        there = f"there are {folds[0]} to {folds[-1]}" if folds else "these data have no folds"
        raise RequestError(f"split fold: no fold {split.fold}, {there} in these {len(rows)} rows (a limit leaves few)")
    test = (rows["fold"] == split.fold).fillna(False).astype(bool)
    val = _take(manifests.groups(rows[~test]), split.val)
    return _named(test, val.reindex(rows.index, fill_value=False))


def _take(groups: pd.Series, share: float) -> pd.Series:
    """True for a share of the rows, whole groups by their hash: one that would make it more than the share is passed
    over, so that few groups of different sizes come as near to it as they can."""
    room, taken = round(share * len(groups)), set()
    sizes = groups.value_counts()
    for group in sorted(sizes.index, key=_share):
        if sizes[group] <= room:
            room -= sizes[group]
            taken.add(group)
    return groups.isin(taken)


def _named(test: pd.Series, val: pd.Series) -> pd.Series:
    return pd.Series(np.select([test, val], ["test", "val"], "train"), index=test.index, dtype="str")


_CUT = {"official": _official, "random": _random, "folds": _folds}


def _share(text: str) -> float:
    """A number in 0..1 that is even over texts and the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _names(rows: pd.DataFrame) -> pd.Series:
    """File and folder of each picture: what it is called wherever the dataset lies, in one Unicode form."""
    paths = rows[manifests.NAME] if manifests.NAME in rows else rows["path"]
    return paths.map(lambda path: nfc("/".join(Path(path).parts[-2:])))
