"""SavedModels, LiteRT and ONNX files answer as the run does, opened by their runtimes alone; others are refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import models
from pipeline import datasets, evaluate, export, targets
from pipeline.cli.commands import main
from pipeline.config import Binary, Classes, Data, Expectation, Experiment, Model, Ordinal, Regression, Stage
from pipeline.data import inputs
from pipeline.data.crop import middle
from pipeline.evaluation import card
from pipeline.exporting import conversion, parity, rounding
from pipeline.exporting.rounding import as_int8, ends, round_weights
from pipeline.training import runs
from pipeline.training.network import build_network, load_network
from pipeline.training.runs import Run
from pipeline.utils.errors import RequestError, WorkError

FOLDERS = {"litert": "litert", "litert-int8": "litert-int8", "onnx": "onnx", "onnx-float16": "onnx-float16"}


def split_name(folder: str) -> tuple[str, str | None]:
    format, _, quantize = folder.partition("-")
    return format, quantize or None


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A copy of the run with four converted files."""
    copy = Run(Path(shutil.copytree(run.path, tmp_path_factory.mktemp("exported") / "run")))
    for folder in FOLDERS:
        assert export(copy, *split_name(folder)) == copy.path / folder
    return copy


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_converted_file_has_its_labels_report_and_card(exported: Run, folder: str) -> None:
    file = conversion.FILES[split_name(folder)[0]]
    assert {path.name for path in (exported.path / folder).iterdir()} == {
        file,
        "labels.json",
        "parity.json",
        "MODEL_CARD.md",
    }
    labels = (exported.path / folder / "labels.json").read_text()
    assert labels == (exported.saved_model / "assets.extra" / "labels.json").read_text()
    assert not [path for path in exported.path.rglob("*") if path.name.startswith(".")]


def test_the_card_of_a_converted_file_tells_how_it_differs(exported: Run) -> None:
    card = (exported.path / "litert-int8" / "MODEL_CARD.md").read_text()
    assert "## This file\n\nlitert, in int8." in card
    assert "## This file" not in (exported.path / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_report_tells_differences_sizes_and_times(exported: Run, folder: str) -> None:
    report = json.loads((exported.path / folder / "parity.json").read_text())
    table = datasets.load(exported.experiment.stages[-1].data)
    assert (report["split"], report["pictures"]) == ("val", (table["split"] == "val").sum())
    assert report["bytes"] == (exported.path / folder / conversion.FILES[split_name(folder)[0]]).stat().st_size
    assert report["latency_ms"]["file"] > 0
    age, gender = report["targets"]["age"], report["targets"]["gender"]
    assert age["mae"]["file"] == pytest.approx(age["mae"]["run"], abs=age["mean_difference"] + 1e-4)
    assert max(gender["accuracy_lost"], gender["decided_disagreement"]) <= gender["disagreement"]
    if folder in ("litert", "onnx"):
        assert age["largest_difference"] < 1e-3
        assert gender["largest_difference"] < 1e-5


def test_files_are_smaller_by_what_they_are_kept_in(exported: Run) -> None:
    size = {name: json.loads((exported.path / name / "parity.json").read_text())["bytes"] for name in FOLDERS}
    assert size["litert-int8"] < 0.4 * size["litert"]  # a tiny network is half structure
    assert size["onnx-float16"] < 0.6 * size["onnx"]


ALONE = """
import csv, json, sys
import numpy as np
folder, crops, wanted = sys.argv[1:]
labels = json.load(open(folder + "/labels.json"))
crops = np.load(crops)
assert crops.shape[1:] == (labels["image_size"], labels["image_size"], 3)
if folder.endswith("litert"):
    from ai_edge_litert.interpreter import Interpreter
    answers = Interpreter(folder + "/model.tflite").get_signature_runner()(images=crops)
else:
    import onnxruntime
    session = onnxruntime.InferenceSession(folder + "/model.onnx")
    names = [output.name for output in session.get_outputs()]
    answers = dict(zip(names, session.run(names, {"images": crops})))
rows = list(csv.DictReader(open(wanted)))
assert sorted(answers) == sorted(labels["targets"])
assert np.abs(answers["age"] - [float(row["age_predicted"]) for row in rows]).max() < 1e-3
for i, name in enumerate(labels["targets"]["gender"]["classes"]):
    assert np.abs(answers["gender"][:, i] - [float(row["gender_p_" + name]) for row in rows]).max() < 1e-4
ours = {"pipeline", "models", "tensorflow", "keras"}
assert not ours & {name.partition(".")[0] for name in sys.modules}
"""


def judged_crops(run: Run) -> np.ndarray:
    """The crops of the rows of predictions.csv, not cut to the middle, in their order."""
    experiment, said = run.experiment, pd.read_csv(run.path / "predictions.csv")
    table = datasets.load(experiment.stages[-1].data)
    rows = table.set_index("path").loc[said["path"]].reset_index()
    return inputs.make_crops(rows, experiment.model.image_size, 0.4, experiment.cache, "test").first(len(rows))


@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_a_file_opens_with_its_runtime_alone_and_says_what_predictions_say(exported, format: str, tmp_path) -> None:
    np.save(tmp_path / "crops.npy", judged_crops(exported))
    program = [exported.path / format, tmp_path / "crops.npy", exported.path / "predictions.csv"]
    program = [sys.executable, "-c", ALONE, *map(str, program)]
    done = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "litter"), "did you mean 'litert'"),
        (("--format", "onnx", "--quantize", "int8"), "expected float16"),
        (("--format", "litert", "--quantize", "int4"), "expected float16 or int8"),
        (("--quantize", "int8"), "saved_model is not offered in int8, expected no --quantize"),
    ],
)
def test_what_is_not_offered_is_refused_with_what_is(run, options: tuple[str, ...], message: str, capsys) -> None:
    assert main(["export", str(run.path), *options]) == 2
    assert message in capsys.readouterr().err


