"""The manifest: one row an image. What holds for every dataset is checked and filled in here, once.

Columns: path (str), split ("train", "val", "test" or NA), fold (the authors' fold, or NA), subject (str or NA: person,
account, group), the labels (age in years as float, gender "female"/"male", age_group, …; NA where unknown), x y w h
(face box in pixels of the upright picture, NaN for the whole picture); where faces were detected, LANDMARKS and SCORES.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import imagehash
import numpy as np
import pandas as pd

from pipeline.errors import NotThereError, RequestError
from pipeline.pictures import opened, shrink, to_rgb, upright_size

Labels = TypeVar("Labels")

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
BOX = ("x", "y", "w", "h")
_POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")  # left as in the picture
LANDMARKS = tuple(f"{point}_{axis}" for point in _POINTS for axis in "xy")  # pixels of the upright picture
EYES = LANDMARKS[:4]
SCORES = ("face_score", "second_face_score", "confidence", "sharpness")  # what detectors say of a face
FOUND = ("key", "faces", *BOX, "confidence", "sharpness", *LANDMARKS, "unreadable")  # by looking at a picture
# Columns until rows without a picture are left out:
THERE = "picture is there"
NAME = "name in the dataset"
UNREACHED = "the file cannot be read"  # begins a reason that may pass, such as that of a disk which was not there
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")
_HASHED = 64  # pixels of the shorter side that a perceptual hash needs
OLDEST = 130  # years; nobody has reached it
_NUMBER = re.compile(
    r"(?P<before><|≤|\b(under|below|less than|up to|younger than)\b)?\s*(?P<number>\d+(\.\d+)?)(?P<after>\s*\+)?", re.I
)
_DOCS = "`python -m pipeline data {}` says where it is to be had and how it lies on disk"
_ONLY_THESE_ARE_MISSING = {"keep_default_na": False, "na_values": ["", "NA", "N/A", "NaN", "nan", "<NA>"]}  # not "None"


def require(root: str | Path | None, dataset: str, *needed: str) -> Path:
    """The root as a path. Raises NotThereError unless it is a folder that holds every one of `needed`."""
    docs = _DOCS.format(dataset)
    if root is None:
        raise NotThereError(
            f"dataset {dataset} needs --root, the folder that holds {', '.join(needed) or 'it'}; {docs}"
        )
    folder = Path(root)
    if not folder.is_dir():
        raise NotThereError(f"--root {folder} is no folder; expected the unpacked dataset {dataset}; {docs}")
    for name in needed:
        if not (folder / name).exists():
            raise missing(folder, dataset, name)
    return folder


def missing(folder: Path, dataset: str, what: str) -> NotThereError:
    """The error for a dataset's folder that does not hold `what` it should."""
    return NotThereError(
        f"{folder} holds no {what}: expected dataset {dataset}{packed(folder)}; {_DOCS.format(dataset)}"
    )


def packed(folder: Path) -> str:
    """A hint at archives that lie unopened in a folder, for an error about what is missing there."""
    archives = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in ARCHIVES)
    return f" (unpack {', '.join(archives[:3])}{' …' if len(archives) > 3 else ''})" if archives else ""


def read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV file (separated by , ; tab or |) as text columns, every one of `columns` among them.

    Raises RequestError that names the file, and the column that is missing.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max(",;\t|", key=header.count)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # of rows longer than the header: no table
            table = pd.read_csv(
                path, sep=separator, dtype=str, encoding="utf-8-sig", index_col=False, **_ONLY_THESE_ARE_MISSING
            )
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} is no readable CSV file: {str(error).splitlines()[0]}") from error
    return has_columns(text(table, path), columns, path)


def has_columns(table: pd.DataFrame, columns: Sequence[str], path: Path) -> pd.DataFrame:
    """The table. Raises RequestError that names its file and the first of `columns` that is missing."""
    for name in columns:
        if name not in table.columns:
            raise RequestError(f"{path} has no column {name!r}; its columns are {', '.join(table.columns) or 'none'}")
    return table


