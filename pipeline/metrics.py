"""How good answers are: plain numpy on labels and answers. A metric that is not defined on the rows is NaN."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

Metrics = dict[str, float]

REGRESSION = ("mae", "rmse", "mse", "r2", "pearson", "spearman", "cs5")
BINARY = ("accuracy", "balanced_accuracy", "auc", "f1")
CLASSES = ("accuracy", "balanced_accuracy")
ORDERED_CLASSES = (*CLASSES, "one_off")

RESAMPLES = 1000
LOWER_IS_BETTER = ("loss", "mae", "mse", "rmse")


def is_lower_better(metric: str) -> bool:
    """Whether less of a metric (or of a column of history.csv that ends in its name) is better."""
    return metric.endswith(LOWER_IS_BETTER)


def regression(true: np.ndarray, predicted: np.ndarray) -> Metrics:
    """REGRESSION for numbers [N], in their unit; cs5 is the share within 5 of the truth."""
    error = predicted - true
    mse = float(np.mean(error**2))
    spread = float(np.var(true))
    varied = len(true) > 1 and spread > 0 and np.ptp(predicted) > 0
    return {
        "mae": float(np.mean(np.abs(error))),
        "rmse": mse**0.5,
        "mse": mse,
        "r2": 1 - mse / spread if spread > 0 else np.nan,
        "pearson": _correlation(true, predicted) if varied else np.nan,
        "spearman": _correlation(stats.rankdata(true), stats.rankdata(predicted)) if varied else np.nan,
        "cs5": float(np.mean(np.abs(error) <= 5)),
    }


def binary(true: np.ndarray, positive: np.ndarray) -> Metrics:
    """BINARY for labels 0/1 [N] and the probability of 1 [N]; f1 is that of class 1."""
    counts = confusion(true, (positive > 0.5).astype(int), 2)
    hits = 2 * counts[1, 1] + counts[0, 1] + counts[1, 0]
    return {
        "accuracy": float(np.trace(counts) / counts.sum()),
        "balanced_accuracy": _balanced(counts),
        "auc": _auc(true, positive),
        "f1": float(2 * counts[1, 1] / hits) if hits else np.nan,
    }


def classes(true: np.ndarray, predicted: np.ndarray, count: int, ordered: bool) -> Metrics:
    """CLASSES, or ORDERED_CLASSES, for labels and answers among 0..count-1, [N] each.

    one_off is the share with |predicted − true| ≤ 1 class. balanced_accuracy is the mean recall of the classes that
    occur.
    """
    counts = confusion(true, predicted, count)
    found = {"accuracy": float(np.trace(counts) / counts.sum()), "balanced_accuracy": _balanced(counts)}
    if ordered:
        found["one_off"] = float(np.mean(np.abs(predicted - true) <= 1))
    return found


def confusion(true: np.ndarray, predicted: np.ndarray, count: int) -> np.ndarray:
    """Counts [C, C]; rows are truth, columns are predictions."""
    return np.bincount(true.astype(int) * count + predicted.astype(int), minlength=count**2).reshape(count, count)


def intervals(
    measure: Callable[[np.ndarray], Metrics], groups: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, tuple[float, float]]:
    """95 % percentile bootstrap intervals of every metric, resampling whole groups (subjects) with replacement.

    measure takes row numbers (repeated as drawn) and answers the metrics; groups [N] says whose row it is. With fewer
    than two groups nothing can be said: no intervals.
    """
    _, codes = np.unique(groups, return_inverse=True)
    count = codes.max(initial=-1) + 1
    if count < 2:
        return {}
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    rng = np.random.default_rng(seed)
    drawn = [measure(_rows_of(members, rng.integers(0, count, count))) for _ in range(resamples)]
    return {name: _middle_95([one[name] for one in drawn]) for name in drawn[0]}


def _rows_of(members: list[np.ndarray], chosen: np.ndarray) -> np.ndarray:
    return np.concatenate([members[i] for i in chosen])


def _middle_95(values: list[float]) -> tuple[float, float]:
    if np.isnan(values).all():
        return (np.nan, np.nan)
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _balanced(counts: np.ndarray) -> float:
    occurs = counts.sum(axis=1) > 0
    return float(np.mean(np.diag(counts)[occurs] / counts.sum(axis=1)[occurs]))


def _auc(true: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve, by ranks (Mann-Whitney); ties count half."""
    positives = int(true.sum())
    negatives = len(true) - positives
    if not positives or not negatives:
        return np.nan
    rank_sum = stats.rankdata(score)[true.astype(bool)].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))
