"""A report's tables again: what was reported, ours done as they did it, and ours done honestly."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from pipeline import datasets
from pipeline.config import Augment, Data, Experiment, FoldSplit, Model, catalog
from pipeline.config.tables import Row, Table
from pipeline.reports import protocols, writeup
from pipeline.reports.writeup import Case
from pipeline.training import loading, runs
from pipeline.utils.errors import RequestError, WorkError, unknown
from pipeline.utils.progress import duration
from pipeline.utils.startup import import_tensorflow

log = logging.getLogger(__name__)

QUICK = (
    "Drawn faces in small (--quick): it shows that everything runs, and says nothing of the report. "
    + ", ".join(f"{small} stands in for {large}" for large, small in protocols.QUICK_NETWORKS.items())
    + "."
)


def reports() -> list[str]:
    """The reports whose tables are there to be made again."""
    folder = catalog.FOLDERS["experiments"]
    return sorted(path.parent.name for path in folder.glob("*/_tables.py"))


def reproduce(
    report: str,
    quick: bool = False,
    roots: Mapping[str, str] = MappingProxyType({}),
    weights: Mapping[str, str] = MappingProxyType({}),
    runs_folder: str | Path = runs.RUNS,
) -> Path:
    """Run what is missing of a report (or of `all`), write its tables and figures, and answer their folder.

    quick: in small, on the drawn faces. roots: {dataset: where it lies}. weights: {network: file}, where ImageNet's
    cannot be downloaded. Runs that are finished are found by their configuration, those that were stopped go on. What
    cannot be run (a dataset that is not there) is said, and the rest is done. `<runs>/reproduce/<report>` (`-quick`)
    holds `index.html`, and each table as .md and .csv.

    Raises RequestError for an unknown report, WorkError when the tables were written but some run failed.
    """
    if report not in ("all", *reports()):
        raise unknown("report", report, ["all", *reports()])
    _check_names("dataset", roots, catalog.names("datasets"))
    _check_names("network", weights, catalog.names("models"))
    wanted = reports() if report == "all" else [report]
    planned = {name: plan(name, quick, roots, weights) for name in wanted}
    _announce([case for cases in planned.values() for case in cases], runs_folder)
    failed: dict[Experiment, str] = {}
    folder = Path(runs_folder) / "reproduce"
    for name, cases in planned.items():
        place = folder / (f"{name}-quick" if quick else name)
        fresh = _run_missing(cases, runs_folder, failed)
        told = writeup.tell(name, cases, lambda experiment: runs.find(experiment, runs_folder), QUICK if quick else "")
        writeup.write(place, told, redraw=fresh)
    if failed:
        first, why = next(iter(failed.items()))
        raise WorkError(f"{len(failed)} runs failed, {first.name} first: {why}; the tables in {folder} have the rest")
    return folder if report == "all" else place


def _check_names(what: str, given: Iterable[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise unknown(what, name, known)


# -- what there is to run ----------------------------------------------------------------------------------------------


def plan(
    report: str,
    quick: bool = False,
    roots: Mapping[str, str] = MappingProxyType({}),
    weights: Mapping[str, str] = MappingProxyType({}),
) -> list[Case]:
    """Every row of a report's tables with the experiments that it takes, as in `reproduce`."""
    tables = importlib.import_module(f"pipeline.experiments.{report}._tables").TABLES
    return [_case(table, row, quick, roots, weights) for table in tables for row in table.rows]


def _case(table: Table, row: Row, quick: bool, roots: Mapping[str, str], weights: Mapping[str, str]) -> Case:
    experiment = loading.load_experiment(row.experiment)
    judged_elsewhere = any(row.source(column).startswith("other:") for column in table.columns)
    other = _rooted(table.other, roots) if table.other and judged_elsewhere else None
    if quick:
        experiment = protocols.quick(experiment)
        other = other and Data("sample", limit=protocols.QUICK_ROWS)
    stages = tuple(replace(stage, data=_rooted(stage.data, roots)) for stage in experiment.stages)
    experiment = replace(experiment, stages=stages, model=started_from(experiment, weights))
    try:
        for stage in experiment.stages:
            _rows_of(stage.data)
        ours = loading.settle(experiment)
        honest = tuple(map(loading.settle, _over_folds(protocols.honest(ours))))
    except RequestError as error:
        return Case(table, row, why_not=str(error))
    try:
        if other:
            _rows_of(other)
    except RequestError as error:
        return Case(table, row, ours, honest, why_not=f"it cannot be judged on {other.name}: {error}")
    return Case(table, row, ours, honest, other)


