"""Start-up: seconds from a command's start to its end."""

from __future__ import annotations

from pathlib import Path

from tests.bench.measuring import Contenders, Row, Setting, python
from tests.bench.pictures import drawn
from tests.bench.predicting import exported


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
    """One drawn face, in which no detector finds one, by a model that was exported but not trained."""
    manifest = drawn(folder, 32, 256)
    run, _ = exported(folder, model, manifest)
    out = str(folder / "answers.csv")
    words = (
        "-m",
        "pipeline",
        "predict",
        str(run.saved_model),
        manifest["path"].iloc[0],
        "--faces",
        "whole",
        "--out",
        out,
    )
    return {"predict": python(*words), "import tensorflow": python("-c", "import tensorflow")}
