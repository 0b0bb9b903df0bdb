"""Searches on many machines: keras-tuner's chief, which has the oracle, and its workers, which train.

The chief and all workers must see the same files: what is tried, and what came of it, is in the search's folder; over
gRPC go the questions for a trial. `--workers` starts them on this machine, each with its share of the memory and a GPU
of its own as far as there are any; on several, each is started by hand with keras-tuner's three variables.
"""

from __future__ import annotations

import logging
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from keras_tuner import HyperParameters
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief, oracle_client
from keras_tuner.src.engine import conditions

from pipeline.cli.commandline import exit_status
from pipeline.utils.errors import RequestError, WorkError
from tuning.record import Folder
from tuning.supervision import Trainer, module_environment
from tuning.view import View
from tuning.work import work

log = logging.getLogger(__name__)

VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
PATIENCE = 60  # seconds that a worker waits for its chief: for one that is not up yet, and for one that is gone
LINGER = 5  # seconds in which workers may still ask, and hear that there is no more
PAUSE = 0.5
BEAT, SILENCE = 10, 120  # seconds between a remote worker's signs of life, and without one until it is given up
conditions.print = lambda *said: None  # theirs (1.4.8) prints a value of every condition that it sends, on stdout
_LOCAL = re.compile(r"local\d+")  # the names of workers that the chief starts itself


@dataclass(frozen=True)
class Role:
    """This process' part: `chief`, or a worker's name of its own, and where the chief is."""

    name: str
    address: str
    port: int

    @property
    def leads(self) -> bool:
        return "chief" in self.name  # so keras-tuner has it


def role() -> Role | None:
    """What the three variables say; None without them. Raises RequestError for some of them, or a port that is none."""
    said = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    if not said:
        return None
    missing = [name for name in VARIABLES if name not in said]
    if missing:
        raise RequestError(f"{', '.join(said)} set, but not {', '.join(missing)}: set all three, or none")
    name, address, port = said.values()
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise RequestError(f"KERASTUNER_ORACLE_PORT={port}: expected a port, such as 8000")
    return Role(name, address, int(port))


class _Soon:
    """The oracle of a chief that rehearses: it has no trial yet."""

    def create_trial(self, tuner_id: str) -> Trial:
        return Trial(HyperParameters(), trial_id="", status=TrialStatus.IDLE)


@contextmanager
def served(place: Role) -> Iterator[oracle_chief.OracleServicer]:
    """keras-tuner's service, at this place; its `oracle` is to be set. Raises RequestError for a port that is taken."""
    from concurrent.futures import ThreadPoolExecutor

    server = grpc.server(ThreadPoolExecutor(max_workers=1), options=[("grpc.so_reuseport", 0)])
    servicer = oracle_chief.OracleServicer(_Soon())
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    try:
        server.add_insecure_port(f"{place.address}:{place.port}")
    except RuntimeError as error:
        raise RequestError(f"the chief cannot listen at {place.address}:{place.port}: is the port in use?") from error
    server.start()
    try:
        yield servicer
    finally:
        server.stop(grace=None)


def lead(
    servicer: oracle_chief.OracleServicer, workers: Callable[[Folder], list[subprocess.Popen]], trainer: Trainer
) -> Callable[[Folder, Any, View], None]:
    """Trials by workers: `workers` starts those that this process looks after. Its own trainer rests meanwhile."""

    def trials(folder: Folder, oracle: Any, view: View) -> None:
        trainer.stop()
        servicer.oracle = oracle
        if not (ours := workers(folder)):
            log.info("trials wait for workers: this command, with another KERASTUNER_TUNER_ID")
        try:
            heard: dict[str, tuple[float, float]] = {}
            while not _is_over(servicer, folder, ours):
                _give_up_on_dead(oracle, ours)
                give_up_on_silent(oracle, folder, heard, time.monotonic())
                view.refresh()
                time.sleep(PAUSE)
            _linger(oracle)
        finally:
            for process in ours:
                process.kill()
                process.wait()

    return trials


def _is_over(servicer: oracle_chief.OracleServicer, folder: Folder, ours: list[subprocess.Popen]) -> bool:
    oracle = servicer.oracle
    # A trial that was handed back waits for a worker that is still there.
    taken_up = any(process.poll() is None for process in ours) if ours else bool(oracle.tuner_ids)
    if servicer.stop_triggered and not oracle.ongoing_trials and not (oracle.waits_again and taken_up):
        return True
    if ours and all(process.poll() is not None for process in ours):
        if time.time() < folder.until and not servicer.stop_triggered:
            raise WorkError(f"all {len(ours)} workers ended; the first one's exit status is {ours[0].returncode}")
        return True
    return time.time() > folder.until + LINGER


