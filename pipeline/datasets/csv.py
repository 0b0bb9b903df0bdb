"""A table of your own: CSV or Parquet with a column `path`, and age, gender, age_group or class columns of yours.

The root is the file itself; paths are relative to it. A column `split` (train, val, test) is used as it stands; without
it the rows are divided by `subject` where there is one. `x y w h` is the face's box in pixels. Columns that go by
other names are mapped: `--stages.0.data.columns path file age years`; class columns to learn beside the known ones are
named: `--stages.0.data.classes smile`.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Binary, Classes, OfficialSplit, RandomSplit, Regression, Split, Target
from pipeline.errors import NotThereError, RequestError

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_GENDERS = {"f": "female", "m": "male", "female": "female", "male": "male", "woman": "female", "man": "male"}


def targets(
    root: str | None, columns: dict[str, str] | None = None, classes: tuple[str, ...] | None = None
) -> tuple[Target, ...]:
    """A target for every label column of the file."""
    table = _read(root, columns or {})
    found: list[Target] = []
    if "age" in table:
        found.append(Regression("age"))
    if "gender" in table:
        found.append(Binary("gender"))
    found += [_class_target(table, name) for name in dict.fromkeys(("age_group", *(classes or ()))) if name in table]
    if not found:
        raise RequestError(
            f"{root}: nothing to learn; expected a column age, gender or age_group, or --stages.0.data."
            f"classes with class columns; its columns are {', '.join(table.columns)}"
        )
    return tuple(found)


def split(root: str | None, columns: dict[str, str] | None = None, classes: tuple[str, ...] | None = None) -> Split:
    """The file's own split where it has one."""
    return OfficialSplit(val=0.0) if "split" in _read(root, columns or {}) else RandomSplit(test=0.1, val=0.1)


def load(
    root: str | None, columns: dict[str, str] | None = None, classes: tuple[str, ...] | None = None
) -> pd.DataFrame:
    """The file's rows. Labels that cannot be right are unknown, with a counted warning."""
    from pipeline import manifests

    table = _read(root, columns or {})
    for name in classes or ():
        if name not in table:
            raise RequestError(f"{root} has no column {name!r}; its columns are {', '.join(table.columns)}")
    folder = Path(root).parent
    rows = table.dropna(subset="path").reset_index(drop=True)
    if len(rows) < len(table):
        nameless = len(table) - len(rows)
        manifests.warn_of_dropped(nameless, f"{root}: {nameless} rows have no path and are left out")
    rows[manifests.NAME] = rows["path"]
    rows["path"] = [str(folder / path) for path in rows["path"]]
    if "age" in rows:
        rows["age"] = manifests.years(rows["age"], str(root))
    if "gender" in rows:
        spelled = rows["gender"].str.lower()
        rows["gender"] = manifests.known(spelled.map(_GENDERS).fillna(spelled), ("female", "male"), str(root))
    return rows


def _read(root: str | None, columns: dict[str, str]) -> pd.DataFrame:
    """The table as text, its columns renamed to the manifest's."""
    import pandas as pd

    from pipeline import manifests

    if root is None or not Path(root).is_file():
        there = "" if root is None else f"; {root} is no file"
        raise NotThereError(f"dataset csv needs --root, the CSV or Parquet file itself{there}")
    path = Path(root)
    if path.suffix.lower() in (".parquet", ".pq"):
        try:
            table = manifests.text(pd.read_parquet(path), path)
        except (OSError, ValueError) as error:
            raise RequestError(f"{path} is no readable Parquet file: {str(error).splitlines()[0]}") from error
    else:
        table = manifests.read_csv(path, [])
    for theirs in columns.values():
        if theirs not in table:
            raise RequestError(f"{path} has no column {theirs!r}; its columns are {', '.join(table.columns)}")
    others = table.drop(columns=[name for name in table if name in {*columns, *columns.values()}])
    table = others.assign(**{ours: table[theirs] for ours, theirs in columns.items()})
    if "path" not in table:
        raise RequestError(
            f"{path} has no column 'path' (the picture's file); its columns are {', '.join(table.columns)}; another "
            "name is mapped: `train` has --stages.0.data.columns path NAME, `data` --columns path NAME"
        )
    return table


def _class_target(table: pd.DataFrame, name: str) -> Target:
    """The classes are the values found, in order (numbers by size); those of age_group are ordered where each begins
    with a number of its own."""
    from pipeline import manifests

    values = sorted(table[name].dropna().unique(), key=manifests.natural)
    if len(values) < 2:
        raise RequestError(f"column {name!r} holds {len(values)} class: expected two or more")
    places = {manifests.natural(value)[0] for value in values}
    ordered = len(places) == len(values) and math.inf not in places
    if name == "age_group" and not ordered:
        log.warning(
            f"age_group: {', '.join(values)} have no order that their numbers tell; list them from young to old in an "
            "experiment's target for metrics such as one_off"
        )
    return Classes(name, tuple(values), ordered=name == "age_group" and ordered)
