"""A number, such as an age in years."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import layers, ops

from pipeline.targets._kind import Kind
from pipeline.utils import metrics

_LOSSES = {"mae": ops.abs, "mse": ops.square}


class Behaviour(Kind):
    """One linear unit; standardised or not, what the network answers is in the target's unit."""

    metric_names = metrics.REGRESSION
    metric = "mae"

    def output(self, features: keras.KerasTensor, labels: np.ndarray) -> keras.KerasTensor:
        if not self.target.standardize:
            return layers.Dense(1, dtype="float32", name=self.name)(features)
        x = layers.Dense(1, dtype="float32", name=f"{self.name}_standardized")(features)
        spread, mean = (float(np.std(labels)) or 1.0, float(np.mean(labels))) if len(labels) else (1.0, 0.0)
        return layers.Rescaling(spread, offset=mean, dtype="float32", name=self.name)(x)

    def losses(self, labels: Any, outputs: Any, network: keras.Model) -> Any:
        scale = network.get_layer(self.name).scale if self.target.standardize else 1.0
        error = (labels - outputs)[:, 0] / scale
        if self.target.loss == "huber":
            size = ops.abs(error)
            return ops.where(size <= 1, 0.5 * error**2, size - 0.5)
        return _LOSSES[self.target.loss](error)

    def score(self, labels: Any, outputs: Any) -> Any:
        return ops.abs(labels - outputs)[:, 0]

    def decode(self, outputs: Any) -> Any:
        return outputs[:, 0]

    def describe(self) -> dict[str, object]:
        return {"kind": self.target.kind, "unit": self.target.unit}

    def _numbers(self, column: pd.Series) -> pd.Series:
        return pd.to_numeric(column, errors="coerce").astype(float)
