"""Training: the stages of an experiment, one after the other, on training and validation rows only."""

from __future__ import annotations

import logging
import platform
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import ops

import models
from pipeline import datasets, inputs, manifests, metrics, runs, targets
from pipeline.config import Experiment, Model, Stage, Target
from pipeline.errors import RequestError
from pipeline.network import build_network, hand_over
from pipeline.progress import EpochBar, console, minutes
from pipeline.runs import Run
from pipeline.schedules import make_optimizer
from pipeline.targets._kind import weighted_mean

log = logging.getLogger(__name__)

TRAIN_OVER_FORWARD = 4  # a training step's time over a prediction's; seen from 3.5 to 4.5 on CPUs


def train(experiment: Experiment, runs_folder: str | Path = runs.RUNS) -> Run:
    """Fit an experiment and answer its run: experiment.json, history.csv, model.keras, environment.json, rejected.csv.

    Test rows are not read. Raises RequestError for an experiment that cannot be run as it stands (data that are not
    there, weights that do not fit, a target without labels), WorkError when too many pictures cannot be read.
    """
    experiment = settle(experiment)
    set_up(experiment)
    tables = {stage.name: datasets.load(stage.data) for stage in experiment.stages}
    for stage in experiment.stages:
        _check_rows(stage, tables[stage.name], experiment.targets)
    run = runs.create(experiment, runs_folder)
    log.info("run %s", run.path)
    network, history, rejected, notes = None, [], [], []
    for stage in experiment.stages:
        trainer = _Stage(experiment, stage, tables[stage.name], network)
        rejected.append(trainer.rejected)
        for row in trainer.epochs():
            history.append(row)
            runs.write_csv(run.path / "history.csv", pd.DataFrame(history))
        network = trainer.network
        notes.append(trainer.notes())
    runs.write_csv(run.path / "rejected.csv", pd.concat(rejected).drop_duplicates())
    with runs.written(run.path / "model.keras") as temporary:
        network.save(temporary)
    runs.write_json(run.path / "environment.json", _environment(experiment, tables, notes))
    return run


def settle(experiment: Experiment) -> Experiment:
    """The experiment with nothing left open: targets, splits and weights as they will be used."""
    experiment = datasets.resolve(experiment)
    model = experiment.model
    if model.weights != "auto":
        return experiment
    drawn = experiment.stages[-1].data.name == "sample"
    weights = "imagenet" if not drawn and model.name in models.list_models() and models.is_published(model.name) else "none"
    return replace(experiment, model=replace(model, weights=weights))


def set_up(experiment: Experiment) -> None:
    """Seeds, determinism and precision of this process."""
    keras.utils.set_random_seed(experiment.seed)
    tf.config.experimental.enable_op_determinism()
    keras.mixed_precision.set_global_policy(precision(experiment))


def precision(experiment: Experiment) -> str:
    """The policy that `auto` stands for on this machine."""
    if experiment.precision != "auto":
        return experiment.precision
    return "mixed_bfloat16" if has_gpu() else "float32"


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


class Trainer(keras.Model):
    """A network with its targets' losses: Σ weight · (mean over the rows whose label is known) + penalties.

    Logs `loss`, and for each target `<name>_loss` and `<name>_<metric>`, means over the known rows of the epoch.
    """

    def __init__(self, network: keras.Model, wanted: Sequence[Target]) -> None:
        super().__init__(network.inputs, network.outputs)
        self.network = network
        self.kinds = [targets.of(target) for target in wanted]
        names = [name for kind in self.kinds for name in (f"{kind.name}_loss", f"{kind.name}_{kind.metric}")]
        self.means = {name: keras.metrics.Mean(name=name) for name in names}

    def call(self, x: Any, training: bool | None = None) -> Any:
        return self.network(x, training=training)

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool = True) -> Any:
        total = 0.0
        for kind in self.kinds:
            labels, outputs, known = y[kind.name], y_pred[kind.name], sample_weight[kind.name]
            values, weights = kind.losses(labels, outputs, self.network), known * kind.row_weights(labels)
            mean = weighted_mean(values, weights)
            self.means[f"{kind.name}_loss"].update_state(mean, ops.sum(weights))
            total += kind.target.weight * mean
        return total + sum(self.network.losses)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        for kind in self.kinds:
            score = kind.score(y[kind.name], y_pred[kind.name])
            self.means[f"{kind.name}_{kind.metric}"].update_state(score, sample_weight[kind.name])
        return self.get_metrics_result()


@dataclass(frozen=True)
class Judged:
    """What a network says of some canvases: losses, metrics and answers of each target."""

    loss: float
    losses: dict[str, float]
    metrics: dict[str, metrics.Metrics]
    answers: dict[str, np.ndarray]
    seconds: float


