"""Losses against PyTorch's answers, decoding, and that a masked label changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from pipeline import targets
from pipeline.config import Binary, Classes, Head, Model, Regression
from pipeline.training.network import build_network
from pipeline.training.objective import Trainer, sums

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "losses.npz")
NAMES = tuple("abcdefgh")


@pytest.mark.parametrize(
    ("smoothing", "weighted", "answer"),
    [(0.0, False, "ce"), (0.0, True, "ce_weighted"), (0.01, False, "ce_smooth"), (0.01, True, "ce_weighted_smooth")],
)
def test_cross_entropy_equals_pytorch(smoothing: float, weighted: bool, answer: str) -> None:
    weights = tuple(GOLDEN["class_weights"].tolist()) if weighted else ()
    kind = targets.of(Classes("x", NAMES, label_smoothing=smoothing, class_weights=weights))
    labels = GOLDEN["labels"].astype(np.float32)[:, None]
    assert mean_loss(kind, labels, GOLDEN["class_logits"]) == pytest.approx(float(GOLDEN[answer]), abs=1e-5)


def mean_loss(kind: targets.Kind, labels: np.ndarray, outputs: np.ndarray) -> float:
    losses, weights = sums(kind, labels, outputs.astype(np.float32), None, np.ones(len(labels), np.float32))
    return float(keras.ops.divide_no_nan(losses, weights))


def torch_cross_entropy(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, smoothing: float) -> float:
    """torch.nn.functional.cross_entropy(weight, label_smoothing, reduction="mean"), in float64."""
    logits = logits.astype(np.float64)
    entropies = np.log(np.exp(logits).sum(axis=1, keepdims=True)) - logits  # −log p
    rows = np.arange(len(labels))
    of_labels = (1 - smoothing) * weights[labels] * entropies[rows, labels]
    spread = smoothing / len(weights) * (weights * entropies).sum(axis=1)
    return float((of_labels + spread).sum() / weights[labels].sum())


def test_the_reference_is_pytorch() -> None:
    weights, smoothed = GOLDEN["class_weights"].astype(float), float(GOLDEN["ce_weighted_smooth"])
    said = torch_cross_entropy(GOLDEN["class_logits"], GOLDEN["labels"].astype(int), weights, 0.01)
    assert said == pytest.approx(smoothed, abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("without", [(0,), (2, 5), (0, 1, 2, 3, 4, 5)])
def test_a_class_of_no_weight_keeps_its_smoothed_part(without: tuple[int, ...], smoothing: float) -> None:
    weights, labels = np.linspace(0.5, 2, len(NAMES)), np.arange(32) % len(NAMES)
    weights[list(without)] = 0
    kind = targets.of(Classes("x", NAMES, label_smoothing=smoothing, class_weights=tuple(weights)))
    wanted = torch_cross_entropy(GOLDEN["class_logits"], labels, weights, smoothing)
    found = mean_loss(kind, labels.astype(np.float32)[:, None], GOLDEN["class_logits"])
    assert found == pytest.approx(wanted, rel=1e-5)


def test_the_logged_loss_of_an_epoch_is_that_of_all_its_rows_together() -> None:
    """Batches of other weights: a mean of their means would be another number. One batch has no weight at all."""
    weights, labels = np.array([0.0, 0.5, 3.0]), np.array([1, 2, 0, 0, 2, 2])
    wanted = Classes("x", tuple("abc"), label_smoothing=0.2, class_weights=tuple(weights))
    image = keras.Input((3,), name="image")
    network = keras.Model({"image": image}, {"x": keras.layers.Identity(name="x")(image)})
    trainer, logits = Trainer(network, (wanted,)), np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    for rows in (slice(0, 2), slice(2, 4), slice(4, 6)):
        y, known = {"x": labels[rows, None].astype(np.float32)}, {"x": np.ones(2, np.float32)}
        loss = float(trainer.compute_loss(None, y, {"x": logits[rows]}, known))
        assert (loss == 0) is (rows.start == 2)
    expected = torch_cross_entropy(logits, labels, weights, 0.2)
    assert float(trainer.means["x_loss"].result()) == pytest.approx(expected, rel=1e-5)


def confident(target: Binary | Classes, logit: float) -> tuple[np.ndarray, np.ndarray]:
    """A row of the first class, which the network gives this much less than to the other one: labels, outputs."""
    return np.zeros((1, 1), np.float32), np.array([[logit] if isinstance(target, Binary) else [0, logit]], np.float32)


TWO = (Binary("x", ("a", "b")), Classes("x", ("a", "b")))


@pytest.mark.parametrize("target", TWO)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("logit", [20.0, 100.0, -20.0, -100.0])
def test_a_confident_row_has_its_whole_gradient(target: Binary | Classes, smoothing: float, logit: float) -> None:
    """p − q of each logit: in float32 a probability of 1 − 1e-9 is 1, and its logarithm's gradient would be lost."""
    labels, outputs = confident(target, logit)
    outputs = tf.constant(outputs)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = targets.of(replace(target, label_smoothing=smoothing)).losses(labels, outputs, None)
    p = 1 / (1 + np.exp(-logit))
    gradient = tape.gradient(loss, outputs)[0].numpy()
    assert gradient[-1] == pytest.approx(p - smoothing / 2, rel=1e-5)
    if len(gradient) == 2:
        assert gradient[0] == pytest.approx(smoothing / 2 - p, rel=1e-5, abs=1e-7)  # the right one's p is near 1


@pytest.mark.parametrize("target", TWO)
def test_the_loss_of_a_confident_mistake_has_no_limit(target: Binary | Classes) -> None:
    assert float(targets.of(target).losses(*confident(target, 100.0), None)[0]) == pytest.approx(100, abs=1e-5)


