"""Whether an exported file answers as its run does: both see the same pictures, and the file is opened by its own
runtime, with nothing of ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from pipeline import targets
from pipeline.config import Experiment
from pipeline.data import inputs, splits
from pipeline.evaluation.report import as_text
from pipeline.exporting import conversion
from pipeline.targets import Kind
from pipeline.training.network import leaves
from pipeline.training.runs import Run
from pipeline.utils.errors import RequestError, WorkError

Answers = dict[str, np.ndarray]
Answer = Callable[[np.ndarray], Answers]  # crops uint8 [N, S, S, 3] → {target: answers}

# By how a file is kept. Where int8 decides a few otherwise, the accuracy of 500 may fall by a point by chance alone.
PICTURES = {None: 500, "float16": 500, "int8": 1000}
# At most this: by how the file is kept, then by sort of target. Decided disagreements are a share of pictures whose
# class is another one though the run had decided, an accuracy lost is a share of pictures too; both may always be one
# picture. Differences are of numbers in their unit, or of probabilities.
_EXACT = {"decided_disagreement": 0.005}
_CLOSE = {"decided_disagreement": 0.02}
LIMITS: dict[str, dict[str, dict[str, float]]] = {
    "float32": {"number": {"largest_difference": 0.1}, "two": _EXACT, "several": _EXACT},
    "float16": {"number": {"largest_difference": 2.0, "mean_difference": 0.1}, "two": _CLOSE, "several": _CLOSE},
    "int8": {
        "number": {"mean_difference": 1.0},
        "two": {"decided_disagreement": 0.03, "mean_difference": 0.02},
        "several": {"accuracy_lost": 0.01, "mean_difference": 0.02},
    },
}
_SHARES = ("decided_disagreement", "accuracy_lost")
_TIE = 0.01  # a class that changed while no probability moved further than this was a tie in the run
_ROUNDING = 1e-5  # of a number: a network that has hardly been trained may answer millions of years
_BATCH = 50
_TIMED = 50  # single pictures, or as many as fit into
_SECONDS = 5.0


def open_litert(folder: Path) -> Answer:
    """A function that answers by the LiteRT file in a folder."""
    from ai_edge_litert.interpreter import Interpreter

    answer = Interpreter(str(folder / "model.tflite")).get_signature_runner()
    return lambda crops: answer(images=crops)


def open_onnx(folder: Path) -> Answer:
    """A function that answers by the ONNX file in a folder."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda crops: dict(zip(names, session.run(names, {"images": crops}), strict=True))


def open_saved_model(folder: Path) -> Answer:
    """A function that answers by the SavedModel in a folder."""
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))  # its signatures live only as long as it does
    return lambda crops: _as_numpy(model.signatures["serving_default"](images=tf.constant(crops)))


OPEN = {"saved_model": open_saved_model, "litert": open_litert, "onnx": open_onnx}


def seen(experiment: Experiment, table: pd.DataFrame, quantize: str | None = None) -> inputs.Crops:
    """Pictures to compare on: up to PICTURES[quantize] validation rows of a run's data, else test rows, by hash.

    Their crops are not cut to `Data.centre`: the exported file does that.
    """
    split = next((name for name in ("val", "test") if (table["split"] == name).any()), None)
    if split is None:
        raise RequestError(
            f"{experiment.stages[-1].data.name} has no validation and no test rows to compare an exported file on: "
            "name a split that sets some aside"
        )
    return _crops(experiment, table, split, PICTURES[quantize])


def calibration(experiment: Experiment, table: pd.DataFrame) -> np.ndarray:
    """Up to conversion.CALIBRATION crops of training rows, by hash, uint8 [M, S, S, 3]; no other split's."""
    return _crops(experiment, table, "train", conversion.CALIBRATION).first(conversion.CALIBRATION)


def _crops(experiment: Experiment, table: pd.DataFrame, split: str, count: int) -> inputs.Crops:
    rows = splits.limit(table[table["split"] == split].reset_index(drop=True), count)
    data = experiment.stages[-1].data
    return inputs.make_crops(rows, experiment.model.image_size, data.margin, experiment.cache, split)


def compare(
    run: Run,
    model: conversion.Answering,
    crops: inputs.Crops,
    folder: Path,
    format: str,
    quantize: str | None = None,
) -> dict[str, Any]:
    """The report on the file in `folder` beside the run's `model`, for parity.json.

    pictures, split; bytes, and those of the run's model.keras (`float_bytes`); latency_ms, the median of one picture
    at a time, of the file and of the run on TensorFlow;
    by target `largest_difference`, `mean_difference`; of numbers `largest_answer`; of classes `disagreement` (all
    pictures whose class differs) and `decided_disagreement` (those of them that were no tie in the run); where labels
    are known the target's metric of run and of file, and of classes `accuracy_lost`.
    """
    pictures = crops.first(len(crops))
    file, network = OPEN[format](folder), in_tensorflow(model)
    answers, wanted = _in_batches(file, pictures), _in_batches(network, pictures)
    kinds = [targets.of(target) for target in run.experiment.targets]
    kept = quantize or "float32"
    limits = LIMITS["float16" if _reckons_in_16_bits(model) else kept]
    return {
        "format": format,
        "kept_in": kept,
        "split": str(crops.rows["split"].iloc[0]),
        "pictures": len(pictures),
        "bytes": _size(folder / conversion.FILES[format] if format in conversion.FILES else folder),
        "float_bytes": run.model.stat().st_size,
        "latency_ms": {"file": _latency(file, pictures), "run": _latency(network, pictures)},
        "targets": {kind.name: _compared(kind, wanted[kind.name], answers[kind.name], crops.rows) for kind in kinds},
        "limits": {kind.name: limits[_sort(kind)] for kind in kinds},
    }


