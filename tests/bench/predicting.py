"""Prediction from files: faces as they are, and faces that must be found first."""

from __future__ import annotations

from pathlib import Path

import keras
import pandas as pd
import tensorflow as tf

from pipeline import Predictor, export
from pipeline.config import Data, Experiment, Model, Stage
from pipeline.inference.predict import BATCH
from pipeline.training import runs
from pipeline.training.runs import Run
from tests.bench import detection
from tests.bench.measuring import Contenders, Row, Setting, speed, timed
from tests.bench.pictures import drawn
from tests.bench.training import TARGETS, encoded, network_of

SIZE = 96


def rows(setting: Setting) -> list[Row]:
    """`Predictor` beside the network alone, and beside a loop over pictures with mtcnn's own detector."""
    count, photographs = BATCH * setting.of(8, 2), setting.of(100, 6)
    model = setting.of("mobilenetv2", "shared_trunk")
    return [
        Row(f"predict, each picture a face, {model} {SIZE}²", lambda: whole(setting.folder, model, count)),
        Row(
            f"predict, faces sought, {detection.SIDE}², {model}",
            lambda: sought(setting.folder, model, photographs),
            "pictures/s",
            rounds=setting.of(3, 1),
        ),
    ]


def whole(folder: Path, model: str, count: int) -> Contenders:
    """From files to the table, beside the network on a batch that is in memory."""
    manifest = drawn(folder, count, 128)
    run, network = exported(folder, model, manifest)
    predictor, paths = Predictor(run.path), manifest["path"].tolist()
    answer, batch = tf.function(network), {"image": tf.zeros((BATCH, SIZE, SIZE, 3))}

    def bare() -> float:
        return speed((answer(batch, training=False) for _ in range(count // BATCH)), BATCH)

    predictor(paths[:BATCH], faces="whole")
    answer(batch, training=False)
    return {
        "predict --faces whole": lambda: count / timed(lambda: predictor(paths, faces="whole")),
        "the network on a resident batch": bare,
    }


def sought(folder: Path, model: str, count: int) -> Contenders:
    """Finding and answering, beside `detect_faces` and `model.predict` of one picture after another."""
    run, network = exported(folder, model, drawn(folder, 32, 128))
    predictor = Predictor(run.path)
    place = folder / "photographs"
    place.mkdir(exist_ok=True)
    detection.draw(place, None, count)
    paths = sorted(map(str, place.glob("*.jpg")))

    def plain() -> None:
        for path in paths:
            picture = detection.read(Path(path))
            for face in detection.mtcnn().detect_faces(picture):
                x, y, w, h = (max(0, side) for side in face["box"])
                crop = tf.image.resize(picture[y : y + h, x : x + w], (SIZE, SIZE), antialias=True)
                network.predict({"image": crop[None]}, verbose=0)

    predictor(paths[:2])
    return {
        "predict": lambda: count / timed(lambda: predictor(paths)),
        "MTCNN().detect_faces, model.predict": lambda: count / timed(plain),
    }


def exported(folder: Path, name: str, manifest: pd.DataFrame) -> tuple[Run, keras.Model]:
    """A run that was exported but not trained, and its network."""
    table = folder / f"{name}.csv"
    manifest[["path", "age", "gender"]].assign(split="val").to_csv(table, index=False)
    stage = Stage("train", Data("csv", root=str(table)))
    run = runs.create(Experiment(Model(name, "none", SIZE), (stage,), TARGETS, name), folder / "runs")
    network = network_of(name, SIZE, encoded(manifest)[0])
    network.save(run.path / "model.keras")
    export(run)
    return run, network
