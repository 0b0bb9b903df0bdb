"""A head on a frozen backbone: `train`, which runs it once a picture, beside `fit` with the backbone in the loop."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from pathlib import Path

import pandas as pd
import tensorflow as tf

from pipeline import train
from pipeline.config import Augment, Cache, Data, Experiment, Model, Optimizer, Stage
from pipeline.data import inputs
from pipeline.training.objective import Trainer
from pipeline.training.schedules import make_optimizer
from tests.bench.measuring import Contenders, Row, Setting, in_child, timed
from tests.bench.pictures import drawn
from tests.bench.training import TARGETS, encoded, network_of

SIZE, BATCH, EPOCHS = 96, 32, 20


def rows(setting: Setting) -> list[Row]:
    """Seconds from the list of pictures to the trained head, with nothing known of the pictures beforehand."""
    count = setting.of(12_000, 256)
    name = f"frozen backbone, {EPOCHS} epochs, {count:,} pictures, MobileNetV2 {SIZE}²"
    return [Row(name, lambda: contenders(drawn(setting.folder, count, SIZE)), "s", rounds=setting.of(3, 1))]


def contenders(manifest: pd.DataFrame) -> Contenders:
    """`train` in a process of its own, which it makes deterministic."""
    path = Path(manifest["path"].iloc[0]).parent.with_suffix(".csv")
    manifest[["path", "age", "gender"]].assign(split="train").to_csv(path, index=False)
    return {
        "train": lambda: in_child(features_kept, path),
        f"fit, one epoch × {EPOCHS}": lambda: backbone_in_the_loop(manifest),
    }


def features_kept(manifest: Path) -> float:
    """Seconds of `train`."""
    logging.disable(logging.WARNING)  # that nothing is judged
    stage = Stage("head", Data("csv", root=str(manifest)), "head", EPOCHS, BATCH, Optimizer("adam"), keep="last")
    experiment = Experiment(Model("mobilenetv2", "none", SIZE), (stage,), precision="float32")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FACET_CACHE"] = folder  # empty: no run before this one left features there
        return timed(lambda: train(experiment, folder))


def backbone_in_the_loop(manifest: pd.DataFrame) -> float:
    """Seconds of reading and compiling, and those of one further epoch, times the epochs that there are."""
    labels, known = encoded(manifest)
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    began = time.perf_counter()
    crops = inputs.make_crops(manifest, SIZE, 0.4, Cache(), "bench")
    stream = inputs.training(crops, labels, known, BATCH, Augment(), 0, 0)
    trainer = Trainer(network_of("mobilenetv2", SIZE, labels, "head"), TARGETS)
    trainer.compile(make_optimizer(Optimizer("adam"), 100, 100), jit_compile=has_gpu)
    trainer.fit(stream.take(1), shuffle=False, verbose=0)
    ready = time.perf_counter()
    trainer.fit(stream, shuffle=False, verbose=0)
    return ready - began + EPOCHS * (time.perf_counter() - ready)