def test_binary_cross_entropy_by_hand() -> None:
    kind = targets.of(Binary("gender", label_smoothing=0.1))
    labels, outputs = np.array([[0.0], [1.0]], np.float32), logit(np.array([[0.2], [0.7]], np.float32))
    wanted = [-(0.05 * np.log(0.2) + 0.95 * np.log(0.8)), -(0.95 * np.log(0.7) + 0.05 * np.log(0.3))]
    assert np.array(kind.losses(labels, outputs, None)) == pytest.approx(wanted, abs=1e-5)


def logit(probabilities: np.ndarray) -> np.ndarray:
    return np.log(probabilities / (1 - probabilities))


@pytest.mark.parametrize(("loss", "wanted"), [("mae", [3.0, 0.5]), ("mse", [9.0, 0.25]), ("huber", [2.5, 0.125])])
def test_regression_losses_in_the_unit(loss: str, wanted: list[float]) -> None:
    kind = targets.of(Regression("age", loss=loss, standardize=False))
    labels, outputs = np.array([[30.0], [40.0]], np.float32), np.array([[33.0], [39.5]], np.float32)
    assert np.array(kind.losses(labels, outputs, None)) == pytest.approx(wanted)


def test_unknown_labels_are_encoded_as_unknown() -> None:
    labels, known = targets.of(Binary("gender")).encode(pd.Series(["male", None, "female"], dtype="str"))
    assert labels[[0, 2], 0].tolist() == [1.0, 0.0]
    assert known.tolist() == [1.0, 0.0, 1.0]


def test_binary_decodes_to_probabilities_in_the_order_of_its_classes() -> None:
    kind = targets.of(Binary("gender"))
    assert kind.classes == ("female", "male")
    outputs = np.concatenate([logit(np.array([[0.2]], np.float32)), np.array([[40.0], [-40.0]], np.float32)])
    small = np.exp(-40)  # 1 less a probability would be 0
    wanted = np.array([[0.8, 0.2], [small, 1], [1, small]])
    assert np.array(kind.decode(outputs)) == pytest.approx(wanted, rel=1e-5, abs=0)


AGE, GENDER = Regression("age"), Binary("gender")
LABELS = {"age": np.array([20.0, 40.0, 60.0]), "gender": np.array([0.0, 1.0])}
MODEL = Model("shared_trunk", weights="none", image_size=32, head=Head(units=(8,)))


def gradients(network: keras.Model, wanted: tuple, age_known: np.ndarray) -> dict[str, np.ndarray]:
    """Gradients of the objective on one batch, by layer, for a batch with some ages unknown."""
    rng = np.random.default_rng(0)
    x = {"image": tf.constant(rng.integers(0, 256, (8, 32, 32, 3)), tf.float32)}
    y = {"age": rng.uniform(10, 70, (8, 1)).astype("float32"), "gender": rng.integers(0, 2, (8, 1)).astype("float32")}
    known = {"age": age_known.astype("float32"), "gender": np.ones(8, "float32")}
    trainer = Trainer(network, wanted)
    with tf.GradientTape() as tape:
        loss = trainer.compute_loss(x, y, network(x, training=False), known)
    variables = network.trainable_variables
    found = tape.gradient(loss, [v.value for v in variables])
    return {v.path: np.array(g) for v, g in zip(variables, found, strict=True) if g is not None}


def test_masked_ages_leave_the_gender_head_its_gradients() -> None:
    """The promise of the issue: half the ages unknown, and the gender head learns as if there were no age at all."""
    keras.utils.set_random_seed(0)
    network = build_network(MODEL, (AGE, GENDER), LABELS)
    half = np.arange(8) % 2
    both = gradients(network, (AGE, GENDER), half)
    alone = gradients(network, (GENDER,), half)
    gender_head = [path for path in both if path.startswith("gender")]
    assert gender_head
    for path in gender_head:
        assert both[path] == pytest.approx(alone[path], abs=1e-7)


def test_a_batch_of_unknown_ages_changes_nothing_at_all() -> None:
    keras.utils.set_random_seed(0)
    network = build_network(MODEL, (AGE, GENDER), LABELS)
    both, alone = gradients(network, (AGE, GENDER), np.zeros(8)), gradients(network, (GENDER,), np.zeros(8))
    for path, gradient in alone.items():
        assert both[path] == pytest.approx(gradient, abs=1e-7)


def test_the_loss_is_the_mean_over_known_rows_not_over_the_batch() -> None:
    kind = targets.of(Regression("age", loss="mae", standardize=False))
    outputs = np.array([[2.0], [4.0], [100.0]], np.float32)
    assert [float(one) for one in sums(kind, np.zeros((3, 1)), outputs, None, np.array([1.0, 1.0, 0.0]))] == [6, 2]


def test_a_standardised_answer_starts_at_the_mean_of_the_training_labels() -> None:
    network = build_network(MODEL, (AGE, GENDER), LABELS)
    for layer in network.layers:
        if layer.name == "age_standardized":
            layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    answers = network.predict({"image": np.zeros((2, 32, 32, 3))}, verbose=0)["age"]
    assert answers[:, 0] == pytest.approx([40.0, 40.0], abs=1e-4)


def test_standardised_losses_are_in_standard_deviations() -> None:
    network = build_network(MODEL, (replace(AGE, loss="mae"), GENDER), LABELS)
    spread = np.std(LABELS["age"])
    loss = targets.of(AGE).losses(np.array([[30.0]], "float32"), np.array([[30.0 + 2 * spread]], "float32"), network)
    assert np.array(loss) == pytest.approx([2.0], abs=1e-4)
