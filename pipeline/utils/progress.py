"""Progress on stderr: a bar on a terminal that vanishes when done; what stays is logged in lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")

# Rich takes FORCE_COLOR, which notebooks set, for a terminal: a bar's cursor movements would be in their output.
console = Console(stderr=True, highlight=False, soft_wrap=True, force_terminal=sys.stderr.isatty())


def bar() -> Progress:
    """A bar with a description, counts, a note and the time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def track(
    items: Iterable[Item], what: str, total: int, weight: Callable[[Item], int] = lambda item: 1
) -> Iterator[Item]:
    """The items, with a bar while they last, that tells how many a second; `weight` says how much of the total,
    which may be too small, one of them is."""
    with bar() as progress:
        task, done, began = progress.add_task(what, total=total, note=""), 0, time.perf_counter()
        for item in items:
            yield item
            done += weight(item)
            progress.update(
                task, completed=done, total=max(total, done), note=f"{done / (time.perf_counter() - began):.1f}/s"
            )


def duration(seconds: float) -> str:
    """A duration as a person says it: `40 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class EpochBar:
    """The bar of one epoch: steps, images/s, time left and the running loss. `waited`: seconds that steps waited for
    their batch (on an accelerator, which works behind Python's back, at most), the first one of an epoch that compiles
    left out."""

    def __init__(self, what: str, steps: int, batch_size: int, compiles: bool) -> None:
        self.progress, self.batch_size, self.compiles = bar(), batch_size, compiles
        self.task = self.progress.add_task(what, total=steps, note="")
        self.waited = 0.0

    def __enter__(self) -> Self:
        self.progress.start()
        self.began = time.perf_counter()
        self.ready = None if self.compiles else self.began
        return self

    def __exit__(self, *problem: object) -> None:
        self.progress.stop()

    def arrived(self) -> None:
        """A batch has come."""
        if self.ready is not None:
            self.waited += time.perf_counter() - self.ready
        self.ready = None  # until the next step ends, or the next of so many that are executed at once

    def step(self, batch: int, logs: dict[str, Any]) -> None:
        """A Keras `on_train_batch_end`."""
        self.ready = time.perf_counter()
        speed = (batch + 1) * self.batch_size / (time.perf_counter() - self.began)
        self.progress.update(self.task, completed=batch + 1, note=f"{speed:.0f} images/s  loss {logs['loss']:.4g}")