def test_the_saved_model_has_its_report_beside_its_labels(run) -> None:
    report = json.loads((run.saved_model / "assets.extra" / "parity.json").read_text())
    assert report["targets"]["age"]["largest_difference"] < 1e-3
    assert report["targets"]["gender"]["largest_difference"] < 1e-5
    largest = (run.saved_model / "saved_model.pb").stat().st_size
    assert largest < report["bytes"] < 20 * largest
    assert report["latency_ms"]["file"] > 0


def test_a_large_networks_saved_model_keeps_its_variables_and_answers_alike(run, tmp_path: Path, monkeypatch) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    monkeypatch.setattr(sys.modules["pipeline.exporting.export"], "_CONSTANTS", 0)
    export(copy)
    count = load_network(run).count_params()
    ways = [parity.open_saved_model(one.saved_model)(pictures(run.experiment.model.image_size)) for one in (run, copy)]
    large = [(one.saved_model / "saved_model.pb").stat().st_size > 4 * count for one in (run, copy)]
    assert large == [True, False]  # the weights lie in the graph, or beside it
    for name in ways[0]:
        np.testing.assert_allclose(ways[0][name], ways[1][name], rtol=1e-4, atol=1e-5)


def test_a_saved_model_is_written_where_the_data_are_not(run, tmp_path: Path, caplog) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    text = (copy.path / "experiment.json").read_text()
    (copy.path / "experiment.json").write_text(text.replace(run.experiment.stages[0].data.root, "gone.csv"))
    shutil.rmtree(copy.saved_model)
    beside = export(copy) / "assets.extra"
    assert [path.name for path in beside.iterdir()] == ["labels.json"]
    assert "not compared with the run: " in caplog.text


