"""What `expectation` and `ordinal` share: labels in even steps, of a range of numbers or of ordered classes."""

from __future__ import annotations

from typing import Any

import pandas as pd
from keras import ops

from pipeline.targets._kind import Kind
from pipeline.utils import metrics


class Stepped(Kind):
    """Steps count from 0: low, low + 1, … high of a number's unit, or the classes in their order."""

    @property
    def classes(self) -> tuple[str, ...]:
        return self.target.classes

    @property
    def metric_names(self) -> tuple[str, ...]:
        return metrics.ORDERED_CLASSES if self.classes else metrics.REGRESSION

    @property
    def metric(self) -> str:
        return "accuracy" if self.classes else "mae"

    @property
    def count(self) -> int:
        """How many steps there are."""
        return len(self.classes) or self.target.high - self.target.low + 1

    def place(self, labels: Any) -> Any:
        """Labels in steps, not rounded, within the range; [N, 1]."""
        return ops.clip(labels - self.target.low, 0, self.count - 1)

    def said(self, outputs: Any) -> Any:
        """The answer in steps, float32 [N]: a whole one for classes."""
        raise NotImplementedError

    def probabilities(self, outputs: Any) -> Any:
        """Of every step, [N, count]."""
        raise NotImplementedError

    def score(self, labels: Any, outputs: Any) -> Any:
        error = ops.abs(labels[:, 0] - self.target.low - self.said(outputs))
        return ops.cast(error < 0.5, "float32") if self.classes else error

    def decode(self, outputs: Any) -> Any:
        return self.probabilities(outputs) if self.classes else self.target.low + self.said(outputs)

    def describe(self) -> dict[str, object]:
        return super().describe() if self.classes else {"kind": self.target.kind, "unit": self.target.unit}

    def _numbers(self, column: pd.Series) -> pd.Series:
        return super()._numbers(column) if self.classes else pd.to_numeric(column, errors="coerce").astype(float)
