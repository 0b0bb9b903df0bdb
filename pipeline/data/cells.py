"""Tables of text as files have them, and what their cells say: one rule of which are missing, for every reader."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.utils.errors import RequestError
from pipeline.utils.listing import nfc

OLDEST = 130  # years; nobody has reached it
# What stands for nothing in a column of labels or numbers, in any case; in other columns only the empty cell does.
MISSING = frozenset(
    ("", "-", "--", "?", ".", "na", "n/a", "n.a.", "<na>", "#n/a", "#na", "nan", "-nan", "null", "nil", "none", "nat")
    + ("unknown", "undefined", "unspecified", "missing", "not available", "not known")
)
_DECIMALS = re.compile(r"(?<=\d)\.0+$")
_WHOLE = re.compile(r"[+-]?\d+(\.0+)?")

log = logging.getLogger(__name__)


def read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV file (separated by , ; tab or |) as text columns, every one of `columns` among them; None where a cell is
    empty.

    Raises RequestError that names the file, and the column that is missing.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max(",;\t|", key=header.count)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # of rows longer than the header: no table
            table = pd.read_csv(
                path,
                sep=separator,
                dtype=str,
                encoding="utf-8-sig",
                index_col=False,
                keep_default_na=False,
                na_values=[""],
            )
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} is no readable CSV file: {str(error).splitlines()[0]:.200}") from error
    return has_columns(_text(table, path), columns, path)


def read_parquet(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """A Parquet file as the text columns that the CSV file of the same table would have, and the names of the columns
    that a CSV file could not hold: bytes, such as embedded images, lists and structs. These are not read.

    Raises RequestError that names the file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    def is_plain(kind: pa.DataType) -> bool:
        binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
        return not (pa.types.is_nested(kind) or any(is_kind(kind) for is_kind in binary))

    try:
        schema = pq.read_schema(path)
        plain = [one.name for one in schema if is_plain(one.type) and not one.name.startswith("__index_level_")]
        # Whole numbers with gaps stay whole; an index is a column, as in a CSV file.
        as_they_are = {"dtype_backend": "numpy_nullable", "to_pandas_kwargs": {"ignore_metadata": True}}
        table = pd.read_parquet(path, columns=plain, **as_they_are)
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} is no readable Parquet file: {str(error).splitlines()[0]:.200}") from error
    return _text(table, path), [one.name for one in schema if not is_plain(one.type)]


def has_columns(table: pd.DataFrame, columns: Sequence[str], path: Path) -> pd.DataFrame:
    """The table. Raises RequestError that names its file and the first of `columns` that is missing."""
    for name in columns:
        if name not in table.columns:
            raise RequestError(f"{path} has no column {name!r}; its columns are {joined(table.columns)}")
    return table


def read_list(path: Path, names: Sequence[str] = (), skip: int = 0, separator: str | None = None) -> pd.DataFrame:
    """A plain list, one row a line, without quotes, as text columns: "" where nothing stands between two separators.

    names: the columns; those of the first line where none are given. skip: lines before that. separator: None is any
    white space. A UTF-8 mark and Windows' line ends do no harm. Rows of another width (a list cut short) are left out
    with a counted warning. Raises RequestError that names the file when it is no text, or nothing is in it.
    """
    try:
        lines = [line.rstrip("\n") for line in path.open(encoding="utf-8-sig")]
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} is no readable list: {error!s:.200}") from error
    rows = [[field.strip() for field in line.split(separator)] for line in lines[skip:] if line.strip()]
    header = list(names) or (rows.pop(0) if rows else [])
    whole = [row for row in rows if len(row) == len(header)]
    if not whole:
        raise RequestError(f"{path}: none of its {len(rows)} rows has the {len(header)} fields {joined(header)}")
    if len(whole) < len(rows):
        first = next(row for row in rows if len(row) != len(header))
        warn_of_dropped(
            len(rows) - len(whole),
            f"{path}: {len(rows) - len(whole)} rows do not have {len(header)} fields and are left out, the first is "
            f"{shown(' '.join(first))!r}",
        )
    return pd.DataFrame(whole, columns=header)


