"""Photographs in, answers out, by an exported model. Needs TensorFlow, not Keras (finding faces does)."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from dask.system import CPU_COUNT as _CORES

from pipeline.data import manifests
from pipeline.data.crop import UNREADABLE, crop, fit, reason
from pipeline.data.pictures import decode
from pipeline.inference import drawn, sources, videos
from pipeline.inference.sources import Picture
from pipeline.utils import files, interrupts
from pipeline.utils.answers import columns
from pipeline.utils.errors import RequestError
from pipeline.utils.progress import duration, track

FACES = ("detect", "whole")
BATCH = 64  # faces that go through the network at once
NO_FACE = "no face was found"
_AHEAD = 4 * _CORES  # pictures that are decoded and searched before they are asked for
_HELD = 2**28  # bytes of pictures that are looked at, and as many that are kept to be drawn on
_LARGE = 2**26  # bytes of pictures that are looked at together
_PATIENCE = 1.0  # seconds that a picture waits for others to share its batch: of a camera they come slowly
_PLACE = ("path", "frame", "time", *manifests.BOX, *manifests.LANDMARKS, "confidence")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Looked:
    """A picture, and the faces to answer for: one row each with where it is, and its crop. Where there is none, one
    row with the reason, and no crop. pixels: kept if they are drawn on."""

    picture: Picture
    rows: list[dict[str, Any]]
    crops: list[np.ndarray]
    pixels: np.ndarray | None


class Predictor:
    """Answers for photographs.

    Opens a run (its saved_model/) or a SavedModel folder alone. Raises RequestError for anything else.
    """

    def __init__(self, model: str | Path) -> None:
        folder = _saved_model(Path(model))
        try:
            self.labels = json.loads((folder / "assets.extra" / "labels.json").read_text(encoding="utf-8"))
            self._model = tf.saved_model.load(str(folder))  # kept: its signatures live only as long as it does
            self._answer = self._model.signatures["serving_default"]
            size, margin, aligned, _ = (self.labels[name] for name in ("image_size", "margin", "aligned", "targets"))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise RequestError(f"{folder} cannot be loaded: {str(error).splitlines()[0]}") from error
        except (KeyError, TypeError) as error:
            raise RequestError(
                f"{folder} is no export of a run: its labels.json or its signatures lack {error}"
            ) from None
        self._make_functions(size, margin, aligned)

    def __call__(self, pictures: Iterable[Any], faces: str = "detect", every: int = 1) -> pd.DataFrame:
        """One row a face: path, frame and time (of videos), box, landmarks and detection score, `<target>_predicted`,
        `<target>_p_<class>`; and for a picture without a face, one row with the reason.

        pictures: paths (of pictures and videos), bytes of encoded pictures, uint8 RGB arrays [H, W, 3], PIL images.
        faces: `detect` finds the faces, and cuts and turns them as the model's training had them; `whole` takes each
        picture for one face. every: of a video's frames, so many apart. Raises RequestError for something else.
        """
        tables = [table for _, table in self.follow(pictures, faces, every)]
        return self.complete(tables)

    def follow(
        self, pictures: Iterable[Any], faces: str = "detect", every: int = 1, keep_pixels: bool = False
    ) -> Iterator[tuple[list[Looked], pd.DataFrame]]:
        """A few pictures at a time with their rows of the table, as soon as they are known. Pictures are decoded and
        searched for faces ahead, on all cores, while the faces of those before go through the network in batches."""
        if faces not in FACES:
            raise RequestError(f"faces {faces!r}: expected {' or '.join(FACES)}")
        look = self._look_for_faces if faces == "detect" else self._look_at_whole
        together = BATCH if faces == "whole" and not keep_pixels else 1
        some = _batched(sources.pictures(pictures, every), together)
        waiting: list[Looked] = []
        since = time.monotonic()
        for looked in _in_order(lambda pictures: look(pictures, keep_pixels), some, -(-_AHEAD // together) + 1):
            waiting += [replace(one, picture=replace(one.picture, content=None, pixels=None)) for one in looked]
            kept = sum(one.pixels.nbytes for one in waiting if one.pixels is not None)
            count = max(len(waiting), sum(len(one.crops) for one in waiting))
            if count >= BATCH or kept >= _HELD or time.monotonic() - since >= _PATIENCE:
                yield waiting, self._answered(waiting)
                waiting, since = [], time.monotonic()
        if waiting:
            yield waiting, self._answered(waiting)

    def _answered(self, looked: list[Looked]) -> pd.DataFrame:
        """The rows of some pictures, in their order."""
        rows = pd.DataFrame([row for one in looked for row in one.rows])
        crops = [crop for one in looked for crop in one.crops]
        if crops:
            rows = rows.join(self._said(crops).set_axis(rows.index[rows["reason"] == ""]))
        return self.complete([rows])

    def _said(self, crops: list[np.ndarray]) -> pd.DataFrame:
        """What the model says of some crops, a row each."""
        parts = [np.stack(crops[i : i + BATCH]) for i in range(0, len(crops), BATCH)]
        said = [self._answer(images=tf.constant(part)) for part in parts]
        meanings = self.labels["targets"].items()
        return pd.concat(
            [columns(name, meaning, np.concatenate([part[name] for part in said])) for name, meaning in meanings],
            axis=1,
        )

    def complete(self, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Tables as one, with all its columns, also where nothing was found."""
        rows = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
        return rows.reindex(columns=[*_PLACE, *self._columns_of_none(), "reason"])

    def _columns_of_none(self) -> list[str]:
        meanings = self.labels["targets"]
        shapes = {name: (0, len(what["classes"])) if "classes" in what else 0 for name, what in meanings.items()}
        return [column for name, what in meanings.items() for column in columns(name, what, np.zeros(shapes[name]))]

    def _make_functions(self, size: int, margin: float, aligned: bool) -> None:
        """The ways from a picture to a crop, traced once for pictures of all sizes."""
        pixels, four = tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((4,), tf.float32)
        level = (lambda eyes: eyes) if aligned else (lambda eyes: tf.fill((4,), np.nan))
        traced = partial(tf.function, autograph=False)  # it warns of the lambdas that it cannot read
        decoded = partial(tf.numpy_function, partial(_decoded, size=size), Tout=tf.uint8, stateful=False)
        self._crops_of_files = traced(
            lambda contents: tf.map_fn(
                lambda one: fit(tf.ensure_shape(decoded([one]), (None, None, 3)), size),
                contents,
                fn_output_signature=tf.TensorSpec((size, size, 3), tf.uint8),
                parallel_iterations=_CORES,
            ),
            input_signature=[tf.TensorSpec((None,), tf.string)],
        )
        self._crop_of_pixels = traced(lambda picture: fit(picture, size), input_signature=[pixels])
        self._crop_of_face = traced(
            lambda picture, box, eyes: crop(picture, box, size, margin, level(eyes)),
            input_signature=[pixels, four, four],
        )

    @cached_property
    def _detector(self) -> Any:
        from pipeline.faces.detector import Detector  # here: its networks take seconds to make

        return Detector()

    def _look_at_whole(self, pictures: list[Picture], keep_pixels: bool) -> list[Looked]:
        """All together: called for one after another, TensorFlow takes three times as long."""
        try:
            crops = self._crops(pictures)
            pixels = [_pixels(picture) if keep_pixels else None for picture in pictures]
        except UNREADABLE as error:
            if len(pictures) == 1:
                return [_nothing(pictures[0], reason(error))]
            return [looked for picture in pictures for looked in self._look_at_whole([picture], keep_pixels)]
        each = zip(pictures, crops, pixels, strict=True)
        return [Looked(picture, [_row(picture)], [made], shown) for picture, made, shown in each]

    def _crops(self, pictures: list[Picture]) -> list[np.ndarray]:
        """Of images that are faces. Raises one of UNREADABLE if any cannot be read: of one alone it tells why."""
        if len(pictures) == 1:
            return [self._crop_of_pixels(_pixels(pictures[0], self.labels["image_size"])).numpy()]
        contents = [_content(one) for one in pictures if one.pixels is None]
        decoded = iter(self._crops_of_files(tf.constant(contents, tf.string)).numpy())
        return [next(decoded) if one.pixels is None else self._crop_of_pixels(one.pixels).numpy() for one in pictures]

    def _look_for_faces(self, pictures: list[Picture], keep_pixels: bool) -> list[Looked]:
        return [self._search(picture, keep_pixels) for picture in pictures]

    def _search(self, picture: Picture, keep_pixels: bool) -> Looked:
        try:
            pixels = _pixels(picture)
        except UNREADABLE as error:
            return _nothing(picture, reason(error))
        found = [face for face in self._detector([pixels])[0] if face.is_sure]
        if not found:
            return _nothing(picture, NO_FACE, pixels if keep_pixels else None)
        rows, crops = [], []
        for face in found:
            eyes = np.array(face.landmarks[:2], np.float32).ravel()
            crops.append(self._crop_of_face(pixels, np.array(face.box, np.float32), eyes).numpy())
            places = zip(manifests.BOX + manifests.LANDMARKS, (*face.box, *np.ravel(face.landmarks)), strict=True)
            rows.append(
                _row(picture) | {name: round(float(v), 1) for name, v in places} | {"confidence": face.confidence}
            )
        return Looked(picture, rows, crops, pixels if keep_pixels else None)


