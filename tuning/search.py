"""A search from its beginning to its end: what is asked for, a rehearsal, the trials, the winner."""

from __future__ import annotations

import itertools
import json
import logging
import math
import shutil
import statistics
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.config import Experiment, parsing
from pipeline.training import runs
from pipeline.utils import files
from pipeline.utils.errors import RequestError, WorkError
from pipeline.utils.progress import duration
from tuning import oracles, record, report
from tuning.record import Folder, Outcome, Plan
from tuning.space import Space, digest, examples, explored, load_space
from tuning.supervision import FailedError, StoppedError, Trainer
from tuning.view import View
from tuning.work import events_of, experiment_of, falls_to_its_end, to_json, work

log = logging.getLogger(__name__)

_NO_MEASURES = ("learning_rate", "penalty")  # columns of history.csv that say nothing of how good an epoch is


@dataclass(frozen=True)
class Request:
    """What is asked for. starts: the experiments that it starts from, everything put in. trials, minutes: the budget.
    resume: the folder of a search to go on with. chief: the address where workers ask for trials, or nothing."""

    space: Space
    starts: Mapping[str, Experiment]
    trials: int | None = None
    minutes: float | None = None
    workers: int = 0
    runs: Path = runs.RUNS
    resume: Path | None = None
    track: str | None = None
    chief: str = ""


def search(request: Request, trainer: Trainer, trials: Callable[[Folder, Any, View], None]) -> Folder:
    """Search, and judge the winner; `trials` has the trials done. Answers the search's folder.

    Raises RequestError for a space, a budget or a folder that cannot be, WorkError where every trial failed.
    """
    with ExitStack() as holds:
        folder = prepare(request, trainer, holds)
        oracle = open_oracle(folder)
        try:
            with View(folder) as view:
                trials(folder, oracle, view)
        except KeyboardInterrupt:
            log.info(f"interrupted; the same command goes on with {folder.path}")
            raise
        finish(folder, trainer)
    return folder


def alone(trainer: Trainer) -> Callable[[Folder, Any, View], None]:
    """Trials one after the other, in this process' trainer."""
    return lambda folder, oracle, view: work(oracle, "tuner0", folder, trainer, view.refresh)


def open_oracle(folder: Folder) -> Any:
    """The oracle of a search, where it stands."""
    plan = folder.plan
    oracle = oracles.make_oracle(
        plan.algorithm, plan.objective, plan.hyperparameters, plan.start.seed, plan.trials, plan.epochs, plan.groups
    )
    oracle.until = folder.until
    oracle.open(folder.path / "oracle")
    return oracle


# -- before the trials ------------------------------------------------------------------------------------------------


def prepare(request: Request, trainer: Trainer, holds: ExitStack) -> Folder:
    """The folder of the search that is asked for: one to go on with, or a new one, after a rehearsal. From then on
    `holds` keeps other processes from it."""
    began = time.time()
    plan = planned(request)
    if folder := found(request, plan, lambda one: not one.is_held()):
        holds.enter_context(folder.held(request.chief))
        return _continued(folder, request)
    until = began + 60 * plan.minutes if plan.minutes else math.inf
    plan = fitted(rehearsed(plan, trainer, until), until - time.time())
    folder = record.create(request.runs, request.space.name, plan)
    holds.enter_context(folder.held(request.chief))
    folder.start_clock(plan.minutes, time.time() - began)
    log.info(f"search {folder.path}")
    log.info(said(folder, request.workers))
    return folder


def planned(request: Request) -> Plan:
    """What is asked for, with all that the space leaves open filled in."""
    space, budget = request.space, (request.trials, request.minutes)
    if budget == (None, None):
        budget = (space.trials, None)
    if budget == (None, None) and space.algorithm != "grid":
        raise RequestError(f"how long? space {space.source} has no TRIALS: give --trials or --minutes")
    settings, epochs = explored(space, request.starts)
    return Plan(
        space=space.source,
        algorithm=space.algorithm,
        objective=space.objective,
        settings=settings.get_config()["space"],
        groups=[list(group) for group in space.groups] if space.algorithm == "grid" else [],
        experiments={name: to_json(one) for name, one in request.starts.items()},
        examples={name: to_json(one) for name, one in examples(space, settings, request.starts).items()},
        code=digest(space.source),
        epochs=epochs,
        budget=budget,
        trials=budget[0],
        track=request.track,
    )


