"""What a frozen backbone answers, kept: it is run once for each picture, and the head is trained on its answers.

They lie on disk by backbone (its code, weights, size and precision, and what of it is read) and, within, by picture
(the very pixels of the crop), so that every run, fold and trial that meets a picture again finds its answer.
"""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import models
from pipeline.config import Augment, Cache
from pipeline.data import inputs
from pipeline.data.store import OnDisk, room_for
from pipeline.utils import files
from pipeline.utils.progress import track

log = logging.getLogger(__name__)

_BATCH = 64
_CHUNK = 2**26  # bytes of features between two writes to disk: what an interruption may cost
_POOLS = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
_Known = dict[bytes, np.ndarray]  # a picture's hash → its features


def folder() -> Path:
    """Where features are kept: `FACET_CACHE`, else in the user's cache folder. It may be deleted at any time."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FACET_CACHE") or Path(cache) / "facet") / "features"


def split(network: keras.Model, backbone: str) -> tuple[keras.Model, keras.Model]:
    """A network in two: image → what the heads read, and {"image": that} → the outputs. They share its layers.

    The heads read the pooled vector where all of them begin with the same pooling, else the feature map.
    """
    readers = [layer for layer in network.layers if _reads(layer, network.get_layer(backbone))]
    read = readers[0].output if len(readers) == 1 and isinstance(readers[0], _POOLS) else readers[0].input
    read.name = "image"  # what every stream calls the input
    return keras.Model({"image": network.inputs[0]}, read, name=backbone), keras.Model({"image": read}, network.output)


def answered(
    backbone: keras.Model,
    crops: inputs.Crops,
    cache: Cache,
    what: str,
    how: Augment = Augment(),
    seed: int = 0,
    view: int = 0,
    tables: int = 1,
) -> inputs.Crops | None:
    """The backbone's answers, float32, in the place of the crops: answer i belongs to row i. None if there is no room.

    backbone: the first of `split`. how: the crops are first changed as in epoch number `view` of a training with that
    seed. Only pictures that were never met before go through the backbone. tables: of answers, this one among them,
    that there must be room for.
    """
    key = _key(backbone)
    asked = key, cache, how, seed, tables
    if crops.answers.get("asked") != asked:
        crops.answers.clear()  # their memory first
        crops.answers["asked"] = asked
    if view not in crops.answers:
        part = replace(cache, memory=cache.memory / tables, disk=cache.disk / tables)
        store, kept = room_for((len(crops), *backbone.output_shape[1:]), np.float32, part)
        if store is None:
            return None
        batches = inputs.pictures(crops, how, seed, view)
        _fill(store, backbone, folder() / key, batches, len(crops), cache.disk, what)
        with tf.device("CPU"):
            held = tf.constant(store) if kept == "memory" else store
        crops.answers[view] = replace(crops, kept=kept, _store=held)
    return crops.answers[view]


def _fill(
    store: np.ndarray | OnDisk,
    backbone: keras.Model,
    place: Path,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    count: int,
    share: float,
    what: str,
) -> None:
    """Put the backbone's answers to some pictures into the store, each at its number."""
    known = _read(place)
    waiting: list[tuple[int, bytes, np.ndarray]] = []
    fresh: _Known = {}
    met: dict[bytes, int] = {}  # the row that a picture was answered for
    keeps = True
    for numbers, pictures in track(batches, f"backbone on {what}", count, lambda batch: len(batch[0])):
        for number, picture in zip(numbers, pictures, strict=True):
            key = blake2b(picture, digest_size=16).digest()
            if key in known:
                store[number : number + 1] = known[key][None]
            elif key in met:
                store[number : number + 1] = store[[met[key]]]
            else:
                waiting.append((number, key, picture))
            if len(waiting) == _BATCH:
                met |= {key: number for number, key, _ in waiting}
                fresh |= _answer(backbone, waiting, store)
        if len(fresh) * np.prod(store.shape[1:]) * 4 >= _CHUNK:
            keeps = keeps and _write(place, fresh, share)
            fresh.clear()
    if waiting:
        fresh |= _answer(backbone, waiting, store)
    if fresh:
        keeps = keeps and _write(place, fresh, share)
    if not keeps:
        log.warning(f"features: {place.parent} cannot keep all of them; the next run makes those again")


