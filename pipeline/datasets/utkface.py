"""UTKFace (Zhang, Song & Qi, CVPR 2017): 23,708 aligned faces from 1 to 116 years, with gender and race.

From https://susanqq.github.io/UTKFace/, for non-commercial research. The root holds
`<age>_<gender>_<race>_<time>.jpg` or `….jpg.chip.jpg`, flat or in part folders. Byte-identical pictures (375 groups,
224 of them with conflicting labels) are one subject, and so are a photograph and its aligned face, of one name. A file
that lies in several folders, as in copies from Kaggle, is one row. Split 80/10/10 by subject; `split_lists` takes two
CSV files (train, test) with a column `filename` instead, as published splits have it.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Binary, OfficialSplit, RandomSplit, Regression, Split
from pipeline.data.pictures import SUFFIXES
from pipeline.utils.errors import RequestError
from pipeline.utils.listing import nfc

if TYPE_CHECKING:
    import pandas as pd

TARGETS = (Regression("age"), Binary("gender"))
FLAT = True

_SUFFIX = "|".join(suffix.removeprefix(".") for suffix in SUFFIXES)
_NAME = re.compile(
    rf"(?P<age>\d{{1,3}})_(?P<gender>[01])_(?P<race>[0-4])_(?P<time>\d+) ?\.?({_SUFFIX})(\.chip\.jpg)?",
    re.I,
)
_RACES = ("white", "black", "asian", "indian", "other")
_KNOWN_BAD = {  # names without all their parts (one of the four goes by two names), and what they should say
    "61_1_20170109142408075": (61.0, "female"),
    "61_3_20170109150557335": (61.0, "female"),
    "61_1_20170109150557335": (61.0, "female"),
    "39_1_20170116174525125": (39.0, "male"),
    "53__0_20170116184028385": (53.0, "female"),
}

log = logging.getLogger(__name__)


def split(root: str | None, split_lists: tuple[str, str] | None = None) -> Split:
    """By subject, unless published lists are given."""
    return OfficialSplit() if split_lists else RandomSplit(test=0.1, val=0.1)


def load(root: str | None, split_lists: tuple[str, str] | None = None) -> pd.DataFrame:
    """path, subject, age, gender, race from the files' names; a name that says nothing is a counted warning."""
    import pandas as pd

    from pipeline.data import manifests

    folder = manifests.require(root, "utkface")
    named = manifests.read_names(folder, _labels, "utkface", "<age>_<gender>_<race>_<time>.jpg")
    rows = [(str(path), *labels) for path, labels in named.items()]
    table = pd.DataFrame(rows, columns=["path", "age", "gender", "race"])
    table["subject"] = _photographs(table["path"])
    return _listed(table, split_lists) if split_lists else table


def _photographs(paths: pd.Series) -> list[str]:
    """Which pictures are of one photograph, by their bytes or by their name: the least hash of these bytes."""
    import numpy as np
    import pandas as pd
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    from pipeline.data import manifests

    hashes = pd.Series(manifests.content_hashes(paths.tolist()), index=paths.index)
    content, name = (values.factorize()[0] for values in (hashes, paths.map(_stem)))
    count = content.max() + 1
    edges = coo_array((np.ones(len(paths)), (content, name + count)), shape=(count + name.max() + 1,) * 2)
    component = connected_components(edges, directed=False)[1][content]
    return hashes.groupby(component).transform("min").tolist()


def _labels(path: str) -> tuple[float, str, str | None] | None:
    """age, gender, race from a file's name; UTKFace writes 0 for male, 1 for female."""
    name = Path(path).name
    stem = name.split(".")[0]
    if stem in _KNOWN_BAD:
        return *_KNOWN_BAD[stem], None
    match = _NAME.fullmatch(name)
    if not match or not 0 <= int(match["age"]) <= 116:
        return None
    return float(match["age"]), ("male", "female")[int(match["gender"])], _RACES[int(match["race"])]


def _listed(table: pd.DataFrame, split_lists: tuple[str, str]) -> pd.DataFrame:
    """Only the rows of two published lists, with their split."""
    import pandas as pd

    from pipeline.data import cells

    parts = []
    by_name = table.assign(name=[_stem(path) for path in table["path"]]).drop_duplicates("name").set_index("name")
    for split, source in zip(("train", "test"), split_lists, strict=True):
        wanted = [_stem(name) for name in cells.read_csv(Path(source), ["filename"])["filename"].dropna()]
        found = [name for name in wanted if name in by_name.index]
        if not found:
            raise RequestError(f"{source}: none of its {len(wanted)} file names is under the root")
        if len(found) < len(wanted):
            log.warning("%s: %d of %d file names are not under the root", source, len(wanted) - len(found), len(wanted))
        parts.append(by_name.loc[found].assign(split=split))
    return pd.concat(parts, ignore_index=True)


def _stem(path: str) -> str:
    return nfc(Path(path).name.split(".")[0])
