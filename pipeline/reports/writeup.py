"""The tables and figures of a report that was run again, from the runs' own files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from pipeline.config import Data, Experiment
from pipeline.config.tables import Row, Table
from pipeline.training import runs
from pipeline.training.runs import Run
from pipeline.utils import files, metrics
from pipeline.utils.progress import duration
from pipeline.utils.startup import import_tensorflow

Found = Callable[[Experiment], Run | None]
_PAGE = Path(__file__).with_name("writeup.html")


@dataclass(frozen=True)
class Case:
    """One row of a table: its experiment as the report did it, its honest twin (several for folds), or why not.

    other: the data that the table's runs are judged on, beside their own.
    """

    table: Table
    row: Row
    ours: Experiment | None = None
    honest: tuple[Experiment, ...] = ()
    other: Data | None = None
    why_not: str = ""

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """All that must have been run for the row."""
        return tuple(dict.fromkeys((self.ours, *self.honest))) if self.ours else ()


@dataclass(frozen=True)
class Told:
    """A table with its figures filled in. frame: one row a case. ours, honest: the runs of each row."""

    table: Table
    frame: pd.DataFrame
    notes: tuple[str, ...]
    ours: dict[str, Run]
    honest: dict[str, Run]


@dataclass(frozen=True)
class Report:
    """All tables of a report. warning: what holds of all of them."""

    name: str
    tables: tuple[Told, ...]
    warning: str


def tell(name: str, cases: Sequence[Case], found: Found, warning: str) -> Report:
    """Every table of a report: of each figure what was reported, ours, honest, and the seconds that ours trained."""
    tables = dict.fromkeys(case.table.name for case in cases)
    told = (_told([case for case in cases if case.table.name == table], found) for table in tables)
    return Report(name, tuple(told), warning)


def write(folder: Path, report: Report, redraw: bool) -> None:
    """Each table as .md and .csv, figures as PNG (drawn anew if `redraw`, or if there are none), and index.html."""
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for told in report.tables:
        heading = f"# {report.name}: {told.table.title}\n\n"
        notes = "".join(f"\n{note}\n" for note in (report.warning, *told.notes) if note)
        text = heading + told.frame.to_markdown(index=False, disable_numparse=True) + "\n" + notes
        files.write_text(folder / f"{told.table.name}.md", text)
        files.write_csv(folder / f"{told.table.name}.csv", told.frame)
        if redraw or not (figures / f"{told.table.name}-curves.png").exists():
            _draw(told, figures, report.warning)
    template = jinja2.Template(_PAGE.read_text(encoding="utf-8"), trim_blocks=True, lstrip_blocks=True)
    pictures = {t.table.name: sorted(p.name for p in figures.glob(f"{t.table.name}-*.png")) for t in report.tables}
    files.write_text(folder / "index.html", template.render(report=report, pictures=pictures))


# -- figures of a run --------------------------------------------------------------------------------------------------


def value(run: Run, source: str, other: Data | None = None) -> float | None:
    """One figure of a run, by the `source` of a `tables.Column`; None where it is not there, or undefined."""
    where, _, path = source.partition(":")
    if where == "epochs":
        return float(len(_last_stage(run)))
    if where == "seconds":
        return _seconds(run, last=path == "last")
    if where in ("val", "train"):
        return _kept_epoch(run).get(f"val_{path}" if where == "val" else path)
    if where == "test":
        return _of_results(run, runs.results_name("test"), path)
    if where == "other" and other:
        return _of_results(run, runs.results_name("test", other.name), path)
    return None


def _seconds(run: Run, last: bool) -> float | None:
    """What training took, of all stages or of the last one; with what a frozen backbone took beforehand."""
    took = [note["seconds"] + note.get("trunk_seconds", 0.0) for note in run.environment.get("stages", {}).values()]
    return sum(took[-1:] if last else took) if took else None


def _of_results(run: Run, name: str, path: str) -> float | None:
    if not (run.path / name).exists():
        return None
    found: Any = json.loads((run.path / name).read_text(encoding="utf-8"))
    *target, metric = path.split(".")
    if target:
        found = found.get("mean", {}) if target == ["mean"] else found["targets"].get(target[0], {})
    return found.get(metric)


def _last_stage(run: Run) -> pd.DataFrame:
    history = run.history
    return history[history["stage"] == run.experiment.stages[-1].name]


def _kept_epoch(run: Run) -> dict[str, float]:
    """The row of history.csv whose weights were kept."""
    row = metrics.kept(_last_stage(run).to_dict("records"), run.experiment.stages[-1].keep)
    return {name: value for name, value in row.items() if value == value}  # columns of other stages are unknown


# -- a table -----------------------------------------------------------------------------------------------------------


def _told(cases: Sequence[Case], found: Found) -> Told:
    table = cases[0].table
    ours = {case.row.label: run for case in cases if case.ours and (run := _finished(case.ours, found))}
    done = {case.row.label: [run for e in case.honest if (run := _finished(e, found))] for case in cases}
    partly = [case for case in cases if 0 < len(done[case.row.label]) < len(case.honest)]
    honest = done | {case.row.label: [] for case in partly}
    rows = [_row(case, ours.get(case.row.label), honest[case.row.label]) for case in cases]
    folds = max((len(case.honest) for case in cases), default=1)
    notes = [table.note] if table.note else []
    notes += [f"honest: mean ± standard deviation over {folds} folds."] if folds > 1 else []
    notes += [
        f"{case.row.label}, honest: {len(done[case.row.label])} of {len(case.honest)} folds are done; without the "
        "others there is no figure."
        for case in partly
    ]
    notes += [f"{case.row.label}: {'' if case.ours else 'not run. '}{case.why_not}" for case in cases if case.why_not]
    first = {label: found_runs[0] for label, found_runs in honest.items() if found_runs}
    return Told(table, pd.DataFrame(rows), tuple(notes), ours, first)


def _finished(experiment: Experiment, found: Found) -> Run | None:
    run = found(experiment)
    return run if run and run.is_finished else None


def _row(case: Case, ours: Run | None, honest: Sequence[Run]) -> dict[str, str]:
    row = {case.table.title: case.row.label}
    for column in case.table.columns:
        row[f"{column.heading}: reported"] = case.row.reported.get(column.heading, "")
        for kind, found in (("ours", [ours] if ours else []), ("honest", honest)):
            source = case.row.source(column, honest=kind == "honest")
            row[f"{column.heading}: {kind}"] = _cell(found, source, case.other)
    return row | {"seconds": _text([value(ours, "seconds")] if ours else [], "{:.1f}".format)}


def _cell(found: Sequence[Run], source: str, other: Data | None) -> str:
    """A figure of a run, of several their mean, or how they were set."""
    if source.startswith("set:"):
        return _setting(found[0].experiment, source.removeprefix("set:").split(".")) if found else ""
    return _text([value(run, source, other) for run in found], _time if "seconds" in source else "{:.4g}".format)


def _setting(part: Any, path: Sequence[str]) -> str:
    for name in path:
        part = part[int(name)] if isinstance(part, tuple) else getattr(part, name)
    return f"{part:g}" if isinstance(part, float) else str(part)


def _text(values: Sequence[float | None], shown: Callable[[float], str]) -> str:
    """A figure, or mean ± standard deviation (of n − 1) of several; nothing where one is missing."""
    if not values or any(one is None for one in values):
        return ""
    if len(values) == 1:
        return shown(values[0])
    return f"{shown(np.mean(values))} ± {shown(np.std(values, ddof=1))}"


def _time(seconds: float) -> str:
    return duration(seconds) if seconds >= 60 else f"{seconds:.3g} s"


# -- figures -----------------------------------------------------------------------------------------------------------


def _draw(told: Told, folder: Path, warning: str) -> None:
    import_tensorflow()  # of which plots needs a part, even where nothing was trained
    from pipeline.evaluation import plots

    name, title = told.table.name, f"{told.table.title}\n{warning}" if warning else told.table.title
    bars = {column.heading: _bars(told.frame, column.heading) for column in told.table.columns}
    files.write_figure(folder / f"{name}-comparison.png", plots.comparison(told.frame.iloc[:, 0], bars, title))
    histories = {f"{label}, ours": run.history for label, run in told.ours.items()}
    histories |= {f"{label}, honest": run.history for label, run in told.honest.items()}
    if histories:
        files.write_figure(folder / f"{name}-curves.png", plots.curves_of_many(histories, title))
    for number, run in enumerate(told.ours.values()):
        for picture in run.path.glob("figures/predicted_*.png"):
            with files.written(folder / f"{name}-{picture.stem}-{number}.png") as temporary:
                shutil.copy(picture, temporary)


def _bars(frame: pd.DataFrame, heading: str) -> dict[str, np.ndarray]:
    """What of a column is a number, or a time in seconds: {reported, ours, honest: [rows], NaN where there is none}."""
    columns = {kind: frame[f"{heading}: {kind}"].str.split(" ± ").str[0] for kind in ("reported", "ours", "honest")}
    numbers = {kind: np.array([_number(text) for text in column], float) for kind, column in columns.items()}
    return {kind: values for kind, values in numbers.items() if not np.isnan(values).all()}


def _number(text: str) -> float:
    number = pd.to_numeric(text, errors="coerce")
    return number if number == number else pd.to_timedelta(text, errors="coerce").total_seconds()
