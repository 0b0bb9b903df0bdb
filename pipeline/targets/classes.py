"""One of several classes, by softmax and cross-entropy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from pipeline import metrics
from pipeline.targets._kind import Kind


class Behaviour(Kind):
    """The network answers the probability of each class."""

    metric = "accuracy"

    @property
    def metric_names(self) -> tuple[str, ...]:
        return metrics.ORDERED_CLASSES if self.target.ordered else metrics.CLASSES

    @property
    def classes(self) -> tuple[str, ...]:
        return self.target.classes

    def output(self, features: keras.KerasTensor, labels: np.ndarray) -> keras.KerasTensor:
        return layers.Dense(len(self.classes), activation="softmax", dtype="float32", name=self.name)(features)

    def losses(self, labels: Any, outputs: Any, network: keras.Model) -> Any:
        """−Σ qₖ log pₖ with q = (1 − ε)·onehot + ε/K, times the label's class weight in the smoothed part too.

        With class weights each term is weighted by its own class, as torch.nn.functional.cross_entropy does.
        """
        count, smoothing = len(self.classes), self.target.label_smoothing
        wanted = self._one_hot(labels) * (1 - smoothing) + smoothing / count
        factors = ops.convert_to_tensor(self.target.class_weights or (1.0,) * count, "float32")
        terms = -wanted * ops.log(ops.maximum(outputs, 1e-12)) * factors
        # `row_weights` counts the label's own weight once more when the mean is taken: take it out here.
        return ops.divide_no_nan(ops.sum(terms, axis=1), self.row_weights(labels))

    def row_weights(self, labels: Any) -> Any:
        if not self.target.class_weights:
            return super().row_weights(labels)
        return ops.sum(self._one_hot(labels) * ops.convert_to_tensor(self.target.class_weights, "float32"), axis=1)

    def score(self, labels: Any, outputs: Any) -> Any:
        return ops.cast(ops.equal(ops.argmax(outputs, axis=1), ops.cast(labels[:, 0], "int32")), "float32")

    def decode(self, outputs: Any) -> Any:
        return outputs

    def _one_hot(self, labels: Any) -> Any:
        return ops.one_hot(ops.cast(labels[:, 0], "int32"), len(self.classes), dtype="float32")
