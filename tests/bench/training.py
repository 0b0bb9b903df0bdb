"""Training and evaluation beside the bare compiled step and the bare network on batches that are in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from pipeline import targets
from pipeline.config import Binary, Cache, Model, Optimizer, Regression
from pipeline.data import inputs
from pipeline.training.network import build_network
from pipeline.training.objective import Trainer, judge
from pipeline.training.schedules import make_optimizer
from pipeline.utils.progress import EpochBar
from tests.bench.loading import BATCH, HOW, NOWHERE
from tests.bench.measuring import Contenders, Row, Setting, speed, timed
from tests.bench.pictures import drawn

TARGETS = (Regression("age"), Binary("gender"))
JUDGED = 64  # pictures in a batch of `judge`
KEPT = Cache(memory=1.0)
ON_A_GPU = (("mobilenetv2", 224), ("resnet50", 224), ("shared_trunk", 128))
GPU_WAYS = (("float32", False), ("mixed_bfloat16", False), ("float32", True), ("mixed_bfloat16", True))


def rows(setting: Setting) -> list[Row]:
    """A training step and evaluation; where there is a GPU, what it makes of precision and XLA, fed from files."""
    count, fed = BATCH * setting.of(20, 6), BATCH * setting.of(100, 10)
    model = setting.of("mobilenetv2", "shared_trunk")  # which is sooner ready to train
    found = [
        Row(f"training step, {model} 96²", lambda: steps(drawn(setting.folder, count, 256), model, 96, KEPT)),
        Row("evaluation, MobileNetV2 96²", lambda: evaluation(drawn(setting.folder, 2 * count, 256))),
    ]
    if not tf.config.list_physical_devices("GPU"):
        return found
    return found + [
        Row(
            f"GPU, from JPEG files, {name} {size}², {policy}{', XLA' * xla}",
            lambda name=name, size=size, policy=policy, xla=xla: steps(
                drawn(setting.folder, fed, 256), name, size, NOWHERE, policy, xla
            ),
        )
        for name, size in ON_A_GPU
        for policy, xla in GPU_WAYS
    ]


def steps(
    manifest: pd.DataFrame, name: str, size: int, cache: Cache, policy: str = "float32", xla: bool = False
) -> Contenders:
    """The training loop with its feeding and its bar, beside the bare compiled step on one resident batch; where there
    is a GPU, pictures are changed there, and beside it on the CPU."""
    crops = inputs.make_crops(manifest, size, 0.4, cache, "bench")
    labels, known = encoded(manifest)
    with precision(policy):
        network = network_of(name, size, labels)
        trainer = Trainer(network, TARGETS, HOW.fill)
    trainer.compile(make_optimizer(Optimizer("adam"), 100, 100), jit_compile=xla)
    here, *elsewhere = ("device", "cpu") if tf.config.list_physical_devices("GPU") else ("cpu",)

    def stream(augment_on: str) -> tf.data.Dataset:
        return inputs.training(crops, labels, known, BATCH, HOW, 0, 0, augment_on)

    batch = tf.nest.map_structure(tf.identity, next(iter(stream(here))))  # on the accelerator, where there is one
    for place in (here, *elsewhere):
        trainer.fit(stream(place).take(1), shuffle=False, verbose=0)

    def bare() -> float:
        done = (trainer.train_function(iter([batch])) for _ in range(len(crops) // BATCH))
        return speed(done, BATCH, finish=lambda: keras.ops.convert_to_numpy(network.weights[0]))

    def epoch(augment_on: str) -> float:
        with EpochBar("bench", len(crops) // BATCH, BATCH, compiles=False) as bar:
            fed = inputs.watched(stream(augment_on), bar.arrived)
            callback = keras.callbacks.LambdaCallback(on_train_batch_end=bar.step)
            callback.async_safe = True
            return len(crops) / timed(lambda: trainer.fit(fed, shuffle=False, verbose=0, callbacks=[callback]))

    return {
        "train": partial(epoch, here),
        "bare step on a resident batch": bare,
        **{f"train, augmented on the {place.upper()}": partial(epoch, place) for place in elsewhere},
    }


def evaluation(manifest: pd.DataFrame) -> Contenders:
    """`judge` with its feeding and its metrics, beside the network's answers for batches that are in memory."""
    crops = inputs.make_crops(manifest, 96, 0.4, KEPT, "bench")
    network = network_of("mobilenetv2", 96, encoded(manifest)[0])
    resident = [{"image": pictures.numpy()} for _, pictures in crops.batches(np.arange(len(crops)), JUDGED)]
    network.predict_on_batch(resident[0])
    judge(network, TARGETS, crops)
    return {
        "judge": lambda: len(crops) / timed(lambda: judge(network, TARGETS, crops)),
        "predict_on_batch on resident batches": lambda: speed(map(network.predict_on_batch, resident), JUDGED),
    }


def network_of(name: str, size: int, labels: dict[str, np.ndarray], train: str = "all") -> keras.Model:
    """A new network with both targets."""
    known = {name: values[:, 0] for name, values in labels.items()}
    return build_network(Model(name, weights="none", image_size=size), TARGETS, known, train)


def encoded(manifest: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Labels, and which of them are known."""
    pairs = {target.name: targets.of(target).encode(manifest[target.name]) for target in TARGETS}
    return {name: labels for name, (labels, _) in pairs.items()}, {name: known for name, (_, known) in pairs.items()}


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers made meanwhile compute in this precision."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
