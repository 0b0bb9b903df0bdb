"""Trials of a head on a frozen backbone: `python -m tuning`, beside keras-tuner with `fit` and all of it in the loop.

The latter's seconds are reckoned from two of its trials, since the epochs of all cost the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import pandas as pd
import tensorflow as tf

from tests.bench.measuring import Contenders, Row, Setting, timed
from tests.bench.pictures import drawn

SIZE, BATCH, EPOCHS, TRIED = 96, 64, 9, 2


def rows(setting: Setting) -> list[Row]:
    """Seconds from the command to the winner, with nothing known of the pictures beforehand."""
    count, trials = setting.of(12_000, 320), setting.of(30, 3)
    name = f"search, {trials} trials by Hyperband, frozen MobileNetV2 {SIZE}², {count:,} pictures"
    return [Row(name, lambda: contenders(drawn(setting.folder, count, SIZE), trials), "s", rounds=1)]


def contenders(manifest: pd.DataFrame, trials: int) -> Contenders:
    path = Path(manifest["path"].iloc[0]).parent.with_suffix(".csv")
    split = ["val" if number % 10 == 0 else "train" for number in range(len(manifest))]
    manifest[["path", "gender"]].assign(split=split).to_csv(path, index=False)
    return {
        "python -m tuning": lambda: timed(lambda: ours(path, trials)),
        "keras-tuner + fit, reckoned from two": lambda: theirs(manifest, trials),
    }


def ours(manifest: Path, trials: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        options = ["--dataset", "csv", "--root", str(manifest), "--weights", "none", "--trials", str(trials)]
        subprocess.run(
            [sys.executable, "-m", "tuning", "frozen", *options, "--runs", f"{folder}/runs"],
            env=os.environ | {"FACET_CACHE": f"{folder}/cache"},
            check=True,
            capture_output=True,
        )


def theirs(manifest: pd.DataFrame, trials: int) -> float:
    """What all trials would take: two are done, with two epochs each, on pictures that are decoded once."""
    from tuning.oracles import bracket_epochs, bracket_sizes

    labels = (manifest["gender"] == "male").astype("float32")
    pictures = tf.data.Dataset.from_tensor_slices((manifest["path"].tolist(), labels.tolist()))
    pictures = pictures.map(lambda path, label: (tf.io.decode_jpeg(tf.io.read_file(path), 3), label))
    parts = pictures.enumerate().cache()
    train = parts.filter(lambda i, _: i % 10 > 0).map(lambda i, row: row).shuffle(1024).batch(BATCH).prefetch(2)
    val = parts.filter(lambda i, _: i % 10 == 0).map(lambda i, row: row).batch(BATCH).prefetch(2)
    decoding = timed(lambda: list(parts.batch(BATCH)))
    epochs = _Epochs()
    with tempfile.TemporaryDirectory() as folder:
        searching = timed(
            lambda: _tuner(folder).search(train, validation_data=val, epochs=2, callbacks=[epochs], verbose=0)
        )
    epoch = min(epochs.seconds)
    setting_up = max(searching / TRIED - 2 * epoch, 0.0)
    work = bracket_epochs(bracket_sizes(trials, EPOCHS), EPOCHS)
    return decoding + sum(count * (setting_up + epochs * epoch) for count, epochs in work)


class _Epochs(keras.callbacks.Callback):
    """How long each epoch took; keras-tuner copies callbacks, so they share a list."""

    seconds: list[float] = []  # noqa: RUF012

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.seconds.append(time.perf_counter() - self.began)


def _tuner(folder: str):
    import keras_tuner

    return keras_tuner.RandomSearch(_network, "val_loss", max_trials=TRIED, directory=folder, overwrite=True)


def _network(hp) -> keras.Model:
    backbone = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(SIZE, SIZE, 3), pooling="avg"
    )
    backbone.trainable = False
    image = keras.Input((SIZE, SIZE, 3))
    features = backbone(keras.layers.Rescaling(1 / 127.5, -1)(image), training=False)
    hidden = keras.layers.Dense(hp.Choice("width", [64, 128, 256, 512]), "relu")(features)
    network = keras.Model(image, keras.layers.Dense(1, "sigmoid")(hidden))
    network.compile(keras.optimizers.AdamW(hp.Float("rate", 1e-4, 1e-2, sampling="log")), "binary_crossentropy")
    return network
