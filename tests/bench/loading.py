"""Loading: from JPEG files, or from what was kept of them, to batches that a network takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from itertools import islice
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from dask.system import CPU_COUNT

from pipeline.config import Augment, Cache
from pipeline.data import inputs
from tests.bench.measuring import Contenders, Row, Setting, speed
from tests.bench.pictures import drawn

SIZE, BATCH = 224, 32
ADIENCE, SMALL = 816, 200
HOW = Augment(flip=0.5, rotation=15, zoom=0.1, brightness=0.1, contrast=0.1, saturation=0.1, hue=0.1)
NOWHERE = Cache(memory=0.0, disk=0.0)


def rows(setting: Setting) -> list[Row]:
    """Warm and cold, augmented; and cold with nothing but decoding and resizing."""
    count, fewer, many = BATCH * setting.of(20, 6), BATCH * setting.of(10, 3), BATCH * 20
    return [
        Row("warm loading, 224²", lambda: warm(drawn(setting.folder, count, 256))),
        Row("cold loading, 816² to 224²", lambda: cold(drawn(setting.folder, fewer, ADIENCE))),
        Row("cold loading, 200² to 224², not augmented", lambda: plain(drawn(setting.folder, many, SMALL))),
    ]


def warm(manifest: pd.DataFrame) -> Contenders:
    """Once pictures are kept; the generator of Keras 2 knows no keeping."""
    crops = inputs.make_crops(manifest, SIZE, 0.4, Cache(memory=1.0), "bench")
    pictures = np.concatenate([batch["image"] for batch in inputs.judging(crops)])
    resident = layered(tf.data.Dataset.from_tensor_slices(pictures).batch(BATCH))
    cached = layered(from_directory(manifest).cache())
    list(cached)
    return {
        "crops kept, one warp, one matrix": lambda: speed(stream(crops), BATCH),
        "flow_from_dataframe": lambda: speed(flow_from_dataframe(manifest), BATCH),
        "Keras layers in tf.data": lambda: speed(resident, BATCH),
        "image_dataset_from_directory, cached, Keras layers": lambda: speed(cached, BATCH),
    }


def cold(manifest: pd.DataFrame) -> Contenders:
    """From files, augmented."""
    crops = inputs.make_crops(manifest, SIZE, 0.4, NOWHERE, "bench")
    changed = layered(from_directory(manifest))
    return {
        "decode, warp, matrix": lambda: speed(stream(crops), BATCH),
        "flow_from_dataframe": lambda: speed(flow_from_dataframe(manifest), BATCH),
        "image_dataset_from_directory, Keras layers": lambda: speed(changed, BATCH),
    }


def plain(manifest: pd.DataFrame) -> Contenders:
    """From files, as they are."""
    crops = inputs.make_crops(manifest, SIZE, 0.4, NOWHERE, "bench")
    return {
        "decode": lambda: speed(stream(crops, Augment()), BATCH),
        "tf.io.decode_jpeg, tf.image.resize": lambda: speed(bare(manifest), BATCH),
    }


def stream(crops: inputs.Crops, how: Augment = HOW) -> tf.data.Dataset:
    """Our batches of one epoch, without labels."""
    return inputs.training(crops, {}, {}, BATCH, how, 0, 0)


def flow_from_dataframe(manifest: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What the reports used, with its nearest settings (one random brightness and channel shift for the jitters)."""
    generator = keras.src.legacy.preprocessing.image.ImageDataGenerator(
        rotation_range=15, zoom_range=0.1, horizontal_flip=True, brightness_range=(0.9, 1.1), channel_shift_range=25.0
    )
    with redirect_stdout(StringIO()):  # it says how many files it found
        batches = generator.flow_from_dataframe(
            manifest, x_col="path", y_col="age", class_mode="raw", target_size=(SIZE, SIZE), batch_size=BATCH
        )
    return islice(batches, len(manifest) // BATCH)


def from_directory(manifest: pd.DataFrame) -> tf.data.Dataset:
    """Keras' own reading of the folder that holds the pictures, float32 batches."""
    folder = Path(manifest["path"].iloc[0]).parent
    return keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=(SIZE, SIZE), batch_size=BATCH, verbose=False
    )


def layered(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The batches, each changed by Keras' own preprocessing layers."""
    layers = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(15 / 360),
            keras.layers.RandomZoom(0.1),
            keras.layers.RandomColorJitter(
                value_range=(0, 255), brightness_factor=0.1, contrast_factor=0.1, saturation_factor=0.1, hue_factor=0.1
            ),
        ]
    )
    return batches.map(
        lambda x: layers(tf.cast(x, tf.float32), training=True), num_parallel_calls=tf.data.AUTOTUNE
    ).prefetch(2)


def bare(manifest: pd.DataFrame) -> tf.data.Dataset:
    """The least that tf.data can do, on as many threads as ours."""

    def picture(path: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(path), 3), (SIZE, SIZE))

    paths = tf.data.Dataset.from_tensor_slices(manifest["path"].tolist())
    return paths.map(picture, num_parallel_calls=CPU_COUNT).batch(BATCH).prefetch(2)
