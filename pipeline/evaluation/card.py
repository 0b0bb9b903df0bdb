"""MODEL_CARD.md: what a user of a run's model must know of it."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from pipeline import datasets, targets
from pipeline.config import Data, Stage, Target
from pipeline.data import manifests, order
from pipeline.training import runs
from pipeline.training.runs import Run
from pipeline.utils import files, metrics
from pipeline.utils.errors import RequestError

NAME = "MODEL_CARD.md"
FEWEST = 10  # pictures of a group that is shown
MOST_GROUPS = 30  # values of a column that is a group's; with more it is a name
_TEMPLATE = Path(__file__).with_name("card.md")
_NO_GROUPS = {*manifests.BOX, *manifests.LANDMARKS, *manifests.SCORES, "path", "split", "fold", "subject"}


def write(run: Run, rows: pd.DataFrame | None = None, converted: Sequence[Path] = ()) -> str:
    """Write the run's card, and answer it. It says so where the run is not evaluated.

    rows: those of the judged split with all their columns, where they are at hand; else they are read again.
    converted: folders of files that the run was converted to, whose cards tell how they differ as well.
    """
    facts = _facts(run, rows)
    for folder in converted:
        _write(facts, folder)
    return _write(facts, run.path)


def renew(run: Run, rows: pd.DataFrame) -> None:
    """Write the run's card again, and those beside its converted files, if it has one. A file that was converted before
    the run was trained on keeps its own: it answers as the run did then."""
    trained = run.model.stat().st_mtime
    cards = run.path.glob(f"**/{NAME}")
    folders = [card.parent for card in cards if card.parent == run.path or card.stat().st_mtime >= trained]
    facts = _facts(run, rows) if folders else {}
    for folder in folders:
        _write(facts, folder)


def _write(facts: Mapping[str, Any], folder: Path) -> str:
    """A card into a folder, with what parity.json says where there is one; answers it."""
    template = jinja2.Template(_TEMPLATE.read_text(encoding="utf-8"), trim_blocks=True, lstrip_blocks=True)
    text = template.render(facts, parity=_json(folder / "parity.json")).rstrip() + "\n"
    files.write_text(folder / NAME, text)
    return text


def _facts(run: Run, rows: pd.DataFrame | None) -> dict[str, Any]:
    """What the template says of a run."""
    experiment = run.experiment
    results = _json(run.path / runs.results_name(runs.judged_split(experiment)))
    kinds = [targets.of(target) for target in experiment.targets]
    groups, why_no_groups = _groups(run, rows) if results else ({}, "")
    return {
        "experiment": experiment,
        "path": run.path,
        "date": time.strftime("%Y-%m-%d"),
        "reads": " and ".join(kind.name.replace("_", " ") for kind in kinds),
        "meanings": {kind.name: kind.describe() for kind in kinds},
        "crop": _crop(experiment.stages[-1].data, run.labels),
        "stages": [_stage(stage) for stage in experiment.stages],
        "results": results,
        "metrics": _metrics(results["targets"]) if results else [],
        "leak": _leak(results["leak"]) if results else "",
        "groups": groups,
        "why_no_groups": why_no_groups,
        "measured": [f"{kind.name} ({kind.metric})" for kind in kinds],
        "fewest": FEWEST,
        "environment": run.environment,
    }


def _json(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _crop(data: Data, labels: Mapping[str, Any]) -> str:
    parts = [f"the square about the face, with a margin of {labels.get('margin', data.margin):g} of its side"]
    parts += ["turned until the eyes are level"] if data.aligned else []
    parts += (
        ["of which the network looks at the middle {:g} × {:g}".format(*data.centre)] if min(data.centre) < 1 else []
    )
    return ", ".join(parts)


def _stage(stage: Stage) -> dict[str, str]:
    """A stage's data in words."""
    data = stage.data
    split = data.split or datasets.own_split(data)
    fields = ", ".join(f"{key} {value}" for key, value in vars(split).items() if key != "kind" and value is not None)
    about = inspect.getdoc(datasets.find(data.name)) or ""
    return {
        "name": stage.name,
        "data": data.name,
        "limit": f", at most {data.limit} rows" if data.limit else "",
        "split": f"{split.kind} ({fields})" if fields else split.kind,
        "about": about.replace("\n", "\n> "),
    }


