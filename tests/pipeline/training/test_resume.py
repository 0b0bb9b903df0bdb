"""A run that was stopped goes on to what it would have been."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from pipeline import evaluate, export, train
from pipeline.cli.commands import main
from pipeline.config import Experiment, Optimizer, parsing
from pipeline.training import checkpoints
from pipeline.training.runs import Run, held, open_run
from pipeline.utils.errors import RequestError
from tests.conftest import relabelled, with_stage

EPOCHS = 4


@pytest.fixture(scope="module")
def experiment(tiny: Experiment, faces_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Two stages, dropout, an optimizer with moments, an epoch kept by a metric, ages that the second stage has others
    of: all that has to survive."""
    last = replace(tiny.stages[0], epochs=EPOCHS, keep="val_gender_auc")
    ages = pd.read_csv(faces_csv)["age"] / 2
    data = replace(last.data, root=relabelled(faces_csv, tmp_path_factory.mktemp("younger"), age=ages))
    return replace(tiny, stages=(replace(last, name="pretrain", data=data, train="head", epochs=2), last))


@pytest.fixture(scope="module")
def uninterrupted(experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = train(experiment, tmp_path_factory.mktemp("whole"))
    evaluate(run)
    return run


def assert_equal_runs(run: Run, reference: Run) -> None:
    evaluate(run)
    for name in ("history.csv", "predictions.csv"):
        assert (run.path / name).read_bytes() == (reference.path / name).read_bytes()
    ours, theirs = (keras.saving.load_model(r.model, compile=False).get_weights() for r in (run, reference))
    for a, b in zip(ours, theirs, strict=True):
        assert np.array_equal(a, b)
    assert not list(run.path.rglob(".unfinished-*"))


class Stopped(Exception):
    pass


@pytest.mark.parametrize("after", [pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow), 4])
def test_stopped_after_an_epoch(
    after: int, experiment: Experiment, uninterrupted: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between epochs: in the first stage, at its end, and in the second."""
    write, done = checkpoints.write, []

    def counted(run: Run, progress: checkpoints.Progress) -> None:
        write(run, progress)
        done.append(progress.epoch)
        if len(done) == after:
            raise Stopped

    monkeypatch.setattr(checkpoints, "write", counted)
    with pytest.raises(Stopped):
        train(experiment, tmp_path)
    monkeypatch.setattr(checkpoints, "write", write)
    run = open_run(next(tmp_path.glob("tiny/*")))
    assert_equal_runs(train(run.experiment, resume=run), uninterrupted)


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
import tensorflow as tf
from pipeline import train
from pipeline.config import parsing
from pipeline.data import inputs

moment, configuration, folder = sys.argv[1:]
training, savez = inputs.training, np.savez
count = {"epochs": 0, "checkpoints": 0}

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def killed_in_the_fourth_epoch(*arguments, **options):
    count["epochs"] += 1
    stream = training(*arguments, **options)
    if moment != "epoch" or count["epochs"] < 4:
        return stream
    def deadly(value):
        return tf.ensure_shape(tf.numpy_function(kill, [value], value.dtype), value.shape)
    return stream.map(lambda x, y, w: (x, y, {name: deadly(value) for name, value in w.items()}))

def killed_in_the_third_checkpoint(file, **arrays):
    count["checkpoints"] += 1
    if moment == "checkpoint" and count["checkpoints"] == 3:
        file.write(b"half")
        file.flush()
        kill()
    savez(file, **arrays)

inputs.training, np.savez = killed_in_the_fourth_epoch, killed_in_the_third_checkpoint
train(parsing.read_json(Path(configuration)), folder)
"""


@pytest.mark.parametrize("moment", ["epoch", pytest.param("checkpoint", marks=pytest.mark.slow)])
def test_killed_in_an_epoch_and_while_the_checkpoint_is_written(
    moment: str, experiment: Experiment, uninterrupted: Run, tmp_path: Path
) -> None:
    (tmp_path / "tiny.json").write_text(parsing.to_json(experiment))
    program = [sys.executable, "-c", KILLED, moment, str(tmp_path / "tiny.json"), str(tmp_path / "runs")]
    assert subprocess.run(program, capture_output=True).returncode == -signal.SIGKILL
    run = open_run(next(tmp_path.glob("runs/tiny/*")))
    assert_equal_runs(train(run.experiment, resume=run), uninterrupted)


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(experiment: Experiment, uninterrupted: Run, tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_text(parsing.to_json(experiment))
    program = [sys.executable, "-m", "pipeline", "train", str(tmp_path / "tiny.json"), "--runs", str(tmp_path / "runs")]
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what a shell starts with & ignores Ctrl-C
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True, preexec_fn=hears)
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("pretrain 1/2"):
            process.send_signal(signal.SIGINT)
    assert process.wait() == 1
    run = open_run(next(tmp_path.glob("runs/tiny/*")))
    assert any(f"--resume {run.path}" in line for line in said)
    assert "Traceback" not in "".join(said)
    assert_equal_runs(train(run.experiment, resume=run), uninterrupted)


def test_a_finished_run_goes_on_with_more_epochs(tiny: Experiment, tmp_path: Path) -> None:
    finished = train(with_stage(tiny, epochs=2), tmp_path)
    again = train(with_stage(finished.experiment, epochs=3), resume=finished)
    whole = train(with_stage(tiny, epochs=3), tmp_path / "whole")
    assert again.path == finished.path
    assert (again.path / "history.csv").read_bytes() == (whole.path / "history.csv").read_bytes()


def test_the_row_of_an_epoch_that_only_the_checkpoint_has_is_written(tiny: Experiment, tmp_path: Path) -> None:
    run = train(with_stage(tiny, epochs=2), tmp_path)
    whole = (run.path / "history.csv").read_text()
    (run.path / "history.csv").write_text("".join(whole.splitlines(keepends=True)[:-1]))  # as if killed before it
    train(run.experiment, resume=run)
    assert (run.path / "history.csv").read_text() == whole


def test_a_stage_that_was_stopped_early_says_that_it_does_not_go_on(tiny: Experiment, tmp_path: Path, caplog) -> None:
    still = with_stage(tiny, optimizer=Optimizer("sgd", 1e-12, momentum=0.0), epochs=6, early_stopping=1)
    run = train(with_stage(still, keep="val_gender_accuracy"), tmp_path)
    done = len(run.history)
    assert done < 6
    assert len(train(with_stage(run.experiment, epochs=20), resume=run).history) == done
    assert f"was stopped early after epoch {done}" in caplog.text


def test_what_was_said_of_a_model_goes_with_it(tiny: Experiment, tmp_path: Path) -> None:
    run = train(with_stage(tiny, epochs=1), tmp_path)
    evaluate(run)
    export(run)
    train(with_stage(run.experiment, epochs=2), tmp_path, resume=run)
    assert not [
        path.name for path in run.path.iterdir() if path.name.startswith(("results", "predictions", "saved_model"))
    ]


def test_what_was_exported_of_the_model_before_is_named(tiny: Experiment, tmp_path: Path, caplog) -> None:
    run = train(with_stage(tiny, epochs=1), tmp_path)
    exported = run.path / "litert-int8" / "labels.json"
    exported.parent.mkdir()
    exported.touch()
    train(with_stage(run.experiment, epochs=2), tmp_path, resume=run)
    assert f"litert-int8 in {run.path}: of the model before it was trained further" in caplog.text
    assert exported.exists()


def test_the_best_weights_are_written_once_where_the_last_are_the_best(run: Run, tmp_path: Path) -> None:
    progress = checkpoints.read(run)
    sizes = []
    for kept in (progress.weights, [weight.copy() for weight in progress.weights]):
        progress.kept = kept
        checkpoints.write(Run(tmp_path), progress)
        sizes.append((tmp_path / checkpoints.FILE).stat().st_size)
        again = checkpoints.read(Run(tmp_path))
        assert all(map(np.array_equal, again.kept, kept))
    assert sizes[0] < 0.8 * sizes[1]


def test_a_frozen_backbone_is_written_once(tiny: Experiment, tmp_path: Path) -> None:
    run = train(with_stage(tiny, train="head", epochs=2), tmp_path)
    last, constant = run.path / checkpoints.FILE, run.path / "checkpoints/frozen-0.npz"
    with np.load(constant) as backbone, np.load(last) as moved:
        assert not {f"weights/{i}" for i in backbone} & set(moved)
    assert constant.stat().st_size > 3 * last.stat().st_size
    network = keras.saving.load_model(run.model, compile=False)
    assert all(map(np.array_equal, checkpoints.read(run).kept, network.get_weights()))


def test_what_a_stage_that_is_over_did_not_move_is_gone(uninterrupted: Run) -> None:
    assert [path.name for path in (uninterrupted.path / "checkpoints").iterdir()] == ["last.npz"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--epochs 1", "their number in all"),
        ("--learning-rate 1", "keeps its configuration"),
        ("--model.image_size 64", "keeps its configuration"),
    ],
)
def test_a_resumed_run_keeps_its_configuration(
    options: str, said: str, run: Run, capsys: pytest.CaptureFixture
) -> None:
    assert main(["train", "--resume", str(run.path), *options.split()]) == 2
    assert said in capsys.readouterr().err


