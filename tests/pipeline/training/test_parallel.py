"""Several devices, and several processes, train as one does: real ones, in processes of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import datasets, train
from pipeline.config import Augment, Binary, Cache, Classes, Data, Experiment, Optimizer, Regression, parsing
from pipeline.data import inputs
from pipeline.training import parallel
from pipeline.utils.errors import RequestError
from tests.conftest import with_stage

STEPS = 20
TRAIN = "import sys; from pipeline import train, load_experiment as load; train(load(sys.argv[1]), sys.argv[2])"
TRAIN_ON_ALL = TRAIN.replace("sys.argv[2])", "sys.argv[2], devices='all')")
TWO_CPUS = f"""
import sys
import tensorflow as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
{TRAIN_ON_ALL}
"""
LONE = "from pipeline.training import parallel; parallel.JOIN_SECONDS = 3; parallel.use('all')"
FACET = ["-m", "pipeline", "train"]


def begin(program: list[str], **environment: str) -> subprocess.Popen[str]:
    """A Python of its own; what it says comes with `communicate`."""
    command = [sys.executable, *program]
    return subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(*processes: subprocess.Popen[str]) -> None:
    """Wait for processes that are to succeed."""
    said = [process.communicate(timeout=600) for process in processes]
    for process, (_, errors) in zip(processes, said, strict=True):
        assert process.returncode == 0, errors[-2000:]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


def together(**environment: str) -> list[dict[str, str]]:
    """What the two processes of a training on JAX find in their environments."""
    common = environment | {
        "KERAS_BACKEND": "jax",
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"localhost:{free_port()}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    }
    return [common | {"KERAS_DISTRIBUTION_PROCESS_ID": str(number)} for number in range(2)]


def written(runs: Path) -> Path:
    """The one run in a folder."""
    (run,) = runs.glob("*/*")
    return run


def difference(one: Path, other: Path) -> float:
    """The largest difference of the losses and metrics of two runs, each step an epoch of its own."""
    first, second = (pd.read_csv(written(runs) / "history.csv") for runs in (one, other))
    assert list(first) == list(second)
    assert len(first) == len(second) == STEPS
    losses = [name for name in first if name.endswith(("loss", "penalty", "accuracy"))]
    assert np.ptp(first["loss"]) > 0.01  # something was learnt
    return float((first[losses] - second[losses]).abs().to_numpy().max())


@pytest.fixture(scope="module")
def steps(tiny: Experiment, faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment of 20 epochs of one step, with penalties, class weights, and ages that are often unknown (not
    evenly in both halves of a batch). No dropout, and what stands before the frozen batch norm is frozen."""
    folder = tmp_path_factory.mktemp("steps")
    table = pd.read_csv(faces / "manifest.csv", keep_default_na=False)
    table["path"] = [str(faces / path) for path in table["path"]]
    table["age"] = table["age"].where(np.random.default_rng(0).random(len(table)) > 0.4)
    table.to_csv(folder / "faces.csv", index=False)
    data = replace(tiny.stages[0].data, root=str(folder / "faces.csv"), classes=("glasses",), limit=100)
    optimizer = Optimizer("sgd", 1e-3)
    stage = {"data": data, "epochs": STEPS, "batch_size": 32, "train": ("conv3", "head"), "optimizer": optimizer}
    glasses = Classes("glasses", ("clear", "dark", "none"), class_weights=(1.0, 3.0, 0.5), weight=0.5)
    head = replace(tiny.model.head, dropout=())
    experiment = with_stage(
        replace(tiny, model=replace(tiny.model, head=head), targets=(Regression("age"), Binary("gender"), glasses)),
        **stage,
    )
    (folder / "steps.json").write_text(parsing.to_json(experiment))
    return folder / "steps.json"


@pytest.fixture(scope="module")
def alone(steps: Path) -> Path:
    """The runs folder of the experiment on one device."""
    runs = steps.parent / "alone"
    finished(begin(["-c", TRAIN, str(steps), str(runs)]))
    return runs


@pytest.mark.slow
def test_two_devices_train_as_one(steps: Path, alone: Path) -> None:
    runs = steps.parent / "mirrored"
    finished(begin(["-c", TWO_CPUS, str(steps), str(runs)]))
    assert '"devices": 2' in (written(runs) / "environment.json").read_text()
    assert difference(alone, runs) < 1e-4


