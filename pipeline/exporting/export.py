"""A run's model for elsewhere: a SavedModel, a LiteRT or an ONNX file, each with its class names, and a model card."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from pipeline import datasets, targets
from pipeline.config import Experiment
from pipeline.data.crop import decode, fit
from pipeline.evaluation import card
from pipeline.exporting import conversion, parity
from pipeline.exporting.conversion import Answering
from pipeline.faces import margins
from pipeline.training.network import load_network
from pipeline.training.runs import Run
from pipeline.utils import files
from pipeline.utils.errors import RequestError, WorkError, unknown

log = logging.getLogger(__name__)

FORMATS = ("saved_model", "litert", "onnx")
_CONSTANTS = 32 * 2**20  # bytes of weights; to fold more takes TensorFlow seconds when a SavedModel first answers


def export(run: Run, format: str = "saved_model", quantize: str | None = None, root: str | None = None) -> Path:
    """Write a run's model into the run, with its MODEL_CARD.md; answers the folder.

    saved_model: `saved_model/`. `serving_default` takes `images` (uint8 [N, H, W, 3], RGB, any H and W), `jpeg` takes
    `bytes` (string [N], JPEG or PNG, whose EXIF orientation it applies): both of whole pictures of one face.
    `assets.extra/labels.json` says what the answers mean, parity.json beside it how the file compares with the run on
    pictures of its data, where these are at hand.
    litert, onnx: `litert/model.tflite` or `onnx/model.onnx`, which take `images` (uint8 [N, S, S, 3], RGB, crops),
    beside it labels.json, parity.json and the card. quantize: `float16` or, for LiteRT, `int8`, calibrated on training
    pictures; the folder is then `litert-int8/`.
    All answer {target: years [N] or probabilities [N, C]}. root: where the run's data lie now.

    Raises RequestError for a format or quantisation that there is not, a run without its model.keras, or, of a
    conversion, data that are not at hand to compare on; WorkError for a network that cannot be converted, or a file
    that differs from its run by more than `parity.LIMITS`, which is not kept.
    """
    _check(format, quantize)
    if keras.backend.backend() != "tensorflow":
        return _export_with_tensorflow(run, format, quantize, root)
    experiment = datasets.moved(run.experiment, root)
    folder = _saved_model(run, experiment) if format == "saved_model" else _converted(run, experiment, format, quantize)
    card.write(run, converted=[] if format == "saved_model" else [folder])
    return folder


def _check(format: str, quantize: str | None) -> None:
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    offered = conversion.QUANTIZED.get(format, ())
    if quantize is not None and quantize not in offered:
        raise RequestError(
            f"{format} is not offered in {quantize}, expected "
            + (f"{' or '.join(offered)}, or no --quantize" if offered else "no --quantize")
            + "; there are "
            + ", ".join(f"{name} in {' and '.join(kinds)}" for name, kinds in conversion.QUANTIZED.items())
        )


def _export_with_tensorflow(run: Run, format: str, quantize: str | None, root: str | None) -> Path:
    """Only Keras on TensorFlow traces what is exported: a child process does it. Raises WorkError if it fails."""
    program = [sys.executable, "-m", "pipeline", "export", str(run.path.absolute()), "--format", format]
    done = subprocess.run(
        [
            *program,
            *(["--quantize", quantize] if quantize else []),
            *(["--root", str(Path(root).absolute())] if root else []),
        ],
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        cwd=Path(__file__).parents[2],
        text=True,
        capture_output=True,
    )
    if done.returncode:
        raise WorkError(f"the export of {run.path} failed: {done.stderr.strip().splitlines()[-1]}")
    folder = run.path / _folder(format, quantize)
    report = _beside(folder, format) / "parity.json"
    if report.exists():
        log.info(parity.shown(json.loads(report.read_text(encoding="utf-8"))))
    return folder


def _folder(format: str, quantize: str | None) -> str:
    return f"{format}-{quantize}" if quantize else format


def _beside(folder: Path, format: str) -> Path:
    """Where labels.json and parity.json lie: a SavedModel has a place of its own for what others add to it."""
    return folder / "assets.extra" if format == "saved_model" else folder


def _saved_model(run: Run, experiment: Experiment) -> Path:
    """A SavedModel is the run's network, not a conversion of it: it may be written where the data are not."""
    folder, crops = run.path / "saved_model", None
    margin = run.labels.get("margin", experiment.stages[-1].data.margin)
    try:
        table = datasets.load(experiment.stages[-1].data)
        margin = margins.about_faces(experiment, table)
        crops = parity.seen(experiment, table)
    except (RequestError, WorkError) as error:
        log.warning(f"the SavedModel is not compared with the run: {error}")
    model = Answering(load_network(run), experiment)
    with files.written(folder) as temporary:
        try:
            _archive(model, experiment.model.image_size).write_out(temporary, verbose=False)
        except tf.errors.OpError as error:  # TensorFlow's own of a disk that is full
            raise WorkError(f"{folder} cannot be written: {error.message}") from error
        beside = _beside(temporary, "saved_model")
        beside.mkdir()
        (beside / "labels.json").write_text(_labels(experiment, margin), encoding="utf-8")
        if crops is not None:
            _passed(parity.compare(run, model, crops, temporary, "saved_model"), beside)
    return folder


