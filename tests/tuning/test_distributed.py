"""keras-tuner's chief and workers on this machine."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from keras_tuner import HyperParameters
from keras_tuner.src import protos

from tests.tuning.conftest import said_of
from tuning import distributed, oracles
from tuning.__main__ import main
from tuning.record import Folder
from tuning.supervision import Trainer


@pytest.mark.parametrize("algorithm", ["grid", "random"])
@pytest.mark.slow
def test_chief_and_two_workers_do_each_trial_once_and_as_one_process_does(
    algorithm: str, space, searched, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chief in this thread, a worker in each of two others, over gRPC."""
    path = space(algorithm, range(1, 9), [0.01, 0.02, 0.5])
    alone = searched(path, "--trials", "12", runs="alone")
    done = len(trained.read_text().split())
    at = distributed.loopback()
    for name, value in zip(distributed.VARIABLES, ("chief", at.address, str(at.port)), strict=True):
        monkeypatch.setenv(name, value)
    workers = [threading.Thread(target=work, args=(f"worker{n}", at, tmp_path / "shared")) for n in range(2)]
    for worker in workers:
        worker.start()
    shared = searched(path, "--trials", "12", runs="shared")
    for worker in workers:
        worker.join()
    assert said_of(shared) == said_of(alone)
    failed = int((shared.table()["status"] == "failed").sum())
    names = [name for name in trained.read_text().split()[done:] if name != "rehearsal"]
    assert len(names) == len(set(names)) == 12 - failed


def test_a_trial_of_a_worker_elsewhere_that_falls_silent_goes_to_another(tmp_path: Path) -> None:
    folder, heard, start = Folder(tmp_path), {}, 1000.0
    oracle = oracles.make_oracle("random", "val_loss", space_of_rates(), 0, 4, 1)
    oracle.open(tmp_path)
    lost = oracle.create_trial("worker0").trial_id
    for after in (0, distributed.SILENCE - 1):
        distributed.give_up_on_silent(oracle, folder, heard, start + after)
    assert list(oracle.ongoing_trials) == ["worker0"]
    folder.pulse("worker0").touch()  # it lives
    distributed.give_up_on_silent(oracle, folder, heard, start + distributed.SILENCE + 1)
    assert list(oracle.ongoing_trials) == ["worker0"]
    distributed.give_up_on_silent(oracle, folder, heard, start + 2 * distributed.SILENCE + 2)
    assert not oracle.ongoing_trials
    assert oracle.create_trial("worker1").trial_id == lost


def test_a_chief_prints_nothing_of_what_it_sends(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    hp = HyperParameters()
    hp.Choice("layers", [1, 0])
    hp.Choice("width", [64, 128], parent_name="layers", parent_values=[1])
    oracle = oracles.make_oracle("random", "val_loss", hp, 0, 4, 1)
    oracle.open(tmp_path)
    with distributed.served(distributed.loopback()) as servicer:
        servicer.oracle = oracle
        sent = servicer.CreateTrial(protos.get_service().CreateTrialRequest(tuner_id="worker0"), None)
    assert sent.trial.trial_id == "0000"
    assert capsys.readouterr().out == ""


def test_workers_of_one_machine_share_its_memory() -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', %r], check=True)"
    said = "from distributed.system import MEMORY_LIMIT; print(MEMORY_LIMIT)"
    program = f"from tuning.distributed import share_memory; share_memory(2**28); {child % said}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) == 2**28


def space_of_rates() -> HyperParameters:
    hp = HyperParameters()
    hp.Float("rate", 0.1, 0.2)
    return hp


def test_each_local_worker_has_a_gpu_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    program.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert distributed.gpus() == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert distributed.gpus() == [{"CUDA_VISIBLE_DEVICES": "3"}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert distributed.gpus() == [{}]


def work(name: str, at: distributed.Role, runs: Path) -> None:
    with Trainer() as trainer:
        here = distributed.Role(name, at.address, at.port)
        distributed.follow(here, lambda: Folder(next(runs.glob("tuning/space/*"))), trainer)


def test_a_worker_without_a_chief(
    space, trained: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker0")
    assert main([str(space()), "--runs", str(tmp_path)]) == 2
    assert "but not KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT" in capsys.readouterr().err
    for name, value in zip(distributed.VARIABLES, ("worker0", "127.0.0.1", "9"), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "PATIENCE", 0.5)
    assert main([str(space()), "--runs", str(tmp_path)]) == 2
    assert "no chief at 127.0.0.1:9" in capsys.readouterr().err
