"""Searches whose trials take no time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tuning import supervision
from tuning.__main__ import main
from tuning.record import Folder

SPACE = '''
"""A space of a test."""
from pipeline.config import Schedule
from tuning.space import change

EXPERIMENT = "mobilenetv2"
ALGORITHM = "{algorithm}"


def sample(hp, experiment):
    units = hp.Choice("units", {units})
    rate = hp.Choice("rate", {rates})
    return change(
        experiment,
        {{
            "model.head.units": (units,),
            "stages.-1.optimizer.learning_rate": rate,
            "stages.-1.optimizer.schedule": Schedule("constant"),
            "stages.-1.epochs": {epochs},
        }},
    )
'''


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trials are done by tests/tuning/trainer.py, which notes the name of each in this file."""
    monkeypatch.setattr(supervision, "COMMAND", (sys.executable, "-m", "tests.tuning.trainer"))
    monkeypatch.setenv("TRAINED", str(tmp_path / "trained.txt"))
    return tmp_path / "trained.txt"


@pytest.fixture
def space(tmp_path: Path) -> Callable[..., Path]:
    """Writes a space's file."""

    def write(algorithm: str = "grid", units: object = (8, 16), rates: object = (0.01, 0.02), epochs: int = 3) -> Path:
        path = tmp_path / "space.py"
        path.write_text(SPACE.format(algorithm=algorithm, units=list(units), rates=list(rates), epochs=epochs))
        return path

    return write


@pytest.fixture
def searched(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> Callable[..., Folder]:
    """Runs the command on a space, and answers the folder that it made."""

    def search(path: Path, *options: str, runs: str = "runs", status: int = 0) -> Folder:
        assert main([str(path), "--runs", str(tmp_path / runs), *options]) == status
        made = capsys.readouterr().out.splitlines()
        found = sorted((tmp_path / runs / "tuning" / path.stem).iterdir())
        return Folder(Path(made[-1]) if made else found[-1])

    return search


def said_of(folder: Folder) -> list[str]:
    """A line for every trial, without what differs from one run to another: times and places."""
    return folder.table().drop(columns=["seconds", "run"]).to_csv(index=False).splitlines()
