"""A process that trains one experiment after another: `python -m tuning.trainer`, a job a line on stdin, as JSON.

{"do": "train", "experiment": …, "runs": folder, "resume": run or null, "log": file, "track": …, "group": …,
 "examples": what other trials on these data learned from}
{"do": "judge", "run": folder, "log": file}

It answers, a line each, {"event": "begun", "run": …}, {"event": "epoch", "row": a row of history.csv}, and at the end
{"event": "done", …} or {"event": "failed", "reason": …, "wrong": whether the request was, "changed": whether the data
have}. `seconds` are since the job came. What else is said goes to the job's log. It ends with stdin, that is with
whoever started it.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.training.runs import Run, open_run
from pipeline.training.tracking import Tracker, tracker
from pipeline.utils import sharing
from pipeline.utils.errors import ChangedError, EmptySplitError, RequestError, WorkError
from pipeline.utils.startup import import_tensorflow

Say = Callable[..., None]


class _Teller(Tracker):
    """Tells of a run's beginning and of its epochs, and another tracker too."""

    def __init__(self, say: Say, other: Tracker) -> None:
        self.say, self.other = say, other

    def begin(self, run: Run) -> None:
        self.say("begun", run=str(run.path))
        self.other.begin(run)

    def epoch(self, step: int, row: dict[str, Any]) -> None:
        self.say("epoch", row=row)
        self.other.epoch(step, row)


def main() -> None:
    jobs, answers = queue.Queue(), os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is no answer
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    import_tensorflow()
    sharing.begin()
    while True:
        job, began = json.loads(jobs.get()), time.perf_counter()

        def say(event: str, began: float = began, **told: Any) -> None:
            told |= {"event": event, "seconds": round(time.perf_counter() - began, 3)}
            print(json.dumps(told), file=answers, flush=True)

        with Path(job["log"]).open("ab") as log:
            os.dup2(log.fileno(), 2)
        _do(job, say)


def _read(jobs: queue.Queue[str]) -> None:
    """The end of stdin is the end of the process, in the middle of an epoch too."""
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)


def _do(job: dict[str, Any], say: Say) -> None:
    try:
        say("done", **_JOBS[job["do"]](job, say))
    except (RequestError, WorkError) as error:
        changed = isinstance(error, ChangedError)
        say("failed", reason=str(error), wrong=isinstance(error, RequestError), changed=changed)
    except Exception as error:
        traceback.print_exc()
        say("failed", reason=_reason(error), wrong=False, changed=False)


def _reason(error: Exception) -> str:
    """One line of what went wrong."""
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return f"out of memory ({type(error).__name__})"
    return f"{type(error).__name__}: {(str(error).strip() or '(no message)').splitlines()[0]:.200}"


def _train(job: dict[str, Any], say: Say) -> dict[str, Any]:
    import keras

    from pipeline import datasets, train
    from pipeline.config import parsing
    from pipeline.training.loading import settle
    from pipeline.training.train import check_unchanged, examples

    keras.backend.clear_session()  # of the trial before: names and memory
    experiment = settle(parsing.from_json(json.dumps(job["experiment"]), "the trial"))
    resumed = open_run(job["resume"]) if job["resume"] else None
    if job.get("examples"):
        tables = {stage.name: datasets.load(stage.data) for stage in experiment.stages}
        check_unchanged(Path(job["runs"]).parent, job["examples"], examples(experiment, tables))
    follower = tracker(job["track"], job["group"])
    run = train(experiment, job["runs"], resumed, _Teller(say, follower))
    follower.end(run)
    learned = {stage: notes["examples"] for stage, notes in run.environment["stages"].items()}
    return {"run": str(run.path), "history": run.history.to_dict("records"), "examples": learned}


def _judge(job: dict[str, Any], say: Say) -> dict[str, Any]:
    from pipeline import evaluate

    try:
        return {"results": evaluate(open_run(job["run"]))}
    except EmptySplitError as error:
        return {"results": None, "reason": str(error)}


_JOBS = {"train": _train, "judge": _judge}

if __name__ == "__main__":
    main()
