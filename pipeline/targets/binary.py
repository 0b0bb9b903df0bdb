"""One of two classes, by the sigmoid of one logit; the second class is the positive one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from pipeline.targets._kind import Kind
from pipeline.utils import metrics


class Behaviour(Kind):
    """The network answers the logit of the second class."""

    metric_names = metrics.BINARY
    metric = "accuracy"

    @property
    def classes(self) -> tuple[str, ...]:
        return self.target.classes

    def output(self, features: keras.KerasTensor, labels: np.ndarray) -> keras.KerasTensor:
        return layers.Dense(1, dtype="float32", name=self.name)(features)

    def losses(self, labels: Any, outputs: Any, network: keras.Model) -> Any:
        smoothing = self.target.label_smoothing
        smoothed = labels * (1 - smoothing) + 0.5 * smoothing
        return -(smoothed * ops.log_sigmoid(outputs) + (1 - smoothed) * ops.log_sigmoid(-outputs))[:, 0]

    def score(self, labels: Any, outputs: Any) -> Any:
        return ops.cast(ops.equal(outputs > 0, labels > 0.5), "float32")[:, 0]

    def decode(self, outputs: Any) -> Any:
        return ops.sigmoid(ops.concatenate([-outputs, outputs], axis=1))
