"""Metrics against scikit-learn and scipy, and intervals against what is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from pipeline.utils import metrics

RNG = np.random.default_rng(0)


def test_regression_equals_the_references() -> None:
    true = RNG.uniform(0, 90, 200)
    said = true + RNG.normal(0, 8, 200)
    found = metrics.regression(true, said)
    assert found == pytest.approx(
        {
            "mae": reference.mean_absolute_error(true, said),
            "mse": reference.mean_squared_error(true, said),
            "rmse": reference.root_mean_squared_error(true, said),
            "r2": reference.r2_score(true, said),
            "pearson": stats.pearsonr(true, said).statistic,
            "spearman": stats.spearmanr(true, said).statistic,
            "cs5": np.mean(np.abs(true - said) <= 5),
        }
    )


def test_binary_equals_the_references_with_ties() -> None:
    true = RNG.integers(0, 2, 300)
    positive = np.round(np.clip(0.3 * true + RNG.uniform(0, 0.7, 300), 0, 1), 1)
    said = positive > 0.5
    assert metrics.binary(true, positive) == pytest.approx(
        {
            "accuracy": reference.accuracy_score(true, said),
            "balanced_accuracy": reference.balanced_accuracy_score(true, said),
            "auc": reference.roc_auc_score(true, positive),
            "f1": reference.f1_score(true, said),
        }
    )


def test_classes_equals_the_references() -> None:
    true = RNG.integers(0, 4, 300)
    probabilities = RNG.dirichlet(np.ones(4), 300) + 0.4 * np.eye(4)[true]
    said = probabilities.argmax(axis=1)
    found = metrics.classes(true, said, 4, ordered=True)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(true, said))
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(true, said))
    assert found["one_off"] == pytest.approx(np.mean(np.abs(true - said) <= 1))
    assert np.array_equal(metrics.confusion(true, said, 4), reference.confusion_matrix(true, said))


def test_one_off_is_not_top_two() -> None:
    assert metrics.classes(np.array([2, 1]), np.array([0, 0]), 3, ordered=True)["one_off"] == 0.5


def test_names_are_those_that_are_announced() -> None:
    assert tuple(metrics.regression(np.arange(3.0), np.arange(3.0))) == metrics.REGRESSION
    assert tuple(metrics.binary(np.array([0, 1]), np.array([0.1, 0.9]))) == metrics.BINARY
    assert tuple(metrics.classes(np.array([0, 1]), np.array([0, 1]), 2, ordered=False)) == metrics.CLASSES
    assert tuple(metrics.classes(np.array([0, 1]), np.array([0, 1]), 2, ordered=True)) == metrics.ORDERED_CLASSES


@pytest.mark.parametrize(
    ("values", "keep", "kept"),
    [
        ([3.0, 1.0, 2.0], "val_loss", 1),
        ([0.3, 0.9, 0.9], "val_gender_accuracy", 1),
        ([3.0, 1.0, 2.0], "last", 2),
        ([math.nan, 1.0, math.nan], "val_loss", 1),
        ([math.nan, math.nan], "val_loss", 1),
    ],
)
def test_the_kept_epoch_is_the_first_of_the_best(values: list[float], keep: str, kept: int) -> None:
    rows = [{"epoch": number, keep: value} for number, value in enumerate(values)]
    assert metrics.kept(rows, keep)["epoch"] == kept


def test_wild_answers_have_their_mean_square() -> None:
    assert metrics.regression(np.zeros(2, np.float32), np.full(2, 1e30, np.float32))["mse"] == pytest.approx(1e60)


def test_undefined_metrics_are_nan_not_errors() -> None:
    assert np.isnan(metrics.binary(np.ones(3), np.full(3, 0.7))["auc"])
    assert np.isnan(metrics.regression(np.full(3, 5.0), np.arange(3.0))["r2"])


def test_intervals_resample_whole_subjects() -> None:
    """Ten pictures of each person that are all right or all wrong carry no more than one: the interval must say so."""
    right = np.repeat(RNG.integers(0, 2, 40), 10)

    def measure(rows: np.ndarray) -> dict[str, float]:
        return {"accuracy": float(right[rows].mean())}

    by_image = metrics.intervals(measure, np.arange(400))["accuracy"]
    by_subject = metrics.intervals(measure, np.repeat(np.arange(40), 10))["accuracy"]
    assert by_subject[1] - by_subject[0] > 2.5 * (by_image[1] - by_image[0])


def test_intervals_cover_the_truth() -> None:
    covered = 0
    for trial in range(100):
        right = np.random.default_rng(trial).random(150) < 0.8
        low, high = metrics.intervals(
            lambda rows, r=right: {"a": float(r[rows].mean())}, np.arange(150), resamples=200
        )["a"]
        covered += low <= 0.8 <= high
    assert 88 <= covered <= 99
