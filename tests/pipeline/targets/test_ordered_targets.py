"""Expectation (DEX) and ordinal targets (CORAL, CORN): their papers' losses and labels, for years and for classes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline import Predictor, datasets, evaluate, export, targets, train
from pipeline.cli.commands import main
from pipeline.config import Data, Expectation, Experiment, Head, Model, Ordinal, Target, parsing
from pipeline.datasets import fairface
from pipeline.training.loading import default_experiment, load_experiment
from pipeline.training.network import build_network
from pipeline.training.objective import Trainer, sums
from pipeline.utils import metrics
from pipeline.utils.answers import class_index
from pipeline.utils.errors import RequestError
from tests.conftest import with_stage

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "losses.npz")
NAMES = tuple("abcdefgh")
METHODS = ("coral", "corn")


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def mean_loss(target: Target, labels: np.ndarray, outputs: np.ndarray) -> float:
    kind = targets.of(target)
    return float(keras.ops.divide_no_nan(*sums(kind, labels, outputs, None, np.ones(len(labels), np.float32))))


# -- ordinal ----------------------------------------------------------------------------------------------------------

AS_CLASSES = {method: Ordinal("x", NAMES, method=method) for method in METHODS}
AS_YEARS = {method: Ordinal("x", method=method, low=20, high=27) for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("of", "low"), [(AS_CLASSES, 0), (AS_YEARS, 20)])
def test_ordinal_losses_equal_coral_pytorch(method: str, of: dict[str, Ordinal], low: int) -> None:
    labels = column(*(GOLDEN["labels"] + low))
    assert mean_loss(of[method], labels, GOLDEN["ordinal_logits"]) == pytest.approx(
        float(GOLDEN[f"{method}_loss"]), abs=1e-5
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_label_is_the_papers_not_the_likeliest(method: str) -> None:
    wanted, logits = GOLDEN[f"{method}_label"], GOLDEN["ordinal_logits"]
    kind = targets.of(AS_CLASSES[method])
    probabilities = np.array(kind.decode(logits))
    assert probabilities.shape == (32, 8)
    assert kind.predicted(probabilities).tolist() == wanted.tolist()
    assert (probabilities.argmax(axis=1) != wanted).any()
    right = kind.score(column(*GOLDEN["labels"]), logits)
    assert np.array(right).tolist() == (GOLDEN["labels"] == wanted).tolist()
    found = kind.measure(GOLDEN["labels"].astype(np.float32), probabilities)
    assert tuple(found) == metrics.ORDERED_CLASSES == kind.metric_names
    assert found["accuracy"] == pytest.approx((GOLDEN["labels"] == wanted).mean())
    assert found["one_off"] == pytest.approx((abs(GOLDEN["labels"] - wanted) <= 1).mean())


@pytest.mark.parametrize("method", METHODS)
def test_ordinal_years_are_low_plus_the_papers_label(method: str) -> None:
    kind = targets.of(AS_YEARS[method])
    years = np.array(kind.decode(GOLDEN["ordinal_logits"]))
    assert years.dtype == np.float32
    assert years.tolist() == (20 + GOLDEN[f"{method}_label"]).tolist()
    errors = kind.score(column(*np.full(32, 25.5)), GOLDEN["ordinal_logits"])
    assert np.array(errors) == pytest.approx(abs(25.5 - years))
    assert tuple(kind.measure(np.full(32, 25.5), years)) == metrics.REGRESSION == kind.metric_names
    assert kind.describe() == {"kind": "ordinal", "unit": "years"}


@pytest.mark.parametrize("method", METHODS)
@given(logits=arrays(np.float32, (5, 7), elements=st.floats(-30, 30, width=32)))
def test_ordinal_probabilities_are_a_distribution_with_the_label_as_its_median(method: str, logits) -> None:
    kind = targets.of(AS_CLASSES[method])
    probabilities, label = np.array(kind.decode(logits)), np.array(kind.said(logits))
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-6)
    above = np.array(kind._above(logits))
    undecided = (abs(above - 0.5) < 1e-6).any(axis=1)  # a tie to within rounding may fall either way
    assert (kind.predicted(probabilities) == label)[~undecided].all()


def test_coral_keeps_the_expected_number_of_steps_when_it_puts_them_in_order() -> None:
    logits = np.array([[-1.0, 2.0, 0.3]], np.float32)
    probabilities = np.array(targets.of(Ordinal("x", tuple("abcd"))).decode(logits))
    assert probabilities @ np.arange(4) == pytest.approx((1 / (1 + np.exp(-logits))).sum(axis=1), abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_ordinal_losses_and_gradients_stay_numbers_for_logits_of_any_size(method: str) -> None:
    outputs = tf.constant([[300.0, -300.0, 300.0]])
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = targets.of(Ordinal("x", tuple("abcd"), method=method)).losses(column(3), outputs, None)
    assert float(loss[0]) == pytest.approx(300.0)
    assert np.isfinite(tape.gradient(loss, outputs)).all()


def test_corn_counts_the_questions_that_a_row_is_asked() -> None:
    kind = targets.of(AS_CLASSES["corn"])
    assert np.array(kind.row_weights(column(0, 1, 6, 7))).tolist() == [1, 2, 7, 7]


def test_coral_starts_with_its_probabilities_in_order() -> None:
    network = network_of(Ordinal("x", tuple("abcde")))
    kernel, bias = network.get_layer("x").get_weights()
    assert kernel.shape == (8, 1)
    assert bias.tolist() == [1.0, 0.75, 0.5, 0.25]


def test_coral_starts_at_the_shares_of_the_training_labels() -> None:
    kind = targets.of(Ordinal("age", method="coral", low=0, high=3))
    layer = kind.output(keras.Input((2,)), np.array([0.0, 1.2, 2.0, 9.0]))._keras_history.operation
    shares = (np.array([3, 2, 1]) + 1) / (4 + 2)  # above 0, 1, 2 of the four, each side counted once more
    assert keras.ops.convert_to_numpy(keras.ops.sigmoid(layer.bias)) == pytest.approx(shares, abs=1e-6)


# -- expectation ------------------------------------------------------------------------------------------------------

AGES, AGE_LOGITS = column(*GOLDEN["ages"]), GOLDEN["age_logits"]


def test_dex_equals_the_reference() -> None:
    kind = targets.of(Expectation("age"))
    assert mean_loss(Expectation("age"), AGES, AGE_LOGITS) == pytest.approx(float(GOLDEN["dex_ce"]), abs=1e-5)
    years = np.array(kind.decode(AGE_LOGITS))
    assert (years.shape, years.dtype) == ((32,), np.float32)
    assert years == pytest.approx(GOLDEN["dex_expectation"], rel=1e-5)
    assert np.array(kind.score(AGES, AGE_LOGITS)) == pytest.approx(abs(AGES[:, 0] - years), abs=1e-5)
    assert tuple(kind.measure(AGES[:, 0], years)) == metrics.REGRESSION == kind.metric_names
    assert kind.describe() == {"kind": "expectation", "unit": "years"}


def test_mean_variance_loss_by_hand() -> None:
    both = Expectation("age", mean_weight=0.2, variance_weight=0.05)
    error = (GOLDEN["dex_expectation"] - GOLDEN["ages"]).astype(float)
    wanted = GOLDEN["dex_ce"] + np.mean(0.2 * error**2 / 2 + 0.05 * GOLDEN["dex_variance"])
    assert mean_loss(both, AGES, AGE_LOGITS) == pytest.approx(wanted, rel=1e-5)
    alone = mean_loss(replace(both, mean_weight=0.0), AGES, AGE_LOGITS) - mean_loss(
        Expectation("age"), AGES, AGE_LOGITS
    )
    assert alone == pytest.approx(0.05 * GOLDEN["dex_variance"].mean(), rel=1e-5)


def test_gaussian_labels_by_hand() -> None:
    """Years 30, 31, 32; a label of 31.5 with sigma 1 is at 1.5, 0.5 and 0.5 steps of them."""
    q = np.exp(-(np.array([1.5, 0.5, 0.5]) ** 2) / 2)
    logits = np.array([[0.3, -1.0, 2.0]], np.float32)
    log_p = logits[0] - np.log(np.exp(logits[0]).sum())
    target = Expectation("age", low=30, high=32, sigma=1.0)
    assert mean_loss(target, column(31.5), logits) == pytest.approx(-(q / q.sum()) @ log_p, abs=1e-6)


def test_expectation_of_classes_is_cross_entropy_and_answers_probabilities() -> None:
    target = Expectation("x", NAMES)
    kind, labels = targets.of(target), column(*GOLDEN["labels"])
    assert mean_loss(target, labels, GOLDEN["class_logits"]) == pytest.approx(float(GOLDEN["ce"]), abs=1e-5)
    probabilities = np.array(kind.decode(GOLDEN["class_logits"]))
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-6)
    right = GOLDEN["class_logits"].argmax(axis=1) == GOLDEN["labels"]
    assert np.array(kind.score(labels, GOLDEN["class_logits"])).tolist() == right.tolist()
    assert kind.measure(labels[:, 0], probabilities)["accuracy"] == pytest.approx(right.mean())
    assert kind.describe() == {"kind": "expectation", "classes": list(NAMES)}


# -- both -------------------------------------------------------------------------------------------------------------

YEARS = (
    Expectation("x", low=20, high=27),
    Expectation("x", low=20, high=27, sigma=2.0, mean_weight=0.2, variance_weight=0.05),
    AS_YEARS["coral"],
    AS_YEARS["corn"],
)
CLASSES = (Expectation("x", NAMES), Expectation("x", NAMES, sigma=1.0), *AS_CLASSES.values())


def logits_for(target: Target, rows: int = 8) -> np.ndarray:
    count = 8 if target.kind == "expectation" else 7
    return np.random.default_rng(0).normal(size=(rows, count)).astype(np.float32)


@pytest.mark.parametrize("target", YEARS, ids=str)
def test_a_label_outside_the_range_counts_as_its_nearest_end_but_is_judged_as_it_is(target: Target) -> None:
    logits = logits_for(target, 1)
    for outside, end in ((3.0, 20.0), (90.0, 27.0)):
        assert mean_loss(target, column(outside), logits) == pytest.approx(mean_loss(target, column(end), logits))
    kind = targets.of(target)
    assert kind.measure(np.array([90.0]), np.array([27.0]))["mae"] == 63.0


@pytest.mark.parametrize("target", YEARS, ids=str)
def test_unknown_years_are_encoded_as_unknown(target: Target) -> None:
    labels, known = targets.of(target).encode(pd.Series(["23.5", None, "old"], dtype="str"))
    assert labels[0, 0] == 23.5
    assert known.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("target", CLASSES, ids=str)
def test_classes_are_encoded_in_their_order(target: Target) -> None:
    labels, known = targets.of(target).encode(pd.Series(["a", None, "h", "?"], dtype="str"))
    assert labels[[0, 2], 0].tolist() == [0.0, 7.0]
    assert known.tolist() == [1.0, 0.0, 1.0, 0.0]


MODEL = Model("shared_trunk", weights="none", image_size=32, head=Head(units=(8,)))


def network_of(*wanted: Target) -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_network(MODEL, wanted, {target.name: np.zeros(0) for target in wanted})


@pytest.mark.parametrize("target", [*YEARS, *CLASSES], ids=str)
def test_masked_rows_change_nothing(target: Target) -> None:
    """Loss and gradients of a batch whose last rows are unknown are those of the first rows alone."""
    network = network_of(target)
    rng = np.random.default_rng(0)
    pictures = tf.constant(rng.integers(0, 256, (8, 32, 32, 3)), tf.float32)
    labels = (rng.integers(0, 8, (8, 1)) + (0 if target.classes else 20)).astype("float32")
    known = np.repeat([1.0, 0.0], [5, 3]).astype("float32")
    labels[5:] = 0.0  # as `encode` leaves what is unknown

    def at_work(rows: int) -> tuple[float, list[np.ndarray | None]]:
        trainer = Trainer(network, (target,))
        with tf.GradientTape() as tape:
            said = network({"image": pictures[:rows]}, training=False)
            loss = trainer.compute_loss(None, {"x": labels[:rows]}, said, {"x": known[:rows]})
        return float(loss), tape.gradient(loss, [v.value for v in network.trainable_variables])

    (masked, some), (alone, same) = at_work(8), at_work(5)
    assert masked == pytest.approx(alone, rel=1e-5)
    for a, b in zip(some, same, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert np.array(a) == pytest.approx(np.array(b), abs=1e-4)
    assert mean_loss(target, labels[:0], logits_for(target, 0)) == 0.0


@pytest.mark.parametrize("target", [*YEARS, *CLASSES], ids=str)
def test_heads_answer_float32_under_mixed_precision(target: Target) -> None:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = network_of(target)
        said = network({"image": np.zeros((2, 32, 32, 3), np.float32)})["x"]
        assert said.dtype == tf.float32
        kind = targets.of(target)
        assert kind.losses(column(1, 2), said, network).dtype == tf.float32
        assert kind.decode(said).dtype == tf.float32
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("target", [*YEARS, *CLASSES], ids=str)
def test_json_round_trip_and_command_line(target: Target) -> None:
    experiment = replace(default_experiment("shared_trunk"), targets=(target,))
    assert parsing.from_json(parsing.to_json(experiment), "test") == experiment
    assert parsing.override(experiment, ["--targets.0.weight", "3"]).targets == (replace(target, weight=3.0),)


def test_json_without_a_kind_is_still_read_as_before() -> None:
    written = json.loads(parsing.to_json(default_experiment("shared_trunk")))
    written["targets"] = [{"name": "age"}, {"name": "group", "classes": ["a", "b", "c"]}, {"name": "x", "sigma": 2}]
    read = parsing.from_json(json.dumps(written), "test").targets
    assert [target.kind for target in read] == ["regression", "classes", "expectation"]


@pytest.mark.parametrize("kind", [Expectation, Ordinal])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"low": 5, "high": 5}, "low and high of x must be rising, not"),
        ({"low": 50, "high": 5}, "low and high of x must be rising, not"),
        ({"classes": ("a",)}, "two or more different names"),
        ({"classes": ("a", "b", "a")}, "two or more different names"),
        ({"classes": ("a", "b"), "high": 5}, "low, high and unit of x must be left out beside classes"),
        ({"classes": ("a", "b"), "unit": "months"}, "low, high and unit of x must be left out beside classes"),
        ({"weight": 0.0}, "weight of x must be above 0"),
    ],
)
def test_what_cannot_be_right_is_refused(kind: type, fields: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kind("x", **fields)


@pytest.mark.parametrize("field", ["sigma", "mean_weight", "variance_weight"])
def test_negative_strengths_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} of x must be at least 0"):
        Expectation("x", **{field: -1.0})


def test_an_unknown_method_is_refused_from_json() -> None:
    text = parsing.to_json(replace(default_experiment("shared_trunk"), targets=(Ordinal("x"),)))
    with pytest.raises(RequestError, match=r"targets\.0.*method"):
        parsing.from_json(text.replace('"coral"', '"corall"'), "test")


def test_the_median_is_said_only_where_labels_json_says_so() -> None:
    probabilities = np.array([[0.4, 0.3, 0.3], [0.2, 0.2, 0.6]])
    assert class_index({"classes": ["a", "b", "c"]}, probabilities).tolist() == [0, 2]
    assert class_index({"classes": ["a", "b", "c"], "label": "median"}, probabilities).tolist() == [1, 2]


# -- a run ------------------------------------------------------------------------------------------------------------

GROUPS = ("0-20", "20-40", "40-60", "60-90")


@pytest.fixture(scope="module")
def ordered_run(tiny: Experiment, faces_csv: Path, tmp_path_factory: pytest.TempPathFactory):
    """One run that learns age by expectation and by CORAL, and the age group by CORN."""
    folder = tmp_path_factory.mktemp("ordered")
    table = pd.read_csv(faces_csv)
    group = pd.cut(table["age"], [-1, 20, 40, 60, 91], labels=list(GROUPS)).astype(str)
    path = [str(faces_csv.parent / path) for path in table["path"]]
    table.assign(path=path, older=table["age"], group=group).to_csv(folder / "ordered.csv", index=False)
    wanted = (
        Expectation("age", low=0, high=90, sigma=2.0),
        Ordinal("older", low=0, high=90),
        Ordinal("group", GROUPS, method="corn"),
    )
    data = Data("csv", root=str(folder / "ordered.csv"), split=tiny.stages[0].data.split)
    return train(with_stage(replace(tiny, targets=wanted), data=data, epochs=1), folder)


LOADED_ALONE = """
import sys
from pipeline.training.network import load_network
from pipeline.training.runs import open_run
load_network(open_run(sys.argv[1]))
"""


def test_a_fresh_process_loads_the_run(ordered_run) -> None:
    """Before anything has asked for a target's behaviour, as evaluate and export do."""
    program = [sys.executable, "-c", LOADED_ALONE, str(ordered_run.path)]
    done = subprocess.run(program, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr[-2000:]


def test_results_predictions_and_the_saved_model_agree(ordered_run) -> None:
    export(ordered_run)
    results = evaluate(ordered_run)
    said = pd.read_csv(ordered_run.path / "predictions.csv")
    for name in ("age", "older"):
        error = (said[name] - said[f"{name}_predicted"]).abs().mean()
        assert error == pytest.approx(results["targets"][name]["mae"], rel=1e-4)
        assert (ordered_run.path / f"figures/predicted_{name}.png").is_file()
    right, found = said["group"] == said["group_predicted"], results["targets"]["group"]
    assert right.mean() == pytest.approx(found["accuracy"])
    assert np.trace(found["confusion"]) == right.sum()
    assert (ordered_run.path / "figures/confusion_group.png").is_file()
    labels = json.loads((ordered_run.saved_model / "assets.extra/labels.json").read_text())["targets"]
    assert labels["group"] == {"kind": "ordinal", "classes": list(GROUPS), "label": "median"}
    answers = Predictor(ordered_run.saved_model)(list(said["path"][:40]), faces="whole")
    for name in labels:
        wanted, got = said[f"{name}_predicted"][:40], answers[f"{name}_predicted"]
        if "classes" in labels[name]:
            assert got.tolist() == wanted.tolist()
        else:
            assert got.to_numpy(float) == pytest.approx(wanted.to_numpy(float), abs=1e-3)


def test_validation_in_training_is_the_judgement_of_evaluate_for_ordered_targets(ordered_run) -> None:
    results, kept = evaluate(ordered_run, "val"), ordered_run.history.iloc[-1]
    assert kept["val_loss"] == pytest.approx(results["loss"], rel=1e-5)
    assert kept["val_group_accuracy"] == pytest.approx(results["targets"]["group"]["accuracy"])
    assert kept["val_older_mae"] == pytest.approx(results["targets"]["older"]["mae"], rel=1e-5)


# -- experiments ------------------------------------------------------------------------------------------------------


def test_the_age_group_experiment_is_the_default_recipe_on_fairface() -> None:
    experiment, default = load_experiment("age_group_ordinal"), default_experiment("mobilenetv2")
    assert experiment.targets == (Ordinal("age_group", fairface.AGES, method="corn"),)
    assert experiment.model == default.model
    assert experiment.stages == (replace(default.stages[0], data=Data("fairface")),)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["age_expectation", "age_ordinal"])
def test_an_experiment_beats_the_constant_answer_by_half(experiment: str, tmp_path: Path, capsys) -> None:
    root = str(tmp_path / "faces")
    assert main(["train", experiment, "--root", root, "--runs", str(tmp_path / "runs")]) == 0
    results = json.loads((Path(capsys.readouterr().out.splitlines()[-1]) / "results.json").read_text())["targets"]
    rows = datasets.load(Data("sample", root=root))
    ages = {split: rows["age"][rows["split"] == split] for split in ("train", "test")}
    constant = np.abs(ages["test"] - ages["train"].median()).mean()
    assert results["age"]["mae"] <= 0.5 * constant
