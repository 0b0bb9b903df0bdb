"""The manifest: one row an image. What holds for every dataset is checked and filled in here, once.

Columns: path (str), split ("train", "val", "test" or NA), subject (str or NA: person, account, group), the labels
(age in years as float, gender "female"/"male", age_group, …; NA where unknown), x y w h (face box in pixels of the
upright picture, NaN for the whole picture).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from pipeline.errors import RequestError

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
BOX = ("x", "y", "w", "h")
OLDEST = 130  # years; nobody has reached it
_ONLY_THESE_ARE_MISSING = {"keep_default_na": False, "na_values": ["", "NA", "N/A", "NaN", "nan", "<NA>"]}  # not "None"


def require(root: str | Path | None, dataset: str, *needed: str) -> Path:
    """The root as a path. Raises RequestError unless it is a folder that holds every one of `needed`."""
    docs = f"`python -m pipeline list datasets` and pipeline/datasets/{dataset}.py say what is expected"
    if root is None:
        raise RequestError(f"dataset {dataset} needs --root, the folder that holds {', '.join(needed) or 'it'}; {docs}")
    folder = Path(root)
    if not folder.is_dir():
        raise RequestError(f"--root {folder} is no folder; expected the unpacked dataset {dataset}; {docs}")
    for name in needed:
        if not (folder / name).exists():
            raise RequestError(f"{folder} holds no {name}: expected the unpacked dataset {dataset}; {docs}")
    return folder


def read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV file (separated by , ; tab or |) as text columns, every one of `columns` among them.

    Raises RequestError that names the file, and the column that is missing.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max(",;\t|", key=header.count)
        table = pd.read_csv(
            path, sep=separator, dtype=str, encoding="utf-8-sig", index_col=False, **_ONLY_THESE_ARE_MISSING
        )
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} is no readable CSV file: {str(error).splitlines()[0]}") from error
    table = text(table)
    for name in columns:
        if name not in table.columns:
            raise RequestError(f"{path} has no column {name!r}; its columns are {', '.join(table.columns) or 'none'}")
    return table


def text(table: pd.DataFrame) -> pd.DataFrame:
    """Every column as stripped text, None where nothing stands."""
    table = table.rename(columns=lambda name: str(name).strip())
    return table.apply(lambda column: column.map(lambda value: str(value).strip() or None, na_action="ignore")).astype(
        object
    )


def complete(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """A loader's rows with every column of the manifest, without rows whose picture is not there (a counted warning).

    Raises RequestError when no row is left.
    """
    rows = rows.reset_index(drop=True)
    for name in ("split", "subject"):
        if name not in rows:
            rows[name] = pd.Series(None, index=rows.index, dtype=object)
    for name in BOX:
        rows[name] = _numbers(rows[name], f"{source}, column {name}", "a number") if name in rows else np.nan
    if rows.empty:
        raise RequestError(f"{source}: the list has no rows")
    there = np.fromiter((Path(path).is_file() for path in rows["path"]), bool, len(rows))
    if not there.any():
        raise RequestError(
            f"{source}: none of the {len(rows)} listed pictures is there, the first is "
            f"{rows['path'].iloc[0]}; check --root"
        )
    if not there.all():
        gone = rows["path"][~there]
        log.warning(
            "%s: %d of %d listed pictures are not there and are left out, the first is %s",
            source,
            len(gone),
            len(rows),
            gone.iloc[0],
        )
    return rows[there].reset_index(drop=True)


def known(values: pd.Series, allowed: Iterable[str], source: str) -> pd.Series:
    """Class names as they stand; any other is unknown (NA), with a counted warning that shows the first."""
    fits = values.isin(list(allowed))
    _warn_of_strange(values, ~fits & values.notna(), f"{source}: labels that are none of {', '.join(allowed)}")
    return values.where(fits)


def years(values: pd.Series, source: str) -> pd.Series:
    """Ages as float years; what is no number from 0 to 130 is unknown (NaN), with a counted warning."""
    return _numbers(values, source, f"an age from 0 to {OLDEST}", 0, OLDEST)


def _numbers(values: pd.Series, source: str, expected: str, low: float = -np.inf, high: float = np.inf) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    numbers = numbers.where(numbers.between(low, high))
    _warn_of_strange(values, numbers.isna() & values.notna(), f"{source}: values that are not {expected}")
    return numbers


def _warn_of_strange(values: pd.Series, strange: pd.Series, what: str) -> None:
    if strange.any():
        first = strange.idxmax()
        log.warning(f"{what}: {strange.sum()} count as unknown, the first is {values[first]!r} in data row {first + 1}")


def content_hashes(paths: Sequence[str]) -> list[str]:
    """sha256 of each file's bytes, in hexadecimal; equal pictures have equal hashes on any machine."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda path: hashlib.sha256(Path(path).read_bytes()).hexdigest(), paths))


def perceptual_hashes(paths: Sequence[str]) -> np.ndarray:
    """uint64 of each picture that can be read: pictures that look alike differ in few bits (pHash, by ImageHash)."""
    with ThreadPoolExecutor() as pool:
        hashes = [digest for digest in pool.map(_perceptual_hash, paths) if digest is not None]
    return np.array(hashes, np.uint64)


def _perceptual_hash(path: str) -> np.uint64 | None:
    try:
        with Image.open(path) as picture:
            picture.draft("L", (64, 64))  # a large JPEG is decoded at a fraction of its size
            return np.packbits(imagehash.phash(picture).hash).view(np.uint64)[0]
    except (OSError, ValueError, Image.DecompressionBombError):
        return None  # what cannot be read is rejected, with its reason, where canvases are made


def groups(rows: pd.DataFrame) -> pd.Series:
    """What must stay in one split: the subject where it is known, else the hash of the picture's bytes."""
    groups = rows["subject"].astype("object")
    unknown = groups.isna()
    groups[unknown] = content_hashes(rows["path"][unknown].tolist())
    return groups.astype("str")


def fingerprint(rows: pd.DataFrame) -> str:
    """A hash of what the rows say (not of where they lie): the same for the same data on any machine."""
    said = rows.assign(path=[Path(path).name for path in rows["path"]])
    return hashlib.sha256(said.to_csv(index=False).encode()).hexdigest()
