"""Ctrl-C is heard wherever it is pressed."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from pipeline import train
from pipeline.config import Experiment
from pipeline.inference import drawn, predict, sources
from pipeline.training import checkpoints
from pipeline.training.runs import Run, open_run
from pipeline.utils import interrupts
from tests.conftest import smooth_picture, write_picture


@pytest.fixture(autouse=True)
def python_hears_it() -> Iterator[None]:
    """Also where the tests are run in a shell's background, which ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def press_where_it_is_lost() -> None:
    """In a callback of C++ code, whose exceptions go nowhere, as JAX's in Python's garbage collection."""
    try:
        press()
    except KeyboardInterrupt:
        return


@pytest.mark.parametrize("heeds", [True, False], ids=["when asked", "when left"])
def test_it_waits_until_it_may(heeds: bool) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts.deferred() as heed:
        press()
        done.append("work")
        if heeds:
            heed()
            done.append("more")
    assert done == ["work"]


def test_pressed_twice_it_does_not_wait() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts.deferred():
        press()
        press()
        done.append("more")
    assert not done


def test_an_error_is_not_hidden_by_it() -> None:
    with pytest.raises(ZeroDivisionError), interrupts.deferred():
        press()
        _ = 1 / 0


def test_afterwards_it_is_as_it_was() -> None:
    with interrupts.deferred() as heed:
        heed()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_it_is_ignored_it_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.deferred() as heed:
            press()
            heed()
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_nothing_is_changed() -> None:
    found = []

    def work() -> None:
        with interrupts.deferred():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


def test_training_stops_where_a_library_loses_it(
    tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = checkpoints.write

    def pressed(*arguments: object) -> None:
        write(*arguments)
        press_where_it_is_lost()

    monkeypatch.setattr(checkpoints, "write", pressed)
    with caplog.at_level("INFO"), pytest.raises(KeyboardInterrupt):
        train(tiny, tmp_path)
    run = open_run(next(tmp_path.glob("tiny/*")))
    assert f"--resume {run.path}" in caplog.text
    assert len(run.history) == 1


def test_prediction_keeps_what_it_has(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        write_picture(tmp_path / f"{number:03}.png", number)
    monkeypatch.setattr(drawn.Drawings, "add", lambda *_: press_where_it_is_lost())
    with pytest.raises(KeyboardInterrupt):  # there were more to answer for
        predict.predict(run.path, [str(tmp_path)], tmp_path / "answers.csv", faces="whole")
    assert 0 < len(pd.read_csv(tmp_path / "answers.csv")) < 200


def test_a_camera_is_done_when_it_is_interrupted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = (sources.Picture("camera:0", pixels=smooth_picture(0), frame=i) for i in itertools.count())
    monkeypatch.setattr(sources, "pictures", lambda *_: seen)
    monkeypatch.setattr(drawn.Drawings, "add", lambda *_: press_where_it_is_lost())
    assert len(predict.predict(run.path, ["camera:0"], tmp_path / "answers.csv", faces="whole")) > 0


def test_starting_up_stops_where_the_import_loses_it(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text(IMPORTED)
    program = "from pipeline.utils.startup import import_tensorflow; import_tensorflow(); print('went on')"
    hears = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"},
        capture_output=True,
        text=True,
        preexec_fn=hears,
    )
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"


IMPORTED = """
import os, signal, time
from types import SimpleNamespace

config = SimpleNamespace(list_physical_devices=list)
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
except KeyboardInterrupt:
    pass  # as in C++
"""
