"""How the bench measures: rows, contenders taken in turn, and what is said of them. The standard library only, because
child processes import it too."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

Choice = TypeVar("Choice")
Measure = Callable[[], float]
Contenders = dict[str, Measure]  # ours stands first
LOWER_IS_BETTER = ("s", "MiB")


@dataclass(frozen=True)
class Setting:
    """Where the bench may write, and whether it is to be over in three minutes."""

    folder: Path
    quick: bool = False

    def of(self, full: Choice, quick: Choice) -> Choice:
        """What this bench takes of the two."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Row:
    """One comparison: `contenders` sets it up. rounds: at most so many, where one takes long."""

    name: str
    contenders: Callable[[], Contenders]
    unit: str = "images/s"
    rounds: int = 5


def compare(row: Row, rounds: int) -> list[dict[str, object]]:
    """Ours beside each of the others: medians of measurements taken in turn, so that a machine's moods meet all alike.

    ratio: the median of the rounds' ratios, above 1 where ours is better, whatever the unit. difference: of seconds,
    ours less theirs, likewise. Where nobody else is, theirs is empty.
    """
    found: dict[str, list[float]] = {}
    contenders = row.contenders()
    for _ in range(min(rounds, row.rounds)):
        for name, measure in contenders.items():
            found.setdefault(name, []).append(measure())
    (ours, figures), *others = found.items()
    common = {"row": row.name, "unit": row.unit, "ours": ours, "our figure": statistics.median(figures)}
    return [common | _beside(figures, name, theirs, row.unit) for name, theirs in others] or [common]


def _beside(ours: list[float], name: str, theirs: list[float], unit: str) -> dict[str, object]:
    pairs = list(zip(ours, theirs, strict=True))
    ratios = [b / a if unit in LOWER_IS_BETTER else a / b for a, b in pairs]
    said = {"theirs": name, "their figure": statistics.median(theirs), "ratio": statistics.median(ratios)}
    return said | ({"difference": statistics.median(a - b for a, b in pairs)} if unit == "s" else {})


def table(found: Sequence[dict[str, object]]) -> str:
    """The comparisons as Markdown."""
    columns = [name for name in ("row", "unit", "ours", "our figure", "theirs", "their figure", "ratio", "difference")
               if any(name in row for row in found)]  # fmt: skip
    cells = [columns, ["---"] * len(columns), *([_shown(row.get(name, "")) for name in columns] for row in found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _shown(value: object) -> str:
    """Text as it is, a figure with about three digits."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
    return str(value)


def speed(batches: Iterable[object], batch_size: int, finish: Callable[[], object] = lambda: None) -> float:
    """Images/s of going through some batches."""
    began, count = time.perf_counter(), 0
    for _ in batches:
        count += batch_size
    finish()
    return count / (time.perf_counter() - began)


def pace(step: Callable[[], object], batch_size: int, least: float) -> float:
    """Images/s of a step that is taken again until `least` seconds have passed."""
    began, steps = time.perf_counter(), 0
    while not steps or time.perf_counter() - began < least:
        step()
        steps += 1
    return steps * batch_size / (time.perf_counter() - began)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def python(*arguments: str) -> Measure:
    """Seconds of an interpreter that runs these arguments, from its start to its end."""
    return lambda: timed(lambda: subprocess.run([sys.executable, *arguments], capture_output=True, check=True))


def in_child(function: Callable[..., Any], *arguments: object) -> Any:
    """What a function answers in a fresh process, which leaves nothing behind in this one."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
