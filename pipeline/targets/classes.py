"""One of several classes, by softmax and cross-entropy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from pipeline.targets._kind import Kind
from pipeline.utils import metrics


class Behaviour(Kind):
    """The network answers a logit for each class."""

    metric = "accuracy"

    @property
    def metric_names(self) -> tuple[str, ...]:
        return metrics.ORDERED_CLASSES if self.target.ordered else metrics.CLASSES

    @property
    def classes(self) -> tuple[str, ...]:
        return self.target.classes

    def output(self, features: keras.KerasTensor, labels: np.ndarray) -> keras.KerasTensor:
        return layers.Dense(len(self.classes), dtype="float32", name=self.name)(features)

    def losses(self, labels: Any, outputs: Any, network: keras.Model) -> Any:
        """−Σ wₖ qₖ log pₖ with q = (1 − ε)·onehot + ε/K: as in torch.nn.functional.cross_entropy, each term has the
        weight of its own class, and a row counts by that of its label, even if this is 0 and the sum is not."""
        count, smoothing = len(self.classes), self.target.label_smoothing
        wanted = self._one_hot(labels) * (1 - smoothing) + smoothing / count
        factors = ops.convert_to_tensor(self.target.class_weights or (1.0,) * count, "float32")
        return -ops.sum(factors * wanted * ops.log_softmax(outputs, axis=1), axis=1)

    def row_weights(self, labels: Any) -> Any:
        if not self.target.class_weights:
            return super().row_weights(labels)
        return ops.sum(self._one_hot(labels) * ops.convert_to_tensor(self.target.class_weights, "float32"), axis=1)

    def score(self, labels: Any, outputs: Any) -> Any:
        return ops.cast(ops.equal(ops.argmax(outputs, axis=1), ops.cast(labels[:, 0], "int32")), "float32")

    def decode(self, outputs: Any) -> Any:
        return ops.softmax(outputs, axis=1)

    def _one_hot(self, labels: Any) -> Any:
        return ops.one_hot(ops.cast(labels[:, 0], "int32"), len(self.classes), dtype="float32")