@pytest.mark.slow
def test_batch_norm_that_trains_is_synchronized(steps: Path, tmp_path: Path) -> None:
    """At a low rate: a batch norm that trains makes much of the last bit, on one device too."""
    experiment = with_stage(parsing.read_json(steps), train="all", optimizer=Optimizer("sgd", 1e-5))
    (tmp_path / "all.json").write_text(parsing.to_json(experiment))
    program = {"one": TRAIN, "two": TWO_CPUS}
    for name, code in program.items():
        finished(begin(["-c", code, str(tmp_path / "all.json"), str(tmp_path / name)]))
    assert difference(tmp_path / "one", tmp_path / "two") < 1e-4


@pytest.fixture(scope="module")
def alone_on_jax(steps: Path) -> Path:
    """The same on JAX."""
    pytest.importorskip("jax", reason="JAX is an optional backend")
    runs = steps.parent / "alone_on_jax"
    finished(begin(["-c", TRAIN, str(steps), str(runs)], KERAS_BACKEND="jax"))
    return runs


@pytest.mark.slow
def test_two_devices_train_as_one_on_jax(steps: Path, alone_on_jax: Path, tmp_path: Path) -> None:
    two = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    finished(begin(["-c", TRAIN_ON_ALL, str(steps), str(tmp_path)], **two))
    assert '"devices": 2' in (written(tmp_path) / "environment.json").read_text()
    assert difference(alone_on_jax, tmp_path) < 1e-4


@pytest.mark.slow
def test_two_processes_train_as_one_and_write_one_run(steps: Path, alone_on_jax: Path, tmp_path: Path) -> None:
    """With the commands of the README's two terminals."""
    command = [*FACET, str(steps), "--devices", "all", "--runs", str(tmp_path)]
    finished(*(begin(command, **environment) for environment in together()))
    assert (written(tmp_path) / "saved_model").is_dir()
    assert '"processes": 2' in (written(tmp_path) / "environment.json").read_text()
    assert difference(alone_on_jax, tmp_path) < 1e-4


@pytest.mark.slow
def test_processes_with_different_experiments_stop(steps: Path, tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="JAX is an optional backend")
    command = [*FACET, str(steps), "--devices", "all", "--runs", str(tmp_path)]
    processes = [begin([*command, "--seed", str(i)], **one) for i, one in enumerate(together())]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 2
        assert "must be equal in all" in errors
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
def test_a_process_whose_others_do_not_come_says_so(number: int) -> None:
    pytest.importorskip("jax", reason="JAX is an optional backend")
    process = begin(["-c", LONE], **together()[number])
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "did not meet at localhost:" in errors
    assert "Traceback" not in errors


def test_each_process_reads_its_part_of_every_batch(faces: Path) -> None:
    rows = datasets.load(Data("csv", root=str(faces / "manifest.csv"))).head(20)
    crops = inputs.make_crops(rows, 16, 0.4, Cache(), "train")
    label, weight = {"row": np.arange(20)}, {"row": np.ones(20)}

    def read(*part: int) -> list[np.ndarray]:
        stream = inputs.training(crops, label, weight, 8, Augment(), seed=1, epoch=2, part=part)
        return [labels["row"] for _, labels, _ in stream.as_numpy_iterator()]

    halves = zip(read(0, 2), read(1, 2), strict=True)
    np.testing.assert_array_equal([np.concatenate(half) for half in halves], read(0, 1))


def test_a_batch_that_cannot_be_divided_is_refused_before_anything_is_read(tiny: Experiment) -> None:
    class Three(parallel.Devices):
        count = 3

    with pytest.raises(RequestError, match=r"stage train: a batch of 16 rows .* a multiple of 3"):
        Three().check(tiny)


def test_one_device_just_trains(tiny: Experiment, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    run = train(with_stage(tiny, epochs=1), tmp_path, devices="all")
    assert "there is one device on this machine" in caplog.text
    assert '"devices": 1' in (run.path / "environment.json").read_text()


def test_several_processes_need_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    with pytest.raises(RequestError, match="KERAS_BACKEND=jax"):
        parallel.use("all")
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "two")
    with pytest.raises(RequestError, match="expected how many"):
        parallel.use("all")


def test_devices_are_one_or_all(tiny: Experiment) -> None:
    with pytest.raises(RequestError, match="expected one or all"):
        train(tiny, devices="both")
