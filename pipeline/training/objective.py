"""What training lowers and what judging reports: the losses and metrics of all targets of a network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import ops

from pipeline import targets
from pipeline.config import Target
from pipeline.data import inputs
from pipeline.data.augment import apply_on_device
from pipeline.training import parallel
from pipeline.utils import metrics


class Ratio(keras.metrics.Mean):
    """Σ values / Σ weights over all batches, of each of which both are given as its `sums`."""

    def update_state(self, values: Any, weights: Any) -> None:
        self.total.assign_add(values)
        self.count.assign_add(weights)


class Trainer(keras.Model):
    """A network with its objective: Σ weight · (mean loss over the rows whose label is known) + penalties.

    Where several devices share a batch, each computes its part of that sum: of means over the rows of all of them.

    Logs `loss` (all of it), `penalty`, and for each target `<name>_loss` and `<name>_<metric>`, means over the known
    rows of the epoch.

    Where a batch brings matrices beside its pictures, they change the pictures first, here and not in the network,
    which is saved and judged without them; what lies outside a picture is then `fill`.
    """

    def __init__(self, network: keras.Model, wanted: Sequence[Target], fill: str | int = "reflect") -> None:
        super().__init__(autocast=False)  # under mixed precision, places of pixels must not come in 16 bits
        self.network = network
        self.fill = fill
        self.kinds = [targets.of(target) for target in wanted]
        self.means = {"penalty": keras.metrics.Mean(name="penalty")}
        for kind in self.kinds:
            loss, metric = f"{kind.name}_loss", f"{kind.name}_{kind.metric}"
            self.means |= {loss: Ratio(name=loss), metric: keras.metrics.Mean(name=metric)}

    def call(self, x: Any, training: bool | None = None) -> Any:
        if "warp" in x:
            x = {"image": apply_on_device(x["image"], x["warp"], x["colour"], self.fill)}
        return self.network(x, training=training)

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool = True) -> Any:
        penalty = sum(self.network.losses)
        self.means["penalty"].update_state(penalty)
        total = penalty / parallel.replicas()
        for kind in self.kinds:
            losses, weights = sums(kind, y[kind.name], y_pred[kind.name], self.network, sample_weight[kind.name])
            self.means[f"{kind.name}_loss"].update_state(losses, weights)
            total += kind.target.weight * ops.divide_no_nan(losses, parallel.summed(weights))
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        for kind in self.kinds:
            score = kind.score(y[kind.name], y_pred[kind.name])
            self.means[f"{kind.name}_{kind.metric}"].update_state(score, sample_weight[kind.name])
        return self.get_metrics_result()


@dataclass(frozen=True)
class Judged:
    """What a network says of some crops: loss (without penalties), losses, metrics and answers of each target.

    overall: `metrics.overall` of the class targets, empty where there are fewer than two.
    """

    loss: float
    losses: dict[str, float]
    metrics: dict[str, metrics.Metrics]
    overall: metrics.Metrics
    answers: dict[str, np.ndarray]
    seconds: float


def judge(
    network: keras.Model,
    wanted: Sequence[Target],
    crops: inputs.Crops,
    stream: Any = None,
    views: int = 1,
) -> Judged:
    """Answers for every crop; losses and metrics over all rows whose label is known, weighted as in training.

    A target without a known label has a loss of NaN and no metrics, and does not count in the loss. stream: pictures
    that are shown instead of the crops, in their order, so many `views` of each on end. The answer to a picture is
    then the mean of the answers (probabilities, or a number in its unit) to its views, and its loss the mean of theirs.

    The one judgement: validation during training and `evaluate` both call it.
    """
    began = time.perf_counter()
    outputs = network.predict(stream or inputs.judging(crops), verbose=0)
    seconds = time.perf_counter() - began
    losses, found, answers = {}, {}, {}
    for kind in map(targets.of, wanted):
        labels, known = kind.encode(crops.rows[kind.name])
        shown = np.repeat(labels, views, axis=0)
        mean = ops.divide_no_nan(*sums(kind, shown, outputs[kind.name], network, np.repeat(known, views)))
        losses[kind.name] = float(mean) if known.any() else math.nan
        said = np.asarray(kind.decode(outputs[kind.name]))
        answers[kind.name] = said.reshape(-1, views, *said.shape[1:]).mean(axis=1)
        rows = known > 0
        found[kind.name] = kind.measure(labels[rows, 0], answers[kind.name][rows]) if rows.any() else {}
    loss = sum(target.weight * losses[target.name] for target in wanted if not math.isnan(losses[target.name]))
    together = measure_overall(wanted, crops.rows, answers)
    overall = together(np.arange(len(crops))) if together else {}
    return Judged(loss, losses, found, overall, answers, seconds)


def measure_overall(
    wanted: Sequence[Target], rows: pd.DataFrame, answers: Mapping[str, np.ndarray]
) -> Callable[[np.ndarray], metrics.Metrics] | None:
    """What gives `metrics.overall` of the targets of kind `classes` on chosen row numbers.

    None where there are fewer than two such targets with a known label.
    """
    parts = []
    for kind in map(targets.of, wanted):
        labels, known = kind.encode(rows[kind.name])
        if kind.target.kind == "classes" and known.any():
            true = np.where(known > 0, labels[:, 0], -1).astype(int)
            parts.append((true, kind.predicted(answers[kind.name]), len(kind.classes)))

    def measure(chosen: np.ndarray) -> metrics.Metrics:
        drawn = ((true[chosen], said[chosen], count) for true, said, count in parts)
        return metrics.overall([metrics.confusion(t[t >= 0], said[t >= 0], count) for t, said, count in drawn])

    return measure if len(parts) > 1 else None


def sums(kind: targets.Kind, labels: Any, outputs: Any, network: keras.Model | None, known: Any) -> tuple[Any, Any]:
    """Of the rows whose label is known the losses, and what they are divided by; a mean of 0 where that is 0. Dividing
    by the number of rows instead would let the others count."""
    losses, weights = kind.losses(labels, outputs, network), kind.row_weights(labels)
    return ops.sum(known * losses), ops.sum(known * weights)
