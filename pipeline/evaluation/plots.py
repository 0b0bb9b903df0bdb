"""Figures that one would put in a report, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline import targets
from pipeline.config import Target
from pipeline.training.runs import Run
from pipeline.utils import files


def figures(
    run: Run, results: dict[str, Any], said: pd.DataFrame, pictures: np.ndarray, wanted: Sequence[Target], suffix: str
) -> None:
    """Figures of one evaluation, into the run.

    said: its predictions table; pictures: the crops of its first rows. curves.png is of the history, examples.png of
    the pictures, and each target gets its confusion matrix or its predictions over the truth.
    """
    folder = run.path / "figures"
    folder.mkdir(exist_ok=True)
    files.write_figure(folder / "curves.png", curves(run.history))
    files.write_figure(folder / f"examples{suffix}.png", examples(pictures, said, wanted))
    for target in wanted:
        kind, found = targets.of(target), results["targets"][target.name]
        if not found["interval"] and len(found) == 1:
            continue  # no row has a known label
        title = f"{target.name}, {_headline(found)}{_leak_note(results)}"
        if kind.classes:
            figure = confusion_matrix(found["confusion"], kind.classes, title)
            files.write_figure(folder / f"confusion_{target.name}{suffix}.png", figure)
        else:
            files.write_figure(
                folder / f"predicted_{target.name}{suffix}.png", predicted_over_true(said, target, title)
            )


def curves(history: pd.DataFrame) -> Figure:
    """Loss and each followed metric over all epochs, training and validation; stages are parted by a line."""
    shown = sorted((n for n in history if f"val_{n}" in history), key=lambda n: n != "loss")
    columns = min(len(shown), 3)
    lines = -(-len(shown) // columns) if columns else 1
    figure, axes = plt.subplots(
        lines, max(columns, 1), figsize=(4.2 * max(columns, 1), 3 * lines), squeeze=False, layout="constrained"
    )
    epochs = np.arange(1, len(history) + 1)
    borders = np.flatnonzero(history["stage"].to_numpy()[1:] != history["stage"].to_numpy()[:-1]) + 1.5
    for axis, name in zip(axes.flat, shown or ["loss"], strict=False):
        axis.plot(epochs, history[name], ".-", label="training")
        if shown:
            axis.plot(epochs, history[f"val_{name}"], ".-", label="validation")
        for border in borders:
            axis.axvline(border, color="grey", linestyle=":")
        axis.set(title=name.replace("_", " "), xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_xlim(0.5, len(history) + 0.5)
        axis.grid(alpha=0.3)
    for axis in list(axes.flat)[max(len(shown), 1) :]:
        axis.remove()
    axes.flat[0].legend()
    return figure


def curves_of_many(histories: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """Validation loss of several runs over all epochs (training loss, dotted, of those without validation rows)."""
    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for label, history in histories.items():
        validated = "val_loss" in history
        losses = history["val_loss" if validated else "loss"]
        axis.plot(np.arange(1, len(losses) + 1), losses, ".-" if validated else ".:", label=label)
    axis.set(xlabel="epoch", ylabel="validation loss (dotted: training loss)")
    axis.set_title(title, fontsize=10)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def comparison(rows: Sequence[str], figures: Mapping[str, Mapping[str, np.ndarray]], title: str) -> Figure:
    """Bars: an axis for each figure of {heading: {who says so: [rows], NaN for nothing}}, a group for each row."""
    shown = {heading: bars for heading, bars in figures.items() if bars}
    count = max(len(shown), 1)
    figure, axes = plt.subplots(count, 1, figsize=(7, 0.8 + 2.4 * count), squeeze=False, layout="constrained")
    for axis, (heading, bars) in zip(axes.flat, shown.items(), strict=False):
        width = 0.8 / len(bars)
        for number, (who, values) in enumerate(bars.items()):
            drawn = axis.bar(np.arange(len(rows)) + (number + 0.5) * width - 0.4, values, width, label=who)
            axis.bar_label(drawn, fmt="%.3g", fontsize=7)
        axis.set_xticks(range(len(rows)), rows, fontsize=8, rotation=20 if len(rows) > 3 else 0)
        axis.set_ylabel(heading, fontsize=8)
        axis.margins(y=0.15)
        axis.legend(fontsize=7)
    figure.suptitle(title, fontsize=10)
    return figure


def examples(pictures: np.ndarray, said: pd.DataFrame, wanted: Sequence[Target]) -> Figure:
    """Crops uint8 [N, S, S, 3] with what was said of each; what is wrong shows the truth in brackets, in red."""
    columns = 8
    figure, axes = plt.subplots(
        -(-len(pictures) // columns), columns, figsize=(12, 1.9 * -(-len(pictures) // columns)), layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, (_, row) in zip(axes.flat, pictures, said.iterrows(), strict=False):
        axis.imshow(picture)
        for line, target in enumerate(wanted):
            text, right = _verdict(row, target)
            axis.text(
                0.5,
                -0.14 * (line + 1),
                text,
                transform=axis.transAxes,
                ha="center",
                fontsize=8,
                color="black" if right else "firebrick",
            )
    return figure


def _verdict(row: pd.Series, target: Target) -> tuple[str, bool]:
    """One target's answer in words, and whether it is right (a number: within a tenth of 100)."""
    true, said = row[target.name], row[f"{target.name}_predicted"]
    if targets.of(target).classes:
        return (said, True) if pd.isna(true) or said == true else (f"{said} ({true})", False)
    true = pd.to_numeric(true, errors="coerce")  # a column that only the user's file has is read as text
    return f"{target.name} {said:.0f} ({true:.0f})", pd.isna(true) or abs(said - true) <= 10


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> Figure:
    """Rows are truth; colour is the share of the row, numbers are counts."""
    counts = np.asarray(counts)
    side = 1.8 + 0.62 * len(classes)
    figure, axis = plt.subplots(figsize=(side + 1, side))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        axis.text(
            column, row, str(count), ha="center", va="center", color="white" if shares[row, column] > 0.6 else "black"
        )
    ticks = range(len(classes))
    axis.set_xticks(
        ticks, classes, rotation=45 if len(classes) > 3 else 0, ha="right" if len(classes) > 3 else "center"
    )
    axis.set_yticks(ticks, classes)
    axis.set(xlabel="predicted", ylabel="true", title=title)
    return figure


