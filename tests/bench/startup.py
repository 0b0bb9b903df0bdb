"""Start-up: seconds from a command's start to its end."""

from __future__ import annotations

from pathlib import Path

from pipeline import export, runs
from pipeline.config import Experiment, Model, Stage
from tests.bench.measuring import Contenders, Row, Setting, python
from tests.bench.pictures import drawn
from tests.bench.training import TARGETS, encoded, network_of

SIZE = 96


def rows(setting: Setting) -> list[Row]:
    """Commands that need no TensorFlow beside Python itself, `predict` beside the import of TensorFlow."""
    model = setting.of("mobilenetv2", "shared_trunk")
    return [
        *(Row(f"start-up, {words}", lambda words=words: light(words), "s") for words in ("--help", "list models")),
        Row(
            f"start-up, predict of one picture, {model}", lambda: predict(setting.folder, model), "s", setting.of(5, 1)
        ),
    ]


def light(words: str) -> Contenders:
    """A command that only looks something up."""
    return {words: python("-m", "pipeline", *words.split()), "python -c pass": python("-c", "pass")}


def predict(folder: Path, model: str) -> Contenders:
    """One picture, by a model that was exported but not trained."""
    manifest = drawn(folder, 32, 256)
    run = runs.create(Experiment(Model(model, "none", SIZE), (Stage("train"),), TARGETS, model), folder / "runs")
    network_of(model, SIZE, encoded(manifest)[0]).save(run.path / "model.keras")
    out = str(folder / "answers.csv")
    words = "-m", "pipeline", "predict", str(export(run)), manifest["path"].iloc[0], "--out", out
    return {"predict": python(*words), "import tensorflow": python("-c", "import tensorflow")}
