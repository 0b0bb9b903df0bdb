"""FG-NET (Lanitis et al., 2002): 1,002 pictures of 82 people from 0 to 69 years, each at several ages.

From https://yanweifu.github.io/FG_NET_data/ (FGNET.zip), for research only. The root holds `images/078A11.JPG`: person
078 at 11 years; a letter may follow (`001A43a.JPG`). There is no gender. A person is a subject and a fold: the usual
protocol leaves one person out (`fold` is the person's number, 1 to 82), over all of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.config import FoldSplit, Regression

if TYPE_CHECKING:
    import pandas as pd

TARGETS = (Regression("age"),)
SPLIT = FoldSplit(fold=1, val=0.1)
FLAT = True

_NAME = re.compile(r"(.*/)?(?P<person>\d{3})A(?P<age>\d{2})[a-z]?\.\w+", re.I)


def load(root: str | None) -> pd.DataFrame:
    """path, subject, fold, age from the files' names; a name that says nothing is a counted warning."""
    import pandas as pd

    from pipeline.data import manifests

    folder = manifests.require(root, "fgnet")
    images = next((path for path in folder.iterdir() if path.name.lower() == "images" and path.is_dir()), folder)
    named = manifests.read_names(images, _labels, "fgnet", "<person>A<age>.JPG")
    rows = [(str(path), person, int(person), age) for path, (person, age) in named.items()]
    return pd.DataFrame(rows, columns=["path", "subject", "fold", "age"])


def _labels(name: str) -> tuple[str, float] | None:
    match = _NAME.fullmatch(name)
    return (match["person"], float(match["age"])) if match else None
