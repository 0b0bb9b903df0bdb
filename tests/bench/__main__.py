"""`make bench`: images/s of loading and training beside the alternatives, measured in turn in one run.

Prints a Markdown table and writes bench.json. Everything is drawn: nothing has to be downloaded.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from pipeline import inputs, manifests, targets
from pipeline.config import Augment, Binary, Cache, Model, Optimizer, Regression
from pipeline.datasets import sample
from pipeline.network import build_network
from pipeline.objective import Trainer
from pipeline.schedules import make_optimizer
from tests.bench.detection import detection

SIZE, BATCH = 224, 32
HOW = Augment(flip=0.5, rotation=15, zoom=0.1, brightness=0.1, contrast=0.1, saturation=0.1, hue=0.1)
TARGETS = (Regression("age"), Binary("gender"))
Measure = Callable[[], float]


def main() -> None:
    """Measure every row and report."""
    options = argparse.ArgumentParser(prog="make bench", description=__doc__)
    options.add_argument("--quick", action="store_true", help="fewer rounds and pictures")
    options.add_argument("--out", type=Path, default=Path("bench.json"))
    chosen = options.parse_args()
    rounds, batches = (3, 6) if chosen.quick else (5, 20)
    with tempfile.TemporaryDirectory() as folder:
        rows = drawn(Path(folder), count=BATCH * batches)
        table = [
            *compare("warm loading, 224²", warm(rows), rounds),
            *compare("cold loading, 224²", cold(rows), rounds),
            *compare("training step, MobileNetV2 96²", steps(rows, batches), rounds),
            *compare("finding faces, 1024²", detection(Path(folder) / "detection", None, 5 * batches), min(rounds, 3)),
        ]
    chosen.out.write_text(json.dumps(table, indent=1) + "\n")
    print(pd.DataFrame(table).to_markdown(index=False, floatfmt=("", "", ".0f", "", ".0f", ".2f")))


def compare(what: str, contenders: dict[str, Measure], rounds: int) -> list[dict[str, object]]:
    """Medians of `rounds` measurements, taken in turn so that a machine's moods meet all alike; the first is ours."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            found[name].append(measure())
    (ours, speeds), *others = found.items()
    fast = statistics.median(speeds)
    return [
        {"row": what, "ours": ours, "images/s": fast, "theirs": name, "their images/s": statistics.median(other),
         "ratio": statistics.median(a / b for a, b in zip(speeds, other, strict=True))}
        for name, other in others
    ]  # fmt: skip


def drawn(folder: Path, count: int) -> pd.DataFrame:
    """Drawn faces as JPEG files of 256×256, with a manifest."""
    rows = sample.load(folder / "faces", count=count)
    for path in rows["path"]:
        cv2.imwrite(path, cv2.resize(cv2.imread(path), (256, 256), interpolation=cv2.INTER_CUBIC))
    return manifests.complete(rows, "bench")


def warm(rows: pd.DataFrame) -> dict[str, Measure]:
    """Batches of augmented pictures once canvases are kept; the generator of Keras 2 knows no keeping."""
    canvases = inputs.make_canvases(rows, SIZE, 0.4, Cache(memory=1.0), "bench")
    resident = np.concatenate([batch["image"] for batch in inputs.judging(canvases)])
    return {
        "canvases kept, one warp, one matrix": lambda: speed(training_stream(canvases)),
        "flow_from_dataframe": lambda: speed(islice(flow_from_dataframe(rows), len(rows) // BATCH)),
        "Keras layers in tf.data": lambda: speed(layers_in_tf_data(resident)),
    }


def cold(rows: pd.DataFrame) -> dict[str, Measure]:
    """From JPEG files to batches of augmented pictures."""
    unkept = inputs.make_canvases(rows, SIZE, 0.4, Cache(memory=0.0, disk=0.0), "bench")
    return {
        "decode, warp, matrix": lambda: speed(training_stream(unkept)),
        "flow_from_dataframe": lambda: speed(islice(flow_from_dataframe(rows), len(rows) // BATCH)),
    }


def steps(rows: pd.DataFrame, batches: int) -> dict[str, Measure]:
    """The training loop with its feeding, beside the bare compiled step on one resident batch."""
    canvases = inputs.make_canvases(rows, 96, 0.4, Cache(memory=1.0), "bench")
    encoded = {target.name: targets.of(target).encode(rows[target.name]) for target in TARGETS}
    labels, known = ({name: pair[i] for name, pair in encoded.items()} for i in (0, 1))
    network = build_network(
        Model("mobilenetv2", weights="none", image_size=96), TARGETS, {n: v[:, 0] for n, v in labels.items()}
    )
    trainer = Trainer(network, TARGETS)
    trainer.compile(make_optimizer(Optimizer("adam"), 100, 100), jit_compile=False)

    def stream() -> tf.data.Dataset:
        return inputs.training(canvases, labels, known, BATCH, HOW, 0, 0)

    batch = next(iter(stream()))
    trainer.fit(stream().take(1), shuffle=False, verbose=0)

    def bare() -> float:
        done = (trainer.train_function(iter([batch])) for _ in range(batches))
        return speed(done, finish=lambda: keras.ops.convert_to_numpy(network.weights[0]))

    def epoch() -> float:  # with a callback after each step, as `train` has it for its progress bar
        bar = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
        bar.async_safe = True
        return len(canvases) / timed(lambda: trainer.fit(stream(), shuffle=False, verbose=0, callbacks=[bar]))

    return {
        "train": epoch,
        "bare step on a resident batch": bare,
    }


def training_stream(canvases: inputs.Canvases) -> tf.data.Dataset:
    """Our stream of one epoch."""
    none: dict[str, np.ndarray] = {}
    return inputs.training(canvases, none, none, BATCH, HOW, 0, 0)


def flow_from_dataframe(rows: pd.DataFrame) -> Iterable[np.ndarray]:
    """What the reports used, with its nearest settings (one random brightness and channel shift for the jitters)."""
    generator = keras.src.legacy.preprocessing.image.ImageDataGenerator(
        rotation_range=15, zoom_range=0.1, horizontal_flip=True, brightness_range=(0.9, 1.1), channel_shift_range=25.0
    )
    return generator.flow_from_dataframe(
        rows, x_col="path", y_col="age", class_mode="raw", target_size=(SIZE, SIZE), batch_size=BATCH, verbose=0
    )


def layers_in_tf_data(resident: np.ndarray) -> tf.data.Dataset:
    """Keras' own preprocessing layers on pictures that are in memory."""
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
    stream = tf.data.Dataset.from_tensor_slices(resident).batch(BATCH)
    return stream.map(
        lambda x: layers(tf.cast(x, tf.float32), training=True), num_parallel_calls=tf.data.AUTOTUNE
    ).prefetch(2)


def speed(batches: Iterable[object], finish: Callable[[], object] = lambda: None) -> float:
    """Images/s of going through batches of BATCH."""
    began, count = time.perf_counter(), 0
    for _ in batches:
        count += BATCH
    finish()
    return count / (time.perf_counter() - began)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
