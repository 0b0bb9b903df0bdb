"""Which row is in which split, and who is in two of them.

Shares are cut by a hash of the group, so the split is the same on every machine and in every run, and a row never
changes its split because others were added.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import manifests
from pipeline.config import OfficialSplit, RandomSplit, Split
from pipeline.errors import RequestError

NEAR = 2  # bits of 64; on FairFace pairs at 2 are the same photograph, pairs at 4 no longer are


def assign(rows: pd.DataFrame, split: Split) -> pd.DataFrame:
    """The rows with `split` set to train, val or test.

    Raises RequestError where an official split is asked for and the dataset has none.
    """
    return rows.assign(split=_official(rows, split) if isinstance(split, OfficialSplit) else _random(rows, split))


def limit(rows: pd.DataFrame, count: int | None) -> pd.DataFrame:
    """At most `count` rows (None: all), chosen by a hash of their names, in their old order."""
    if count is None or count >= len(rows):
        return rows
    chosen = np.argsort([_share(f"limit {_name(path)}") for path in rows["path"]], kind="stable")[:count]
    return rows.iloc[np.sort(chosen)].reset_index(drop=True)


def leaks(judged: pd.DataFrame, train: pd.DataFrame) -> dict[str, int]:
    """How many judged rows have their subject, their very bytes, or nearly their picture among the training rows.

    Near duplicates are pictures whose perceptual hashes differ in at most NEAR of 64 bits; duplicates are among them.
    """
    shared = judged["subject"].notna() & judged["subject"].isin(train["subject"].dropna())
    return {
        "subjects": int(shared.sum()),
        "duplicates": int(np.isin(*map(manifests.content_hashes, (judged["path"], train["path"]))).sum()),
        "near_duplicates": _near(*map(manifests.perceptual_hashes, (judged["path"], train["path"]))),
    }


def _official(rows: pd.DataFrame, split: OfficialSplit) -> pd.Series:
    listed = rows["split"]
    strange = ~listed.isin(manifests.SPLITS)
    if strange.any():
        raise RequestError(
            f"the split of {strange.sum()} rows is none of {', '.join(manifests.SPLITS)}, the first is "
            f"{listed[strange].iloc[0]!r}: correct it"
        )
    train = (listed == "train").to_numpy()
    if (listed == "val").any() or split.val == 0:
        return listed
    shares = np.array([_share(group) for group in manifests.groups(rows[train])])
    listed = listed.copy()
    listed[train] = np.where(shares < split.val, "val", "train")
    return listed


def _random(rows: pd.DataFrame, split: RandomSplit) -> pd.Series:
    groups = manifests.groups(rows) if split.by == "subject" else [_name(path) for path in rows["path"]]
    shares = np.array([_share(group) for group in groups])
    bounds = np.searchsorted([split.test, split.test + split.val], shares, side="right")
    return pd.Series(np.array(["test", "val", "train"])[bounds], index=rows.index, dtype="str")


def _near(judged: np.ndarray, train: np.ndarray) -> int:
    """How many of some hashes have one of the others at most NEAR bits away."""
    return sum(bool((np.bitwise_count(train ^ one) <= NEAR).any()) for one in judged)


def _share(text: str) -> float:
    """A number in 0..1 that is even over texts and the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _name(path: str) -> str:
    """File and folder, without the part of the path that differs between machines."""
    return "/".join(Path(path).parts[-2:])
