"""How good a run is on rows that chose nothing: results, predictions and figures of one split."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from pipeline import datasets, targets
from pipeline.config import MEAN, Data, Experiment, Target
from pipeline.data import inputs, manifests, splits
from pipeline.evaluation import card, plots
from pipeline.training import runs
from pipeline.training.machine import set_up
from pipeline.training.network import load_network
from pipeline.training.objective import Judged, judge, measure_overall
from pipeline.training.runs import Run
from pipeline.utils import files, metrics
from pipeline.utils.answers import columns
from pipeline.utils.errors import EmptySplitError, RequestError

log = logging.getLogger(__name__)

EXAMPLES = 24  # pictures shown in a figure


def evaluate(
    run: Run,
    split: str = "test",
    dataset: str | Data | None = None,
    root: str | None = None,
    audit: bool = False,
    views: int = 1,
) -> dict[str, Any]:
    """Judge a run's model.keras, and write results, predictions and figures into the run; answers the results.

    split: `val` or `test` of the run's own last stage; with `dataset` (and its `root`), of that dataset, divided as it
    is by itself and cut to its face boxes, where it has them, as `predict` cuts, or as a `config.Data` has it. A target
    that the dataset does not have is left out. Intervals are 95 %, bootstrapped over subjects.
    audit: also the metrics of the rows that share nothing with a training row, and of those that do, under `audit`.
    views: of each picture, whose answers are averaged (`inputs.viewed`); the files then end in `-views<N>`.

    Raises RequestError for a run without its files, a split without rows or without labels, or other views than these.
    """
    if views not in inputs.VIEWS:
        raise RequestError(
            f"views {views}: expected 1 (the picture), 2 (and its mirror image) or 10 (corners, centre and their "
            "mirror images)"
        )
    experiment = run.experiment
    set_up(experiment)
    data = experiment.stages[-1].data
    if isinstance(dataset, Data):
        data, dataset = dataset, dataset.name
    elif dataset is not None:
        data = runs.other_data(run, dataset, root)
    elif root is not None:
        experiment = datasets.moved(experiment, root)
        data = experiment.stages[-1].data
    table = datasets.load(data)
    if dataset is None:
        _compare_with_trained_on(run, experiment, table)
    rows = table[table["split"] == split].reset_index(drop=True)
    if rows.empty:
        raise EmptySplitError(f"the {split} split of {data.name} is empty: nothing to evaluate")
    judged_targets = [target for target in experiment.targets if _can_judge(target, data, table)]
    if not judged_targets:
        raise RequestError(
            f"{data.name} has none of the run's targets: {', '.join(t.name for t in experiment.targets)}"
        )
    trained_on = _trained_on(experiment, data, table, needed=audit)
    network = load_network(run)
    size, cache = experiment.model.image_size, experiment.cache
    crops = inputs.make_crops(rows, size, data.margin, cache, split, data.centre)
    judged = judge(network, judged_targets, crops, inputs.viewed(crops, views), views)
    results = _results(split, views, crops.rows, judged_targets, judged, network) | {"data": runs.told(data)}
    leaks = None if trained_on is None else splits.leaks(crops.rows, trained_on)
    results["leak"] = None if leaks is None else {name: int(rows.sum()) for name, rows in leaks.items()}
    if leaks is not None and audit:
        results["audit"] = _audit(crops.rows, judged_targets, judged.answers, leaks.any(axis=1).to_numpy())
    suffix = runs.suffix(split, dataset, views)
    files.write_json(run.path / runs.results_name(split, dataset, views), results)
    said = predictions(crops.rows, judged_targets, judged.answers)
    files.write_csv(run.path / f"predictions{suffix}.csv", said)
    hand_in = getattr(datasets.find(data.name), "hand_in", None)
    if hand_in and (split, views) == ("test", 1):
        hand_in(rows, said, judged_targets, run.path)
    runs.add_rejected(run, crops.rejected)
    plots.figures(run, results, said, crops.first(EXAMPLES), judged_targets, suffix)
    if suffix == runs.suffix(runs.judged_split(experiment)):
        card.renew(run, rows)
    return results


def predictions(rows: pd.DataFrame, wanted: Sequence[Target], answers: dict[str, np.ndarray]) -> pd.DataFrame:
    """path, the face box where any row has one, subject, and per target its label, its answer, and the probability of
    every class."""
    table = rows[manifests.with_boxes(rows, "subject")].copy()
    for target in wanted:
        table[target.name] = rows[target.name]
        table = table.join(columns(target.name, targets.of(target).describe(), answers[target.name]))
    return table


def _compare_with_trained_on(run: Run, experiment: Experiment, table: pd.DataFrame) -> None:
    stage = experiment.stages[-1]
    noted = run.environment.get("stages", {}).get(stage.name, {}).get("examples")
    if noted not in (None, manifests.examples_hash(table, [target.name for target in experiment.targets])):
        log.warning(
            f"{stage.data.name} has changed since the run was trained on it (other pictures, labels or splits): rows "
            "that are judged may have trained it"
        )


def _can_judge(target: Target, data: Data, table: pd.DataFrame) -> bool:
    if target.name not in table:
        log.warning(f"{data.name} has no {target.name}: it is not judged")
        return False
    said, is_other = datasets.strange_labels(target, data, table)
    if said:
        log.warning(f"{said}: {'it is not judged' if is_other else 'they count as unknown'}")
    return not is_other


def _trained_on(experiment: Experiment, data: Data, table: pd.DataFrame, needed: bool) -> pd.DataFrame | None:
    """The training rows of all stages. What is judged, `data` with its `table`, is not read again. Subjects of two
    datasets are not the same, whatever they are called, but for those of a table of somebody's own (csv), who may be
    anyone: of them it is said.

    Where they are not at hand, None with a warning; or, if they are `needed`, RequestError.
    """
    try:
        tables = [table if stage.data == data else datasets.load(stage.data) for stage in experiment.stages]
    except RequestError as error:
        if needed:
            raise
        log.warning(f"leaks are not counted, since the training rows are not at hand: {error}")
        return None
    for i, other in enumerate(stage.data.name for stage in experiment.stages):
        if other == data.name:
            continue
        if "csv" not in (other, data.name):
            tables[i] = tables[i].assign(subject=None)
        elif same := len({*tables[i]["subject"].dropna()} & {*table["subject"].dropna()}):
            log.warning(
                f"{same} subjects of {other} and {data.name} go by one name: they are taken for the same people"
            )
    return pd.concat([table[table["split"] == "train"] for table in tables], ignore_index=True)


def _results(
    split: str, views: int, rows: pd.DataFrame, wanted: Sequence[Target], judged: Judged, network: keras.Model
) -> dict[str, Any]:
    return {
        "split": split,
        "views": views,
        "count": len(rows),
        "loss": judged.loss,
        "penalty": float(sum(network.losses)),
        "seconds": round(judged.seconds, 3),
        "targets": _targets_results(wanted, rows, judged.answers),
    } | _overall(wanted, rows, judged)


def _overall(wanted: Sequence[Target], rows: pd.DataFrame, judged: Judged) -> dict[str, Any]:
    """`mean`: the metrics of several class targets together, where there are several."""
    measure = measure_overall(wanted, rows, judged.answers)
    if measure is None:
        return {}
    return {MEAN: judged.overall | {"interval": metrics.intervals(measure, manifests.groups(rows).to_numpy())}}


def _audit(
    rows: pd.DataFrame, wanted: Sequence[Target], answers: dict[str, np.ndarray], leaking: np.ndarray
) -> dict[str, Any]:
    """Count and metrics of the rows that share nothing with training, and of those that do."""
    return {
        name: {
            "count": int(chosen.sum()),
            "targets": _targets_results(wanted, rows[chosen], {n: a[chosen] for n, a in answers.items()}),
        }
        for name, chosen in {"without_leak": ~leaking, "leaking": leaking}.items()
        if chosen.any()
    }


def _targets_results(
    wanted: Sequence[Target], rows: pd.DataFrame, answers: dict[str, np.ndarray]
) -> dict[str, dict[str, Any]]:
    groups = manifests.groups(rows).to_numpy()
    return {target.name: _target_results(target, rows, answers[target.name], groups) for target in wanted}


def _target_results(target: Target, rows: pd.DataFrame, answers: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    kind = targets.of(target)
    labels, known = kind.encode(rows[target.name])
    true, said, groups = labels[known > 0, 0], answers[known > 0], groups[known > 0]
    if not len(true):
        log.warning("no judged row has a known %s: it has no metrics", target.name)
        return {"interval": {}}
    results: dict[str, Any] = kind.measure(true, said)
    results["interval"] = metrics.intervals(lambda chosen: kind.measure(true[chosen], said[chosen]), groups)
    if kind.classes:
        counts = metrics.confusion(true, kind.predicted(said), len(kind.classes))
        results["confusion"] = counts.tolist()
    return results