def started_from(experiment: Experiment, weights: Mapping[str, str]) -> Model:
    """The experiment's model with a file in the place of ImageNet's download; one that starts from nothing does so."""
    model = experiment.model
    return replace(model, weights=weights.get(model.name, "imagenet")) if model.weights == "imagenet" else model


def _rooted(data: Data, roots: Mapping[str, str]) -> Data:
    return replace(data, root=roots.get(data.name, data.root))


def _over_folds(twin: Experiment) -> list[Experiment]:
    """The five folds of Adience; another dataset's own split."""
    if not isinstance(twin.stages[-1].data.split, FoldSplit):
        return [twin]
    from pipeline.reports.repeats import over_folds

    return list(over_folds(twin, "all").values())


def _rows_of(data: Data) -> int:
    """How many rows a dataset has. Raises NotThereError where it is not at hand."""
    return _count(replace(data, split=None))


@cache
def _count(data: Data) -> int:
    return len(datasets.read(data))


# -- what it costs -----------------------------------------------------------------------------------------------------


def _announce(cases: Sequence[Case], runs_folder: str | Path) -> None:
    """What will be run, what it takes, and what cannot be run."""
    wanted = dict.fromkeys(experiment for case in cases for experiment in case.experiments)
    missing = [experiment for experiment in wanted if not _is_done(experiment, runs_folder)]
    for why in dict.fromkeys(case.why_not for case in cases if case.why_not):
        log.warning(f"left out: {why}")
    epochs = sum(stage.epochs for experiment in missing for stage in experiment.stages)
    log.info(f"{len(wanted)} runs, {len(wanted) - len(missing)} of them done; to do: {len(missing)}, {epochs} epochs")
    if missing:
        import_tensorflow()
        log.info(f"  about {duration(_estimate(missing))} on this machine")


def _is_done(experiment: Experiment, runs_folder: str | Path) -> bool:
    run = runs.find(experiment, runs_folder)
    return run is not None and run.is_finished


def _estimate(experiments: Sequence[Experiment]) -> float:
    """Seconds, from the speed of each network's backbone and how long its first answer takes."""
    from pipeline.training.train import TRAIN_OVER_FORWARD

    total = 0.0
    for experiment in experiments:
        first, forward = _speed(experiment.model.name, experiment.model.image_size)
        for stage in experiment.stages:
            frozen = stage.train == "head"
            times = 1 if frozen and not stage.views and stage.augment == Augment() else stage.epochs
            cost = 1 if frozen else TRAIN_OVER_FORWARD
            total += TRAIN_OVER_FORWARD * first + _rows_of(stage.data) * times * cost * forward
    return total


@cache
def _speed(network: str, size: int) -> tuple[float, float]:
    """Seconds that a backbone's first answer takes (it is compiled), and then each picture."""
    from models import build_backbone

    backbone, pictures = build_backbone(network, size), np.zeros((8, size, size, 3), np.float32)
    times = []
    for _ in range(2):
        began = time.perf_counter()
        backbone.predict_on_batch(pictures)
        times.append(time.perf_counter() - began)
    return times[0], times[1] / len(pictures)


# -- running -----------------------------------------------------------------------------------------------------------


def _run_missing(cases: Sequence[Case], runs_folder: str | Path, failed: dict[Experiment, str]) -> bool:
    """Carry out every experiment of the cases, and judge it on other data; answers whether anything was new."""
    wanted = dict.fromkeys(experiment for case in cases for experiment in case.experiments)
    fresh = False
    for number, experiment in enumerate(wanted, start=1):
        others = {case.other for case in cases if case.other and experiment in case.experiments}
        if experiment in failed or _is_complete(experiment, others, runs_folder):
            continue
        import_tensorflow()  # here, since where all is done it is not needed
        from pipeline.reports.repeats import carry_out

        log.info(f"{experiment.name} ({number} of {len(wanted)})")
        fresh = True
        try:
            carry_out(experiment, runs_folder, others=others)
        except Exception as error:  # whatever it is, memory that is full among it, the other runs are wanted
            failed[experiment] = str(error) or type(error).__name__
            log.warning(f"{experiment.name} failed: {failed[experiment]}")
    return fresh


def _is_complete(experiment: Experiment, others: Iterable[Data], runs_folder: str | Path) -> bool:
    """Whether the experiment was run and judged; a test split without any rows is never judged."""
    run = runs.find(experiment, runs_folder)
    split = runs.judged_split(experiment)
    return (
        run is not None
        and run.is_finished
        and (run.path / runs.results_name(split)).exists()
        and all(runs.is_judged_on(run, data) for data in others)
    )
