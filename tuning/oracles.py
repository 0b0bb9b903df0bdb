"""keras-tuner's oracles, made to be killed: which trial comes next is theirs, the rest is what they lack.

Theirs write files that a kill leaves half-written, forget where a grid stood, keep no random state of Bayesian search,
and never promote the last of a Hyperband bracket in which one trial failed. (Seen in 1.4.8.)
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from keras_tuner import HyperParameters, Objective, Oracle, oracles
from keras_tuner.engine.hyperparameters import Float, Int
from keras_tuner.engine.trial import Trial, TrialStatus

from pipeline.utils import files, metrics
from pipeline.utils.errors import RequestError

log = logging.getLogger(__name__)

FACTOR = 3  # Hyperband: one trial in so many goes on, for so many times as many epochs
_MOST_LEFT = 100_000  # settings that are looked through for those that are left: of more, drawing finds some
_STOPPED = {"status": TrialStatus.STOPPED}
_IDLE = {"status": TrialStatus.IDLE}


class _Sturdy:
    """Files written whole, a restart that goes on where the search was killed, and a budget: `limit` trials, none begun
    from `until` on (seconds since 1970)."""

    limit: float = math.inf
    until: float = math.inf

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if len(self.trials) >= self.limit or time.time() >= self.until:
            return _STOPPED
        return super().populate_space(trial_id)

    def end_trial(self, trial: Trial) -> None:
        """Values stay as they were drawn: on their way through gRPC they become a little different."""
        trial.hyperparameters = self.trials[trial.trial_id].hyperparameters
        super().end_trial(trial)
        self.save()  # theirs still holds the trial as one that runs

    def hand_back(self, tuner_id: str) -> None:
        """The trial of a worker that is gone waits for another."""
        if trial := self.ongoing_trials.pop(tuner_id, None):
            self._retry_queue.append(trial.trial_id)
        self.tuner_ids.discard(tuner_id)

    @property
    def waits_again(self) -> bool:
        """Whether a trial that was handed back waits for a worker."""
        return bool(self._retry_queue)

    def save(self) -> None:
        files.write_text(Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial: Trial) -> None:
        files.write_text(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", json.dumps(trial.get_state()))

    def open(self, folder: Path) -> None:
        """Keep everything in a folder, and go on from what lies there."""
        self.verbose = 0
        self._set_project_dir(folder.parent, folder.name)
        if Path(self._get_oracle_fname()).exists():
            self.reload()

    def reload(self) -> None:
        """A trial that was drawn a moment before the kill, and not noted by the oracle, is drawn again."""
        super().reload()
        self.trials = {trial_id: self.trials[trial_id] for trial_id in self.start_order}


class _Grid(Oracle):
    """All combinations, the last setting's values turning fastest; with groups, one group after the other, the rest as
    in the best trial of the group before. Where it stands follows from the trials that there are."""

    def __init__(self, groups: Sequence[Sequence[str]], **options: Any) -> None:
        super().__init__(**options)
        self.groups = groups or [[setting.name for setting in self.hyperparameters.space]]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        number, first, best = int(trial_id), 0, {}
        for group in self.groups:
            there = list(islice(combinations(self.hyperparameters, group, best), number + 1))
            if len(there) > number:
                return {"status": TrialStatus.RUNNING, "values": there[number]}
            done = [self.trials[one] for one in self.start_order[first : first + len(there)]]
            if any(trial.status == TrialStatus.RUNNING for trial in done):
                return _IDLE
            done = [trial for trial in done if trial.status == TrialStatus.COMPLETED]
            if not done:
                return _STOPPED
            sign = -1 if self.objective.direction == "max" else 1
            best = min(done, key=lambda trial: sign * trial.score).hyperparameters.values
            first, number = first + len(there), number - len(there)
        return _STOPPED


def grid_sizes(hp: HyperParameters, groups: Sequence[Sequence[str]]) -> list[int]:
    """How many trials each group of a grid has (one group with everything, where there are none)."""
    groups = groups or [[setting.name for setting in hp.space]]
    return [sum(1 for _ in combinations(hp, group, {})) for group in groups]


def choices(hp: HyperParameters, most: int) -> int | None:
    """How many different settings there are, counted up to `most`; None where one of them is a range."""
    if any(isinstance(setting, Float | Int) for setting in hp.space):
        return None
    return sum(1 for _ in islice(combinations(hp, [setting.name for setting in hp.space], {}), most))


def combinations(hp: HyperParameters, varied: Sequence[str], others: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Values for all active settings: every combination of those that are varied, beside `others` or defaults."""

    def extend(known: HyperParameters, space: Sequence[Any]) -> Iterator[dict[str, Any]]:
        if not space:
            yield known.values
            return
        setting, *rest = space
        known.merge([setting])
        if not known.is_active(setting):
            yield from extend(known, rest)
            return
        for value in setting.values if setting.name in varied else [others.get(setting.name, setting.default)]:
            chosen = known.copy()
            chosen.values[setting.name] = value
            yield from extend(chosen, rest)

    return extend(HyperParameters(), hp.space)