@pytest.mark.parametrize("format", ["onnx", "saved_model"])
def test_a_file_that_differs_is_refused_and_not_kept(format: str, run, tmp_path: Path, monkeypatch, capsys) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    opened, before = parity.OPEN[format], sorted(copy.path.rglob("*"))

    def older(folder: Path) -> parity.Answer:
        answer = opened(folder)
        return lambda crops: (said := answer(crops)) | {"age": said["age"] + 0.2}

    monkeypatch.setitem(parity.OPEN, format, older)
    assert main(["export", str(copy.path), "--format", format]) == 1
    assert "age: largest difference 0.2, at most 0.1 is allowed" in capsys.readouterr().err
    assert sorted(copy.path.rglob("*")) == before


def test_one_picture_may_always_differ() -> None:
    found = {"largest_difference": 1e-6, "mean_difference": 1e-7, "decided_disagreement": 1 / 40}
    report = {"format": "onnx", "kept_in": "float32", "split": "val", "pictures": 40, "targets": {"gender": found}}
    report["limits"] = {"gender": {"decided_disagreement": 0.005}}
    parity.check(report)
    with pytest.raises(WorkError, match=r"gender: decided disagreement 0\.05, at most 0\.025"):
        parity.check(report | {"targets": {"gender": found | {"decided_disagreement": 2 / 40}}})


@pytest.mark.parametrize(("answer", "is_kept"), [(50.0, False), (1e6, True)])
def test_a_number_may_differ_by_what_float32_rounds_off(answer: float, is_kept: bool) -> None:
    found = {"largest_difference": 1.0, "mean_difference": 0.5, "largest_answer": answer}
    report = {"format": "saved_model", "kept_in": "float32", "split": "val", "pictures": 40, "targets": {"age": found}}
    with nullcontext() if is_kept else pytest.raises(WorkError, match=r"largest difference 1, at most 0\.1"):
        parity.check(report | {"limits": {"age": parity.LIMITS["float32"]["number"]}})


