"""A search's folder, `runs/tuning/<search>/<time>/`: what it searches, and what came of each trial.

search.json           what is searched, how, and from what experiment
clock.json            seconds that were spent before this start, when this start was, when it must end
lock                  held by the process that searches; says where it is asked for trials, if it is a chief
workers/              one file for each worker, touched while it lives
oracle/               keras-tuner's own files: the settings of every trial
trials/0000/          outcome.json, log.txt, and the run
trials.csv, figures/, search.html
best_experiment.json  the winner, which `train` takes
winner/               the winner's run, judged on the test split
results.json          which trial won, by what, and how it did on the test split
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipeline.config import Experiment, parsing
from pipeline.utils import files, locks
from pipeline.utils.errors import RequestError
from pipeline.utils.metrics import is_lower_better
from tuning.space import Space

if TYPE_CHECKING:
    import pandas as pd
    from keras_tuner import HyperParameters


@dataclass(frozen=True)
class Plan:
    """What search.json says. experiments: what trials are made from, by name; examples: what is made of each with
    the settings' defaults; code: a hash of the space's file, which makes it. epochs: how many a whole trial has of its
    last stage, at most. budget: trials and minutes, as asked for; trials: the most there will be; None where there
    is no such bound. setup_seconds, epoch_seconds: what a trial takes here beside its last stage's epochs, and for each
    of these, as measured at the start; the mean over experiments."""

    space: str
    algorithm: str
    objective: str
    settings: list[dict[str, Any]]
    groups: list[list[str]]
    experiments: dict[str, dict[str, Any]]
    examples: dict[str, dict[str, Any]]
    code: str
    epochs: int
    budget: tuple[int | None, float | None]
    trials: int | None = None
    setup_seconds: float = 0.0
    epoch_seconds: float = 0.0
    track: str | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it the search that it is. Hyperband's brackets are fitted to the budget."""
        kept = ("space", "algorithm", "objective", "settings", "groups", "experiments", "examples", "code")
        said = {name: getattr(self, name) for name in kept}
        return json.loads(json.dumps(said | ({"budget": self.budget} if self.algorithm == "hyperband" else {})))

    @property
    def starts(self) -> dict[str, Experiment]:
        """The experiments that trials are made from."""
        return {name: parsing.from_json(json.dumps(one), "search.json") for name, one in self.experiments.items()}

    @property
    def start(self) -> Experiment:
        """The first of them."""
        return next(iter(self.starts.values()))

    @property
    def sign(self) -> int:
        """1 where less of the objective is better, else −1."""
        return 1 if is_lower_better(self.objective) else -1

    @property
    def minutes(self) -> float | None:
        """How long the search may take in all."""
        return self.budget[1]

    @property
    def names(self) -> list[str]:
        """Of the settings; one that stands under several conditions counts once."""
        return list(dict.fromkeys(setting["config"]["name"] for setting in self.settings))

    def seconds(self, epochs: int) -> float:
        """What a trial of so many epochs takes here."""
        return self.setup_seconds + epochs * self.epoch_seconds

    @property
    def hyperparameters(self) -> HyperParameters:
        """The settings, as keras-tuner has them."""
        from keras_tuner import HyperParameters

        # a copy: it puts objects in the place of what it reads of conditions
        return HyperParameters.from_config({"space": deepcopy(self.settings), "values": {}})


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    status: done or failed; value: of the objective, at the epoch that the run keeps; row: that epoch's row of
    history.csv; epochs: how many it has had; ended: seconds that the search had taken by then; examples: a hash of
    what each stage learned from, by its name (`manifests.examples_hash`).
    """

    status: str
    reason: str = ""
    value: float | None = None
    row: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 0
    seconds: float = 0.0
    ended: float = 0.0
    run: str = ""
    examples: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Folder:
    """The folder of a search."""

    path: Path

    @property
    def plan(self) -> Plan:
        """What is searched. Raises RequestError where there is no search, or one of another version."""
        try:
            return Plan(**json.loads((self.path / "search.json").read_text(encoding="utf-8")))
        except TypeError as error:
            raise RequestError(
                f"{self.path} holds a search of another version of Facet, which this one cannot go on with; "
                "leave --resume out to search anew"
            ) from error
        except (OSError, ValueError) as error:
            raise RequestError(
                f"{self.path} holds no search ({type(error).__name__}): expected a folder such as "
                "runs/tuning/default/20260131-120000"
            ) from error

    @property
    def finished(self) -> bool:
        """Whether the search came to its end; one that was killed did not."""
        return (self.path / "results.json").exists()

    @contextmanager
    def held(self, chief: str = "") -> Iterator[None]:
        """Within it no other process works on the search. chief: the address under which this one is its chief. Raises
        RequestError where another one does."""
        with (self.path / "lock").open("a") as lock:
            if not locks.take(lock.fileno()):
                raise RequestError(
                    f"{self.path} is being searched by another process: wait for its end, or leave --resume out to "
                    "search anew"
                )
            lock.truncate(0)
            lock.write(chief)
            lock.flush()
            yield

    def is_held(self) -> bool:
        """Whether a process is at work on the search, or it is somebody else's."""
        try:
            with (self.path / "lock").open("a") as lock:
                return not locks.take(lock.fileno(), shared=True)
        except PermissionError:
            return True

    @property
    def chief(self) -> str:
        """The address of the chief that is, or was last, at work on the search."""
        lock = self.path / "lock"
        return lock.read_text(encoding="utf-8") if lock.exists() else ""

    @property
    def until(self) -> float:
        """When no trial may go on, in seconds since 1970."""
        return self._clock()["until"]

    def start_clock(self, minutes: float | None, spent: float = 0.0) -> None:
        """This start begins `spent` seconds ago; time that earlier starts had counts too."""
        before = self.spent() if (self.path / "clock.json").exists() else 0.0
        began = time.time() - spent
        until = began + 60 * minutes - before if minutes is not None else float("inf")
        files.write_text(self.path / "clock.json", json.dumps({"before": before, "began": began, "until": until}))

    def spent(self, now: float | None = None) -> float:
        """Seconds that the search has taken: until now, or where it was killed, until its last trial ended."""
        clock = self._clock()
        if now is not None:
            return clock["before"] + now - clock["began"]
        return max([clock["before"], *(outcome.ended for outcome in self.outcomes().values())])

    def _clock(self) -> dict[str, float]:
        return json.loads((self.path / "clock.json").read_text(encoding="utf-8"))

    def trial(self, trial_id: str) -> Path:
        """Where a trial's run, log and outcome are."""
        path = self.path / "trials" / trial_id
        path.mkdir(parents=True, exist_ok=True)
        return path

    def values(self, trial_id: str) -> dict[str, Any]:
        """A trial's settings as they were drawn; through gRPC they come a little different."""
        state = json.loads((self.path / "oracle" / f"trial_{trial_id}" / "trial.json").read_text(encoding="utf-8"))
        return state["hyperparameters"]["values"]

    def outcome(self, trial_id: str) -> Outcome | None:
        """What came of a trial; None while nothing has."""
        path = self.path / "trials" / trial_id / "outcome.json"
        return Outcome(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def pulse(self, worker: str) -> Path:
        """The file that a worker touches while it lives."""
        path = self.path / "workers" / quote(worker, safe="")
        path.parent.mkdir(exist_ok=True)
        return path

    def add(self, trial_id: str, outcome: Outcome) -> None:
        """Note what came of a trial."""
        files.write_json(self.trial(trial_id) / "outcome.json", asdict(outcome))

    def trial_ids(self) -> list[str]:
        """The trials that were drawn, in their order."""
        return sorted(path.parent.name.removeprefix("trial_") for path in self.path.glob("oracle/trial_*/trial.json"))

    def outcomes(self) -> dict[str, Outcome]:
        """What came of each trial that ended."""
        found = ((trial_id, self.outcome(trial_id)) for trial_id in self.trial_ids())
        return {trial_id: outcome for trial_id, outcome in found if outcome is not None}

    def best(self) -> str | None:
        """The trial with the best value, the first of equals."""
        done = {trial_id: one.value for trial_id, one in self.outcomes().items() if one.status == "done"}
        sign = self.plan.sign
        return min(done, key=lambda trial_id: sign * done[trial_id]) if done else None

    def table(self, over: bool | None = None) -> pd.DataFrame:
        """A row a trial, in their order: trial, status, the objective, val_loss, epoch (kept), epochs, the settings,
        seconds, reason, run (beside the objective and the settings, `space.COLUMNS`). A trial that did not end is
        `running` while the search is, else `stopped`. over: whether the search is; None looks."""
        import pandas as pd

        over = self.finished if over is None else over
        plan, open_ones = self.plan, "stopped" if over else "running"
        rows = []
        for trial_id in self.trial_ids():
            outcome, values = self.outcome(trial_id) or Outcome(open_ones), self.values(trial_id)
            rows.append(
                {"trial": trial_id, "status": outcome.status, plan.objective: outcome.value}
                | {"val_loss": outcome.row.get("val_loss"), "epoch": outcome.row.get("epoch")}
                | {"epochs": outcome.epochs or None}
                | {name: values.get(name) for name in plan.names}
                | {"after": values.get("tuner/trial_id"), "seconds": outcome.seconds or None}
                | {"reason": outcome.reason, "run": outcome.run}
            )
        first = ("trial", "status", plan.objective, "val_loss", "epoch", "epochs")
        columns = list(dict.fromkeys([*first, *plan.names, "after", "seconds", "reason", "run"]))
        table = pd.DataFrame(rows, columns=columns).astype({"epoch": "Int64", "epochs": "Int64"})
        return table if plan.algorithm == "hyperband" else table.drop(columns="after")


def create(runs_folder: Path, name: str, plan: Plan) -> Folder:
    """A new folder for a search."""
    place = runs_folder / "tuning" / name
    try:
        place.mkdir(parents=True, exist_ok=True)
        folder = Folder(files.dated(place))
    except OSError as error:
        raise RequestError(f"no search can be written to {place}: {error.strerror}; name another by --runs") from error
    (folder.path / "oracle").mkdir()
    files.write_json(folder.path / "search.json", asdict(plan))
    return folder


def of_space(runs_folder: Path, space: Space) -> Iterator[Folder]:
    """The folders of a space's searches, the latest first."""
    found = (runs_folder / "tuning" / space.name).glob("*/search.json")
    yield from (Folder(path.parent) for path in sorted(found, reverse=True))


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Which parts of two identities differ."""
    return [name for name in wanted if found.get(name) != wanted[name]]
