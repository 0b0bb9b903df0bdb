"""What a worker does: it asks an oracle for trials, has each trained, and says what came of it."""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from keras_tuner.engine.trial import Trial, TrialStatus

from pipeline.config import Data, Experiment
from pipeline.utils import files, metrics
from pipeline.utils.errors import ChangedError, RequestError
from tuning.record import Folder, Outcome, Plan
from tuning.space import Space, change, load_space, sampled
from tuning.supervision import FailedError, StoppedError, Trainer

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.3  # between two questions while trials of others must end first


def work(oracle: Any, name: str, folder: Folder, trainer: Trainer, told: Callable[[], None] = lambda: None) -> None:
    """Do trials until the oracle has no more, or the time is over; `told` is called whenever something has happened.

    oracle: one of `oracles`, or a client of the chief's. A trial that the end of the time stops is left to the oracle
    as one that runs: if the search goes on another time, so does it.
    """
    plan = folder.plan
    space = load_space(plan.space)
    while (trial := oracle.create_trial(name)).status != TrialStatus.STOPPED:
        if trial.status == TrialStatus.IDLE:
            time.sleep(IDLE_SECONDS)
            continue
        try:
            outcome = folder.outcome(trial.trial_id) or _done(folder, plan, space, trial.trial_id, trainer, told)
        except StoppedError:
            return
        _report(oracle, plan, trial, outcome)
        told()


def _done(
    folder: Folder, plan: Plan, space: Space, trial_id: str, trainer: Trainer, told: Callable[[], None]
) -> Outcome:
    """What comes of a trial, noted in the folder."""
    began = time.time()
    try:
        outcome = _trained(folder, plan, space, trial_id, trainer, told)
    except ChangedError:  # no trial's fault: the search does not go on
        raise
    except (FailedError, RequestError) as error:
        outcome = Outcome("failed", str(error))
    now = time.time()
    outcome = replace(outcome, seconds=round(now - began, 2), ended=round(folder.spent(now), 2))
    folder.add(trial_id, outcome)
    return outcome


def _trained(
    folder: Folder, plan: Plan, space: Space, trial_id: str, trainer: Trainer, told: Callable[[], None]
) -> Outcome:
    experiment = experiment_of(plan, space, folder.values(trial_id), trial_id)
    resumed = _begun(folder, trial_id, experiment)
    job = {"do": "train", "experiment": asdict(experiment), "runs": str(folder.path / "trials")}
    job |= {"resume": resumed and str(resumed), "track": plan.track, "group": folder.path.name}
    job |= {"examples": _learned_by_others(folder, plan, space, trial_id)}
    done = trainer.done(job | {"log": str(folder.trial(trial_id) / "log.txt")}, folder.until, told)
    last = experiment.stages[-1]
    row = metrics.kept([row for row in done["history"] if row["stage"] == last.name], last.keep)
    value = row.get(plan.objective)
    if not isinstance(value, float) or not math.isfinite(value):
        raise FailedError(f"{plan.objective} is {value}, which is no number to compare")
    path = str(Path(done["run"]).relative_to(folder.path))
    return Outcome("done", value=value, row=row, epochs=len(done["history"]), run=path, examples=done["examples"])


def _learned_by_others(folder: Folder, plan: Plan, space: Space, trial_id: str) -> Mapping[str, str]:
    """What the first trial on the same data learned from; nothing where there was none. Trials on other examples than
    these cannot be compared with it."""

    def data(trial: str) -> list[Data]:
        return [stage.data for stage in experiment_of(plan, space, folder.values(trial), trial).stages]

    done = {other: one.examples for other, one in folder.outcomes().items() if one.examples}
    return next((learned for other, learned in done.items() if data(other) == data(trial_id)), {})


def experiment_of(plan: Plan, space: Space, values: Mapping[str, Any], name: str) -> Experiment:
    """The experiment of a trial's settings, under a name; Hyperband says for how many epochs."""
    hp = plan.hyperparameters
    hp.values = dict(values)
    made = replace(sampled(space, hp, plan.starts), name=name)
    epochs = values.get("tuner/epochs")
    return change(made, {"stages.-1.epochs": epochs}) if epochs else made


def falls_to_its_end(experiment: Experiment) -> bool:
    """Whether the rate of an experiment's last epochs depends on how many there are."""
    return experiment.stages[-1].optimizer.schedule.name == "cosine"


def _begun(folder: Folder, trial_id: str, experiment: Experiment) -> Path | None:
    """The run that a trial goes on with: its own, if it was killed, or a copy of the one that Hyperband promotes. Where
    that one's rate has fallen to nothing, none: going on, it would be no run of so many epochs."""
    if begun := _run(folder, trial_id):
        return begun
    if falls_to_its_end(experiment):
        return None
    earlier = folder.values(trial_id).get("tuner/trial_id")
    promoted = _run(folder, earlier) if earlier else None
    if promoted is None:
        return None
    copy = folder.trial(trial_id) / promoted.name
    with files.written(copy) as temporary:
        shutil.copytree(promoted, temporary, ignore=shutil.ignore_patterns("wandb", "tensorboard"))
    return copy


def _run(folder: Folder, trial_id: str) -> Path | None:
    found = sorted(folder.trial(trial_id).glob("[0-9]*/experiment.json"))
    return found[-1].parent if found else None


def _report(oracle: Any, plan: Plan, trial: Trial, outcome: Outcome) -> None:
    if outcome.status == "done":
        oracle.update_trial(trial.trial_id, {plan.objective: outcome.value}, step=outcome.epochs)
    trial.status = TrialStatus.COMPLETED if outcome.status == "done" else TrialStatus.FAILED
    trial.message = outcome.reason or None
    oracle.end_trial(trial)


def events_of(experiment: Experiment, folder: Path, trainer: Trainer, until: float) -> Iterator[dict[str, Any]]:
    """What the trainer tells of one training, which is no trial."""
    job = {"do": "train", "experiment": asdict(experiment), "runs": str(folder), "resume": None, "track": None}
    yield from trainer.events(job | {"group": None, "log": str(folder / "log.txt")}, until)


def to_json(experiment: Experiment) -> dict[str, Any]:
    """An experiment as JSON has it."""
    return json.loads(json.dumps(asdict(experiment)))