def judge(network: keras.Model, wanted: Sequence[Target], canvases: inputs.Canvases) -> Judged:
    """Answers for every canvas, losses (weighted as in training, without penalties) and metrics of the known rows.

    The one judgement: validation during training and `evaluate` both call it.
    """
    began = time.perf_counter()
    outputs = network.predict(inputs.judging(canvases), verbose=0)
    seconds = time.perf_counter() - began
    losses, found, answers = {}, {}, {}
    for kind in map(targets.of, wanted):
        labels, known = kind.encode(canvases.rows[kind.name])
        values = kind.losses(labels, outputs[kind.name], network)
        losses[kind.name] = float(weighted_mean(values, known * kind.row_weights(labels)))
        answers[kind.name] = np.asarray(kind.decode(outputs[kind.name]))
        rows = known > 0
        found[kind.name] = kind.measure(labels[rows, 0], answers[kind.name][rows]) if rows.any() else {}
    loss = sum(target.weight * losses[target.name] for target in wanted)
    return Judged(loss, losses, found, answers, seconds)


class _Stage:
    """One stage: its rows and network, and `epochs()`, which trains and answers a row of history.csv an epoch."""

    def __init__(self, experiment: Experiment, stage: Stage, table: pd.DataFrame, before: keras.Model | None) -> None:
        self.experiment, self.stage = experiment, stage
        self.train, self.val = (self._canvases(table, split) for split in ("train", "val"))
        self.labels, self.known = self._labels()
        known_labels = {name: values[self.known[name] > 0, 0] for name, values in self.labels.items()}
        model = experiment.model if before is None else replace(experiment.model, weights="none")
        self.network = build_network(model, experiment.targets, known_labels, stage.train)
        if before is not None:
            for name in hand_over(before, self.network):
                log.info("stage %s: layer %s is new", stage.name, name)
        self.steps = max(len(self.train) // stage.batch_size, 1)
        self.trainer = self._compiled()
        self.seconds = 0.0
        self.done = 0

    @property
    def rejected(self) -> pd.DataFrame:
        return pd.concat([self.train.rejected, self.val.rejected])

    def epochs(self) -> Iterator[dict[str, Any]]:
        """Train; afterwards the network holds the weights of the kept epoch."""
        self._announce()
        best, best_weights, waited = None, None, 0
        keep = self.stage.keep if len(self.val) else "last"
        for epoch in range(self.stage.epochs):
            row = self._epoch(epoch)
            yield row
            if _is_better(row, best, keep):
                best, best_weights, waited = row, self.network.get_weights(), 0
            else:
                waited += 1
            if self.stage.early_stopping and waited >= self.stage.early_stopping:
                log.info("stage %s: no better %s for %d epochs, stopped", self.stage.name, keep, waited)
                break
        self.network.set_weights(best_weights)
        log.info("stage %s: kept epoch %d (%s)", self.stage.name, best["epoch"], _value(best, keep))

    def notes(self) -> dict[str, object]:
        """How fast it went."""
        images = self.done * self.steps * min(self.stage.batch_size, len(self.train))
        return {"stage": self.stage.name, "seconds": round(self.seconds, 1),
                "images_per_second": round(images / self.seconds, 1),
                "trainable_parameters": _count(self.network.trainable_weights)}  # fmt: skip

    def _canvases(self, table: pd.DataFrame, split: str) -> inputs.Canvases:
        rows = table[table["split"] == split].reset_index(drop=True)
        return inputs.make_canvases(
            rows, self.experiment.model.image_size, self.stage.data.margin, self.experiment.cache, split
        )

    def _labels(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        encoded = {t.name: targets.of(t).encode(self.train.rows[t.name]) for t in self.experiment.targets}
        return {n: labels for n, (labels, _) in encoded.items()}, {n: known for n, (_, known) in encoded.items()}

    def _compiled(self) -> Trainer:
        trainer = Trainer(self.network, self.experiment.targets)
        xla = self.experiment.xla == "on" or (self.experiment.xla == "auto" and has_gpu())
        optimizer = make_optimizer(self.stage.optimizer, self.steps * self.stage.epochs, self.steps)
        trainer.compile(optimizer=optimizer, jit_compile=xla)
        return trainer

    def _epoch(self, epoch: int) -> dict[str, Any]:
        began = time.perf_counter()
        stage = self.stage
        stream = inputs.training(
            self.train, self.labels, self.known, stage.batch_size, stage.augment, self.experiment.seed, epoch
        )
        with EpochBar(stage.name, epoch, stage.epochs, self.steps, stage.batch_size) as bar:
            logs = self.trainer.fit(stream, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=bar.step)])
        row = {"stage": stage.name, "epoch": epoch + 1, "learning_rate": float(self.trainer.optimizer.learning_rate)}
        row |= {name: values[-1] for name, values in logs.history.items()}
        if len(self.val):
            row |= _val_columns(judge(self.network, self.experiment.targets, self.val))
        self.seconds += time.perf_counter() - began
        self.done += 1
        self._tell(row)
        return row

    def _tell(self, row: dict[str, Any]) -> None:
        per_epoch = self.seconds / self.done
        speed = self.steps * min(self.stage.batch_size, len(self.train)) / per_epoch
        shown = [_value(row, name) for name in row if name == "loss" or name.startswith("val_")]
        log.info("%s %d/%d  %.0f images/s  %s left  %s", self.stage.name, row["epoch"], self.stage.epochs, speed,
                 minutes(per_epoch * (self.stage.epochs - self.done)), "  ".join(shown))  # fmt: skip

    def _announce(self) -> None:
        stage, optimizer = self.stage, self.stage.optimizer
        log.info("stage %s: %d training rows of %s, %d validation rows, %d epochs of %d steps of %d", stage.name,
                 len(self.train), stage.data.name, len(self.val), stage.epochs, self.steps, stage.batch_size)  # fmt: skip
        log.info("  trains %s: %s of %s parameters; %s, rate %g %s", stage.train, f"{_count(self.network.trainable_weights):,}",
                 f"{_count(self.network.weights):,}", optimizer.name, optimizer.learning_rate, optimizer.schedule.name)  # fmt: skip
        log.info("  about %s on this machine", minutes(self._estimate()))

    def _estimate(self) -> float:
        """Seconds that the stage will take, from the speed of some predictions."""
        some = np.zeros((64, *self.network.inputs[0].shape[1:]), np.uint8)
        self.network.predict({"image": some}, batch_size=64, verbose=0)
        began = time.perf_counter()
        self.network.predict({"image": some}, batch_size=64, verbose=0)
        forward = (time.perf_counter() - began) / len(some)
        share = _count(self.network.trainable_weights) / max(_count(self.network.weights), 1)
        per_row = 1 + (TRAIN_OVER_FORWARD - 1) * share
        return self.stage.epochs * forward * (len(self.train) * per_row + len(self.val))


