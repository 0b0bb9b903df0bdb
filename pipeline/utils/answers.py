"""What a model's answers say, by what `labels.json` tells of them: for a run and for a SavedModel alone.

`meaning` is a target's entry there, `targets.of(target).describe()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def class_index(meaning: Mapping[str, Any], probabilities: np.ndarray) -> np.ndarray:
    """Probabilities [N, C] → the index of the class that is said [N].

    It is the likeliest, or, where the meaning has the label `median`, the number of classes k with P(y > k) > 1/2.
    """
    if meaning.get("label") != "median":
        return probabilities.argmax(axis=1)
    above = np.cumsum(probabilities[:, :0:-1], axis=1)  # P(y > k), k from C - 2 down to 0
    return (above > 0.5).sum(axis=1)


def columns(name: str, meaning: Mapping[str, Any], answers: np.ndarray) -> pd.DataFrame:
    """`<name>_predicted`, then `<name>_p_<class>` where the target has classes: answers are numbers [N] or [N, C]."""
    classes = meaning.get("classes")
    if not classes:
        return pd.DataFrame({f"{name}_predicted": answers})
    probabilities = {f"{name}_p_{one}": answers[:, i] for i, one in enumerate(classes)}
    return pd.DataFrame({f"{name}_predicted": np.array(classes)[class_index(meaning, answers)]} | probabilities)
