"""Tables for the terminal."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

import models
from pipeline.config import catalog

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (("target", "left"), ("metric", "left"), ("value", "right"), ("95 % interval", "right"))


def table(results: dict[str, Any], plain: dict[str, Any] | None = None) -> str:
    """One row a metric of each target, with its 95 % interval, and what has to be known of the split.

    plain: results of one view of each picture, shown beside those of several.
    """
    views = f", mean of {results['views']} views" if results["views"] > 1 else ""
    title = f"{results['split']} split, {results['count']} pictures{views}, loss {results['loss']:.4g}"
    text = _table(title, results, plain)
    leaks = ", ".join(f"{count} by {kind}" for kind, count in (results["leak"] or {}).items() if count)
    text += f"LEAKING SPLIT: rows that training has seen: {leaks}\n" if leaks else ""
    audit = results.get("audit", {})
    if audit and "leaking" not in audit:
        return text + "audit: no row shares anything with a training row\n"
    for name, part in audit.items():
        text += _table(f"{name.replace('_', ' ')}: {part['count']} of {results['count']} pictures", part)
    return text


def comparison(compared: pd.DataFrame, markdown: bool = False) -> str:
    """What `compare` answers as one row a metric of each target: the value of every run, and its difference."""
    names = compared["run"].unique()
    shown = Table(box=box.MARKDOWN if markdown else box.HEAVY_HEAD)
    shown.add_column("target")
    shown.add_column("metric")
    for heading in ("pictures", "1", *(text for i in range(2, len(names) + 1) for text in (f"{i}", f"{i} − 1"))):
        shown.add_column(heading, justify="right", no_wrap=True)
    for target, of_target in compared.groupby("target", sort=False):
        for metric, rows in of_target.groupby("metric", sort=False):
            values = [_number(value) for value in rows["value"]]
            differences = [_difference(row) for row in rows.iloc[1:].itertuples()]
            others = (cell for pair in zip(values[1:], differences, strict=True) for cell in pair)
            shown.add_row(target, metric, str(rows["count"].iloc[0]), values[0], *others)
        if not markdown:  # where a line between rows would end the table
            shown.add_section()
    runs = "\n".join(f"{number}. {name}" for number, name in enumerate(names, start=1))
    note = "In brackets: 95 % intervals of the paired differences, bootstrapped over subjects."
    return f"{runs}\n\n{as_text(shown, width=1000).strip()}\n\n{note}"


def models_table() -> str:
    """One row a network: parameters (`models.facts`), input, published weights, reports that use it, what it is."""
    shown = Table(box=None, pad_edge=False)
    for heading in ("name", "parameters", "input", "ImageNet weights", "reports", "network"):
        shown.add_column(heading, justify="right" if heading == "parameters" else "left", no_wrap=True)
    for name in models.list_models():
        about = models.facts(name)
        weights, network = about["imagenet"] or "none", catalog.summary("models", name)
        shown.add_row(name, f"{about['parameters']:,}", about["input"], weights, about["reports"], network)
    return as_text(shown, width=240)


def _table(title: str, results: dict[str, Any], plain: dict[str, Any] | None = None) -> str:
    shown = Table(title=title)
    beside = _parts(plain) if plain else {}
    for heading, justify in (*_COLUMNS, *([("one view", "right")] if plain else [])):
        shown.add_column(heading, justify=justify)
    for name, found in _parts(results).items():
        for metric, value in found.items():
            if metric not in ("interval", "confusion"):
                other = [_number(beside.get(name, {}).get(metric))] if plain else []
                shown.add_row(name, metric, _number(value), _interval(found["interval"].get(metric)), *other)
        shown.add_section()
    return as_text(shown, width=100)


def _parts(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What was found of each target, and of all together where that was measured."""
    together = {f"mean of {len(results['targets'])}": results["mean"]} if "mean" in results else {}
    return results["targets"] | together


def as_text(shown: Table, width: int) -> str:
    text = io.StringIO()
    Console(file=text, width=width, markup=False).print(shown)
    return text.getvalue()


def _difference(row: Any) -> str:
    bounds = _interval((row.low, row.high))
    return f"{row.difference:+.4g} ({bounds})" if bounds else f"{row.difference:+.4g}"


def _interval(bounds: tuple[float, float] | None) -> str:
    return " to ".join(map(_number, bounds)) if bounds and bounds[0] == bounds[0] else ""


def _number(value: float | None) -> str:
    return "undefined" if value is None or value != value else f"{value:.4g}"
