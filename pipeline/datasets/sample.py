"""Drawn faces: a dataset that needs no download, no licence and no network.

Every picture is drawn with OpenCV from a seed (`_drawing.py`). They are cartoons, not people: what a model scores on
them means NOTHING FOR REAL FACES. They exist so that every command can be tried within minutes. 4,000 pictures of
2,000 persons, 128×128; a few labels are wrong on purpose, so no network reaches 1. Six class columns (hair style,
glasses, …) of 7, 3, 3, 4, 6 and 3 classes stand in for attributes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline.config import Binary, Classes, RandomSplit, Regression
from pipeline.utils.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.datasets._drawing import Picture

TARGETS = (Regression("age"), Binary("gender"))
ATTRIBUTES = (  # further columns of every picture
    Classes("hair_style", ("bald", "cropped", "curly", "parted", "bob", "long", "bun")),
    Classes("glasses", ("none", "clear", "dark")),
    Classes("brows", ("straight", "arched", "angled")),
    Classes("hair_colour", ("black", "brown", "blond", "red")),
    Classes("background", ("plain", "gradient", "stripes", "dots", "checks", "bokeh")),
    Classes("expression", ("neutral", "smile", "open")),
)
SPLIT = RandomSplit(test=0.2, val=0.1)

ROOT = "runs/data/sample/faces"
_VERSION = 1  # raise it with any change to a drawing or a label: folders of an older version are then drawn again
_STAMP, _MANIFEST = "sample.json", "manifest.csv"


def load(root: str | Path | None = None, count: int = 4000, seed: int = 0) -> pd.DataFrame:
    """The manifest of `count` drawn faces; they are drawn under `root` unless the same ones lie there already.

    Columns: path, subject, age (years, 0 to 90), gender and the six class columns. The same seed gives the same rows
    anywhere, and a smaller count gives the first of them. Raises RequestError for a folder that holds something else.
    """
    import pandas as pd

    folder = Path(root or ROOT)
    stamp = {"drawn_by": "facet", "version": _VERSION, "count": count, "seed": seed}
    if _stamp_of(folder) != stamp:
        _write(folder.absolute(), stamp)
    manifest = pd.read_csv(folder / _MANIFEST, keep_default_na=False)
    return manifest.assign(path=[str(folder / path) for path in manifest["path"]])


def _stamp_of(folder: Path) -> dict[str, object] | None:
    """What was drawn in a folder; None where there is nothing. Raises RequestError for anything that is not ours."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        stamp = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stamp = {}
    if stamp.get("drawn_by") != "facet":
        raise RequestError(f"{folder} holds something other than the drawn faces: name an empty or a new folder")
    return stamp


def _write(folder: Path, stamp: dict[str, object]) -> None:
    """Draw everything beside the folder, then rename: who looks at it sees all of it or nothing."""
    from dask.system import CPU_COUNT

    from pipeline.datasets import _drawing
    from pipeline.utils.progress import track

    pictures = list(islice(_drawing.pictures(stamp["seed"]), stamp["count"]))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as work:
        new = Path(work) / "new"
        (new / "pictures").mkdir(parents=True)
        with ThreadPoolExecutor(CPU_COUNT) as pool:
            done = pool.map(lambda picture: _save(new, picture), pictures)
            list(track(done, "drawing faces", len(pictures)))
        _save_labels(new, pictures, stamp)
        _put_in_place(new, folder, Path(work) / "old", stamp)


def _save(folder: Path, picture: Picture) -> None:
    from pipeline.datasets import _drawing

    (folder / picture.file).write_bytes(_drawing.jpeg(picture))


def _save_labels(folder: Path, pictures: Sequence[Picture], stamp: dict[str, object]) -> None:
    import pandas as pd

    pd.DataFrame([picture.row() for picture in pictures]).to_csv(folder / _MANIFEST, index=False)
    (folder / _STAMP).write_text(json.dumps(stamp), encoding="utf-8")


def _put_in_place(new: Path, folder: Path, old: Path, stamp: dict[str, object]) -> None:
    """Rename `new` to `folder`; another process that has drawn the same faces meanwhile is as good."""
    held = _stamp_of(folder)
    if held == stamp:
        return
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if _stamp_of(folder) != stamp:
            raise
