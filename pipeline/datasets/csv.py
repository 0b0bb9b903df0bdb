"""A table of your own: CSV or Parquet with a column `path`, and age, gender, age_group or class columns of yours.

The root is the file itself; paths are relative to it. A column `split` (train, val, test) is used as it stands; without
it the rows are divided by `subject` where there is one. `x y w h` is the face's box in pixels. Columns that go by
other names are mapped: `--stages.0.data.columns path file age years`; class columns to learn beside the known ones are
named: `--stages.0.data.classes smile`.

What is missing, in CSV and Parquet alike: in columns of labels (age, gender, age_group, the class columns that are
named) and of numbers (boxes, landmarks, fold) an empty cell, and in any case -, --, ?, ., NA, N/A, n.a., <NA>, #N/A,
#NA, NaN, -NaN, null, nil, none, NaT, unknown, undefined, unspecified, missing, not available and not known. In class
columns these are counted in a warning, so that a class of such a name can be renamed; -1 is a class, with a warning. In
path, subject, split and all other columns only the empty cell is missing: NA may be a person. Whole numbers lose the .0
that pandas gives them in a column with gaps: 1.0 is the class 1.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Binary, Classes, OfficialSplit, RandomSplit, Regression, Split, Target
from pipeline.utils.errors import NotThereError, RequestError

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_GENDERS = {"f": "female", "m": "male", "female": "female", "male": "male", "woman": "female", "man": "male"}


def targets(
    root: str | None, columns: dict[str, str] | None = None, classes: tuple[str, ...] | None = None
) -> tuple[Target, ...]:
    """A target for every label column of the file."""
    table = _read(root, columns or {}, classes or ())
    found: list[Target] = []
    if "age" in table:
        found.append(Regression("age"))
    if "gender" in table:
        found.append(Binary("gender"))
    found += [_class_target(table, name) for name in dict.fromkeys(("age_group", *(classes or ()))) if name in table]
    if not found:
        from pipeline.data import cells

        raise RequestError(
            f"{root}: nothing to learn; expected a column age, gender or age_group, or --stages.0.data."
            f"classes with class columns; its columns are {cells.joined(table.columns)}"
        )
    return tuple(found)


def split(root: str | None, columns: dict[str, str] | None = None, classes: tuple[str, ...] | None = None) -> Split:
    """The file's own split where it has one."""
    return OfficialSplit(val=0.0) if "split" in _table(root, columns or {}) else RandomSplit(test=0.1, val=0.1)


def load(
    root: str | None, columns: dict[str, str] | None = None, classes: tuple[str, ...] | None = None
) -> pd.DataFrame:
    """The file's rows. Labels that cannot be right are unknown, with a counted warning."""
    from pipeline.data import cells, manifests

    table = _read(root, columns or {}, classes or (), tell=True)
    cells.has_columns(table, classes or (), Path(root))
    folder = Path(root).parent
    rows = table.dropna(subset="path").reset_index(drop=True)
    if len(rows) < len(table):
        nameless = len(table) - len(rows)
        cells.warn_of_dropped(nameless, f"{root}: {nameless} rows have no path and are left out")
    rows[manifests.NAME] = rows["path"]
    rows["path"] = [str(folder / path) for path in rows["path"]]
    if "age" in rows:
        rows["age"] = cells.years(rows["age"], str(root))
    if "gender" in rows:
        spelled = rows["gender"].str.lower()
        rows["gender"] = cells.known(spelled.map(_GENDERS).fillna(spelled), ("female", "male"), str(root))
    return rows


def _read(root: str | None, columns: dict[str, str], classes: tuple[str, ...], tell: bool = False) -> pd.DataFrame:
    """The table as text, its columns renamed to the manifest's, and unknown labels missing. tell: warn of those that
    look like classes, and of classes that look like none."""
    from pipeline.data import cells, manifests

    table = _table(root, columns)
    as_they_are = ("path", "age", *manifests.BOX, *manifests.LANDMARKS, *manifests.SCORES)
    table = table.assign(**{name: cells.uniform(table[name]) for name in table if name not in as_they_are})
    learned = [name for name in dict.fromkeys(("age_group", *classes)) if name in table]
    for name in learned if tell else ():
        if named := cells.count_missing(table[name]):
            counts = cells.joined(f"{count} {value!r}" for value, count in named.items())
            cells_said = f"{sum(named.values())} cells count as unknown ({counts})"
            log.warning(f"{root}: {name}: {cells_said}; rename one that is a class")
        if (unsure := table[name] == "-1").any():
            log.warning(f"{root}: {name}: {unsure.sum()} cells '-1' are a class; leave them empty if they mean unknown")
    labels = [name for name in ("age", "gender", *learned) if name in table]
    return table.assign(**{name: cells.present(table[name]) for name in labels})


def _table(root: str | None, columns: dict[str, str]) -> pd.DataFrame:
    """The table as text, its columns renamed to the manifest's."""
    from pipeline.data import cells

    if root is None or not Path(root).is_file():
        there = "" if root is None else f"; {root} is no file"
        raise NotThereError(f"dataset csv needs --root, the CSV or Parquet file itself{there}")
    path = Path(root)
    is_parquet = path.suffix.lower() in (".parquet", ".pq")
    table, bytes_or_nested = cells.read_parquet(path) if is_parquet else (cells.read_csv(path, []), [])
    for theirs in columns.values():
        if theirs in bytes_or_nested:
            raise _embedded(path, theirs)
    cells.has_columns(table, list(columns.values()), path)
    others = table.drop(columns=[name for name in table if name in {*columns, *columns.values()}])
    table = others.assign(**{ours: table[theirs] for ours, theirs in columns.items()})
    if "path" not in table:
        if bytes_or_nested:
            raise _embedded(path, bytes_or_nested[0])
        raise RequestError(
            f"{path} has no column 'path' (the picture's file); its columns are {cells.joined(table.columns)}; another "
            "name is mapped: `train` has --stages.0.data.columns path NAME, `data` --columns path NAME"
        )
    return table


def _embedded(path: Path, column: str) -> RequestError:
    return RequestError(
        f"{path}: column {column!r} holds bytes, lists or structs, such as embedded images, which are not read yet: "
        "expected a column of paths to image files"
    )


def _class_target(table: pd.DataFrame, name: str) -> Target:
    """The classes are the values found, in order (numbers by size); those of age_group are ordered where numbers of one
    form tell it."""
    from pipeline.data import cells, order

    values = sorted(table[name].dropna().unique(), key=order.natural)
    if len(values) < 2:
        raise RequestError(f"column {name!r} holds {len(values)} class: expected two or more")
    ordered = name == "age_group" and order.tells_order(values)
    if name == "age_group" and not ordered:
        log.warning(
            f"age_group: {cells.joined(values)} have no order that their numbers tell; list them from young to old in "
            "an experiment's target for metrics such as one_off"
        )
    return Classes(name, tuple(values), ordered=ordered)
