"""AFAD (Niu et al., CVPR 2016): over 160,000 faces of Asian people from 15 to 72 years, with gender.

From https://afad-dataset.github.io/ (AFAD-Full, or the smaller AFAD-Lite), for academic research only: join the
parts of the archive and unpack it. The root holds `<age>/<111|112>/<id>.jpg` (111 male, 112 female), or one folder
AFAD-Full or AFAD-Lite that does. There are no identities, so a random split cannot keep a person on one side.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Binary, RandomSplit, Regression
from pipeline.utils.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

TARGETS = (Regression("age"), Binary("gender"))
SPLIT = RandomSplit(test=0.1, val=0.1)

_NAME = re.compile(r"(?P<age>\d{2})/(?P<gender>111|112)/[^/]+", re.I)
_GENDERS = {"111": "male", "112": "female"}
_AGES = range(15, 73)  # years
_PART = re.compile(r"(?P<archive>.+\.(zip|tar\.xz|tar\.gz|tar|7z|rar))(?P<part>.*)", re.I)

log = logging.getLogger(__name__)


def load(root: str | None) -> pd.DataFrame:
    """path, age, gender from the folders' names; a picture that lies elsewhere is a counted warning."""
    import pandas as pd

    from pipeline.data import manifests

    folder = _folder(manifests.require(root, "afad"))
    log.info("afad: reads %s", folder)
    named = manifests.read_names(folder, _labels, "afad", "<age 15 to 72>/<111|112>/<id>.jpg")
    rows = [(str(path), *labels) for path, labels in named.items()]
    return pd.DataFrame(rows, columns=["path", "age", "gender"])


def _labels(name: str) -> tuple[float, str] | None:
    match = _NAME.fullmatch(name)
    if not match or int(match["age"]) not in _AGES:
        return None
    return float(match["age"]), _GENDERS[match["gender"]]


def _folder(root: Path) -> Path:
    """The folder of the ages: the root, or the one AFAD-Full or AFAD-Lite in it."""
    inside = sorted(path for path in root.iterdir() if path.is_dir())
    if any(path.name.isdigit() for path in inside):
        return root
    editions = [path for path in inside if path.name.lower() in ("afad-full", "afad-lite")]
    if len(editions) > 1:
        raise RequestError(f"{root} holds {' and '.join(p.name for p in editions)}: name one of them as --root")
    if not editions:
        raise _missing(root)
    return _folder(editions[0])  # which may hold a folder of its own name, as some tools unpack it


def _missing(root: Path) -> RequestError:
    """What to do with the archive: it is handed out in parts, whose endings name no archive (AFAD-Full.zip-aa)."""
    from pipeline.data import manifests

    files = sorted(path.name for path in root.iterdir() if path.is_file())
    match = next(filter(None, map(_PART.fullmatch, files)), None)
    if match is None:
        return manifests.missing(root, "afad", "folders of ages, 15/111/<id>.jpg")
    archive = match["archive"]
    join = f"join its parts, `cat {archive}?* > {archive}`, and " if match["part"] else ""
    return RequestError(f"{root} holds no folders of ages, 15/111/<id>.jpg: {join}unpack {archive} there")