def _converted(run: Run, experiment: Experiment, format: str, quantize: str | None) -> Path:
    folder = run.path / _folder(format, quantize)
    table = datasets.load(experiment.stages[-1].data)
    crops = parity.seen(experiment, table, quantize)
    samples = parity.calibration(experiment, table) if quantize == "int8" else None
    with files.written(folder) as temporary:
        temporary.mkdir()
        conversion.convert(run, temporary / conversion.FILES[format], format, quantize, samples)
        labels = _labels(experiment, margins.about_faces(experiment, table))
        (temporary / "labels.json").write_text(labels, encoding="utf-8")
        _passed(parity.compare(run, conversion.load(run), crops, temporary, format, quantize), temporary)
    return folder


def _passed(report: dict[str, Any], folder: Path) -> None:
    """Show a report and keep it. Raises WorkError if the file differs from its run by too much."""
    files.write_json(folder / "parity.json", report)
    log.info(parity.shown(report))
    parity.check(report)


def _archive(model: Answering, size: int) -> keras.export.ExportArchive:
    answer = _with_constants(model, size) if 4 * model.count_params() <= _CONSTANTS else model

    def from_pixels(images: tf.Tensor) -> dict[str, Any]:
        return answer(fit(images, size))

    def from_bytes(content: tf.Tensor) -> dict[str, Any]:
        pictures = tf.map_fn(
            lambda one: tf.ensure_shape(fit(decode(one, size), size), (size, size, 3)),
            content,
            fn_output_signature=tf.TensorSpec((size, size, 3), tf.uint8),
        )
        return answer(pictures)

    archive = keras.export.ExportArchive()
    archive.add_endpoint(
        "serving_default", from_pixels, input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")]
    )
    archive.add_endpoint("jpeg", from_bytes, input_signature=[tf.TensorSpec((None,), tf.string, name="bytes")])
    return archive


def _with_constants(model: Answering, size: int) -> Callable[[tf.Tensor], dict[str, Any]]:
    """The model, its weights constants in the graph: TensorFlow folds batch norm into the convolutions before it then.
    MobileNetV2 opens in a quarter of the time, and answers a quarter more pictures a second."""
    weights = [
        [variable.numpy() for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]

    @tf.function(input_signature=[tf.TensorSpec((None, size, size, 3), tf.uint8)], autograph=False)
    def answer(crops: tf.Tensor) -> dict[str, Any]:
        return model.stateless_call(*weights, crops)[0]

    return answer


def _labels(experiment: Experiment, margin: float) -> str:
    """labels.json: the same beside every export."""
    data = experiment.stages[-1].data
    said = {
        "image_size": experiment.model.image_size,
        "margin": margin,
        "aligned": data.aligned,
        "centre": data.centre,
        "targets": {target.name: targets.of(target).describe() for target in experiment.targets},
    }
    return json.dumps(said, indent=1) + "\n"
