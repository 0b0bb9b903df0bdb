"""A number in steps, or ordered classes, by asking of each step whether it is above: CORAL and CORN."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from models.heads import SharedDense
from pipeline.targets._stepped import Stepped


class Behaviour(Stepped):
    """The network answers a logit for each question k = 0 … count − 2: is it above step k?

    CORAL's are of P(y > k), CORN's of P(y > k | y > k − 1).
    """

    def output(self, features: keras.KerasTensor, labels: np.ndarray) -> keras.KerasTensor:
        """CORAL's biases start at the log-odds of the training labels above each step: from coral-pytorch's, gradients
        take many epochs to spread them over a hundred years."""
        if self.target.method == "corn":
            return layers.Dense(self.count - 1, dtype="float32", name=self.name)(features)
        layer = SharedDense(self.count - 1, dtype="float32", name=self.name)
        logits = layer(features)
        if len(labels):
            steps = np.round(np.clip(labels - self.target.low, 0, self.count - 1))
            above = (steps[:, None] > np.arange(self.count - 1)).sum(axis=0)
            layer.bias.assign(np.log((above + 1) / (len(labels) - above + 1)))
        return logits

    def losses(self, labels: Any, outputs: Any, network: keras.Model) -> Any:
        """Sums of binary cross-entropies: CORAL's over all questions, CORN's over those that are asked of the row."""
        above = self._rounded(labels) > self._questions()
        entropies = -ops.log_sigmoid(ops.where(above, outputs, -outputs))
        return ops.sum(entropies if self.target.method == "coral" else entropies * self._asked(labels), axis=1)

    def row_weights(self, labels: Any) -> Any:
        """CORN takes one mean over all questions that are asked of all rows."""
        return super().row_weights(labels) if self.target.method == "coral" else ops.sum(self._asked(labels), axis=1)

    def said(self, outputs: Any) -> Any:
        """How many of P(y > k) are above a half. The order of them does not matter."""
        return ops.sum(ops.cast(self._above(outputs) > 0.5, "float32"), axis=1)

    def probabilities(self, outputs: Any) -> Any:
        """Differences of P(y > k). CORAL's need not fall with k: putting them in order changes no label and no sum.

        CORN's are taken as P(y > k − 1) · P(y ≤ k | y > k − 1), which rounding cannot make negative.
        """
        above = self._above(outputs)
        one = ops.ones_like(above[:, :1])
        if self.target.method == "corn":
            return ops.concatenate([one, above], axis=1) * ops.concatenate([ops.sigmoid(-outputs), one], axis=1)
        falling = ops.flip(ops.sort(above, axis=1), axis=1)
        return ops.concatenate([one, falling], axis=1) - ops.concatenate([falling, 0 * one], axis=1)

    def describe(self) -> dict[str, object]:
        return super().describe() | ({"label": "median"} if self.classes else {})

    def _above(self, outputs: Any) -> Any:
        """P(y > k), [N, count − 1]. CORN's are products; sums of logarithms are what LiteRT and ONNX have too."""
        if self.target.method == "coral":
            return ops.sigmoid(outputs)
        return ops.exp(ops.cumsum(ops.log_sigmoid(outputs), axis=1))

    def _asked(self, labels: Any) -> Any:
        """1.0 for the questions asked of a row, which is above all steps before; [N, count − 1]."""
        return ops.cast(self._rounded(labels) >= self._questions(), "float32")

    def _rounded(self, labels: Any) -> Any:
        return ops.round(self.place(labels))

    def _questions(self) -> Any:
        return ops.arange(self.count - 1, dtype="float32")