def once(rows: pd.DataFrame, columns: list[str], source: str) -> pd.DataFrame:
    """The first row of each face, which `columns` tell apart; the others are left out with a counted warning."""
    first = rows.drop_duplicates(columns, ignore_index=True)
    if len(first) < len(rows):
        repeated = len(rows) - len(first)
        warn_of_dropped(repeated, f"{source}: {repeated} rows list a face a second time and are left out")
    return first


def read_list(path: Path, names: Sequence[str] = (), skip: int = 0, separator: str | None = None) -> pd.DataFrame:
    """A plain list, one row a line, without quotes, as text columns: "" where nothing stands between two separators.

    names: the columns; those of the first line where none are given. skip: lines before that. separator: None is any
    white space. A UTF-8 mark and Windows' line ends do no harm. Rows of another width (a list cut short) are left out
    with a counted warning. Raises RequestError that names the file when it is no text, or nothing is in it.
    """
    try:
        lines = [line.rstrip("\n") for line in path.open(encoding="utf-8-sig")]
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} is no readable list: {error}") from error
    rows = [[field.strip() for field in line.split(separator)] for line in lines[skip:] if line.strip()]
    header = list(names) or (rows.pop(0) if rows else [])
    whole = [row for row in rows if len(row) == len(header)]
    if not whole:
        raise RequestError(f"{path}: none of its {len(rows)} rows has the {len(header)} fields {', '.join(header)}")
    if len(whole) < len(rows):
        first = next(row for row in rows if len(row) != len(header))
        warn_of_dropped(
            len(rows) - len(whole),
            f"{path}: {len(rows) - len(whole)} rows do not have {len(header)} fields and are left out, the first is "
            f"{' '.join(first)[:80]!r}",
        )
    return pd.DataFrame(whole, columns=header)


def read_names(folder: Path, read: Callable[[str], Labels | None], dataset: str, form: str) -> dict[Path, Labels]:
    """What the names of all pictures under a folder say, in order of their names.

    read: a path relative to the folder (parted by /) → its labels, or None for a name that says nothing. Those are left
    out with a counted warning. Raises RequestError that tells the `form` of the names when none says anything.
    """
    files = _pictures(folder, dataset)
    if not files:
        raise missing(folder, dataset, f"pictures {form}")
    labels = {path: read(path.relative_to(folder).as_posix()) for path in files}
    named = {path: said for path, said in labels.items() if said is not None}
    first = next((path.relative_to(folder) for path in files if path not in named), None)
    if not named:
        raise RequestError(f"{folder}: none of {len(files)} pictures is named like {form}, the first is {first}")
    if first is not None:
        strange = len(files) - len(named)
        warn_of_dropped(
            strange, f"{folder}: {strange} names are not like {form} and are left out, the first is {first}"
        )
    return named


def _pictures(folder: Path, dataset: str) -> list[Path]:
    """All pictures under a folder, in order of their names; without what macOS leaves beside them. Names that no text
    can hold are left out with a counted warning."""
    paths = (Path(place, name) for place, names in _folders(folder) for name in names if not name.startswith("."))
    files = [path for path in paths if path.suffix.lower() in (".jpg", ".jpeg", ".png") and path.is_file()]
    legible = sorted(path for path in files if _is_text(str(path)))
    if len(legible) < len(files):
        strange = len(files) - len(legible)
        warn_of_dropped(strange, f"{dataset}: {strange} names of pictures are no UTF-8 and are left out")
    return legible


