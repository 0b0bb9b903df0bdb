"""One experiment several times, over folds or seeds: each run is found, gone on with or made; then they are summed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from pipeline import datasets, targets
from pipeline.config import MEAN, Data, Experiment, FoldSplit
from pipeline.evaluation import plots
from pipeline.evaluation.evaluate import evaluate
from pipeline.training import loading, runs
from pipeline.training.runs import Run, results_name
from pipeline.training.train import train
from pipeline.utils import files
from pipeline.utils.errors import EmptySplitError, RequestError

log = logging.getLogger(__name__)


def carry_out(
    experiment: Experiment,
    runs_folder: str | Path = runs.RUNS,
    devices: str = "one",
    others: Iterable[Data] = (),
) -> Run:
    """The finished and judged run of an experiment: the one that is there, gone on with where it was stopped, or new.

    It is judged on its test rows, or, where its split sets none aside, on its validation rows; and on the test rows of
    `others`.
    """
    keras.utils.clear_session()  # of the run before, where there are many
    experiment = loading.settle(experiment)
    run = runs.find(experiment, runs_folder)
    if run is None or not run.is_finished:
        try:
            run = train(experiment, runs_folder, resume=run, devices=devices)
        except KeyboardInterrupt:
            log.info("to go on with all of them: the same command again")
            raise
    split = runs.judged_split(experiment)
    if not (run.path / results_name(split)).exists():
        try:
            evaluate(run, split)
        except EmptySplitError as error:
            log.warning("%s", error)
    for data in others:
        if not runs.is_judged_on(run, data):
            evaluate(run, "test", data)
    return run


def over_folds(experiment: Experiment, chosen: str) -> dict[str, Experiment]:
    """The experiment with each fold of its last stage's dataset as the test (`all`), or one of them; by fold.

    Every stage on that dataset is divided so, with validation rows cut from the other folds by subject. Raises
    RequestError for a dataset without folds, or a fold that it does not have.
    """
    experiment = datasets.resolve(experiment)
    data = experiment.stages[-1].data
    there = sorted(int(fold) for fold in datasets.read(data)["fold"].dropna().unique())
    wanted = there if chosen == "all" else [fold for fold in there if str(fold) == chosen]
    if not wanted:
        folds = (
            f"it has {there[0]} to {there[-1]}"
            if there
            else "it has none, as adience, fgnet or a csv with a column fold have"
        )
        raise RequestError(f"--folds {chosen}: dataset {data.name} has no such fold, {folds}")
    return {f"fold {fold}": _at_fold(experiment, fold) for fold in wanted}


def over_seeds(experiment: Experiment, count: int) -> dict[str, Experiment]:
    """The experiment from its own seed and the count − 1 that follow; by seed."""
    seeds = range(experiment.seed, experiment.seed + count)
    return {f"seed {seed}": replace(experiment, seed=seed) for seed in seeds}


def repeat(experiments: Mapping[str, Experiment], what: str, runs_folder: str | Path, devices: str = "one") -> Path:
    """Carry out experiments that differ in one thing, and sum them up in `<what>.json` (and .md) of the folder that is
    answered, `<name>-<what>`: mean and standard deviation (of n − 1) of every metric, and confusion matrices over all.

    what: `folds` or `seeds`. Stopped and started again, it goes on where it was.
    """
    done = {}
    for number, (label, experiment) in enumerate(experiments.items(), start=1):
        log.info(f"{label} ({number} of {len(experiments)})")
        done[label] = carry_out(experiment, runs_folder, devices)
    experiment = next(iter(experiments.values()))
    name = runs.name_of(experiment)
    name = _base_name(name) if len(experiments) > 1 else name  # one fold is no sum of all
    folder = Path(runs_folder) / f"{name}-{what}"
    folder.mkdir(parents=True, exist_ok=True)
    judged = results_name(runs.judged_split(datasets.resolve(experiment)))
    found = {label: json.loads(run.file(judged).read_text(encoding="utf-8")) for label, run in done.items()}
    summed = summarise(found)
    files.write_text(folder / f"{what}.md", table(summed).to_markdown(index=False) + "\n")
    together = {MEAN: summed.pop(MEAN)} if MEAN in summed else {}  # beside the targets, as in results.json
    summary = {"runs": {label: str(run.path) for label, run in done.items()}, "targets": summed} | together
    files.write_json(folder / f"{what}.json", summary)
    for target in loading.settle(experiment).targets:
        if "confusion" in summary["targets"][target.name]:
            counts, classes = summary["targets"][target.name]["confusion"], targets.of(target).classes
            figure = plots.confusion_matrix(counts, classes, f"{target.name}, {len(done)} {what}")
            files.write_figure(folder / f"confusion_{target.name}.png", figure)
    return folder


def summarise(results: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of several results.json: {target: {metric: {"mean", "std", "values"}, "confusion": their sum}}; likewise `mean`,
    which is of several class targets.

    std is of a sample (n − 1), None of one run. A metric that is undefined in one is so in the mean.
    """
    parts = [found["targets"] | ({MEAN: found[MEAN]} if MEAN in found else {}) for found in results.values()]
    return {name: _summed_up([part[name] for part in parts]) for name in parts[0]}


def table(summary: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row a metric of each target: mean ± standard deviation."""
    rows = [
        {"target": name, "metric": metric, "mean ± std": _spread(values)}
        for name, found in summary.items()
        for metric, values in found.items()
        if metric != "confusion"
    ]
    return pd.DataFrame(rows)


def _at_fold(experiment: Experiment, fold: int) -> Experiment:
    last = experiment.stages[-1].data

    def tested(stage: Any) -> Any:
        if (stage.data.name, stage.data.root) != (last.name, last.root):
            return stage
        split = FoldSplit(fold=fold, val=getattr(stage.data.split, "val", 0.0) or 0.1)
        return replace(stage, data=replace(stage.data, split=split))

    name = f"{runs.name_of(experiment)}-fold{fold}"
    return replace(experiment, name=name, stages=tuple(map(tested, experiment.stages)))


def _base_name(name: str) -> str:
    return name.rpartition("-fold")[0] or name


def _summed_up(found: list[Mapping[str, Any]]) -> dict[str, Any]:
    metrics = dict.fromkeys(metric for one in found for metric in one if metric not in ("interval", "confusion"))
    summed: dict[str, Any] = {metric: _statistics([one.get(metric) for one in found]) for metric in metrics}
    if counts := [one["confusion"] for one in found if "confusion" in one]:
        summed["confusion"] = np.sum(counts, axis=0).tolist()
    return summed


def _statistics(values: list[float | None]) -> dict[str, Any]:
    numbers = np.array([np.nan if value is None else value for value in values], float)
    std = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None
    return {"mean": float(np.mean(numbers)), "std": std, "values": numbers.tolist()}


def _spread(values: Mapping[str, Any]) -> str:
    return f"{values['mean']:.4g}" + ("" if values["std"] is None else f" ± {values['std']:.2g}")