def predicted_over_true(said: pd.DataFrame, target: Target, title: str) -> Figure:
    """A dot a row; the diagonal is where the answer is right."""
    true = pd.to_numeric(said[target.name], errors="coerce").to_numpy(float)
    predicted = said[f"{target.name}_predicted"].to_numpy(float)
    figure, axis = plt.subplots(figsize=(5, 5))
    axis.scatter(true, predicted, s=8, alpha=0.4, edgecolors="none")
    low, high = np.nanmin([true, predicted]), np.nanmax([true, predicted])
    axis.plot([low, high], [low, high], color="grey", linestyle=":")
    what = f"{target.name} ({target.unit})"
    axis.set(xlabel=f"true {what}", ylabel=f"predicted {what}", title=title)
    axis.set_aspect("equal")
    axis.grid(alpha=0.3)
    return figure


def _headline(found: dict[str, Any]) -> str:
    metric = "accuracy" if "accuracy" in found else "mae"
    value = f"{metric} {found[metric]:.3g}"
    low, high = found["interval"].get(metric, (None, None))
    return value if low is None else f"{value} ({low:.3g} to {high:.3g})"


def _leak_note(results: dict[str, Any]) -> str:
    leaking = max(results["leak"].values()) if results["leak"] else 0
    return f"\nleaking split: {leaking} of {results['count']} rows" if leaking else ""