def _folders(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Every folder under the root with the names in it, each once; those that are linked to after all others, and none
    that holds the root itself."""
    seen, queue, inmost = set(), [str(root)], root.resolve()
    for top in queue:
        if top != str(root) and inmost.is_relative_to(Path(top).resolve()):
            continue
        for place, folders, names in os.walk(top):
            real = os.path.realpath(place)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
            queue += [str(path) for path in (Path(place, name) for name in folders) if path.is_symlink()]
            yield place, names


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def text(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Every column of a file's table as stripped text, None where nothing stands. Raises RequestError where two go by
    one name."""
    table = table.rename(columns=lambda name: str(name).strip())
    if (twice := table.columns[table.columns.duplicated()]).size:
        raise RequestError(f"{path} has two columns {twice[0]!r}: rename one of them")
    return table.apply(lambda column: column.map(lambda value: str(value).strip() or None, na_action="ignore")).astype(
        object
    )


def listed(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """A loader's rows with every column of the manifest, `path` as it is on disk, THERE: whether it is, and NAME: its
    path as the dataset has it (which the loader may say), whose end does not depend on where that lies.

    Rows with a face box that can be none are left out with a counted warning. Raises RequestError when there are no
    rows, or none of the pictures is there.
    """
    rows = rows.reset_index(drop=True)
    if rows.empty:
        raise RequestError(f"{source}: the list has no rows")
    for name in ("split", "fold", "subject"):
        if name not in rows:
            rows[name] = pd.Series(None, index=rows.index, dtype=object)
    rows["fold"] = _numbers(rows["fold"], f"{source}, column fold", "a number").round().astype("Int64")
    for name in (*LANDMARKS, *SCORES, *BOX):
        if name in rows:
            rows[name] = _numbers(rows[name], f"{source}, column {name}", "a number")
        elif name in BOX:
            rows[name] = np.nan
    rows = _with_possible_boxes(rows, source)
    if NAME not in rows:
        rows[NAME] = rows["path"]
    entries: dict[Path, dict[str, Path]] = {}
    found = [_found(Path(path), entries) for path in rows["path"]]
    if not any(found):
        raise NotThereError(
            f"{source}: none of the {len(rows)} listed pictures is there, the first is {rows['path'].iloc[0]}; check "
            "--root, and that the archives with the pictures are unpacked there"
        )
    paths = [path or name for path, name in zip(found, rows["path"], strict=True)]
    return rows.assign(path=paths, **{THERE: [path is not None for path in found]})


def _with_possible_boxes(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """The rows whose box is one, in pixels, or the whole picture."""
    boxes = rows[list(BOX)]
    is_box = np.isfinite(boxes).all(axis="columns") & (boxes[["w", "h"]] >= 1).all(axis="columns")
    possible = is_box | boxes.isna().all(axis="columns")
    if possible.all():
        return rows
    strange = boxes[~possible]
    first = " ".join(f"{name} {value:g}" for name, value in strange.iloc[0].items())
    said = f"{source}: {len(strange)} rows have a face box that is none in pixels, the first has {first}"
    if len(strange) == len(rows):
        raise RequestError(f"{said}; correct x, y, w and h, or leave them out")
    warn_of_dropped(len(strange), f"{said}; they are left out")
    return rows[possible].reset_index(drop=True)


def there(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """Those of `listed` rows whose picture is there; a counted warning tells of the others."""
    gone = rows["path"][~rows[THERE]]
    if len(gone):
        warn_of_dropped(
            len(gone),
            f"{source}: {len(gone)} of {len(rows)} listed pictures are not there and are left out, the first is "
            f"{gone.iloc[0]}",
        )
    return rows[rows[THERE]].drop(columns=[THERE, NAME]).reset_index(drop=True)


def _found(path: Path, entries: dict[Path, dict[str, Path]]) -> str | None:
    """The file as it is on disk, where at most the case of its own or its folder's name differs; None without it."""
    try:
        if path.is_file():
            return str(path)
    except (OSError, ValueError):  # a name that no file can have
        return None

    def entry(folder: Path, name: str) -> Path:
        if folder not in entries:
            entries[folder] = {p.name.lower(): p for p in folder.iterdir()} if folder.is_dir() else {}
        return entries[folder].get(name.lower(), folder / name)

    folder = path.parent if path.parent.is_dir() else entry(path.parent.parent, path.parent.name)
    there = entry(folder, path.name)
    return str(there) if there.is_file() else None


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


def natural(name: str) -> tuple[float, str]:
    """A key to sort class names by: by their first number ("3-9" before "10-19", "<18" before "18-30", "60-70" before
    "60+"), then by letters; what has none comes last, at infinity."""
    number = _NUMBER.search(name)
    if number is None:
        return math.inf, name
    before, after = bool(number["before"]), bool(number["after"])
    return float(number["number"]) + (after - before) / 1000, name


def warn_of_dropped(count: int, text: str) -> None:
    """Say that rows were left out, and why; the data page shows the count."""
    log.warning(text, extra={"dropped": count})


def _warn_of_strange(values: pd.Series, strange: pd.Series, what: str) -> None:
    if strange.any():
        first = strange.idxmax()
        shown = f"'{values[first]}' in data row {first + 1}"
        log.warning(f"{what}: {strange.sum()} count as unknown, the first is {shown}")


def content_hashes(paths: Iterable[str]) -> list[str]:
    """sha256 of each file's bytes, in hexadecimal: equal pictures have equal hashes on any machine. Of a file that is
    not there, that of its name."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_content_hash, paths))


def inspect(paths: Iterable[str]) -> pd.DataFrame:
    """What each file holds: file_sha256 of its bytes, file_width and file_height of the upright image in pixels, and
    file_phash.

    The last is a perceptual hash (pHash, by ImageHash) as a signed 64-bit number: pictures that look alike differ in
    few of its bits. NA where the picture cannot be read; why is said where canvases are made.
    """
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(_inspect, paths))
    table = pd.DataFrame(found, columns=["file_sha256", "file_width", "file_height", "file_phash"], dtype=object)
    return table.astype(dict.fromkeys(table.columns[1:], "Int64"))  # from objects: a float would keep 53 of 64 bits


def _content_hash(path: str) -> str:
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError):  # nothing that can be read goes by that name
        content = Path(path).name.encode()
    return hashlib.sha256(content).hexdigest()


def _inspect(path: str) -> tuple[str | None, int | None, int | None, int | None]:
    try:
        content = Path(path).read_bytes()
        with opened(content) as image:
            width, height = upright_size(image)
            shrink(image, min(width, height) // _HASHED)
            looks = imagehash.phash(to_rgb(image))
    except (OSError, ValueError):
        return None, None, None, None
    return hashlib.sha256(content).hexdigest(), width, height, int(np.packbits(looks.hash).view(np.int64)[0])


def places(rows: pd.DataFrame) -> pd.MultiIndex:
    """What tells the rows apart: path, face box (NaN for the whole picture), and which one it is of equal rows."""
    known = rows.reindex(columns=["path", *BOX]).astype(dict.fromkeys(BOX, float))
    return pd.MultiIndex.from_frame(known.assign(number=known.groupby(list(known), dropna=False).cumcount()))


def with_boxes(rows: pd.DataFrame, *columns: str) -> list[str]:
    """Names of the columns `path`, the box's where any row has one, and `columns`."""
    return ["path", *(BOX if rows["x"].notna().any() else ()), *columns]


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


def examples_hash(rows: pd.DataFrame, labels: Iterable[str]) -> str:
    """A hash of what a network learns from the rows: which picture is in which split, whose it is, where its face is
    and what it is labelled. Neither the rows' order nor another column changes it, nor where the pictures lie."""
    columns = ["path", "split", "subject", *BOX, *(name for name in LANDMARKS if name in rows), *labels]
    said = rows.reindex(columns=columns).assign(path=[Path(path).name for path in rows["path"]])
    lines = said.to_csv(index=False, header=False).splitlines()
    return hashlib.sha256("\n".join([",".join(columns), *sorted(lines)]).encode()).hexdigest()
