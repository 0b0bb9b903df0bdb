"""Figures of a search: every trial across all settings, what matters, and how the best came about."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

FEWEST = 4  # trials, for a word on what matters
_TREES = 100
_LOG = 20  # how many times as large the largest number is as the smallest, for an axis of powers


def parallel(done: pd.DataFrame, objective: str, sign: int) -> Figure:
    """A line a trial across all settings, coloured by the objective; the best in front. done: settings, objective."""
    names = [*(name for name in done if name != objective), objective]
    figure, host = plt.subplots(figsize=(max(6.0, 1.6 * len(names)), 4.2), layout="constrained")
    places = np.column_stack([_place(done[name]) for name in names])
    values = done[objective].to_numpy(float)
    colours = plt.get_cmap("viridis" if sign == -1 else "viridis_r")
    norm = plt.Normalize(values.min(), values.max())
    for row in np.argsort(-sign * values):  # the worst first
        best = row == np.argmin(sign * values)
        colour = colours(norm(values[row])) if np.ptp(values) else colours(1.0)
        host.plot(places[row], color=colour, linewidth=2.6 if best else 1.3, alpha=1 if best else 0.75)
    for x, name in enumerate(names):
        host.axvline(x, color="black", linewidth=0.8)
        for place, label in _ticks(done[name]):
            host.annotate(label, (x, place), xytext=(3, 0), textcoords="offset points", fontsize=8, va="center")
    host.set_xticks(range(len(names)), names, rotation=20, ha="right")
    host.set(xlim=(-0.1, len(names) - 0.6), ylim=(-0.05, 1.05), yticks=[])
    host.spines[:].set_visible(False)
    figure.colorbar(plt.cm.ScalarMappable(norm, colours), ax=host, label=objective)
    return figure


def _place(column: pd.Series) -> np.ndarray:
    """Where values lie on an axis, 0 to 1; a setting that a trial does not have lies nowhere."""
    numbers = _numbers(column)
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    return (numbers - low) / (high - low) if high > low else np.where(np.isnan(numbers), np.nan, 0.5)


def _numbers(column: pd.Series) -> np.ndarray:
    """A setting as numbers that are as far apart as they look: powers by their exponent, words by their order."""
    if _is_number(column):
        numbers = column.to_numpy(float, na_value=np.nan)
        return np.log10(numbers) if _is_wide(numbers) else numbers
    words = sorted(column.dropna().astype(str).unique())
    return column.map(lambda word: words.index(str(word)), na_action="ignore").to_numpy(float, na_value=np.nan)


def _ticks(column: pd.Series) -> list[tuple[float, str]]:
    """(place, label): all values if they are few, else both ends and the middle."""
    table = pd.DataFrame({"place": _place(column), "value": column}).dropna().drop_duplicates("place")
    table = table.sort_values("place")
    if len(table) > 6:
        table = table.iloc[[0, len(table) // 2, -1]]
    return [(p, f"{v:.3g}" if _is_number(column) else str(v)) for p, v in table.itertuples(index=False)]


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _is_wide(numbers: np.ndarray) -> bool:
    known = numbers[~np.isnan(numbers)]
    return len(known) > 0 and known.min() > 0 and known.max() / known.min() >= _LOG


def importance(done: pd.DataFrame, objective: str) -> pd.Series:
    """How much of the objective's variance each setting explains by itself, 0 to 1: the first-order terms of
    functional ANOVA (Hutter, Hoos & Leyton-Brown 2014) of a random forest on the trials; empty for too few of them.

    What is left to 1 is explained by settings together. With few trials it is a hint, no more.
    """
    from sklearn.ensemble import RandomForestRegressor

    settings = done.drop(columns=objective)
    values = done[objective].to_numpy(float)
    if len(done) < FEWEST or not np.ptp(values):
        return pd.Series(dtype=float)
    known = np.column_stack([np.nan_to_num(_numbers(settings[name]), nan=-1.0) for name in settings])
    forest = RandomForestRegressor(_TREES, min_samples_leaf=2, max_features=0.7, random_state=0).fit(known, values)
    spread = forest.predict(known).var()
    found = {name: _explained(forest.predict, known, column) for column, name in enumerate(settings)}
    return pd.Series(found).div(spread if spread else 1.0).clip(0, 1).sort_values(ascending=False)


def _explained(predict, known: np.ndarray, column: int) -> float:
    """Variance of what is predicted on average for each value that a setting took, all else as in the trials."""
    levels, counts = np.unique(known[:, column], return_counts=True)
    means = []
    for level in levels:
        changed = known.copy()
        changed[:, column] = level
        means.append(predict(changed).mean())
    return float(np.cov(means, fweights=counts, ddof=0)) if len(levels) > 1 else 0.0


def importances(found: pd.Series, objective: str) -> Figure:
    """Bars of `importance`, the largest on top."""
    figure, axis = plt.subplots(figsize=(6, 1.2 + 0.35 * len(found)), layout="constrained")
    axis.barh(found.index[::-1], found.to_numpy()[::-1], color="tab:blue")
    axis.set(xlim=(0, 1), xlabel=f"share of the variance of {objective} that it explains alone")
    axis.grid(axis="x", alpha=0.3)
    return figure


def best_so_far(minutes: Sequence[float], values: Sequence[float], objective: str, sign: int) -> Figure:
    """Every trial at the time it ended, and the best until then."""
    figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    axis.plot(minutes, values, "o", color="grey", alpha=0.6, label="a trial")
    best = sign * np.minimum.accumulate(sign * np.asarray(values))
    axis.step(minutes, best, where="post", color="tab:blue", linewidth=2, label="best so far")
    axis.set(xlabel="minutes", ylabel=objective)
    axis.yaxis.set_major_locator(MaxNLocator(6))
    axis.grid(alpha=0.3)
    axis.legend()
    return figure
