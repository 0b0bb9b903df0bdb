"""Crops of a manifest, kept where they fit, and the tf.data streams that feed a network with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import tensorflow as tf
from dask.system import CPU_COUNT as _CORES

from pipeline.config import Augment, Cache
from pipeline.data import manifests
from pipeline.data.augment import augment, draws, for_device
from pipeline.data.crop import UNREADABLE, crop, decode_jpeg, fit, middle, reason, upright
from pipeline.data.pictures import WHOLE, decode, plain_jpeg
from pipeline.data.store import OnDisk, room_for
from pipeline.utils import sharing
from pipeline.utils.errors import WorkError
from pipeline.utils.progress import track

MOST_REJECTED = 0.05  # of a split; beyond that something is wrong with the folder, not with a picture
_ALWAYS_ALLOWED = 5  # a few bad pictures in a small split say nothing of the folder
_SHOWN = 10
VIEWS = (1, 2, 10)  # of a picture, which `viewed` shows
_CROP = 227 / 256  # of a side
_TOGETHER = 64  # pictures that Python handles at once: one by one it would hold up the threads that read them


@dataclass
class Crops:
    """The crops of some rows of a manifest, and what could not be read. `features` puts a backbone's answers in their
    place: float32 of any shape where pictures are said here.

    rows: the manifest's rows that have a crop, in its order; crop i belongs to row i. rejected: path, box and reason
    of the others. kept: `memory`, `disk`, or `nowhere`, where each is made again whenever it is asked for. answers:
    what `features` had a backbone answer last.
    """

    rows: pd.DataFrame
    size: int
    margin: float
    centre: tuple[float, float]
    kept: str
    rejected: pd.DataFrame
    _store: np.ndarray | tf.Tensor | OnDisk | None = field(repr=False, default=None)
    answers: dict[Any, Any] = field(repr=False, default_factory=dict, init=False)

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, count: int) -> np.ndarray:
        """The first crops, uint8 [count, S, S, 3] or as many as there are."""
        return np.concatenate([pictures for _, pictures in self.batches(np.arange(min(count, len(self))), count)])

    def batches(self, order: np.ndarray, batch_size: int, drop_remainder: bool = False) -> tf.data.Dataset:
        """(row numbers int64 [B], crops uint8 [B, S, S, 3]) in the given order of row numbers."""
        numbers = tf.data.Dataset.from_tensor_slices(np.asarray(order, np.int64))
        if self._store is None:
            make = self._made
            pictures = numbers.map(lambda i: (i, make(i)), num_parallel_calls=_CORES)
            return pictures.batch(batch_size, drop_remainder=drop_remainder)
        batches = numbers.batch(batch_size, drop_remainder=drop_remainder)
        if tf.is_tensor(self._store):
            return batches.map(lambda i: (i, tf.gather(self._store, i)))
        shape, kind = (None, *self._store.shape[1:]), self._store.dtype
        return batches.map(
            lambda i: (i, _numpy(lambda chosen: self._store[chosen], [i], shape, kind)), num_parallel_calls=_CORES
        )

    @cached_property
    def _made(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """From a row number to its crop, from its file. Traced once: every epoch would trace it again, which takes as
        long as reading 200 small images."""
        with ThreadPoolExecutor() as pool:
            turns = np.array(list(pool.map(plain_jpeg, self.rows["path"])), np.int32)
        make = _maker(self.rows, self.size, self.margin, self.centre, turns if turns.all() else None)
        return tf.function(make, input_signature=[tf.TensorSpec((), tf.int64)])


def make_crops(
    rows: pd.DataFrame,
    size: int,
    margin: float,
    cache: Cache,
    what: str,
    centre: tuple[float, float] = (1.0, 1.0),
) -> Crops:
    """Read every picture of `rows` once. `what` (such as "train") names them in the progress line and in errors.

    Rows with a face box are cut to it, and turned until the eyes are level where the rows have their landmarks. Of all
    crops the `centre` is taken (`config.Data`).

    Raises WorkError when more than 5 % of the pictures (and more than five) cannot be read, with the first ten and
    their reasons.
    """
    return sharing.shared(
        f"crops of {what}",
        (rows, size, margin, cache, centre),
        lambda: _read_all(rows, what, size, margin, cache, centre),
        is_same=lambda one, other: one[0].equals(other[0]) and one[1:] == other[1:],
    )


def _read_all(
    rows: pd.DataFrame, what: str, size: int, margin: float, cache: Cache, centre: tuple[float, float]
) -> Crops:
    store, kept = room_for((len(rows), size, size, 3), np.uint8, cache)
    make = _maker(rows, size, margin, centre)
    stream = tf.data.Dataset.range(len(rows)).map(lambda i: (i, make(i)), num_parallel_calls=_CORES)
    batches = _ahead(stream.ignore_errors().batch(_TOGETHER)).as_numpy_iterator()
    is_read, place = np.zeros(len(rows), bool), 0
    for numbers, pictures in track(batches, f"reading {what}", len(rows), lambda batch: len(batch[0])):
        is_read[numbers] = True
        if store is not None:
            store[place : place + len(numbers)] = pictures
        place += len(numbers)
    rejected = _rejected(rows[~is_read], size, margin)
    if len(rejected) > max(MOST_REJECTED * len(rows), _ALWAYS_ALLOWED):
        raise WorkError(_too_many(rejected, len(rows), what))
    return Crops(rows[is_read].reset_index(drop=True), size, margin, centre, kept, rejected, store)


def training(
    crops: Crops,
    labels: dict[str, np.ndarray],
    weights: dict[str, np.ndarray],
    batch_size: int,
    how: Augment,
    seed: int,
    epoch: int,
    augment_on: Literal["cpu", "device"] = "cpu",
    part: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """One epoch: ({"image": uint8 [B, S, S, 3]}, {target: label}, {target: weight}), shuffled and augmented.

    Order and changes depend on (seed, epoch) and the rows alone. An incomplete last batch is left out (its rows differ
    from epoch to epoch) unless it is the only one. With augment_on `device` the pictures are unchanged, and beside
    `image` are the matrices by which the training step changes them: `warp` [B, 2, 3] and `colour` [B, 3, 4].
    part: (0, 2) is the first half of each batch; a batch must divide evenly.
    """
    order = np.random.default_rng((seed, epoch)).permutation(len(crops))
    order, batch_size = _part(order, batch_size, *part)
    stream = crops.batches(order, batch_size, drop_remainder=len(order) >= batch_size)
    on_device = augment_on == "device" and how != Augment()
    if on_device:
        matrices = _matrices(crops, how, seed, epoch)
    else:
        stream = _augmented(stream, crops, how, seed, epoch)
    return _ahead(
        stream.map(
            lambda i, p: (
                {"image": p} | (matrices(i) if on_device else {}),
                {name: tf.gather(values, i) for name, values in labels.items()},
                {name: tf.gather(values, i) for name, values in weights.items()},
            )
        )
    )


def pictures(crops: Crops, how: Augment, seed: int, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(row numbers [B], crops uint8 [B, S, S, 3]) in the rows' order, changed as `training` has it in that epoch."""
    order = np.arange(len(crops))
    stream = _augmented(crops.batches(order, _TOGETHER), crops, how, seed, epoch)
    yield from _ahead(stream).as_numpy_iterator()


