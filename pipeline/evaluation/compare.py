"""Runs side by side: the metrics of each, and what is certain of their differences on the rows that all were judged on.

Reads what `evaluate` wrote of the test split (of the validation split where an experiment sets no test rows aside):
results.json and predictions.csv. It needs neither TensorFlow nor the pictures.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import pandas as pd

from pipeline.config import MEAN, Experiment
from pipeline.data import manifests
from pipeline.evaluation import report
from pipeline.training import runs
from pipeline.training.runs import RUNS, Run, open_run
from pipeline.utils import files, metrics
from pipeline.utils.errors import RequestError

log = logging.getLogger(__name__)

FOLDER = RUNS / "compare"
_NAMED = 3  # rows in an error
_COLUMNS = ("target", "metric", "count", "run", "value", "difference", "low", "high")


class Measurable(Protocol):
    """Answers to rows that are judged by the metrics `names`."""

    names: tuple[str, ...]

    def at(self, rows: np.ndarray) -> Self:
        """Those of some row numbers, repeated as they are."""

    def measured(self) -> metrics.Metrics:
        """The metrics."""


@dataclass(frozen=True)
class Answers:
    """What a run said of one target: numbers, or indices of its classes.

    true (NaN where unknown) and said: float32 [N]. probabilities: float32 [N, C], C = 0 for numbers. names: of the
    metrics that the target is judged by.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    true: np.ndarray
    said: np.ndarray
    probabilities: np.ndarray

    def at(self, rows: np.ndarray) -> Answers:
        """Those of some row numbers, repeated as they are."""
        return replace(self, true=self.true[rows], said=self.said[rows], probabilities=self.probabilities[rows])

    def measured(self) -> metrics.Metrics:
        """The metrics; every label must be known."""
        return metrics.measure(self.names, self.true, self.said, self.probabilities)


@dataclass(frozen=True)
class Together:
    """What a run said of several class targets, which are judged by their means (`metrics.overall`)."""

    parts: tuple[Answers, ...]
    names: tuple[str, ...] = metrics.OVERALL

    def at(self, rows: np.ndarray) -> Together:
        """Those of some row numbers, repeated as they are."""
        return Together(tuple(part.at(rows) for part in self.parts))

    def measured(self) -> metrics.Metrics:
        """The metrics, each target's over the rows whose label is known."""
        known = ((~np.isnan(part.true), part) for part in self.parts)
        return metrics.overall(
            [metrics.confusion(part.true[rows], part.said[rows], len(part.classes)) for rows, part in known]
        )


@dataclass(frozen=True)
class _Judged:
    """What `evaluate` wrote of a run: path, face box and subject (or NA) of each row, and the answers of each target.

    together: the targets that are judged by their means too."""

    run: str
    places: pd.DataFrame
    subjects: pd.Series
    answers: dict[str, Answers]
    together: tuple[str, ...]


def compare(paths: Sequence[str | Path]) -> pd.DataFrame:
    """The metrics of two runs or more on their test rows, and how much those of all others differ from the first one's.

    Answers one row for each target, metric and run: target, metric, count (of rows whose label is known), run, value,
    difference (value − that of the first run), and low and high, its 95 % interval. It is bootstrapped over subjects
    (a picture without one stands for itself), the same ones being drawn for both runs: what is hard for both cancels.

    Of several class targets there are also their means, as the target `mean`. Rows are the same where their paths are;
    where runs share no path at all, as when judged on two machines, where their paths below the folder that holds all
    of a run's pictures are. Targets that a run was not judged on are left out with a warning. Raises RequestError for a
    run that was not judged, for other rows, labels or classes than the first run's, or when there is nothing that all
    were judged on.
    """
    if len({Path(path).resolve() for path in paths}) < max(2, len(paths)):
        raise RequestError(f"compare {' '.join(map(str, paths))}: expected two different runs or more")
    judged = _same_rows([_read(open_run(path)) for path in paths])
    groups = judged[0].subjects.fillna(judged[0].places["path"]).to_numpy()
    if len(set(groups)) < 2:
        log.warning("all rows are one person's: there are no intervals")
    shared = _shared_targets(judged)
    rows = [row for target in shared for row in _compared(target, judged, groups)]
    if judged[0].together and all(set(one.together) == set(judged[0].together) for one in judged):
        rows += _means_compared(judged, groups)
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def difference_intervals(
    first: Measurable, other: Measurable, groups: np.ndarray, resamples: int = metrics.RESAMPLES
) -> dict[str, tuple[float, float]]:
    """95 % intervals of other − first, of every metric that both have; groups [N] says whose row it is."""
    return metrics.intervals(lambda rows: _difference(first.at(rows), other.at(rows)), groups, resamples=resamples)