@pytest.mark.parametrize(("quantize", "count"), [(None, 5), ("int8", 7)])
def test_int8_is_compared_on_more_pictures(quantize: str | None, count: int, run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(parity, "PICTURES", {None: 5, "int8": 7})
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    report = json.loads((export(copy, "litert", quantize) / "parity.json").read_text())
    assert report["pictures"] == count


def test_a_run_without_its_data_is_refused(run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    text = (copy.path / "experiment.json").read_text()
    (copy.path / "experiment.json").write_text(text.replace(run.experiment.stages[0].data.root, "gone.csv"))
    with pytest.raises(RequestError, match=r"gone\.csv"):
        export(copy, "onnx")


def test_a_place_of_data_that_is_not_there_is_refused(run, tmp_path: Path, capsys) -> None:
    for command in ("evaluate", "export"):
        assert main([command, str(run.path), "--root", str(tmp_path / "mistyped")]) == 2
        assert "mistyped: there is nothing" in capsys.readouterr().err


def test_a_saved_model_on_a_full_disk_is_no_defect_of_ours(run, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "saved_model.pb; No space left on device")

    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    before = (copy.saved_model / "saved_model.pb").read_bytes()
    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(WorkError, match=r"saved_model cannot be written: .*No space left on device"):
        export(copy)
    assert (copy.saved_model / "saved_model.pb").read_bytes() == before


def test_damaged_labels_are_written_anew(run, tmp_path: Path, caplog) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    labels = copy.saved_model / "assets.extra" / "labels.json"
    whole = labels.read_text()
    for damaged in (whole[:40], "[1]"):
        labels.write_text(damaged)
        export(copy)
        assert "labels.json is damaged" in caplog.text
        assert labels.read_text() == whole
        caplog.clear()


def test_a_converted_files_card_tells_its_labels_margin_where_there_is_no_saved_model(run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    shutil.rmtree(copy.saved_model)
    folder = export(copy, "onnx")
    margin = json.loads((folder / "labels.json").read_text())["margin"]
    assert f"a margin of {margin:g} of its side" in (folder / "MODEL_CARD.md").read_text()
    assert margin != copy.experiment.stages[-1].data.margin


def test_an_export_finds_its_data_where_they_lie_now(run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    text, root = (copy.path / "experiment.json").read_text(), run.experiment.stages[0].data.root
    (copy.path / "experiment.json").write_text(text.replace(root, "gone.csv"))
    assert main(["export", str(copy.path), "--format", "onnx", "--root", root]) == 0
    assert (copy.path / "onnx" / "parity.json").is_file()


def test_calibration_sees_training_rows_alone(run, monkeypatch) -> None:
    shown = []
    made = inputs.make_crops
    monkeypatch.setattr(inputs, "make_crops", lambda rows, *rest: shown.append(rows) or made(rows, *rest))
    table = datasets.load(run.experiment.stages[-1].data)
    crops = parity.calibration(run.experiment, table)
    assert set(shown[0]["split"]) == {"train"}
    assert len(crops) == (table["split"] == "train").sum()


@pytest.mark.parametrize(("shape", "kept"), [((3, 3, 4, 5), 1), ((3, 3, 5, 1), 2), ((7, 4), 1)])
def test_rounded_weights_are_steps_of_their_channel(shape: tuple[int, ...], kept: int) -> None:
    kernel = np.random.default_rng(0).normal(size=shape)
    kernel[..., 0] *= 1 if kept == 2 else 0  # a channel of nothing stays nothing
    rounded = as_int8(kernel, kept)
    largest = np.abs(kernel).max(axis=tuple(range(len(shape) - kept)), keepdims=True)
    assert np.abs(rounded - kernel).max() <= largest.max() / 254 + 1e-9
    steps = rounded * 127 / np.where(largest > 0, largest, 1)
    assert steps == pytest.approx(np.round(steps), abs=1e-6)
    assert as_int8(rounded, kept) == pytest.approx(rounded)


def test_batch_norms_make_up_for_rounding() -> None:
    """A norm behind a convolution whose rounding shifts its channels answers as it did before."""
    keras.utils.set_random_seed(0)
    picture = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(picture)
    network = keras.Model({"image": picture}, keras.layers.BatchNormalization(momentum=0.0)(x))
    seen = pictures(8)
    network({"image": seen.astype("float32")}, training=True)
    kernel = network.get_layer("conv").kernel
    kernel.assign(kernel.numpy() + np.eye(4)[0] * 20 * (np.arange(3) == 0)[:, None])  # one large weight: coarse steps
    network({"image": seen.astype("float32")}, training=True)
    exact = network({"image": seen.astype("float32")}).numpy()
    before = network.get_weights()
    round_weights(network, seen)
    made_up = network({"image": seen.astype("float32")}).numpy()
    network.set_weights([as_int8(before[0], 1), *before[1:]])
    rounded = network({"image": seen.astype("float32")}).numpy()
    shift = [np.abs((said - exact).mean(axis=(0, 1, 2))).max() for said in (rounded, made_up)]
    assert shift[1] < 0.1 * shift[0]


@pytest.mark.parametrize(
    ("sizes", "outside"),
    [
        ([5, 5, 0, 980, 0, 10], [0, 1, 2, 4, 5]),  # a hundredth at each end, and what holds nothing beside it
        ([11, 5, 973, 11], []),  # an end that holds more is rounded as well
        ([500, 500], []),
    ],
)
def test_int8_is_for_all_but_the_ends(sizes: list[int], outside: list[int]) -> None:
    chain = [[i - 1] if i else [] for i in range(len(sizes))]
    assert ends(chain, [{i: size} for i, size in enumerate(sizes)]) == outside


def test_every_way_through_a_network_has_its_ends() -> None:
    """Two beginnings with weights of their own, a backbone that both go by, two heads of which one is large."""
    before = [[], [], [0], [1], [2, 3], [2, 3]]
    weights = [{0: 6}, {1: 6}, {2: 950}, {2: 950}, {4: 8}, {5: 30}]
    assert ends(before, weights) == [0, 1, 4]


def int8_file(wanted: tuple, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Any, list[np.ndarray]]:
    """A run of a small network, its int8 file as an interpreter, and the kernels in that."""
    from ai_edge_litert.interpreter import Interpreter

    monkeypatch.setattr(rounding, "ENDS", 0.02)  # which the first convolution of this network fits into
    run = lively(Model("shared_trunk", weights="none", image_size=32), wanted, folder)
    conversion.convert(run, folder / "model.tflite", "litert", "int8", pictures(32))
    file = Interpreter(str(folder / "model.tflite"))
    steps = [step for step in file._get_ops_details() if step["op_name"] in ("CONV_2D", "FULLY_CONNECTED")]
    return run, file, [file.get_tensor(step["inputs"][1]) for step in steps]


def test_an_int8_file_keeps_the_ends_of_its_network_as_they_are(tmp_path: Path, monkeypatch) -> None:
    run, _, kernels = int8_file((Regression("age"), Binary("gender")), tmp_path, monkeypatch)
    assert [kernel.dtype.name for kernel in kernels] == ["float32", "int8", "int8", "float32", "float32"]
    first = np.moveaxis(load_network(run).get_layer("shared_trunk").get_layer("conv1").kernel.numpy(), -1, 0)
    batch_norm = (kernels[0] / first).mean(axis=(1, 2, 3), keepdims=True)  # which is folded into the file's kernel
    assert kernels[0] == pytest.approx(first * batch_norm, rel=1e-3)


def test_an_int8_file_of_two_views_keeps_the_ends_of_both(tmp_path: Path, monkeypatch) -> None:
    wanted = (Regression("age"), Binary("gender", view="grey"))
    _, _, kernels = int8_file(wanted, tmp_path, monkeypatch)
    names = {3: "first", 1: "head"}  # a kernel's inputs or outputs tell where it stands
    stands = [names.get(kernel.shape[-1] if kernel.ndim == 4 else kernel.shape[0], "inner") for kernel in kernels]
    assert sorted(zip(stands, (kernel.dtype.name for kernel in kernels), strict=True)) == [
        *[("first", "float32")] * 2,
        *[("head", "float32")] * 2,
        *[("inner", "int8")] * 4,
    ]


def test_what_an_int8_file_answers_is_not_rounded(tmp_path: Path, monkeypatch) -> None:
    """A probability of eight bits would be a whole number of 256ths."""
    _, file, _ = int8_file((Regression("age"), Binary("gender")), tmp_path, monkeypatch)
    steps = 256 * file.get_signature_runner()(images=pictures(32))["gender"]
    assert np.abs(steps - np.round(steps)).max() > 0.01


def test_an_int8_file_holds_equal_vectors_once(exported: Run) -> None:
    from tensorflow.lite.python import schema_py_generated as schema

    content = (exported.path / "litert-int8" / "model.tflite").read_bytes()
    graph = schema.Model.GetRootAsModel(content, 0).Subgraphs(0)
    tensors = [graph.Tensors(i).Quantization() for i in range(graph.TensorsLength())]
    zeros = [one.ZeroPointAsNumpy() for one in tensors if one is not None and one.ZeroPointLength() > 8]
    places = {zero.__array_interface__["data"][0] for zero in zeros}
    assert len(places) == len({zero.tobytes() for zero in zeros}) < len(zeros)


# -- the model card ---------------------------------------------------------------------------------------------------


def test_the_card_tells_of_data_metrics_groups_and_limits(exported: Run) -> None:
    card = (exported.path / "MODEL_CARD.md").read_text()
    results = json.loads((exported.path / "results.json").read_text())
    assert f"| gender | accuracy | {results['targets']['gender']['accuracy']:.3g} |" in card
    assert "Leak audit: rows that training has seen: none" in card
    assert "A table of your own" in card  # the dataset's own words
    assert "no ground for a decision about anybody" in card
    assert "experiment.json" in card
    assert "{{" not in card


def test_metrics_by_group_are_those_of_predictions(exported: Run) -> None:
    said = pd.read_csv(exported.path / "predictions.csv")
    women = said[said["gender"] == "female"]
    accuracy = (women["gender"] == women["gender_predicted"]).mean()
    mae = (women["age"] - women["age_predicted"]).abs().mean()
    (row,) = [line for line in (exported.path / "MODEL_CARD.md").read_text().splitlines() if "| female |" in line]
    _, _, count, by_age, by_gender, _ = (cell.strip() for cell in row.split("|"))
    assert int(count) == len(women)
    assert by_age.startswith(f"{mae:.3g} (")
    assert by_gender.startswith(f"{accuracy:.3g} (")


def test_a_class_named_none_is_counted_in_the_card(run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    for name in ("experiment.json", "results.json", "predictions.csv"):
        (copy.path / name).write_text((copy.path / name).read_text().replace("female", "None"))
    table = datasets.load(run.experiment.stages[-1].data)
    rows = table[table["split"] == "test"].assign(gender=lambda rows: rows["gender"].replace("female", "None"))
    shown = [line for line in card.write(copy, rows).splitlines() if line.startswith("| None |")]
    assert int(shown[0].split("|")[2]) == (rows["gender"] == "None").sum()


def test_the_card_of_a_run_that_was_not_judged_says_so_until_it_is(run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    (copy.path / "results.json").unlink()
    assert "Not evaluated yet" in card.write(copy)
    assert "| gender | accuracy |" not in (copy.path / "MODEL_CARD.md").read_text()
    evaluate(copy)
    assert "| gender | accuracy |" in (copy.path / "MODEL_CARD.md").read_text()


def test_a_file_that_was_converted_before_the_run_was_trained_on_keeps_its_card(exported: Run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(exported.path, tmp_path / "run")))
    for place in ("MODEL_CARD.md", "onnx/MODEL_CARD.md", "litert/MODEL_CARD.md"):
        (copy.path / place).write_text("as it was")
    now = copy.model.stat().st_mtime
    os.utime(copy.path / "onnx" / "MODEL_CARD.md", (now - 9, now - 9))
    table = datasets.load(copy.experiment.stages[-1].data)
    card.renew(copy, table[table["split"] == "test"])
    kept = [place.parent.name for place in copy.path.rglob("MODEL_CARD.md") if place.read_text() == "as it was"]
    assert kept == ["onnx"]


def test_the_card_says_why_it_knows_no_groups(run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    text = (copy.path / "experiment.json").read_text()
    (copy.path / "experiment.json").write_text(text.replace(run.experiment.stages[0].data.root, "gone.csv"))
    assert "the data were not at hand" in card.write(copy)


# -- every network and every kind of target ---------------------------------------------------------------------------

ALL_KINDS = (
    Regression("age"),
    Binary("gender"),
    Classes("group", ("a", "b", "c"), ordered=True),
    Expectation("expected"),
    Ordinal("coral"),
    Ordinal("corn", method="corn"),
    Ordinal("corn_classes", ("a", "b", "c", "d"), method="corn"),
    Ordinal("coral_classes", ("a", "b", "c", "d")),
)


def lively(model: Model, wanted: tuple, folder: Path, centre: tuple[float, float] = (1, 1)) -> Run:
    """A run of a network that never trained, but whose answers differ from picture to picture."""
    keras.utils.set_random_seed(1)
    labels = {one.name: np.array([0.0, 1.0] if getattr(one, "classes", ()) else [20.0, 40.0]) for one in wanted}
    network = build_network(model, wanted, labels)
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # statistics of this batch: without them what an untrained network sees fades away
    network({"image": pictures(model.image_size).astype("float32")}, training=True)
    stage = Stage("train", data=Data("sample", centre=centre))
    run = runs.create(Experiment(name=model.name, model=model, targets=wanted, stages=(stage,)), folder)
    network.save(run.path / "model.keras")
    return run


def pictures(size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, size, size, 3), dtype=np.uint8)


def said_by_file(run: Run, format: str, folder: Path) -> dict[str, np.ndarray]:
    conversion.convert(run, folder / conversion.FILES[format], format, None)
    return parity.OPEN[format](folder)(pictures(run.experiment.model.image_size))


def assert_answers_as_its_network(run: Run, format: str, folder: Path) -> None:
    """The network itself, shown the middle of each picture and decoded outside, is what the file must equal."""
    found, network = said_by_file(run, format, folder), load_network(run)
    shown = middle(tf.constant(pictures(run.experiment.model.image_size)), run.experiment.stages[-1].data.centre)
    outputs = network({"image": tf.cast(shown, tf.float32)}, training=False)
    assert sorted(found) == sorted(target.name for target in run.experiment.targets)
    assert np.ptp(found["group"], axis=0).max() > 1e-3
    for target in run.experiment.targets:
        wanted = np.asarray(targets.of(target).decode(outputs[target.name]))
        assert found[target.name].dtype == np.float32
        assert found[target.name] == pytest.approx(wanted, abs=0.02 if wanted.ndim == 1 else 1e-3)


@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_every_kind_of_target_is_decoded_in_the_file_and_the_middle_cut_out(format: str, tmp_path: Path) -> None:
    run = lively(Model("shared_trunk", weights="none", image_size=32), ALL_KINDS, tmp_path, centre=(0.7, 0.6))
    assert_answers_as_its_network(run, format, tmp_path)


def test_a_run_of_mixed_precision_is_written_in_float32(tmp_path: Path) -> None:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        run = lively(Model("shared_trunk", weights="none", image_size=32), (Regression("age"),), tmp_path)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    found = said_by_file(run, "onnx", tmp_path)["age"]
    wanted = np.asarray(conversion.load(run)(pictures(32))["age"])
    assert found == pytest.approx(wanted, abs=1e-3)
    rough = np.asarray(load_network(run)({"image": pictures(32).astype("float32")}, training=False)["age"])[:, 0]
    assert 1e-3 < np.abs(rough - wanted).max() < 1  # as 16 bits have it


TOO_LARGE = ("regnety_128gf", "resnet152_v15")  # 2.6 GB; tf2onnx takes 18 GB for it


@pytest.mark.slow
@pytest.mark.parametrize("format", ["litert", "onnx"])
@pytest.mark.parametrize("name", [name for name in models.list_models() if name not in TOO_LARGE])
def test_every_network_converts(name: str, format: str, tmp_path: Path) -> None:
    run = lively(Model(name, weights="none", image_size=64), ALL_KINDS, tmp_path)
    assert_answers_as_its_network(run, format, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in models.list_models() if name not in TOO_LARGE])
def test_every_network_is_written_in_int8(name: str, tmp_path: Path) -> None:
    run = lively(Model(name, weights="none", image_size=64), ALL_KINDS, tmp_path)
    conversion.convert(run, tmp_path / "model.tflite", "litert", "int8", pictures(64))
    assert (tmp_path / "model.tflite").stat().st_size < 0.3 * run.model.stat().st_size
    found = parity.open_litert(tmp_path)(pictures(64))
    assert found["group"].sum(axis=1) == pytest.approx(1, abs=0.01)
    assert np.ptp(found["group"], axis=0).max() > 1e-3


@pytest.mark.slow
def test_a_run_on_jax_is_converted_by_a_child(run, tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="JAX is an optional backend")
    copy = Path(shutil.copytree(run.path, tmp_path / "run"))
    program = [sys.executable, "-m", "pipeline", "export", str(copy), "--format", "litert", "--quantize", "float16"]
    done = subprocess.run(program, env=os.environ | {"KERAS_BACKEND": "jax"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == str(copy / "litert-float16")
    assert (copy / "litert-float16" / "model.tflite").is_file()