def _metrics(found: dict[str, dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """target, metric, value, interval."""
    return [
        (name, metric, _number(value), _interval(values["interval"].get(metric)))
        for name, values in found.items()
        for metric, value in values.items()
        if metric not in ("interval", "confusion")
    ]


def _leak(found: dict[str, int] | None) -> str:
    if found is None:
        return "not done, for the training rows were not at hand."
    seen = [f"{count} by {way.replace('_', ' ')}" for way, count in found.items() if count]
    return f"rows that training has seen: {', '.join(seen) or 'none'} (looked for by {', '.join(found)})."


def _groups(run: Run, rows: pd.DataFrame | None) -> tuple[dict[str, list[list[str]]], str]:
    """By column of the manifest: its groups, each as value, pictures, and every target's metric. Or why there are
    none."""
    split = runs.judged_split(run.experiment)
    try:
        if rows is None:
            table = datasets.load(run.experiment.stages[-1].data)
            rows = table[table["split"] == split]
        said = runs.read_predictions(run.file(f"predictions{runs.suffix(split)}.csv"))
    except RequestError as error:
        return {}, f"Not known, for the data were not at hand: {error}"
    if rows["x"].notna().any() and "x" not in said:
        return {}, "Not known, for predictions.csv has no face boxes, as older versions wrote it: evaluate again."
    found = manifests.places(rows).get_indexer(manifests.places(said))
    if not len(found) or found.min() < 0:
        return {}, "Not known, for the data lie elsewhere now than when they were judged, or have changed."
    columns = _group_columns(rows.iloc[found].reset_index(drop=True))
    tables = {name: _by(said, columns[name], run.experiment.targets) for name in columns}
    tables = {name: table for name, table in tables.items() if len(table) > 1}
    return tables, "The data tell no groups apart."


def _group_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """The manifest's columns that tell groups apart; ages by decade."""
    texts = [name for name in rows if name not in _NO_GROUPS and not pd.api.types.is_numeric_dtype(rows[name])]
    groups = rows[[name for name in texts if 1 < rows[name].nunique() <= MOST_GROUPS]].copy()
    if "age" in rows:
        groups["age"] = (rows["age"] // 10 * 10).map(lambda low: f"{low:.0f} to {low + 9:.0f}", na_action="ignore")
    return groups


def _by(said: pd.DataFrame, column: pd.Series, wanted: Sequence[Target]) -> list[list[str]]:
    values = sorted(column.dropna().unique(), key=lambda value: order.natural(str(value)))
    parts = {str(value): said[column == value] for value in values}
    return [
        [value, str(len(part)), *(_measured(part, target) for target in wanted)]
        for value, part in parts.items()
        if len(part) >= FEWEST
    ]


def _measured(part: pd.DataFrame, target: Target) -> str:
    """Accuracy, or mean absolute error, over the rows whose label is known; with its interval."""
    if target.name not in part or part[target.name].isna().all():
        return ""
    part = part[part[target.name].notna()]
    true, answer = part[target.name], part[f"{target.name}_predicted"]
    classes = targets.of(target).classes
    each = ((true == answer) if classes else (true.astype(float) - answer.astype(float)).abs()).to_numpy(float)
    persons = part["subject"].fillna(part["path"]).to_numpy()
    bounds = metrics.intervals(lambda chosen: {"mean": each[chosen].mean()}, persons).get("mean")
    return f"{_number(each.mean())} ({_interval(bounds)})" if bounds else _number(each.mean())


def _number(value: float | None) -> str:
    return "undefined" if value is None or value != value else f"{value:.3g}"


def _interval(bounds: Sequence[float] | None) -> str:
    return " to ".join(map(_number, bounds)) if bounds else ""