def found(request: Request, plan: Plan, fits: Callable[[Folder], bool]) -> Folder | None:
    """The search to go on with: the one that is named, or the latest of the same that was not finished and `fits`."""
    if request.resume is None:
        same = (one for one in record.of_space(request.runs, request.space) if _is_same(one, plan))
        return next((one for one in same if not one.finished and fits(one)), None)
    folder = Folder(request.resume)
    other = record.differences(folder.plan.identity, plan.identity)
    if other == ["budget"]:
        raise RequestError(
            f"{folder.path} goes on with its own budget alone: Hyperband's brackets are cut to it; for a larger one "
            "leave --resume out to search anew"
        )
    if other:
        raise RequestError(
            f"{folder.path} holds another search: its {', '.join(other)} differ{'s' * (len(other) == 1)} from what is "
            "asked for (an older space, perhaps); leave --resume out to search anew"
        )
    return folder


def of_chief(request: Request) -> Folder:
    """The search that a chief began with the same request. Raises RequestError where it began another."""
    plan = planned(request)
    folder = found(request, plan, lambda one: one.chief == request.chief) or found(request, plan, lambda one: True)
    if folder is None:
        place = request.runs / "tuning" / request.space.name
        raise RequestError(
            f"the chief's search is not under {place.absolute()}: start workers with the chief's arguments, where they "
            "see its files"
        )
    return folder


def _is_same(folder: Folder, plan: Plan) -> bool:
    try:
        return folder.plan.identity == plan.identity
    except RequestError:  # of an older version
        return False


def _continued(folder: Folder, request: Request) -> Folder:
    """A search that goes on, perhaps with another budget."""
    plan = folder.plan
    if plan.algorithm != "hyperband" and (request.trials or request.minutes):
        plan = replace(plan, budget=(request.trials, request.minutes), trials=request.trials)
    plan = replace(plan, track=request.track)
    (folder.path / "results.json").unlink(missing_ok=True)
    files.write_json(folder.path / "search.json", vars(plan))
    folder.start_clock(plan.minutes)
    log.info(f"search {folder.path} goes on: {len(folder.outcomes())} trials are done")
    log.info(said(folder, request.workers))
    return folder


def rehearsed(plan: Plan, trainer: Trainer, until: float) -> Plan:
    """The plan with what a trial takes here, from training each example for an epoch; where it is getting ready that
    took long (faces are drawn, a frozen backbone is run, once for all trials), a second time, for two epochs.

    Raises RequestError for an experiment that cannot be trained, an objective that no epoch has or that is no number,
    and where time is over before one epoch is.
    """
    log.info("rehearsal: one epoch of what the search starts from")
    took = []
    for name, example in plan.examples.items():
        experiment = replace(parsing.from_json(json.dumps(example), name), name="rehearsal")
        with tempfile.TemporaryDirectory() as place:
            try:
                ready, setup, epoch = _timed(plan.objective, experiment, 1, Path(place), trainer, until)
                if ready > epoch:
                    _, setup, epoch = _timed(plan.objective, experiment, 2, Path(place), trainer, until)
            except StoppedError:
                raise RequestError(
                    f"--minutes {plan.minutes:g} is too small a budget for one trial: they were over before an epoch "
                    "was"
                ) from None
            except FailedError as error:
                what = RequestError if error.wrong else WorkError
                raise what(f"{name}, from which the search starts, cannot be trained: {error}") from error
        took.append((setup, epoch))
    setup, epoch = (round(statistics.mean(seconds), 3) for seconds in zip(*took, strict=True))
    return replace(plan, setup_seconds=setup, epoch_seconds=epoch)