def shown(cell: object, most: int = 80) -> str:
    """A cell's text for a message, at most so many characters: of a longer one, how it begins and ends."""
    text = str(cell)
    return text if len(text) <= most else f"{text[: most // 2]}…{text[1 - (most - most // 2) :]}"


def joined(names: Iterable[object], most: int = 20) -> str:
    """Names of columns or classes for a message: so many of them, each cut as `shown` does."""
    names = list(names)
    more = f" … ({len(names)} in all)" if len(names) > most else ""
    return (", ".join(map(shown, names[:most])) or "none") + more


def _text(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Every column of a file's table as stripped text, None where nothing stands. Raises RequestError where two go by
    one name."""
    table = table.rename(columns=lambda name: str(name).strip())
    if (twice := table.columns[table.columns.duplicated()]).size:
        raise RequestError(f"{path} has two columns {shown(twice[0])!r}: rename one of them")

    def stripped(column: pd.Series) -> pd.Series:
        cells = column.astype(object).map(lambda value: str(value).strip() or None, na_action="ignore").astype(object)
        return cells.where(cells.notna(), None)

    return table.apply(stripped).reset_index(drop=True)


def present(values: pd.Series) -> pd.Series:
    """A column of labels or numbers, unknown (None) where its text is one of MISSING."""
    return values.mask(values.isin(_standing_for_nothing(values)), None)


def count_missing(values: pd.Series) -> dict[str, int]:
    """What `present` takes for missing, with its count, the most frequent first."""
    return values[values.isin(_standing_for_nothing(values))].value_counts().to_dict()


def _standing_for_nothing(values: pd.Series) -> list[str]:
    if pd.api.types.is_numeric_dtype(values):
        return []
    return [value for value in values.dropna().unique() if isinstance(value, str) and value.strip().lower() in MISSING]


def uniform(values: pd.Series) -> pd.Series:
    """A column of text in one form: letters composed (NFC), and whole numbers, where it has no others, without the .0
    that they get in a column with gaps."""
    forms = {value: nfc(value) for value in values.dropna().unique()}
    if all(_WHOLE.fullmatch(form) or form.lower() in MISSING for form in forms.values()):
        forms = {value: _DECIMALS.sub("", form) for value, form in forms.items()}
    return values.map(forms).astype(object).where(values.notna(), None)


def known(values: pd.Series, allowed: Iterable[str], source: str) -> pd.Series:
    """Class names as they stand; any other is unknown (NA), with a counted warning that shows the first."""
    values = present(values)
    fits = values.isin(list(allowed))
    _warn_of_strange(values, ~fits & values.notna(), f"{source}: labels that are none of {joined(allowed)}")
    return values.where(fits)


def years(values: pd.Series, source: str) -> pd.Series:
    """Ages as float years; what is no number from 0 to 130 is unknown (NaN), with a counted warning."""
    return numbers(values, source, f"an age from 0 to {OLDEST}", 0, OLDEST)


def numbers(values: pd.Series, source: str, expected: str, low: float = -np.inf, high: float = np.inf) -> pd.Series:
    """Floats; what is no number from `low` to `high` is unknown (NaN), with a counted warning."""
    values = present(values)
    found = pd.to_numeric(values, errors="coerce").astype(float)
    found = found.where(found.between(low, high))
    _warn_of_strange(values, found.isna() & values.notna(), f"{source}: values that are not {expected}")
    return found


def warn_of_dropped(count: int, text: str) -> None:
    """Say that rows were left out, and why; the data page shows the count."""
    log.warning(text, extra={"dropped": count})


def _warn_of_strange(values: pd.Series, strange: pd.Series, what: str) -> None:
    if strange.any():
        first = strange.idxmax()
        said = f"'{shown(values[first])}' in data row {first + 1}"
        log.warning(f"{what}: {strange.sum()} count as unknown, the first is {said}")