def write(compared: pd.DataFrame, folder: Path = FOLDER) -> Path:
    """Write comparison.csv, the rows of `compare`, and comparison.md, their table, into a new folder below `folder`
    that is named by the time. Answers its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = files.dated(folder)
    files.write_csv(path / "comparison.csv", compared)
    files.write_text(path / "comparison.md", report.comparison(compared, markdown=True) + "\n")
    return path


def _read(run: Run) -> _Judged:
    experiment = run.experiment
    split = runs.judged_split(experiment)
    ending, evaluate = runs.suffix(split), f"`python -m pipeline evaluate {run.path} --split {split}`"
    files = run.path / f"results{ending}.json", run.path / f"predictions{ending}.csv"
    for file in files:
        if not file.is_file():
            raise RequestError(f"{run.path} has no {file.name}: {evaluate} writes it")
    try:
        return _judged(run, experiment, *files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())
        raise RequestError(
            f"{files[0].name} and {files[1].name} of {run.path} are damaged ({why}): {evaluate} writes them again"
        ) from error


def _judged(run: Run, experiment: Experiment, results_file: Path, predictions_file: Path) -> _Judged:
    results = json.loads(results_file.read_text(encoding="utf-8"))
    said = runs.read_predictions(predictions_file)
    if len(said) != results["count"]:
        raise ValueError(f"one has {results['count']} rows, the other {len(said)}")
    names = {target: _metric_names(found) for target, found in results["targets"].items()}
    answers = {target: _answers(said, target, names[target]) for target in names if names[target]}
    classes = [target.name for target in experiment.targets if target.kind == "classes" and target.name in answers]
    places = said[[name for name in ("path", *manifests.BOX) if name in said]]
    return _Judged(str(run.path), places, said["subject"], answers, tuple(classes) if MEAN in results else ())


def _metric_names(found: dict[str, object]) -> tuple[str, ...]:
    """None for a target without a known label."""
    return tuple(name for name in found if name not in ("interval", "confusion"))


def _answers(table: pd.DataFrame, target: str, names: tuple[str, ...]) -> Answers:
    """Those of a predictions table that was read as text; in float32, as they were judged."""
    classes = tuple(name.removeprefix(f"{target}_p_") for name in table if name.startswith(f"{target}_p_"))
    true, said = table[target], table[f"{target}_predicted"]
    if names not in metrics.FAMILIES:
        raise ValueError(f"{target} has the metrics {', '.join(names)}")
    if classes:
        index = {name: i for i, name in enumerate(classes)}
        if not said.isin(index).all():
            raise ValueError(f"{target}_predicted is none of {', '.join(classes)}")
        true, said = true.map(index), said.map(index)
    else:
        true = pd.to_numeric(true, errors="coerce")
    probabilities = table[[f"{target}_p_{name}" for name in classes]]
    return Answers(names, classes, *(part.to_numpy(float).astype(np.float32) for part in (true, said, probabilities)))


def _same_rows(judged: Sequence[_Judged]) -> list[_Judged]:
    """The runs, all with their rows in the first one's order. Raises RequestError where they are not the same rows."""
    first, *others = _row_names(judged)
    found = [judged[0]]
    for one, names in zip(judged[1:], others, strict=True):
        parts = [_missing(first, judged[0].run, names, one.run), _missing(names, one.run, first, judged[0].run)]
        if any(parts):
            raise RequestError(
                f"{judged[0].run} and {one.run} were judged on different rows: {', '.join(filter(None, parts))}; "
                "expected runs of the same data and split"
            )
        order = names.get_indexer(first)
        answers = {target: answer.at(order) for target, answer in one.answers.items()}
        found.append(replace(one, places=one.places.iloc[order], subjects=one.subjects.iloc[order], answers=answers))
    return found