def _give_up_on_dead(oracle: Any, ours: list[subprocess.Popen]) -> None:
    """The trial of a worker that died goes to another."""
    for number, process in enumerate(ours):
        trial = oracle.ongoing_trials.get(f"local{number}")
        if process.poll() is not None and trial is not None:
            log.warning(f"worker {number} ended ({process.returncode}): its trial {trial.trial_id} goes to another")
            oracle.hand_back(f"local{number}")


def give_up_on_silent(oracle: Any, folder: Folder, heard: dict[str, tuple[float, float]], now: float) -> None:
    """The trial of a worker on another machine that has not touched its file for SILENCE seconds goes to another.

    heard: by worker, when its file was touched, by that machine's clock, and when that was seen, by this one's.
    """
    for worker, trial in list(oracle.ongoing_trials.items()):
        if _LOCAL.fullmatch(worker):
            continue
        pulse = folder.pulse(worker)
        touched = pulse.stat().st_mtime if pulse.exists() else 0.0
        if worker not in heard or heard[worker][0] != touched:
            heard[worker] = touched, now
        elif now - heard[worker][1] > SILENCE:
            log.warning(f"worker {worker} is silent: its trial {trial.trial_id} goes to another")
            oracle.hand_back(worker)


@contextmanager
def _beating(pulse: Path) -> Iterator[None]:
    """Within it a file is touched every few seconds."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT):
            with suppress(OSError):  # of a network file system: it may be there again the next time
                pulse.touch()

    pulse.touch()
    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _linger(oracle: Any) -> None:
    """Until every worker that ever asked has heard that there is no more."""
    end = time.time() + LINGER
    while oracle.tuner_ids and time.time() < end:
        time.sleep(PAUSE)


def local_workers(count: int, place: Role) -> Callable[[Folder], list[subprocess.Popen]]:
    """Workers on this machine; they end when this process does."""

    def started(folder: Folder) -> list[subprocess.Popen]:
        from distributed.system import MEMORY_LIMIT  # here: it takes half a second, and most searches have no workers

        visible = gpus()
        return [
            _started(
                Role(f"local{number}", place.address, place.port),
                folder,
                visible[number % len(visible)],
                MEMORY_LIMIT // count,
            )
            for number in range(count)
        ]

    return started


def gpus() -> list[dict[str, str]]:
    """The variable by which a process sees one GPU alone, for each of them; without any, one that says nothing."""
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    if said is None:
        try:
            listed = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
            said = ",".join(subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split())
        except (OSError, subprocess.CalledProcessError):  # no such program: no such GPU
            said = ""
    return [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in said.replace(" ", "").split(",") if gpu] or [{}]


def _started(place: Role, folder: Folder, gpu: Mapping[str, str], memory: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tuning.distributed", str(folder.path), str(memory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=module_environment()
        | gpu
        | dict(zip(VARIABLES, (place.name, place.address, str(place.port)), strict=True)),
        start_new_session=True,  # Ctrl-C is for the search, which ends it
    )


def loopback() -> Role:
    """A place for a chief on this machine, at a port that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Role("chief", "127.0.0.1", free.getsockname()[1])


def follow(place: Role, find: Callable[[], Folder], trainer: Trainer) -> Folder:
    """Be a worker until the chief has no more trials; answers the search's folder, which `find` looks for once the
    chief has made it.

    Raises RequestError where there is no chief, WorkError where it is gone.
    """
    oracle_client.TIMEOUT = PATIENCE  # an hour otherwise
    channel = grpc.insecure_channel(f"{place.address}:{place.port}")
    try:
        grpc.channel_ready_future(channel).result(timeout=PATIENCE)
    except grpc.FutureTimeoutError:
        raise RequestError(
            f"no chief at {place.address}:{place.port} within {PATIENCE} s: start the same command there with "
            "KERASTUNER_TUNER_ID=chief, and check the address"
        ) from None
    finally:
        channel.close()
    oracle = oracle_client.OracleClient(None)
    try:
        _wait(oracle, place)
        folder = find()
        with _beating(folder.pulse(place.name)):
            work(oracle, place.name, folder, trainer)
    except grpc.RpcError as error:
        raise WorkError(f"the chief at {place.address}:{place.port} is gone ({error.code().name})") from error
    return folder


def _wait(oracle: oracle_client.OracleClient, place: Role) -> None:
    """Until the chief has a trial for this worker, which is then asked for again, or no more."""
    while oracle.create_trial(place.name).status == TrialStatus.IDLE:
        time.sleep(PAUSE)


def share_memory(most: int) -> None:
    """Have this process, and those that it starts, take so many bytes for all the memory there is (`store.room_for`).

    Linux notes this limit and enforces nothing.
    """
    resource.setrlimit(resource.RLIMIT_RSS, (most, most))


def _main(path: str, memory: str) -> Path:
    """A worker that the chief started on its own machine."""
    share_memory(int(memory))
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    with Trainer() as trainer:
        return follow(role(), lambda: Folder(Path(path)), trainer).path


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(exit_status(lambda: _main(*sys.argv[1:])))