def _is_better(row: dict[str, Any], best: dict[str, Any] | None, keep: str) -> bool:
    if best is None or keep == "last":
        return True
    if keep not in row:
        raise RequestError(f"keep {keep!r} is no column of history.csv; there are: {', '.join(n for n in row if n.startswith('val_'))}")
    if metrics.is_lower_better(keep):
        return row[keep] < best[keep]
    return row[keep] > best[keep]


def _value(row: dict[str, Any], name: str) -> str:
    return f"{name} {row[name]:.4g}" if name in row else name


def _val_columns(judged: Judged) -> dict[str, float]:
    row = {"val_loss": judged.loss}
    for name, loss in judged.losses.items():
        row[f"val_{name}_loss"] = loss
        row |= {f"val_{name}_{metric}": value for metric, value in judged.metrics[name].items()}
    return row


def _count(weights: Sequence[Any]) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


def _check_rows(stage: Stage, table: pd.DataFrame, wanted: Sequence[Target]) -> None:
    train = table[table["split"] == "train"]
    if train.empty:
        raise RequestError(f"stage {stage.name}: the training split of {stage.data.name} is empty ({len(table)} rows)")
    for target in wanted:
        if target.name not in table or not targets.of(target).encode(train[target.name])[1].any():
            raise RequestError(f"stage {stage.name}: no training row of {stage.data.name} has a known {target.name}; "
                               f"its columns are {', '.join(table.columns)}")  # fmt: skip


def _environment(experiment: Experiment, tables: dict[str, pd.DataFrame], notes: list[dict[str, object]]) -> dict[str, object]:
    return {
        "commit": _commit(),
        "versions": {name: version(name) for name in ("keras", "tensorflow", "numpy", "opencv-python")} | {"python": platform.python_version()},
        "backend": keras.backend.backend(),
        "device": [device.name for device in tf.config.list_physical_devices()],
        "precision": precision(experiment),
        "seed": experiment.seed,
        "manifest": {name: manifests.fingerprint(table) for name, table in tables.items()},
        "stages": notes,
    }


def _commit() -> str | None:
    """The commit of this code, where it lies in a git checkout."""
    here = Path(__file__).parent
    try:
        said = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip()