def judging(
    crops: Crops,
    batch_size: int = _TOGETHER,
    how: Augment = Augment(),
    seed: int = 0,
    epoch: int = 0,
) -> tf.data.Dataset:
    """{"image": uint8 [B, S, S, 3]} of every row, in the rows' order; unchanged unless `how` says otherwise."""
    stream = crops.batches(np.arange(len(crops)), batch_size)
    stream = _augmented(stream, crops, how, seed, epoch)
    return _ahead(stream.map(lambda _, pictures: {"image": pictures}))


def viewed(crops: Crops, views: int) -> tf.data.Dataset:
    """{"image": uint8 [B, S, S, 3]}: so many views (one of VIEWS) of every row, one after another, in the rows' order.

    1: the crop. 2: and its mirror image. 10: its four corners and its centre, 227/256 of its side each, enlarged to
    all of it, and their mirror images: the over-sampling of Levi & Hassner 2015, who cut 227 of 256 pixels.
    """
    stream = crops.batches(np.arange(len(crops)), max(1, _TOGETHER // views))
    return _ahead(stream.map(lambda _, pictures: {"image": _views(pictures, crops.size, views)}))


def channel_statistics(crops: Crops) -> tuple[list[float], list[float]]:
    """Mean and standard deviation [3] of each channel over all pixels of all crops, in levels 0..255."""
    sums, squares = np.zeros(3), np.zeros(3)
    for _, pictures in crops.batches(np.arange(len(crops)), _TOGETHER).as_numpy_iterator():
        levels = pictures.reshape(-1, 3).astype(np.float64)
        sums, squares = sums + levels.sum(axis=0), squares + (levels**2).sum(axis=0)
    count = len(crops) * crops.size**2
    mean = sums / count
    return mean.tolist(), np.sqrt(np.maximum(squares / count - mean**2, 0)).tolist()


def watched(stream: tf.data.Dataset, arrived: Callable[[], None]) -> tf.data.Dataset:
    """The stream, calling `arrived` whenever a batch has come to who asked for it."""

    def tell() -> np.int32:
        arrived()
        return np.int32(0)

    def passed_on(*batch: Any) -> Any:
        with tf.control_dependencies([tf.numpy_function(tell, [], tf.int32)]):
            return tf.nest.map_structure(tf.identity, batch)

    return stream.map(passed_on)


def _part(order: np.ndarray, batch_size: int, number: int, count: int) -> tuple[np.ndarray, int]:
    """Row numbers and batch size of one of `count` equal parts of every whole batch."""
    if count == 1:
        return order, batch_size
    batches = order[: len(order) // batch_size * batch_size].reshape(-1, count, batch_size // count)
    return batches[:, number].ravel(), batch_size // count


def _augmented(stream: tf.data.Dataset, crops: Crops, how: Augment, seed: int, epoch: int) -> tf.data.Dataset:
    """The batches of `Crops.batches`, each crop changed as (seed, epoch, row number) has it."""
    if how == Augment():
        return stream
    drawn, shape = draws(seed, epoch, len(crops)), (None, crops.size, crops.size, 3)

    def changed(numbers: np.ndarray, pictures: np.ndarray) -> np.ndarray:
        return augment(pictures, how, drawn[numbers])

    return stream.map(lambda i, p: (i, _numpy(changed, [i, p], shape)), num_parallel_calls=_CORES)


def _matrices(crops: Crops, how: Augment, seed: int, epoch: int) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """From row numbers to what the training step changes their crops by, as (seed, epoch, row number) has it."""
    drawn = draws(seed, epoch, len(crops))

    def found(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return for_device(how, crops.size, drawn[numbers])

    def matrices(numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        warps, colours = tf.numpy_function(found, [numbers], (np.float32, np.float32), stateful=False)
        return {"warp": tf.ensure_shape(warps, (None, 2, 3)), "colour": tf.ensure_shape(colours, (None, 3, 4))}

    return matrices


def _views(pictures: tf.Tensor, size: int, count: int) -> tf.Tensor:
    """uint8 [B, size, size, 3] → [B · count, size, size, 3], the views of a picture one after another."""
    if count == 1:
        return pictures
    shown = [pictures] if count == 2 else _corners_and_centre(pictures, size)
    shown += [view[:, :, ::-1] for view in shown]
    return tf.reshape(tf.stack(shown, axis=1), (-1, size, size, 3))


def _corners_and_centre(pictures: tf.Tensor, size: int) -> list[tf.Tensor]:
    side = round(size * _CROP)
    far, middle = size - side, (size - side) // 2
    corners = [(0, 0), (0, far), (far, 0), (far, far), (middle, middle)]
    return [fit(pictures[:, top : top + side, left : left + side], size) for top, left in corners]


def _ahead(stream: tf.data.Dataset) -> tf.data.Dataset:
    """The stream, two batches ahead of who reads it.

    Without tf.data's autotuning, whose thread sleeps 10 ms, 20 ms, … up to a minute between two looks: now and then the
    end of an epoch waited for it to wake (epochs of 6.3 s took 10.3 s, those of 14 s took 20.5 s).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return stream.prefetch(2).with_options(options)


def _files(rows: pd.DataFrame) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Paths [N], boxes and eyes [N, 4]: what a crop is made of; NaN where there is none."""
    eyes = rows.reindex(columns=list(manifests.EYES))
    points = [part.to_numpy(np.float32, copy=True) for part in (rows[list(manifests.BOX)], eyes)]
    for part in points:
        part[np.isnan(part).any(axis=1)] = np.nan
    return tf.constant(rows["path"].astype(str).tolist(), tf.string), *map(tf.constant, points)


def _maker(
    rows: pd.DataFrame,
    size: int,
    margin: float,
    centre: tuple[float, float],
    orientations: np.ndarray | None = None,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """From a row number to its crop.

    orientations: `pictures.plain_jpeg` of every file, where all are that. TensorFlow decodes them to the same pixels as
    `pictures.decode` does, and none of its threads waits for Python.
    """
    paths, boxes, eyes = _files(rows)
    boxes, eyes = (None if np.isnan(part).all() else part for part in (boxes, eyes))
    turns = tf.constant(1 if orientations is None or (orientations == 1).all() else orientations)
    read = partial(_read, size=size, margin=margin)

    def make(i: tf.Tensor) -> tf.Tensor:
        box = tf.constant(WHOLE) if boxes is None else boxes[i]
        if orientations is not None:
            turn = turns if turns.shape.rank == 0 else turns[i]
            pixels, scale = upright(decode_jpeg(tf.io.read_file(paths[i])), turn), None
        else:
            pixels, scale = tf.numpy_function(read, [paths[i], box], [tf.uint8, tf.float32], stateful=False)
            pixels, scale = tf.ensure_shape(pixels, (None, None, 3)), tf.ensure_shape(scale, (2,))
        made = crop(pixels, box, size, margin, None if eyes is None else eyes[i], scale)
        return middle(tf.ensure_shape(made, (size, size, 3)), centre)

    return make


def _read(path: bytes, box: np.ndarray, size: int, margin: float) -> tuple[np.ndarray, np.ndarray]:
    return decode(Path(path.decode()).read_bytes(), box, margin, size)


def _numpy(
    function: object, arguments: list[tf.Tensor], shape: tuple[int | None, ...], kind: type = np.uint8
) -> tf.Tensor:
    # stateful=False: otherwise determinism would make every map serial
    return tf.ensure_shape(tf.numpy_function(function, arguments, kind, stateful=False), shape)


def _rejected(rows: pd.DataFrame, size: int, margin: float) -> pd.DataFrame:
    """path, box and reason of rows whose crop could not be made, found by trying again one by one."""
    _, boxes, eyes = _files(rows)
    reasons = [_reason(*row, size, margin) for row in zip(rows["path"], boxes, eyes, strict=True)]
    return rows[manifests.with_boxes(rows)].assign(reason=pd.Series(reasons, rows.index, dtype="str"))


def _reason(path: str, box: tf.Tensor, eyes: tf.Tensor, size: int, margin: float) -> str:
    try:
        pixels, scale = _read(path.encode(), box.numpy(), size, margin)
        crop(tf.constant(pixels), box, size, margin, eyes, tf.constant(scale))
    except FileNotFoundError:
        return "the file is gone"
    except UNREADABLE as error:
        return reason(error)
    return "could not be read the first time"


def _too_many(rejected: pd.DataFrame, count: int, what: str) -> str:
    by_reason = rejected.head(_SHOWN).groupby("reason", sort=False)["path"]
    shown = "; ".join(f"{', '.join(paths)} ({reason})" for reason, paths in by_reason)
    return f"{len(rejected)} of {count} {what} pictures cannot be read, more than {MOST_REJECTED:.0%}: {shown}"