def _timed(
    objective: str, experiment: Experiment, epochs: int, place: Path, trainer: Trainer, until: float
) -> tuple[float, float, float]:
    """Seconds before the first epoch, of all of a whole trial but its last stage's epochs, and of one of these; from so
    many epochs of each stage."""
    stages = tuple(replace(stage, epochs=min(epochs, stage.epochs)) for stage in experiment.stages)
    ready, last, took = 0.0, 0.0, {}
    for event in events_of(replace(experiment, stages=stages), place, trainer, until):
        if event["event"] == "begun":
            ready = last = event["seconds"]
        if event["event"] == "epoch":
            took[event["row"]["stage"]], last = event["seconds"] - last, event["seconds"]
            row = event["row"]
    _check_objective(objective, row)
    seconds = {stage.name: took[stage.name] for stage in stages}
    fixed = max(event["seconds"] - sum(stage.epochs * seconds[stage.name] for stage in stages), 0.0)
    fixed += sum(stage.epochs * seconds[stage.name] for stage in experiment.stages[:-1])
    return ready, fixed, seconds[stages[-1].name]


def _check_objective(objective: str, row: Mapping[str, Any]) -> None:
    """Raises RequestError for an objective that is no measure of an epoch, a row of history.csv."""
    measures = ", ".join(name for name, value in row.items() if isinstance(value, float) and name not in _NO_MEASURES)
    if objective not in row or objective in _NO_MEASURES:
        raise RequestError(f"objective {objective!r}: history.csv has no such measure; expected one of {measures}")
    if not isinstance(row[objective], float):
        raise RequestError(
            f"objective {objective!r}: after an epoch it is {row[objective]!r}, which is no measure to compare; "
            f"expected one of {measures}"
        )


def fitted(plan: Plan, left: float) -> Plan:
    """The plan for the seconds that are left: for Hyperband, the number of trials whose brackets fit in.

    Raises RequestError where not one trial does, or not one bracket whose size is left to us.
    """
    what, shortest = _least(plan)
    if left < shortest:
        gone = 60 * plan.minutes - left
        raise RequestError(
            f"--minutes {plan.minutes:g} is too small a budget for {what}: it takes about {duration(shortest)} "
            f"here, and finding that out took {duration(gone)}; give {math.ceil((gone + shortest) / 60)} or more"
        )
    if plan.algorithm != "hyperband":
        return plan
    trials = plan.trials or _most(lambda count: (_hyperband_seconds(plan, count) or 0.0) <= left)
    oracles.bracket_sizes(trials, plan.epochs)
    return replace(plan, trials=trials)


def _least(plan: Plan) -> tuple[str, float]:
    """The least that can be searched, in words, and the seconds that it takes here."""
    if plan.algorithm != "hyperband":
        return "one trial", plan.seconds(plan.epochs)
    if plan.trials:
        return "one trial", plan.seconds(1)
    count, seconds = next((n, s) for n in itertools.count(1) if (s := _hyperband_seconds(plan, n)) is not None)
    return f"Hyperband's smallest bracket ({count} trials of up to {plan.epochs} epochs)", seconds


def _most(fits: Callable[[int], bool]) -> int:
    """The largest number that fits, at least 1; one that is smaller than another that fits does too."""
    beyond = 2
    while fits(beyond):
        beyond *= 2
    return max(1, bisect_left(range(1, beyond), True, key=lambda number: not fits(number)))


def _hyperband_seconds(plan: Plan, trials: int) -> float | None:
    """What Hyperband takes with so many trials; None for too few of them."""
    try:
        sizes = oracles.bracket_sizes(trials, plan.epochs)
    except RequestError:
        return None
    made = (parsing.from_json(json.dumps(example), name) for name, example in plan.examples.items())
    work = oracles.bracket_epochs(sizes, plan.epochs, anew=any(map(falls_to_its_end, made)))
    return sum(count * plan.seconds(epochs) for count, epochs in work)