def _missing(names: pd.MultiIndex, run: str, others: pd.MultiIndex, other: str) -> str:
    """Which of a run's rows another lacks, in words."""
    missing = names[~names.isin(others)].get_level_values(0)
    if missing.empty:
        return ""
    shown = ", ".join(missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
    return f"{len(missing)} of the {len(names)} rows of {run} are not in {other} ({shown})"


def _row_names(judged: Sequence[_Judged]) -> list[pd.MultiIndex]:
    """What tells the rows of each run apart: `manifests.places`, without boxes where a run has none."""
    places = [one.places for one in judged]
    if not set.intersection(*(set(one["path"]) for one in places)):
        places = [one.assign(path=_below_common_folder(one["path"])) for one in places]
    columns = set.intersection(*map(set, places))
    return [manifests.places(one[[name for name in one if name in columns]]) for one in places]


def _below_common_folder(paths: pd.Series) -> pd.Series:
    start = os.path.commonprefix(paths.tolist()).rfind("/") + 1  # noqa: RUF071  commonpath wants all or none absolute
    return paths.str[start:]


def _shared_targets(judged: Sequence[_Judged]) -> list[str]:
    """Targets that all runs were judged on; a warning names the others."""
    everything = dict.fromkeys(target for one in judged for target in one.answers)
    lacking = {target: [one.run for one in judged if target not in one.answers] for target in everything}
    shared = [target for target in everything if not lacking[target]]
    if not shared:
        have = "; ".join(f"{one.run} has {', '.join(one.answers) or 'none'}" for one in judged)
        raise RequestError(f"there is no target that all runs were judged on: {have}")
    for target in everything:
        if lacking[target]:
            log.warning(f"{target} is left out: {', '.join(lacking[target])} was not judged on it")
    return shared


def _compared(target: str, judged: Sequence[_Judged], groups: np.ndarray) -> list[dict[str, object]]:
    """The rows of one target's metrics."""
    for other in judged[1:]:
        _check_same_question(target, judged[0], other)
    known = np.flatnonzero(~np.isnan(judged[0].answers[target].true))
    return _beside(target, judged, [one.answers[target].at(known) for one in judged], groups[known])


def _means_compared(judged: Sequence[_Judged], groups: np.ndarray) -> list[dict[str, object]]:
    """The rows of the means over several class targets, which were found to be the same questions before."""
    return _beside(MEAN, judged, [Together(tuple(one.answers[t] for t in one.together)) for one in judged], groups)


def _beside(
    target: str, judged: Sequence[_Judged], answers: Sequence[Measurable], groups: np.ndarray
) -> list[dict[str, object]]:
    """One row for each metric that all have and each run."""
    first, *others = answers
    values = [one.measured() for one in answers]
    intervals = [{}, *(difference_intervals(first, other, groups) for other in others)]
    return [
        {"target": target, "metric": metric, "count": len(groups), "run": one.run, "value": found[metric]}
        | ({} if one is judged[0] else {"difference": found[metric] - values[0][metric]})
        | dict(zip(("low", "high"), bounds.get(metric, ()), strict=False))
        for metric in first.names
        if all(metric in other.names for other in others)
        for one, found, bounds in zip(judged, values, intervals, strict=True)
    ]


def _check_same_question(target: str, first: _Judged, other: _Judged) -> None:
    """Raises RequestError unless two runs were asked the same of each row: same classes, same labels."""
    ours, theirs = first.answers[target], other.answers[target]
    if ours.classes != theirs.classes:
        said = [", ".join(answers.classes) or "a number" for answers in (ours, theirs)]
        raise RequestError(
            f"{target} is {said[0]} in {first.run} and {said[1]} in {other.run}: expected the same classes in the same "
            "order"
        )
    differ = np.flatnonzero(~np.isclose(ours.true, theirs.true, rtol=0, atol=0, equal_nan=True))
    if len(differ):
        raise RequestError(
            f"{len(differ)} rows have another {target} in {first.run} than in {other.run}, the first is "
            f"{first.places['path'].iloc[differ[0]]}: judge them on the same version of the data"
        )


def _difference(first: Measurable, other: Measurable) -> metrics.Metrics:
    before, after = first.measured(), other.measured()
    return {name: after[name] - before[name] for name in before if name in after}