def _answer(backbone: keras.Model, waiting: list[tuple[int, bytes, np.ndarray]], store: np.ndarray | OnDisk) -> _Known:
    """Run the backbone on the pictures that wait; put what it answers into the store, and empty the list."""
    numbers, keys, pictures = zip(*waiting, strict=True)
    answers = np.asarray(backbone.predict_on_batch({"image": np.stack(pictures)}), np.float32)
    answers = answers[: len(numbers)]  # of several devices on TensorFlow each answers all, one after the other
    for number, answer in zip(numbers, answers, strict=True):
        store[number : number + 1] = answer[None]
    waiting.clear()
    return dict(zip(keys, answers, strict=True))


def _key(backbone: keras.Model) -> str:
    """Of all that an answer depends on, beside the picture."""
    hashed = blake2b(digest_size=16)
    for path in sorted(Path(models.__file__).parent.glob("*.py")):
        hashed.update(path.read_bytes())
    hashed.update(repr((keras.version(), keras.mixed_precision.global_policy().name)).encode())
    around = [
        layer for layer in backbone.layers if not isinstance(layer, keras.Model)
    ]  # views before it, pooling after
    configs = [(type(layer).__name__, layer.get_config() | {"name": None}) for layer in around]
    hashed.update(repr((backbone.input_shape, backbone.output_shape, configs)).encode())
    for weight in backbone.get_weights():
        hashed.update(np.ascontiguousarray(weight))
    return f"{backbone.name}-{hashed.hexdigest()}"


def _read(place: Path) -> _Known:
    """All that is kept of a backbone, by picture; features stay on disk until they are asked for."""
    known: _Known = {}
    if place.is_dir():
        os.utime(place)  # the backbone that was not asked for longest makes room for others
    for path in place.glob("*.keys.npy"):
        try:
            keys = np.load(path)
            features = np.load(path.with_name(path.name.replace("keys", "features")), mmap_mode="r")
            known |= {key.tobytes(): one for key, one in zip(keys, features, strict=True)}
        except (OSError, ValueError, EOFError) as error:
            log.warning(f"features in {path} cannot be read ({error}): those pictures go through the backbone again")
    return known


def _write(place: Path, fresh: _Known, share: float) -> bool:
    """Add features to the folder; False where it cannot hold them."""
    name, features = uuid.uuid4().hex, np.stack(list(fresh.values()))
    keys = np.frombuffer(b"".join(fresh), np.dtype("V16"))
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not _makes_room(place, features.nbytes, share):
            return False
        for part, values in (("features", features), ("keys", keys)):  # keys last: they say that the features are there
            with files.written(place / f"{name}.{part}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, values)
    except OSError as error:
        log.warning(f"features cannot be kept in {place} ({error.strerror})")
        return False
    return True


def _makes_room(place: Path, needed: int, share: float) -> bool:
    """Whether there is room for so many bytes more, in a share of what is free or taken by features. For it the
    features of other backbones go, those that were not asked for longest first."""
    taken = {folder: _bytes(folder) for folder in place.parent.iterdir() if folder.is_dir()}
    room = share * (shutil.disk_usage(place).free + sum(taken.values()))
    if taken[place] + needed > room:
        return False
    for folder in sorted(taken, key=lambda folder: folder.stat().st_mtime):
        if folder != place and sum(taken.values()) + needed > room:
            shutil.rmtree(folder)
            del taken[folder]
    return True


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _reads(layer: keras.Layer, backbone: keras.Model) -> bool:
    """Whether a layer's input is what the backbone answers."""
    return not isinstance(layer, keras.layers.InputLayer) and any(
        tensor._keras_history.operation is backbone for tensor in keras.tree.flatten(layer.input)
    )
