"""Tables for the terminal."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from rich.table import Table

import models
from pipeline import catalog


def table(results: dict[str, Any]) -> str:
    """One row a metric of each target, with its 95 % interval, and what has to be known of the split."""
    text = _table(f"{results['split']} split, {results['count']} pictures, loss {results['loss']:.4g}", results)
    leaks = ", ".join(f"{count} by {kind}" for kind, count in (results["leak"] or {}).items() if count)
    text += f"LEAKING SPLIT: rows that training has seen: {leaks}\n" if leaks else ""
    audit = results.get("audit", {})
    if audit and "leaking" not in audit:
        return text + "audit: no row shares anything with a training row\n"
    for name, part in audit.items():
        text += _table(f"{name.replace('_', ' ')}: {part['count']} of {results['count']} pictures", part)
    return text


def models_table() -> str:
    """One row a network: parameters (`models.facts`), input, published weights, reports that use it, what it is."""
    shown = Table(box=None, pad_edge=False)
    for heading in ("name", "parameters", "input", "ImageNet weights", "reports", "network"):
        shown.add_column(heading, justify="right" if heading == "parameters" else "left", no_wrap=True)
    for name in models.list_models():
        about = models.facts(name)
        weights, network = about["imagenet"] or "none", catalog.summary("models", name)
        shown.add_row(name, f"{about['parameters']:,}", about["input"], weights, about["reports"], network)
    return _text(shown, width=240)


def _table(title: str, results: dict[str, Any]) -> str:
    shown = Table(title=title)
    for heading, justify in (("target", "left"), ("metric", "left"), ("value", "right"), ("95 % interval", "right")):
        shown.add_column(heading, justify=justify)
    for name, found in results["targets"].items():
        for metric, value in found.items():
            if metric not in ("interval", "confusion"):
                shown.add_row(name, metric, _number(value), _interval(found["interval"].get(metric)))
        shown.add_section()
    return _text(shown, width=100)


def _text(shown: Table, width: int) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(shown)
    return text.getvalue()


def _interval(bounds: tuple[float, float] | None) -> str:
    return " to ".join(map(_number, bounds)) if bounds and bounds[0] == bounds[0] else ""


def _number(value: float | None) -> str:
    return "undefined" if value is None or value != value else f"{value:.4g}"
