"""The manifest: one row an image. What holds for every dataset is checked and filled in here, once.

Columns: path (str), split ("train", "val", "test" or NA), fold (the authors' fold, or NA), subject (str or NA: person,
account, group), the labels (age in years as float, gender "female"/"male", age_group, …; NA where unknown), x y w h
(face box in pixels of the upright picture, NaN for the whole picture); where faces were detected, LANDMARKS and SCORES.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import imagehash
import numpy as np
import pandas as pd

from pipeline.data import cells
from pipeline.data.pictures import SUFFIXES, opened, shrink, to_rgb, upright_size
from pipeline.utils import listing
from pipeline.utils.errors import NotThereError, RequestError
from pipeline.utils.listing import nfc

Labels = TypeVar("Labels")

SPLITS = ("train", "val", "test")
BOX = ("x", "y", "w", "h")
POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")  # left as in the picture
LANDMARKS = tuple(f"{point}_{axis}" for point in POINTS for axis in "xy")  # pixels of the upright picture
EYES = LANDMARKS[:4]
SCORES = ("face_score", "second_face_score", "confidence", "sharpness")  # what detectors say of a face
FOUND = ("key", "faces", *BOX, "confidence", "sharpness", *LANDMARKS, "unreadable")  # by looking at a picture
# Columns until rows without a picture are left out:
THERE = "picture is there"
NAME = "name in the dataset"
UNREACHED = "the file cannot be read"  # begins a reason that may pass, such as that of a disk which was not there
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")
_HASHED = 64  # pixels of the shorter side that a perceptual hash needs
_PATH = 200  # characters of a path that messages show
_DOCS = "`python -m pipeline data {}` says where it is to be had and how it lies on disk"


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


def once(rows: pd.DataFrame, columns: list[str], source: str) -> pd.DataFrame:
    """The first row of each face, which `columns` tell apart; the others are left out with a counted warning."""
    first = rows.drop_duplicates(columns, ignore_index=True)
    if len(first) < len(rows):
        repeated = len(rows) - len(first)
        cells.warn_of_dropped(repeated, f"{source}: {repeated} rows list a face a second time and are left out")
    return first


def read_names(folder: Path, read: Callable[[str], Labels | None], dataset: str, form: str) -> dict[Path, Labels]:
    """What the names of all pictures under a folder say, in order of their names.

    read: a path relative to the folder (parted by /) → its labels, or None for a name that says nothing. Those are left
    out with a counted warning, and so are copies: files of the same name, bytes and labels as one before them. Raises
    RequestError that tells the `form` of the names when none says anything.
    """
    files = _pictures(folder, dataset)
    if not files:
        raise missing(folder, dataset, f"pictures {form}")
    labels = {path: read(path.relative_to(folder).as_posix()) for path in files}
    named = {path: said for path, said in labels.items() if said is not None}
    first = next((path.relative_to(folder) for path in files if path not in named), None)
    if not named:
        raise RequestError(
            f"{folder}: none of {len(files)} pictures is named like {form}, the first is {cells.shown(first)}"
        )
    if first is not None:
        strange = len(files) - len(named)
        said = f"{folder}: {strange} names are not like {form} and are left out, the first is {cells.shown(first)}"
        cells.warn_of_dropped(strange, said)
    if copies := _copies(named):
        copy, original = next(iter(copies.items()))
        one, other = (cells.shown(path.relative_to(folder)) for path in (copy, original))
        said = (
            f"{folder}: {len(copies)} files have the name, bytes and labels of another and are left out, "
            f"the first is {one}, a copy of {other}"
        )
        cells.warn_of_dropped(len(copies), said)
    return {path: said for path, said in named.items() if path not in copies}


def _copies(named: dict[Path, Labels]) -> dict[Path, Path]:
    """Files with the name, the bytes and the labels of one before them → that one. Only files that share all but the
    bytes are read."""
    alike: dict[tuple[str, Labels, int], list[Path]] = {}
    by_name = Counter(nfc(path.name) for path in named)
    for path, said in named.items():
        if by_name[nfc(path.name)] > 1 and path.is_file():
            alike.setdefault((nfc(path.name), said, path.stat().st_size), []).append(path)
    candidates = [path for paths in alike.values() if len(paths) > 1 for path in paths]
    contents = dict(zip(candidates, _on_threads(_hash_of_bytes, candidates), strict=True))
    originals: dict[tuple[str, Labels, str], Path] = {}
    copies = {}
    for path, content in contents.items():
        if content is None:  # cannot be read: nobody knows
            continue
        original = originals.setdefault((nfc(path.name), named[path], content), path)
        if original != path:
            copies[path] = original
    return copies


def _pictures(folder: Path, dataset: str) -> list[Path]:
    """All pictures under a folder, as `listing.files` finds them. Names that no text can hold are left out with a
    counted warning."""
    files = listing.files(folder, SUFFIXES)
    legible = [path for path in files if _is_text(str(path))]
    if len(legible) < len(files):
        strange = len(files) - len(legible)
        cells.warn_of_dropped(strange, f"{dataset}: {strange} names of pictures are no UTF-8 and are left out")
    return legible


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    rows["fold"] = cells.numbers(rows["fold"], f"{source}, column fold", "a number").round().astype("Int64")
    for name in (*LANDMARKS, *SCORES, *BOX):
        if name in rows:
            rows[name] = cells.numbers(rows[name], f"{source}, column {name}", "a number")
        elif name in BOX:
            rows[name] = np.nan
    rows = _with_possible_boxes(rows, source)
    if NAME not in rows:
        rows[NAME] = rows["path"]
    finder = listing.Finder()
    found = [finder.find(path) for path in rows["path"]]
    if not any(found):
        raise NotThereError(
            f"{source}: none of the {len(rows)} listed pictures is there, the first is "
            f"{cells.shown(rows['path'].iloc[0], _PATH)}; check "
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
    cells.warn_of_dropped(len(strange), f"{said}; they are left out")
    return rows[possible].reset_index(drop=True)


def there(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """Those of `listed` rows whose picture is there; a counted warning tells of the others."""
    gone = rows["path"][~rows[THERE]]
    if len(gone):
        cells.warn_of_dropped(
            len(gone),
            f"{source}: {len(gone)} of {len(rows)} listed pictures are not there and are left out, the first is "
            f"{cells.shown(gone.iloc[0], _PATH)}",
        )
    return rows[rows[THERE]].drop(columns=[THERE, NAME]).reset_index(drop=True)


def content_hashes(paths: Iterable[str]) -> list[str]:
    """sha256 of each file's bytes, in hexadecimal: equal pictures have equal hashes on any machine. Of a file that is
    not there, that of its name."""
    return _on_threads(_content_hash, paths)


def inspect(paths: Iterable[str]) -> pd.DataFrame:
    """What each file holds: file_sha256 of its bytes, file_width and file_height of the upright image in pixels, and
    file_phash.

    The last is a perceptual hash (pHash, by ImageHash) as a signed 64-bit number: pictures that look alike differ in
    few of its bits. NA where the picture cannot be read; why is said where crops are made.
    """
    table = pd.DataFrame(
        _on_threads(_inspect, paths), columns=["file_sha256", "file_width", "file_height", "file_phash"], dtype=object
    )
    return table.astype(dict.fromkeys(table.columns[1:], "Int64"))  # from objects: a float would keep 53 of 64 bits


def _content_hash(path: str) -> str:
    return _hash_of_bytes(path) or hashlib.sha256(_name(path).encode()).hexdigest()


def _hash_of_bytes(path: str | Path) -> str | None:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except (OSError, ValueError):  # nothing that can be read goes by that name
        return None


def _on_threads(read: Callable[[Any], Any], paths: Iterable[Any]) -> list[Any]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(read, paths))


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
    said = rows.assign(path=rows["path"].map(_name))
    return hashlib.sha256(said.to_csv(index=False).encode()).hexdigest()


def examples_hash(rows: pd.DataFrame, labels: Iterable[str]) -> str:
    """A hash of what a network learns from the rows: which picture is in which split, whose it is, where its face is
    and what it is labelled. Neither the rows' order nor another column changes it, nor where the pictures lie."""
    columns = ["path", "split", "subject", *BOX, *(name for name in LANDMARKS if name in rows), *labels]
    said = rows.reindex(columns=columns).assign(path=rows["path"].map(_name))
    lines = said.to_csv(index=False, header=False).splitlines()
    return hashlib.sha256("\n".join([",".join(columns), *sorted(lines)]).encode()).hexdigest()


def _name(path: str) -> str:
    """A file's name in one Unicode form, as it is the same on any machine."""
    return nfc(Path(path).name)
