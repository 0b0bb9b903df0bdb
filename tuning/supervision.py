"""The trainer's process, watched: it is asked, listened to, killed at a deadline, and replaced when it has died."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pipeline.utils.errors import ChangedError

COMMAND = (sys.executable, "-m", "tuning.trainer")
_HERE = Path(__file__).parent.parent


def module_environment() -> dict[str, str]:
    """The environment of a Python that finds this package, wherever it is started."""
    paths = filter(None, [str(_HERE), os.environ.get("PYTHONPATH")])
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


class FailedError(RuntimeError):
    """The job failed, with the reason; `wrong` where what was asked for is at fault."""

    def __init__(self, reason: str, wrong: bool = False) -> None:
        super().__init__(reason)
        self.wrong = wrong


class StoppedError(RuntimeError):
    """The time was over before the job was done."""


class Trainer:
    """A trainer's process, kept for one job after another: importing TensorFlow takes seconds."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """A process that gets ready for its first job; what it leaves when it is killed lies in a folder of its own."""
        self.left = tempfile.TemporaryDirectory(prefix="facet-trainer-")
        self.process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # until it has a job's log
            text=True,
            env=module_environment() | {"TMPDIR": self.left.name},
            start_new_session=True,  # Ctrl-C is for the search, which ends it
        )
        self.answers: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_listen, args=(self.process.stdout, self.answers), daemon=True).start()

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process = None
            self.left.cleanup()

    def events(self, job: dict[str, Any], until: float) -> Iterator[dict[str, Any]]:
        """What the trainer tells of a job, `done` last.

        until: seconds since 1970, at which it is killed. Raises FailedError where the job failed or the process died,
        ChangedError where the data are no longer those that it was to go on with, StoppedError when the time is over.
        After any of them, another process takes the next job.
        """
        if self.process is None:
            self.start()
        try:
            yield from self._events(job, until)
        except BaseException:
            self.stop()
            raise

    def done(self, job: dict[str, Any], until: float, told: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """The last of the job's events; `told` is called at each of the others."""
        for event in self.events(job, until):
            if event["event"] != "done":
                told()
        return event

    def _events(self, job: dict[str, Any], until: float) -> Iterator[dict[str, Any]]:
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise FailedError(self._death()) from None
        event = {"event": ""}
        while event["event"] != "done":
            try:
                line = self.answers.get(timeout=min(max(until - time.time(), 0), threading.TIMEOUT_MAX))
            except queue.Empty:
                raise StoppedError from None
            if line is None:
                raise FailedError(self._death())
            event = json.loads(line)
            if event["event"] == "failed":
                raise (
                    ChangedError(event["reason"]) if event["changed"] else FailedError(event["reason"], event["wrong"])
                )
            yield event

    def _death(self) -> str:
        status = self.process.wait()
        if status == -signal.SIGKILL:
            return "its process was killed (SIGKILL), as happens when memory runs out"
        return f"its process ended by {signal.Signals(-status).name}" if status < 0 else f"its process ended ({status})"


def _listen(answers: IO[str], heard: queue.Queue[str | None]) -> None:
    for line in answers:
        heard.put(line)
    heard.put(None)