def check(report: dict[str, Any]) -> None:
    """Raises WorkError for a file that differs from its run by more than its limits."""
    beyond = []
    for name, limits in report["limits"].items():
        for figure, limit in limits.items():
            compared = report["targets"][name]
            least = 1 / report["pictures"] if figure in _SHARES else _ROUNDING * compared.get("largest_answer", 0.0)
            allowed, found = max(limit, least), compared.get(figure, 0.0)
            if not found <= allowed:
                beyond.append(f"{name}: {figure.replace('_', ' ')} {found:.4g}, at most {allowed:.4g} is allowed")
    if beyond:
        raise WorkError(
            f"the {report['format']} file in {report['kept_in']} does not answer as the run does on "
            f"{report['pictures']} {report['split']} pictures, and is not kept: {'; '.join(beyond)}"
        )


def shown(report: dict[str, Any]) -> str:
    """The report as a table for the terminal."""
    latency, size = report["latency_ms"], report["bytes"]
    title = (
        f"{report['format']}, {report['kept_in']}, beside the run on {report['pictures']} {report['split']} pictures\n"
        f"{size / 1e6:.2f} MB, {size / report['float_bytes']:.2f} of the run's model.keras; a picture takes "
        f"{latency['file']:.2f} ms, on TensorFlow {latency['run']:.2f} ms"
    )
    table = Table(title=title, title_justify="left")
    for heading in ("target", "largest difference", "mean difference", "same class", "metric", "run", "file"):
        table.add_column(heading, justify="left" if heading in ("target", "metric") else "right")
    for name, found in report["targets"].items():
        metric = next((key for key in found if isinstance(found[key], dict)), None)
        both = [metric, *(f"{found[metric][who]:.4g}" for who in ("run", "file"))] if metric else ["", "", ""]
        same = f"{1 - found['disagreement']:.2%}" if "disagreement" in found else ""
        table.add_row(name, f"{found['largest_difference']:.2g}", f"{found['mean_difference']:.2g}", same, *both)
    return as_text(table, width=110)


def in_tensorflow(model: conversion.Answering) -> Answer:
    """The same function of a run's own model."""
    import tensorflow as tf

    answer = tf.function(model, autograph=False)
    return lambda crops: _as_numpy(answer(tf.constant(crops)))


def _as_numpy(answers: dict[str, Any]) -> Answers:
    return {name: said.numpy() for name, said in answers.items()}


def _size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())


def _reckons_in_16_bits(model: conversion.Answering) -> bool:
    """Only a SavedModel of a run in mixed precision does: a conversion is in float32 before it is made smaller."""
    return any(layer.compute_dtype != "float32" for layer in leaves(model.network))


def _in_batches(answer: Answer, pictures: np.ndarray) -> Answers:
    parts = [answer(pictures[i : i + _BATCH]) for i in range(0, len(pictures), _BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _latency(answer: Answer, pictures: np.ndarray) -> float:
    """Median milliseconds of a picture by itself, once the runtime has seen one."""
    answer(pictures[:1])
    seconds: list[float] = []
    for i in range(min(_TIMED, len(pictures))):
        if sum(seconds) > _SECONDS:
            break
        began = time.perf_counter()
        answer(pictures[i : i + 1])
        seconds.append(time.perf_counter() - began)
    return round(1000 * float(np.median(seconds)), 3)


def _sort(kind: Kind) -> str:
    return {0: "number", 2: "two"}.get(len(kind.classes), "several")


def _compared(kind: Kind, run: np.ndarray, file: np.ndarray, rows: pd.DataFrame) -> dict[str, Any]:
    moved = np.abs(file - run)
    found: dict[str, Any] = {"largest_difference": float(moved.max()), "mean_difference": float(moved.mean())}
    if kind.classes:
        other = kind.predicted(file) != kind.predicted(run)
        found["disagreement"] = float(other.mean())
        found["decided_disagreement"] = float((other & (moved.reshape(len(run), -1).max(axis=1) > _TIE)).mean())
    else:
        found["largest_answer"] = float(np.abs(run).max())
    labels, known = kind.encode(rows[kind.name]) if kind.name in rows else (None, np.zeros(len(rows)))
    if not known.any():
        return found
    chosen = known > 0
    of_run, of_file = (kind.measure(labels[chosen, 0], said[chosen])[kind.metric] for said in (run, file))
    found[kind.metric] = {"run": of_run, "file": of_file}
    return found | ({"accuracy_lost": round(of_run - of_file, 6)} if kind.classes else {})
