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
from pipeline.network import build_network
from pipeline.objective import Trainer, weighted_mean

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "losses.npz")
NAMES = tuple("abcdefgh")


@pytest.mark.parametrize(
    ("smoothing", "weighted", "answer"),
    [(0.0, False, "ce"), (0.0, True, "ce_weighted"), (0.01, False, "ce_smooth"), (0.01, True, "ce_weighted_smooth")],
)
def test_cross_entropy_equals_pytorch(smoothing: float, weighted: bool, answer: str) -> None:
    weights = tuple(GOLDEN["class_weights"].tolist()) if weighted else ()
    kind = targets.of(Classes("x", NAMES, label_smoothing=smoothing, class_weights=weights))
    labels = GOLDEN["labels"].astype(np.float32)[:, None]
    outputs = keras.ops.softmax(keras.ops.convert_to_tensor(GOLDEN["class_logits"], "float32"))
    loss = weighted_mean(kind.losses(labels, outputs, None), kind.row_weights(labels))
    assert float(loss) == pytest.approx(float(GOLDEN[answer]), abs=1e-5)


def test_binary_cross_entropy_by_hand() -> None:
    kind = targets.of(Binary("gender", label_smoothing=0.1))
    labels, outputs = np.array([[0.0], [1.0]], np.float32), np.array([[0.2], [0.7]], np.float32)
    wanted = [-(0.05 * np.log(0.2) + 0.95 * np.log(0.8)), -(0.95 * np.log(0.7) + 0.05 * np.log(0.3))]
    assert np.array(kind.losses(labels, outputs, None)) == pytest.approx(wanted, abs=1e-5)


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
    assert np.array(kind.decode(np.array([[0.2]], np.float32))) == pytest.approx(np.array([[0.8, 0.2]]))


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
    assert float(weighted_mean(np.array([2.0, 4.0, 100.0]), np.array([1.0, 1.0, 0.0]))) == 3.0


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