def test_a_stage_that_another_followed_is_done(uninterrupted: Run, capsys: pytest.CaptureFixture) -> None:
    before = (uninterrupted.path / "experiment.json").read_bytes()
    assert main(["train", "--resume", str(uninterrupted.path), "--epochs", "pretrain=9"]) == 2
    assert "stage pretrain is done" in capsys.readouterr().err
    assert (uninterrupted.path / "experiment.json").read_bytes() == before


def test_a_run_that_another_process_trains_is_left_alone(run: Run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "copy")))
    before = {path: path.stat().st_mtime_ns for path in copy.path.rglob("*") if path.name != ".lock"}
    with held(copy), pytest.raises(RequestError, match="is being trained by another process"):
        train(with_stage(copy.experiment, epochs=3), resume=copy)
    assert {path: path.stat().st_mtime_ns for path in copy.path.rglob("*") if path.name != ".lock"} == before


def test_data_that_changed_since_are_not_trained_on(tiny: Experiment, faces_csv: Path, tmp_path: Path, caplog) -> None:
    data = replace(tiny.stages[0].data, root=relabelled(faces_csv, tmp_path))
    run = train(with_stage(tiny, data=data, epochs=1), tmp_path / "runs")
    table = Path(data.root)
    pd.read_csv(table).iloc[::-1].assign(note="of another column").to_csv(table, index=False)
    evaluate(run)
    assert "has changed" not in caplog.text
    relabelled(faces_csv, tmp_path, gender="female")
    with pytest.raises(RequestError, match="the data of stage train have changed"):
        train(with_stage(run.experiment, epochs=2), resume=run)
    assert run.is_finished
    evaluate(run)
    assert "csv has changed since the run was trained on it" in caplog.text


def test_a_run_of_before_the_data_were_noted_goes_on(run: Run, tmp_path: Path, caplog) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "copy")))
    progress = checkpoints.read(copy)
    del progress.notes["train"]["examples"]
    checkpoints.write(copy, progress)
    assert len(train(with_stage(copy.experiment, epochs=3), resume=copy).history) == 3


@pytest.mark.slow
def test_a_run_in_float16_goes_on(tiny: Experiment, tmp_path: Path) -> None:
    experiment = replace(with_stage(tiny, epochs=1), precision="mixed_float16")
    try:
        run = train(experiment, tmp_path)
        again = train(with_stage(run.experiment, epochs=2), resume=run)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert len(again.history) == 2


@pytest.mark.parametrize("damage", [lambda _: b"damaged", lambda _: b"", lambda whole: whole[: len(whole) // 2]])
def test_a_damaged_checkpoint_is_named(damage: Callable[[bytes], bytes], run: Run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "copy")))
    path = copy.path / checkpoints.FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RequestError, match="cannot be resumed"):
        train(copy.experiment, resume=copy)
