"""What a search leaves to look at: trials.csv, tables, figures and a page that holds them all."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from rich.text import Text

from pipeline.training import tracking
from pipeline.utils import files
from pipeline.utils.progress import console
from tuning import figures, oracles
from tuning.record import Folder, Plan
from tuning.space import load_space
from tuning.view import best_first, number, rich_table

log = logging.getLogger(__name__)

WIDTH = 160  # of tables where there is no terminal
_PAGE = Path(__file__).with_name("page.html")


def write(folder: Folder, results: dict[str, Any]) -> None:
    """trials.csv, figures/, search.html, the tables on the terminal, and W&B where it follows. results: what
    results.json will hold, by which the search is over."""
    plan, table = folder.plan, folder.table(over=True)
    files.write_csv(folder.path / "trials.csv", table)
    drawn = _figures(folder, plan, table)
    shown = tables(plan, table)
    sentences = verdict(folder, plan, table, results)
    wide = Console(stderr=True, highlight=False, soft_wrap=True, width=None if console.is_terminal else WIDTH)
    for one in (*(rich_table(part, title) for title, part in shown.items()), *map(Text, sentences)):
        wide.print(one)
    files.write_text(folder.path / "search.html", _page(folder, shown, drawn, sentences))
    if plan.track == "wandb":
        try:
            tracking.overview(folder.path, table, drawn, results)
        except Exception as error:  # the search is over all the same
            log.warning(f"W&B does not show the search as a whole: {type(error).__name__}: {error}")


def tables(plan: Plan, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By title: a table for each group of settings in the report's order, beside what it reported; or one table, or one
    for each starting point, the best first."""
    space = load_space(plan.space)
    if "experiment" in plan.names:
        parts = {name: table[table["experiment"] == name] for name in plan.experiments}
        return {f"{name}, best first": best_first(part, plan.sign) for name, part in parts.items() if len(part)}
    if not plan.groups:
        return {f"{space.name}: {len(table)} trials, best first": best_first(table, plan.sign)}
    found, first = {}, 0
    for number_of, names, size in zip(
        range(len(plan.groups)), plan.groups, oracles.grid_sizes(plan.hyperparameters, plan.groups), strict=True
    ):
        title = space.titles[number_of] if number_of < len(space.titles) else ", ".join(names)
        found[title] = _of_group(plan, table.iloc[first : first + size], names, first)
        first += size
    return {title: part for title, part in found.items() if len(part)}


def _of_group(plan: Plan, part: pd.DataFrame, names: list[str], first: int) -> pd.DataFrame:
    """The trials of a group with its settings only, what the report has for them, and a mark at the best."""
    reported = load_space(plan.space).reported
    done = (plan.sign * part[plan.objective]).astype(float)
    ours = (name for name in reported if name in part and name != plan.objective)
    columns = ["trial", *names, *ours, plan.objective]
    shown = part[columns].copy()
    for column, values in reported.items():
        shown[f"reported {column}"] = values[first : first + len(part)]
    shown["best"] = ["←" if done.notna().any() and index == done.idxmin() else "" for index in part.index]
    return shown.assign(reason=part["reason"])


def verdict(folder: Folder, plan: Plan, table: pd.DataFrame, results: dict[str, Any]) -> list[str]:
    """Who won, by what, and how it did on rows that chose nothing."""
    failed = table[table["status"] == "failed"]
    said = [f"{len(failed)} of {len(table)} trials failed: {_counted(failed['reason'])}"] if len(failed) else []
    stopped = int((table["status"] == "stopped").sum())
    said += [f"{stopped} of {len(table)} trials were stopped as the time was over"] if stopped else []
    if results["winner"] is None:
        return said
    how = "least" if plan.sign == 1 else "greatest"
    settings = ", ".join(f"{n} {number(v)}" for n, v in results["settings"].items() if n in plan.names)
    said.append(
        f"trial {results['winner']} won by {plan.objective}, the {how}: {results['value']:.4g} on validation rows, "
        f"with {settings}"
    )
    said.append(_tested(results))
    return [*said, f"to train it again: make train MODEL={folder.path / 'best_experiment.json'}"]


def _tested(results: dict[str, Any]) -> str:
    if results["test"] is None:
        return f"it was not judged on test rows: {results['reason']}"
    found = results["test"]["targets"]
    metrics = (
        f"{name} {metric} {value:.4g}"
        for name, judged in found.items()
        for metric, value in judged.items()
        if metric in ("accuracy", "mae") and value is not None
    )
    return f"on {results['test']['count']} test rows, seen once, after the choice: {', '.join(metrics)}"


def _counted(reasons: pd.Series) -> str:
    return "; ".join(f"{reason} ({count}×)" for reason, count in reasons.value_counts().items())


def _figures(folder: Folder, plan: Plan, table: pd.DataFrame) -> dict[str, Path]:
    """figures/*.png of the trials that were done, by name. One that cannot be drawn is left out with a warning: what a
    search has found in hours is not lost for it."""
    place = folder.path / "figures"
    place.mkdir(exist_ok=True)
    done = table[table["status"] == "done"]
    if done.empty:
        return {}
    drawn = {}
    for name, (_, draw) in _FIGURES.items():
        try:
            figure = draw(folder, plan, done)
        except Exception as error:  # whatever odd settings bring pandas, matplotlib or scikit-learn to raise
            log.warning(f"figure {name} could not be drawn: {type(error).__name__}: {error}")
            continue
        if figure is not None:
            drawn[name] = place / f"{name}.png"
            files.write_figure(drawn[name], figure)
    return drawn


def _parallel(folder: Folder, plan: Plan, done: pd.DataFrame) -> Figure | None:
    varied = _varied(plan, done)
    return figures.parallel(varied, plan.objective, plan.sign) if len(varied.columns) > 1 else None


def _importance(folder: Folder, plan: Plan, done: pd.DataFrame) -> Figure | None:
    varied = _varied(plan, done)
    explained = figures.importance(varied, plan.objective) if len(varied.columns) > 1 else ()
    return figures.importances(explained, plan.objective) if len(explained) else None


def _best_so_far(folder: Folder, plan: Plan, done: pd.DataFrame) -> Figure:
    ended = pd.Series({one: folder.outcome(one).ended for one in done["trial"]}).sort_values()
    values = done.set_index("trial")[plan.objective][ended.index]
    return figures.best_so_far(ended / 60, values, plan.objective, plan.sign)


def _varied(plan: Plan, done: pd.DataFrame) -> pd.DataFrame:
    """The settings, and the epochs, that differ among trials, and the objective."""
    varied = [name for name in [*plan.names, "epochs"] if done[name].nunique() > 1]
    return done[[*varied, plan.objective]]


_FIGURES = {  # name: title and what draws it, as they stand on the page
    "parallel": ("Every trial across the settings, the best in front", _parallel),
    "importance": ("What mattered", _importance),
    "best_so_far": ("Best so far", _best_so_far),
}


def _page(folder: Folder, shown: dict[str, pd.DataFrame], drawn: dict[str, Path], sentences: list[str]) -> str:
    template = jinja2.Template(_PAGE.read_text(encoding="utf-8"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    plan = folder.plan
    return template.render(
        title=f"{load_space(plan.space).name}, {folder.path.name}",
        how=f"{plan.algorithm} search by {plan.objective}, from {', '.join(plan.experiments)}",
        sentences=sentences,
        tables={title: (list(part), [list(map(number, row)) for row in part.values]) for title, part in shown.items()},
        figures={_FIGURES[name][0]: base64.b64encode(path.read_bytes()).decode() for name, path in drawn.items()},
    )
