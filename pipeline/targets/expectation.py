"""A number as the expected value of a softmax over its steps (DEX), or ordered classes by the same losses."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from pipeline.targets._stepped import Stepped


class Behaviour(Stepped):
    """The network answers a logit for every step."""

    def output(self, features: keras.KerasTensor, labels: np.ndarray) -> keras.KerasTensor:
        return layers.Dense(self.count, dtype="float32", name=self.name)(features)

    def losses(self, labels: Any, outputs: Any, network: keras.Model) -> Any:
        """−Σ qₖ log pₖ + λ₁ (m − y)² / 2 + λ₂ v, all in steps (Pan et al. 2018); y is not rounded."""
        mean, variance = self._moments(outputs)
        entropy = -ops.sum(self._wanted(labels) * ops.log_softmax(outputs, axis=1), axis=1)
        error = mean - self.place(labels)[:, 0]
        return entropy + self.target.mean_weight * error**2 / 2 + self.target.variance_weight * variance

    def said(self, outputs: Any) -> Any:
        return ops.cast(ops.argmax(outputs, axis=1), "float32") if self.classes else self._moments(outputs)[0]

    def probabilities(self, outputs: Any) -> Any:
        return ops.softmax(outputs, axis=1)

    def _wanted(self, labels: Any) -> Any:
        """The distribution q that is learnt, [N, count]: all on the nearest step, or a normal one cut to the range."""
        place = self.place(labels)
        if not self.target.sigma:
            return ops.one_hot(ops.cast(ops.round(place[:, 0]), "int32"), self.count, dtype="float32")
        return ops.softmax(-(((self._steps() - place) / self.target.sigma) ** 2) / 2, axis=1)

    def _moments(self, outputs: Any) -> tuple[Any, Any]:
        """Mean and variance of the softmax in steps, [N] each."""
        p = self.probabilities(outputs)
        mean = ops.sum(p * self._steps(), axis=1)
        return mean, ops.sum(p * (self._steps() - mean[:, None]) ** 2, axis=1)

    def _steps(self) -> Any:
        return ops.arange(self.count, dtype="float32")
