"""Fashion (the AI6126 task, a subset of DeepFashion, Liu et al., CVPR 2016): 7,000 pictures with six attributes.

DeepFashion is at https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion.html, for non-commercial research only; this subset
is handed out by NTU's course AI6126. The root holds `img/00000.jpg`, `split/{train,val,test}.txt`,
`split/{train,val}_attr.txt` (six numbers a row, in step with the list) and `split/list_attr_cloth.txt` (26 names, each
with its category 1 to 6). Each category is a target. The official split: 5,000, 1,000, and 1,000 without labels.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zipfile import ZIP_DEFLATED, ZipFile

from pipeline.config import Classes, OfficialSplit, Target
from pipeline.utils.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

SPLIT = OfficialSplit(val=0.0)
HONEST = {"judged": "val"}  # validation rows are then cut from the training list

_NAMES = ("pattern", "sleeve", "length", "neckline", "material", "fit")  # of the categories 1 to 6
_ATTRIBUTES = "split/list_attr_cloth.txt"
_PICTURES = {split: f"split/{split}.txt" for split in ("train", "val", "test")}
_LABELS = {split: f"split/{split}_attr.txt" for split in ("train", "val")}

_HEADER = re.compile(r"[A-Za-z_]+\d?")  # picture_filename, category1; neither a picture nor a number

log = logging.getLogger(__name__)


def targets(root: str | None, judged: Literal["test", "val"] = "test") -> tuple[Target, ...]:
    """A target for every category; its classes are the attributes of the list, in their order."""
    return _targets(_require(root) / _ATTRIBUTES)


def load(root: str | None, judged: Literal["test", "val"] = "test") -> pd.DataFrame:
    """path, split and the six labels, which are NA in the test rows. A number that is no class is a counted warning.

    judged: `val` makes the rows of the validation list, which has labels, the test rows; the test list is left out.
    """
    import pandas as pd

    folder = _require(root)
    learned = _targets(folder / _ATTRIBUTES)
    rows = pd.concat([_rows(folder, split, learned) for split in _PICTURES], ignore_index=True)
    if judged == "test":
        return rows
    rows = rows[rows["split"] != "test"].reset_index(drop=True)
    return rows.assign(split=rows["split"].replace("val", "test"))


def hand_in(rows: pd.DataFrame, said: pd.DataFrame, learned: Sequence[Target], folder: Path) -> None:
    """Write prediction.txt, six class numbers a row in the order of the test list, and prediction.zip with it.

    rows: all of the test list. said: `<category>_predicted` of those that could be read. A list with gaps is no answer
    to the task: then nothing is written, with a warning; nor for rows with labels, which are not the test list's.
    """
    from pipeline.utils import files

    if rows[[target.name for target in learned]].notna().any(axis=None):
        return
    missing = len(rows) - len(said)
    classes = {target.name: target.classes for target in learned}
    if missing or not set(_NAMES) <= set(classes):
        why = f"{missing} test pictures could not be read" if missing else "it takes all six categories"
        log.warning(f"fashion: no prediction.txt is written, since {why}")
        return
    numbers = [said[f"{name}_predicted"].map(classes[name].index) for name in _NAMES]
    text = "".join(" ".join(map(str, row)) + "\n" for row in zip(*numbers, strict=True))
    files.write_text(folder / "prediction.txt", text)
    with files.written(folder / "prediction.zip") as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
        archive.writestr("prediction.txt", text)


def _require(root: str | None) -> Path:
    from pipeline.data import manifests

    return manifests.require(root, "fashion", _ATTRIBUTES, *_PICTURES.values(), *_LABELS.values())


def _targets(path: Path) -> tuple[Classes, ...]:
    """The targets from the list of attributes; names may hold spaces, the category is the last field."""
    from pipeline.data import cells

    lines = cells.read_list(path, ["line"], separator="\n")["line"]
    said, rows = lines.iloc[0], lines.iloc[2:].str.extract(r"(.+?)\s+([1-6])$")
    good = rows.dropna()
    if not said.isdecimal() or not int(said) == len(good) == len(rows):
        raise RequestError(
            f"{path}: expected a count on line 1, a header, and so many rows `name category` (1 to 6); line 1 is "
            f"{said[:40]!r} and {len(good)} of {len(rows)} rows are right: unpack the list again"
        )
    try:
        return tuple(Classes(name, tuple(good[0][good[1] == str(i)])) for i, name in enumerate(_NAMES, start=1))
    except ValueError as error:
        raise RequestError(f"{path}: {error}") from error


def _rows(folder: Path, split: str, learned: tuple[Classes, ...]) -> pd.DataFrame:
    """One split's rows, with labels where it has them."""
    import pandas as pd

    listed = folder / _PICTURES[split]
    pictures = _read(listed, ["picture"], separator="\n")["picture"]
    rows = pd.DataFrame({"path": [str(folder / picture) for picture in pictures], "split": split})
    if split not in _LABELS:
        return rows
    labelled = folder / _LABELS[split]
    numbers = _read(labelled, _NAMES)
    if len(numbers) != len(rows):
        raise RequestError(
            f"{listed} has {len(rows)} rows and {labelled} has {len(numbers)}: they must be in step, row by row; "
            "unpack both again"
        )
    return rows.join([_classes(numbers[target.name], target, labelled) for target in learned])


def _read(path: Path, names: Sequence[str], separator: str | None = None) -> pd.DataFrame:
    """A list's rows without its header. Raises RequestError when there are none."""
    from pipeline.data import cells

    table = cells.read_list(path, names, separator=separator)
    rows = table.iloc[1:] if _HEADER.fullmatch(table.iloc[0, 0]) else table
    if rows.empty:
        raise RequestError(f"{path} has a header and no rows: unpack it again")
    return rows.reset_index(drop=True)


def _classes(numbers: pd.Series, target: Classes, path: Path) -> pd.Series:
    """The names of classes from their numbers within the category, from 0."""
    from pipeline.data import cells

    names = {str(number): name for number, name in enumerate(target.classes)}
    return cells.known(numbers, names, f"{path}, {target.name}").map(names)
