"""What every kind of target answers, so that nothing else has to ask which kind it is."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import ops

from pipeline.config import Target
from pipeline.utils import metrics
from pipeline.utils.answers import class_index


class Kind:
    """The behaviour of one target.

    Labels are float32 [N, 1], outputs are what the network's layer of the target's name answers (logits where
    there are classes: near 1 float32 tells no two probabilities apart), answers are what a user gets: numbers [N], or
    probabilities [N, C] in the order of `classes`. The loss of many rows is Σ `losses` / Σ `row_weights`.
    """

    metric_names: tuple[str, ...]  # what `measure` answers
    metric: str  # the one of them that is followed during training: the mean of `score`
    classes: tuple[str, ...] = ()

    def __init__(self, target: Target) -> None:
        self.target = target
        self.name = target.name

    def encode(self, column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """A manifest column → labels float32 [N, 1], and 1.0 where the label is known, else 0.0, float32 [N]."""
        numbers = self._numbers(column).to_numpy(np.float32, na_value=np.nan)
        known = ~np.isnan(numbers)
        return np.where(known, numbers, 0)[:, None], known.astype(np.float32)

    def output(self, features: keras.KerasTensor, labels: np.ndarray) -> keras.KerasTensor:
        """The head's last layer, named as the target, float32. labels: the known training labels [N]."""
        raise NotImplementedError

    def losses(self, labels: Any, outputs: Any, network: keras.Model) -> Any:
        """What each row adds to the sum of losses [N]."""
        raise NotImplementedError

    def row_weights(self, labels: Any) -> Any:
        """What each row adds to the number that the sum of losses is divided by [N]."""
        return ops.ones_like(labels[:, 0])

    def score(self, labels: Any, outputs: Any) -> Any:
        """The metric that is followed during training, for each row [N]."""
        raise NotImplementedError

    def decode(self, outputs: Any) -> Any:
        """Outputs → answers, with `keras.ops` alone: it runs inside the exported model."""
        raise NotImplementedError

    def predicted(self, answers: np.ndarray) -> np.ndarray:
        """Probabilities [N, C] → the index of the class that is said [N], as `describe` has it."""
        return class_index(self.describe(), answers)

    def measure(self, labels: np.ndarray, answers: np.ndarray) -> metrics.Metrics:
        """All metrics of known labels [N] against answers."""
        if not self.classes:
            return metrics.measure(self.metric_names, labels, answers)
        return metrics.measure(self.metric_names, labels, self.predicted(answers), answers)

    def describe(self) -> dict[str, object]:
        """What a reader of the exported model must know of the answers."""
        return {"kind": self.target.kind, "classes": list(self.classes)}

    def _numbers(self, column: pd.Series) -> pd.Series:
        """Class names → their index; anything else is NaN."""
        return column.map({name: i for i, name in enumerate(self.classes)}).astype(float)
