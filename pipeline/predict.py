"""Photographs in, answers out, by an exported model. Needs TensorFlow, not Keras."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from pipeline import runs
from pipeline.answers import columns
from pipeline.canvas import UNREADABLE, WHOLE, canvas, read, reason
from pipeline.errors import RequestError
from pipeline.progress import track

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")  # the last three get a reason, no answer
BATCH = 32


class Predictor:
    """Answers for pictures of one face each.

    Opens a run (its saved_model/) or a SavedModel folder alone. Raises RequestError for anything else.
    """

    def __init__(self, model: str | Path) -> None:
        folder = _saved_model(Path(model))
        try:
            self.labels = json.loads((folder / "assets.extra" / "labels.json").read_text(encoding="utf-8"))
            self._model = tf.saved_model.load(str(folder))  # kept: its signatures live only as long as it does
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise RequestError(f"{folder} cannot be loaded: {str(error).splitlines()[0]}") from error
        self._answer = self._model.signatures["serving_default"]

    def __call__(self, paths: Sequence[str | Path]) -> pd.DataFrame:
        """One row a picture: path, `<target>_predicted`, `<target>_p_<class>`, and the reason where there is none."""
        batches = [paths[i : i + BATCH] for i in range(0, len(paths), BATCH)]
        tables = [self._batch(batch) for batch in track(batches, "predicting", len(batches))]
        columns = ["path", *self._columns_of_none(), "reason"]
        return pd.concat(tables, ignore_index=True).reindex(columns=columns)

    def _batch(self, paths: Sequence[str | Path]) -> pd.DataFrame:
        canvases, reasons = zip(*(self._canvas(path) for path in paths), strict=True)
        good = [i for i, reason in enumerate(reasons) if not reason]
        rows = pd.DataFrame({"path": [str(path) for path in paths]})
        if good:
            said = self._answer(images=tf.stack([canvases[i] for i in good]))
            meanings = self.labels["targets"]
            answers = pd.concat([columns(name, meanings[name], said[name].numpy()) for name in meanings], axis=1)
            rows = rows.join(answers.set_index(pd.Index(good)))
        return rows.assign(reason=reasons)

    def _canvas(self, path: str | Path) -> tuple[tf.Tensor | None, str]:
        """The picture's canvas, made as in training, or the reason why there is none."""
        size = self.labels["image_size"]
        try:
            content, orientation = read(str(path))
            return canvas(tf.constant(content), tf.constant(WHOLE), tf.constant(orientation), size, margin=0.0), ""
        except UNREADABLE as error:
            return None, reason(error)

    def _columns_of_none(self) -> list[str]:
        """The names of the answers' columns, which a table has even where no picture could be read."""
        meanings = self.labels["targets"]
        shapes = {name: (0, len(what["classes"])) if "classes" in what else 0 for name, what in meanings.items()}
        return [column for name, what in meanings.items() for column in columns(name, what, np.zeros(shapes[name]))]


def picture_files(inputs: Iterable[str]) -> list[str]:
    """The pictures among files and folders (all levels deep), each folder's in order of name.

    Raises RequestError for a path that is not there, or when there is no picture at all.
    """
    found: list[str] = []
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            found += sorted(str(file) for file in path.rglob("*") if file.suffix.lower() in PICTURES)
        elif path.is_file():
            found.append(str(path))
        else:
            raise RequestError(f"no picture or folder {given}")
    if not found:
        raise RequestError(f"no pictures ({', '.join(PICTURES)}) in {', '.join(inputs)}")
    return found


def check_out(path: Path) -> Path:
    """The path, if answers can be written there. Raises RequestError for another ending, or a folder."""
    if path.suffix not in _WRITERS or path.is_dir():
        raise RequestError(f"--out {path}: expected a file whose name ends in {', '.join(_WRITERS)}")
    return path


def save(table: pd.DataFrame, path: Path) -> None:
    """Write answers in the format of the path's ending."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"--out {path} cannot be written: {error.strerror}") from error
    with runs.written(check_out(path)) as temporary:
        _WRITERS[path.suffix](table, temporary)


_WRITERS = {
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".jsonl": lambda table, path: table.to_json(path, orient="records", lines=True),
    ".parquet": lambda table, path: table.to_parquet(path, index=False),
}


def _saved_model(path: Path) -> Path:
    for folder in (path, path / "saved_model"):
        if (folder / "saved_model.pb").is_file():
            if not (folder / "assets.extra" / "labels.json").is_file():
                raise RequestError(f"{folder} is a SavedModel of something else: it has no assets.extra/labels.json")
            return folder
    raise RequestError(
        f"{path} is neither a SavedModel nor a run with one: make it with "
        f"`python -m pipeline export RUN --format saved_model`"
    )