class _Hyperband(oracles.HyperbandOracle):
    """Brackets of given sizes: sizes[s][r] is how many trials round r of bracket s has."""

    def __init__(self, sizes: Sequence[Sequence[int]], **options: Any) -> None:
        self.sizes = [list(rounds) for rounds in sizes]
        super().__init__(factor=FACTOR, **options)

    def _get_size(self, bracket_num: int, round_num: int) -> int:
        return self.sizes[bracket_num][round_num]

    def _random_trial(self, trial_id: str, bracket: dict[str, Any]) -> dict[str, Any]:
        """None in a bracket that is left out; where no other values are left to try, its first round is full."""
        sizes, drawn = self.sizes[bracket["bracket_num"]], len(bracket["rounds"][0])
        if drawn < sizes[0] and (answer := super()._random_trial(trial_id, bracket))["status"] == TrialStatus.RUNNING:
            return answer
        if drawn < sizes[0]:
            log.info(f"no other settings are left to try: a round of {sizes[0]} trials has {drawn}")
            self.sizes[bracket["bracket_num"]] = [min(size, drawn) for size in sizes]
            return super().populate_space(trial_id)
        return _IDLE if self.ongoing_trials else _STOPPED

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """A failed trial counts as one with the worst score: a round waits for all that were begun."""
        failed = [trial for trial in self.trials.values() if trial.status == TrialStatus.FAILED]
        worst = -math.inf if self.objective.direction == "max" else math.inf
        for trial in failed:
            trial.status, trial.score = TrialStatus.COMPLETED, worst
        try:
            return super().populate_space(trial_id)
        finally:
            for trial in failed:
                trial.status, trial.score = TrialStatus.FAILED, None


def bracket_sizes(trials: int, epochs: int) -> list[list[int]]:
    """Hyperband's brackets fitted to a number of trials: sizes[s][r], together `trials`.

    Bracket s trains its first round for epochs / 3^s epochs, and a third of each round goes on; a bracket has about as
    many epochs to train as any other. Brackets that do not fit in are left out, those that halve least first.

    Raises RequestError where not one bracket fits in.
    """
    count = int(math.log(epochs, FACTOR) + 1e-9) + 1

    def sizes(width: float, least: int) -> list[list[int]]:
        widths = [[width * FACTOR ** (s - r) / (s + 1) for r in range(s + 1)] for s in range(count)]
        return [[max(1, int(one)) if s >= least else 0 for one in rounds] for s, rounds in enumerate(widths)]

    def total(sizes: list[list[int]]) -> int:
        return sum(map(sum, sizes))

    least = next((s for s in range(count) if total(sizes(0, s)) <= trials), None)
    if least is None:
        raise RequestError(
            f"{trials} trials are too few for Hyperband, which needs {count} for trials of {epochs} epochs; "
            "give more of them, fewer --epochs, or --algorithm random"
        )
    steps = bisect_right(range(100 * trials), trials, key=lambda step: total(sizes(step / 100, least)))
    fitted = sizes((steps - 1) / 100, least)
    fitted[-1][0] += trials - total(fitted)
    return fitted


def bracket_epochs(sizes: Sequence[Sequence[int]], epochs: int, anew: bool = False) -> list[tuple[int, int]]:
    """(trials, epochs that each of them trains) for every round of every bracket, the first begun first. anew: a trial
    does not go on with the run of the one that it was promoted from."""
    found = []
    for s in reversed(range(len(sizes))):
        ends = [0, *(math.ceil(epochs / FACTOR ** (s - r)) for r in range(s + 1))]
        found += [(count, ends[r + 1] - (0 if anew else ends[r])) for r, count in enumerate(sizes[s]) if count]
    return found


class _Bayesian(oracles.BayesianOptimizationOracle):
    """Random numbers follow from the number of the trial, and nothing is tried twice."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        self._random_state = np.random.RandomState(self.seed + int(trial_id))
        answer = super().populate_space(trial_id)
        tried = "values" in answer and answer["values"] is not None and self._duplicate(answer["values"])
        return self._random_populate_space() if tried else answer


class _Drawn(_Sturdy):
    """Where drawing at random found nothing new, takes one of the settings that are left, and says so where none is."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        answer = super().populate_space(trial_id)
        if answer["status"] != TrialStatus.STOPPED or answer is _STOPPED:
            return answer
        if choices(self.hyperparameters, 1) is not None:
            every = combinations(self.hyperparameters, [one.name for one in self.hyperparameters.space], {})
            left = [values for values in islice(every, _MOST_LEFT) if not self._duplicate(values)]
            if left:
                rng = np.random.default_rng((self.seed, int(trial_id)))
                return {"status": TrialStatus.RUNNING, "values": left[rng.integers(len(left))]}
        log.warning(f"no other settings were found to try: there are {len(self.trials)} trials, and no more")
        return answer


class Grid(_Sturdy, _Grid):
    pass


class Random(_Drawn, oracles.RandomSearchOracle):
    pass


class Hyperband(_Sturdy, _Hyperband):
    pass


class Bayesian(_Drawn, _Bayesian):
    pass


def make_oracle(
    algorithm: str,
    objective: str,
    space: HyperParameters,
    seed: int,
    trials: int | None,
    epochs: int,
    groups: Sequence[Sequence[str]] = (),
) -> Oracle:
    """The oracle of an algorithm, for at most so many trials (None: as many as there are, or as time allows).

    epochs: what Hyperband's best trials train for. objective: a column of history.csv.
    """
    general = {
        "objective": Objective(objective, "min" if metrics.is_lower_better(objective) else "max"),
        "hyperparameters": space.copy(),
        "seed": seed + 1,  # to them 0 is none, and they take any
        "max_consecutive_failed_trials": sys.maxsize,
    }
    if algorithm == "grid":
        oracle = Grid(groups, **general)
    elif algorithm == "hyperband":
        oracle = Hyperband(bracket_sizes(trials, epochs), max_epochs=epochs, **general)
    elif algorithm == "bayesian":
        points = min(3 * len(space.space), max(3, (trials or 30) // 3))  # a third at random, then by what they showed
        oracle = Bayesian(num_initial_points=points, max_trials=None, **general)
    else:
        oracle = Random(max_trials=None, **general)
    oracle.limit = trials if trials is not None else math.inf
    return oracle
