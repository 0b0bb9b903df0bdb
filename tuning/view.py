"""The search as it goes: a live table on a terminal, a line a trial elsewhere."""

from __future__ import annotations

import logging
import time
from functools import partial
from types import TracebackType
from typing import Self

import pandas as pd
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.utils.progress import console, duration
from tuning.record import Folder, Outcome

log = logging.getLogger(__name__)

SHOWN = 15  # trials in the live table
PAUSE = 0.5  # seconds between two looks at the folder
_ASIDE = ("run", "reason")


class View:
    """What the folder of a search holds, shown anew whenever `refresh` is called."""

    def __init__(self, folder: Folder) -> None:
        self.folder, self.told, self.looked = folder, set(folder.outcomes()), 0.0
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.looked = 0.0
        self.refresh()
        if self.live:
            self.live.stop()

    def refresh(self) -> None:
        """Show what is new; a trial that ended is said in a line."""
        if time.monotonic() - self.looked < PAUSE:
            return
        self.looked = time.monotonic()
        outcomes = self.folder.outcomes()
        for trial_id in sorted(set(outcomes) - self.told):
            self.told.add(trial_id)
            say = partial(self.live.console.print, markup=False, emoji=False) if self.live else log.info
            say(self._line(trial_id, outcomes[trial_id]))
        if self.live:
            table = self.folder.table()
            title = f"{len(outcomes)} trials ended, {duration(self.folder.spent(time.time()))}"
            self.live.update(rich_table(best_first(table, self.folder.plan.sign).head(SHOWN), title), refresh=True)

    def _line(self, trial_id: str, outcome: Outcome) -> str:
        plan, values = self.folder.plan, self.folder.values(trial_id)
        said = ", ".join(f"{name} {number(values[name])}" for name in plan.names if name in values)
        if outcome.status == "failed":
            return f"trial {trial_id} failed: {outcome.reason} ({said})"
        best = " (best so far)" if self.folder.best() == trial_id else ""
        return f"trial {trial_id}: {plan.objective} {outcome.value:.4g}{best}, {said}; {duration(outcome.seconds)}"


def best_first(table: pd.DataFrame, sign: int) -> pd.DataFrame:
    """The table of trials (`Folder.table`) with the best first, what did not end or failed last."""
    order = (sign * table.iloc[:, 2].astype(float)).sort_values(kind="stable", na_position="last").index
    return table.loc[order]


def rich_table(table: pd.DataFrame, title: str) -> Table:
    """A table for the terminal; runs are left to trials.csv, reasons where there are none. Brackets in names and values
    are what they are, and no markup."""
    table = table.drop(columns=[name for name in _ASIDE if name in table and (name == "run" or not table[name].any())])
    shown = Table(title=Text(title, style="table.title"), title_justify="left")
    for name in table:
        numeric = pd.api.types.is_numeric_dtype(table[name])
        shown.add_column(Text(str(name)), justify="right" if numeric else "left", overflow="fold")
    for row in table.itertuples(index=False):
        shown.add_row(*(Text(number(value)) for value in row))
    return shown


def number(value: object) -> str:
    """A cell, in four digits where it is a number; nothing where it is unknown."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