def _row(picture: Picture, why_not: str = "") -> dict[str, Any]:
    return {"path": picture.name, "frame": picture.frame, "time": picture.time, "reason": why_not}


def _nothing(picture: Picture, why: str, pixels: np.ndarray | None = None) -> Looked:
    return Looked(picture, [_row(picture, why)], [], pixels)


def _one_by_one(looked: Sequence[Looked], rows: pd.DataFrame) -> Iterator[tuple[Looked, pd.DataFrame]]:
    """Each picture with its rows of a table of all."""
    end = 0
    for one in looked:
        first, end = end, end + len(one.rows)
        yield one, rows.iloc[first:end]


def _pixels(picture: Picture, size: int | None = None) -> np.ndarray:
    """Its upright pixels, as `decode` has them. Raises ValueError, with the reason, if it cannot be read."""
    return _decoded(_content(picture), size) if picture.pixels is None else picture.pixels


def _decoded(content: bytes, size: int | None) -> np.ndarray:
    return decode(content, size=size)[0]


def _content(picture: Picture) -> bytes:
    """Its encoded bytes. Raises ValueError, as one of UNREADABLE, with the reason why there are none."""
    if picture.content is None:
        raise ValueError(picture.reason)
    return picture.content


def _batched(pictures: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    """Lists of `size` pictures, of fewer where these are large, or slow to come."""
    batch: list[Picture] = []
    held, since = 0, time.monotonic()
    for picture in pictures:
        batch.append(picture)
        held += picture.nbytes
        if len(batch) >= size or held >= _LARGE or time.monotonic() - since >= _PATIENCE:
            yield batch
            batch, held, since = [], 0, time.monotonic()
    if batch:
        yield batch


def _in_order(
    work: Callable[[list[Picture]], list[Looked]], batches: Iterable[list[Picture]], ahead: int
) -> Iterator[list[Looked]]:
    """What `work` makes of the batches, in their order, up to so many made ahead on all cores."""
    with ThreadPoolExecutor() as pool:
        waiting: deque[tuple[Future[list[Looked]], int]] = deque()
        for batch in batches:
            waiting.append((pool.submit(work, batch), sum(picture.nbytes for picture in batch)))
            if waiting[0][0].done() or len(waiting) >= ahead:
                yield waiting.popleft()[0].result()
            while sum(held for _, held in waiting) >= _HELD:
                yield waiting.popleft()[0].result()
        while waiting:
            yield waiting.popleft()[0].result()


def predict(
    model: str | Path, inputs: list[str], out: Path, faces: str = "detect", draw: Path | None = None, every: int = 1
) -> pd.DataFrame:
    """What the command does: answer for all inputs (`sources.expand`), write the table to `out`, and pictures with
    boxes and answers into the folder `draw` (a video for a video); answers the table.

    Interrupted, it keeps what it has, and raises KeyboardInterrupt then but for a camera, which has no other end.
    """
    names = sources.expand(inputs)
    predictor, tables, looked_at, began = Predictor(model), [], 0, time.perf_counter()
    is_cut = False
    followed = predictor.follow(names, faces, every, keep_pixels=draw is not None)
    with drawn.Drawings(draw, predictor.labels["targets"], every, names) as drawings:
        try:
            total = sources.count(names, every)
            with interrupts.deferred() as heed:
                for looked, rows in track(followed, "predicting", total, lambda batch: len(batch[0])):
                    tables.append(rows)
                    looked_at += len(looked)
                    for one, faces_of_it in _one_by_one(looked, rows):
                        drawings.add(one.picture, one.pixels, faces_of_it)
                    heed()
        except KeyboardInterrupt:
            if not tables:
                raise
            log.warning("interrupted: what was answered so far is written")
            has_more = looked_at < total or any(videos.is_moving(name) for name in names)  # whose counts may be wrong
            is_cut = has_more and not any(name.startswith(videos.CAMERA) for name in names)
        except Exception:
            if tables:
                files.write_table(out, predictor.complete(tables))
                log.warning(f"what was answered until then is in {out}")
            raise
    table, took = predictor.complete(tables), time.perf_counter() - began
    files.write_table(out, table)
    log.info(f"{looked_at} pictures in {duration(took)}, {looked_at / took:.1f} a second")
    if is_cut:
        raise KeyboardInterrupt
    return table


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
