"""Files that are complete or not there: written under a temporary name, which then takes their place."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.utils.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TEMPORARY = ".unfinished-"  # how the names of folders begin that hold what is not complete


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, which takes its place when the block ends without an error."""
    temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=path.parent)) / path.name
    try:
        yield temporary
        if path.is_dir() and not temporary.is_dir():
            raise RequestError(f"{path} is a folder: a file of that name cannot be written")
        if path.is_dir():
            path.rename(temporary.with_name("old"))
        os.replace(temporary, path)
    except OSError as error:
        if error.filename or error.strerror is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk does not say of what
    finally:
        shutil.rmtree(temporary.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write JSON; NaN and infinity become null, which every reader understands."""
    write_text(path, json.dumps(_without_nan(value), indent=1, allow_nan=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table, whole or not at all."""
    with written(path) as temporary:
        table.to_csv(temporary, index=False)


_TABLES = {
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".jsonl": lambda table, path: table.to_json(path, orient="records", lines=True),
    ".parquet": lambda table, path: table.to_parquet(path, index=False),
}


def make_folder(path: Path, option: str) -> Path:
    """A folder of a user's choice, made where it is not there. Raises RequestError, by the option, if it cannot be, or
    nothing can be written there."""
    if path.exists() and not path.is_dir():
        raise RequestError(f"{option} {path}: expected a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise RequestError(f"{option} {path}: nothing can be written there: {error.strerror}") from error
    return path


def check_table(path: Path) -> Path:
    """The path of a user's choice, if a table can be written there; its folder is made.

    Raises RequestError for another ending, a folder, or a place that cannot be written.
    """
    if path.suffix not in _TABLES or path.is_dir():
        raise RequestError(f"--out {path}: expected a file whose name ends in {', '.join(_TABLES)}")
    make_folder(path.parent, "--out")
    return path


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table in the format of the path's ending (`check_table`)."""
    with written(check_table(path)) as temporary:
        _TABLES[path.suffix](table, temporary)


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, whole or not at all, and let go of it."""
    import matplotlib.pyplot as plt

    with written(path) as temporary:
        figure.savefig(temporary, dpi=130, bbox_inches="tight")
    plt.close(figure)


def dated(folder: Path) -> Path:
    """A new directory named by the time; two in the same second get two names."""
    while True:
        path = folder / time.strftime("%Y%m%d-%H%M%S")
        try:
            path.mkdir()
            return path
        except FileExistsError:
            time.sleep(0.1)


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
