"""Following a run in W&B (offline) and TensorBoard, and doing without either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.commands import main
from pipeline.config import Experiment, parsing
from tests.conftest import with_stage


@pytest.fixture
def configuration(tiny: Experiment, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.json"
    path.write_text(parsing.to_json(with_stage(tiny, epochs=2)))
    return path


def trained(arguments: list[str], capsys: pytest.CaptureFixture) -> Path:
    assert main(arguments) == 0
    return Path(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.slow
def test_tensorboard_holds_metrics_configuration_and_figures(
    configuration: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = trained(["train", str(configuration), "--track", "tensorboard", "--runs", str(tmp_path / "runs")], capsys)
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    tags = set(events.Tags()["tensors"])
    assert {"val_age_mae", "learning_rate", "configuration", "examples", "confusion_gender"} <= tags
    assert [event.step for event in events.Tensors("val_age_mae")] == [1, 2]


@pytest.mark.slow
def test_wandb_offline_keeps_its_id_when_resumed(
    configuration: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = trained(["train", str(configuration), "--track", "wandb", "--runs", str(tmp_path / "runs")], capsys)
    name = (run / "wandb" / "id").read_text()
    trained(["train", "--resume", str(run), "--epochs", "3", "--track", "wandb"], capsys)
    sessions = list(run.glob("wandb/offline-run-*"))
    assert (run / "wandb" / "id").read_text() == name
    assert {session.name.rsplit("-", 1)[1] for session in sessions} == {name}
    assert list(run.glob("wandb/offline-run-*/files/media/images/examples*.png"))


WITHOUT = """
import sys
for package in ("wandb", "tensorboard"):
    sys.modules[package] = None
from pipeline.cli.commands import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_training_needs_neither_package(configuration: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-c", WITHOUT, "train", str(configuration), "--runs", str(tmp_path / "runs")]
    done = subprocess.run(program, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((Path(done.stdout.splitlines()[-1]) / "results.json").read_text())["count"] > 0


@pytest.mark.parametrize("package", ["wandb", "tensorboard"])
def test_a_missing_package_is_named(package: str, configuration: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["train", str(configuration), "--track", package]) == 2
    assert f"pip install {package}" in capsys.readouterr().err
