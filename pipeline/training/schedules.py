"""The learning rate of every step, and the optimizer that takes it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
from keras import ops

from pipeline import config


def plateau_rate(how: config.Optimizer, losses: Sequence[float]) -> float:
    """The rate after epochs of these losses, for the schedule `plateau`: rate · decay^k, where k counts how often
    `patience` epochs on end did not go below the lowest loss before them (Keras' ReduceLROnPlateau)."""
    lowest, waited, falls = math.inf, 0, 0
    for loss in losses:
        waited = 0 if loss < lowest else waited + 1
        lowest = min(lowest, loss)
        if waited == how.schedule.patience:
            waited, falls = 0, falls + 1
    return how.learning_rate * how.schedule.decay**falls


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """`config.Schedule` over `steps` steps of a stage, `steps_per_epoch` of them an epoch.

    With w warm-up steps, and t = max(step − w, 0) of the n = steps − w that follow: base · min(1, step / w) times
    1 (constant), decay^(t / steps_per_epoch) (exponential), (1 + cos(π min(t / n, 1))) / 2 (cosine).
    """

    def __init__(self, base: float, schedule: config.Schedule, steps: int, steps_per_epoch: int) -> None:
        self.base, self.schedule, self.steps, self.steps_per_epoch = base, schedule, steps, steps_per_epoch
        self.warmup = round(schedule.warmup * steps_per_epoch)

    def __call__(self, step: int | keras.KerasTensor) -> keras.KerasTensor:
        step = ops.cast(step, "float32")
        rate = self.base * self._factor(ops.maximum(step - self.warmup, 0.0))
        return rate * ops.minimum(1.0, step / self.warmup) if self.warmup else rate

    def _factor(self, after: keras.KerasTensor) -> keras.KerasTensor:
        if self.schedule.name == "exponential":
            return self.schedule.decay ** (after / self.steps_per_epoch)
        if self.schedule.name == "cosine":
            progress = ops.minimum(after / max(self.steps - self.warmup, 1), 1.0)
            return (1 + ops.cos(math.pi * progress)) / 2
        return ops.ones_like(after)

    def get_config(self) -> dict[str, object]:
        return {
            "base": self.base,
            "schedule": self.schedule,
            "steps": self.steps,
            "steps_per_epoch": self.steps_per_epoch,
        }


def make_optimizer(how: config.Optimizer, steps: int, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Keras' optimizer for one stage. Weight decay is decoupled and spares biases and normalisation.

    The rate of the schedule `plateau` is set before each epoch, by `plateau_rate`.
    """
    at_plateau = how.schedule.name == "plateau"
    rate = how.learning_rate if at_plateau else Rate(how.learning_rate, how.schedule, steps, steps_per_epoch)
    kinds = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW, "sgd": keras.optimizers.SGD}
    extra = {"momentum": 0.9 if how.momentum is None else how.momentum} if how.name == "sgd" else {}
    optimizer = kinds[how.name](rate, weight_decay=how.weight_decay, **extra)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