def expected(plan: Plan, ended: Collection[Outcome], left: float) -> tuple[int, float]:
    """How many trials there will be after those that have ended, and what they take on one worker, in seconds, of which
    so many are left."""
    if plan.algorithm == "hyperband":
        total = _hyperband_seconds(plan, plan.trials)
        seconds = max(total - sum(outcome.seconds for outcome in ended), 0.0)
        return max(plan.trials - len(ended), 0), min(seconds, left)
    trials = max(_in_all(plan, len(ended), left) - len(ended), 0)
    return trials, min(trials * plan.seconds(plan.epochs), left)


def _in_all(plan: Plan, ended: int, left: float) -> int:
    """How many trials were asked for, or fit in the seconds left, as far as there are settings for them."""
    if plan.algorithm == "grid":
        there = sum(oracles.grid_sizes(plan.hyperparameters, plan.groups))
        return min(plan.trials or there, there)
    most = plan.trials or ended + int(left / plan.seconds(plan.epochs))
    there = oracles.choices(plan.hyperparameters, most)
    return most if there is None else there


def said(folder: Folder, workers: int) -> str:
    """What will be done, and how long it takes, in words."""
    plan, ended = folder.plan, folder.outcomes().values()
    left = max(folder.until - time.time(), 0.0) * max(workers, 1)
    trials, seconds = expected(plan, ended, left)
    about = "about " if plan.trials is None and plan.algorithm != "grid" else ""
    count = f"{about}{trials} {'more ' if ended else ''}trials"
    what = f"{plan.algorithm} search over {', '.join(plan.names)}: {count} of up to {plan.epochs} epochs"
    by = f"by {plan.objective} ({'less' if plan.sign == 1 else 'more'} is better)"
    bound = f", at most {plan.minutes:g} minutes in all" if plan.minutes else ""
    shared = f", shared by {workers} workers" if workers > 1 else ""
    return (
        f"{what}, {by}; a whole one takes about {duration(plan.seconds(plan.epochs))} here, all of them about "
        f"{duration(seconds)}{shared}{bound}; then the best is judged on the test split, once"
    )


# -- after the trials -------------------------------------------------------------------------------------------------


def finish(folder: Folder, trainer: Trainer) -> None:
    """Judge the winner on the test split, which nothing has seen so far, and write everything down.

    Raises WorkError where no trial was done.
    """
    plan, best = folder.plan, folder.best()
    results: dict[str, Any] = {"winner": best, "objective": plan.objective}
    if best is not None:
        outcome = folder.outcome(best)
        results |= {"value": outcome.value, "settings": folder.values(best)} | _judged(folder, outcome.run, trainer)
        start = plan.starts[results["settings"].get("experiment", next(iter(plan.starts)))]
        name = f"{runs.name_of(start)}_tuned"
        winner = experiment_of(plan, load_space(plan.space), folder.values(best), name)
        files.write_text(folder.path / "best_experiment.json", parsing.to_json(winner))
    report.write(folder, results)
    files.write_json(folder.path / "results.json", results)  # last: it says that the search is over
    if best is None:
        failed = [one for one in folder.outcomes().values() if one.status == "failed"]
        why = f"all {len(failed)} trials failed, the first: {failed[0].reason}" if failed else "no trial ended in time"
        raise WorkError(f"{why}; {folder.path / 'trials.csv'} has them all")


def _judged(folder: Folder, run: str, trainer: Trainer) -> dict[str, Any]:
    """The test results of a copy of the winner's run, which becomes `winner/`."""
    winner = folder.path / "winner"
    shutil.rmtree(winner, ignore_errors=True)
    with files.written(winner) as temporary:
        shutil.copytree(folder.path / run, temporary, ignore=shutil.ignore_patterns("wandb", "tensorboard"))
    job = {"do": "judge", "run": str(winner), "log": str(winner / "log.txt")}
    try:
        event = trainer.done(job, math.inf)
    except FailedError as error:
        log.warning(f"the winner could not be judged: {error}")
        return {"test": None, "reason": str(error)}
    return {"test": event["results"], "reason": event.get("reason", "")}
