"""A run's model for elsewhere: a SavedModel that carries its preprocessing and its class names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from pipeline import runs, targets
from pipeline.canvas import WHOLE, canvas, fit, middle
from pipeline.config import Experiment
from pipeline.errors import WorkError, unknown
from pipeline.network import load_network
from pipeline.runs import Run

FORMATS = ("saved_model",)


def export(run: Run, format: str = "saved_model") -> Path:
    """Write `saved_model/` into the run and answer its path.

    `serving_default` takes `images` (uint8 [N, H, W, 3], RGB, any H and W), `jpeg` takes `bytes` (string [N], upright
    JPEG or PNG): both of whole pictures of one face. They answer {target: years [N] or probabilities [N, C]}.
    `assets.extra/labels.json` says what the answers mean. Raises RequestError for an unknown format, or a run without
    its model.keras.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if keras.backend.backend() != "tensorflow":
        return _export_with_tensorflow(run, format)
    experiment = run.experiment
    network = load_network(run)
    with runs.written(run.path / "saved_model") as temporary:
        _archive(network, experiment).write_out(temporary, verbose=False)
        labels = temporary / "assets.extra" / "labels.json"
        labels.parent.mkdir()
        labels.write_text(json.dumps(_labels(experiment), indent=1) + "\n", encoding="utf-8")
    return run.path / "saved_model"


def _export_with_tensorflow(run: Run, format: str) -> Path:
    """Only Keras on TensorFlow traces a SavedModel of itself: a child process does it. Raises WorkError if it fails."""
    program = [sys.executable, "-m", "pipeline", "export", str(run.path.absolute()), "--format", format]
    done = subprocess.run(
        program,
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        cwd=Path(__file__).parent.parent,
        text=True,
        capture_output=True,
    )
    if done.returncode:
        raise WorkError(f"the export of {run.path} failed: {done.stderr.strip().splitlines()[-1]}")
    return run.path / format


def _archive(network: keras.Model, experiment: Experiment) -> keras.export.ExportArchive:
    size, centre = experiment.model.image_size, experiment.stages[-1].data.centre
    kinds = [targets.of(target) for target in experiment.targets]

    def answers(canvases: tf.Tensor) -> dict[str, Any]:
        outputs = network({"image": tf.cast(middle(canvases, centre), tf.float32)}, training=False)
        return {kind.name: kind.decode(outputs[kind.name]) for kind in kinds}

    def from_pixels(images: tf.Tensor) -> dict[str, Any]:
        return answers(fit(images, size))

    def from_bytes(content: tf.Tensor) -> dict[str, Any]:
        whole, upright = tf.constant(WHOLE), tf.constant(1)
        pictures = tf.map_fn(
            lambda one: tf.ensure_shape(canvas(one, whole, upright, size, margin=0.0), (size, size, 3)),
            content,
            fn_output_signature=tf.TensorSpec((size, size, 3), tf.uint8),
        )
        return answers(pictures)

    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.add_endpoint(
        "serving_default", from_pixels, input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")]
    )
    archive.add_endpoint("jpeg", from_bytes, input_signature=[tf.TensorSpec((None,), tf.string, name="bytes")])
    return archive


def _labels(experiment: Experiment) -> dict[str, object]:
    return {
        "image_size": experiment.model.image_size,
        "margin": experiment.stages[-1].data.margin,
        "aligned": experiment.stages[-1].data.aligned,
        "centre": experiment.stages[-1].data.centre,
        "targets": {target.name: targets.of(target).describe() for target in experiment.targets},
    }
