"""A trainer that answers at once: what it says follows from the experiment, and no network is trained.

The rate of a trial says what befalls it in its third epoch, which a rehearsal does not have: 0.5 fails, 0.25 has its
process killed, 0.125 takes its time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from pipeline.config import parsing
from pipeline.training import runs
from pipeline.utils import files


def loss_of(job: dict, epoch: int) -> float:
    experiment = job["experiment"]
    rate = experiment["stages"][-1]["optimizer"]["learning_rate"]
    units = sum(experiment["model"]["head"]["units"])
    return abs(rate - 0.01) + 1 / (1 + units) + 1 / 3 / epoch


def train(job: dict, say) -> None:
    experiment = parsing.from_json(json.dumps(job["experiment"]), "job")
    stage = experiment.stages[-1]
    rate = stage.optimizer.learning_rate
    examples = {stage.name: os.environ.get("EXAMPLES", "these")}
    begun = Path(job["resume"] or ".", "examples.json")
    before = json.loads(begun.read_text()) if begun.exists() else job.get("examples")
    if before and before != examples:
        return say(event="failed", reason="the data have changed", wrong=True, changed=True, seconds=0)
    if job["resume"]:
        run = runs.open_run(job["resume"])
        history = json.loads((run.path / "history.json").read_text())
        runs.reopen(run, experiment)
        (run.path / "resumed").touch()
    else:
        run, history = runs.create(experiment, job["runs"]), []
    files.write_json(run.path / "examples.json", examples)
    say(event="begun", run=str(run.path), seconds=0.001)
    for epoch in range(len(history) + 1, stage.epochs + 1):
        time.sleep(float(os.environ.get("EPOCH_SECONDS", "0")))
        history.append({"stage": stage.name, "epoch": epoch, "val_loss": loss_of(job, epoch)})
        files.write_json(run.path / "history.json", history)
        say(event="epoch", row=history[-1], seconds=0.002 * epoch)
        if epoch < 3:
            continue
        if rate == 0.5:
            return say(event="failed", reason="the loss is nan", wrong=False, changed=False, seconds=0)
        if rate == 0.25:
            os.kill(os.getpid(), signal.SIGKILL)
        if rate == 0.125:
            time.sleep(60)
    with Path(os.environ["TRAINED"]).open("a") as log:
        log.write(f"{experiment.name}\n")
    return say(event="done", run=str(run.path), history=history, examples=examples, seconds=0.01)


def judge(job: dict, say) -> None:
    results = {"count": 7, "targets": {"gender": {"accuracy": 0.5}}}
    say(event="done", results=results, seconds=0)


def main() -> None:
    def say(**told) -> None:
        print(json.dumps(told), flush=True)

    tempfile.mkstemp()  # as TensorFlow does
    for line in sys.stdin:
        job = json.loads(line)
        {"train": train, "judge": judge}[job["do"]](job, say)


if __name__ == "__main__":
    main()
