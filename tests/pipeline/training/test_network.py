"""What trains and what does not; how weights pass on."""

from __future__ import annotations

import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import (
    Binary,
    Classes,
    Convolution,
    Data,
    Experiment,
    Head,
    Model,
    Optimizer,
    Ordinal,
    Regression,
    Schedule,
    Stage,
)
from pipeline.training import runs
from pipeline.training.network import build_network, hand_over, leaves, load_network
from pipeline.training.objective import Trainer
from pipeline.training.schedules import Rate, make_optimizer
from pipeline.utils.errors import RequestError

LABELS = {"age": np.array([20.0, 40.0]), "gender": np.array([0.0, 1.0])}
TARGETS = (Regression("age"), Binary("gender"))


def trained_step(train: str | tuple[str, ...], model: str = "mobilenetv2") -> tuple[dict, dict]:
    """All weights by path before and after one step."""
    keras.utils.set_random_seed(1)
    network = build_network(Model(model, weights="none", image_size=32), TARGETS, LABELS, train)
    before = {v.path: keras.ops.convert_to_numpy(v) for v in network.variables if "seed" not in v.path}
    trainer = Trainer(network, TARGETS)
    trainer.compile("sgd")
    rng = np.random.default_rng(0)
    y = {"age": rng.uniform(10, 70, (8, 1)).astype("float32"), "gender": rng.integers(0, 2, (8, 1)).astype("float32")}
    known = {name: np.ones(8, "float32") for name in y}
    trainer.train_on_batch({"image": rng.integers(0, 256, (8, 32, 32, 3))}, y, known)
    return before, {v.path: keras.ops.convert_to_numpy(v) for v in network.variables if "seed" not in v.path}


def changed(train: str | tuple[str, ...]) -> set[str]:
    before, after = trained_step(train)
    return {path for path in before if not np.array_equal(before[path], after[path])}


def test_a_frozen_backbone_does_not_move_moving_statistics_included() -> None:
    moved = changed("head")
    assert moved
    assert all(path.startswith(("age", "gender", "head")) for path in moved)


def test_named_layers_train_and_others_keep_their_statistics() -> None:
    moved = changed(("head", "block_16", "Conv_1"))
    assert any("block_16" in path for path in moved)
    assert all(path.startswith(("age", "gender", "head")) or "block_16" in path or "Conv_1" in path for path in moved)


def trainable(train: str | tuple[str, ...]) -> set[str]:
    network = build_network(Model("mobilenetv2", weights="none", image_size=32), TARGETS, LABELS, train)
    return {layer.name for layer in leaves(network) if layer.trainable_weights}


def test_a_number_in_a_name_is_taken_whole() -> None:
    names = trainable("block_1")
    assert "block_1_expand" in names
    assert not any(name.startswith("block_16") for name in names)


def test_from_a_layer_on_takes_in_all_that_follows_and_the_head() -> None:
    later = {*trainable("block_15"), *trainable("block_16"), *trainable("Conv_1"), *trainable("head")}
    assert trainable("from:block_15") == later


def test_a_target_whose_name_begins_another_trains_alone() -> None:
    wanted = (Regression("age"), Binary("age_group", classes=("young", "old")))
    labels = {"age": LABELS["age"], "age_group": LABELS["gender"]}
    network = build_network(Model("shared_trunk", weights="none", image_size=32), wanted, labels, "age")
    assert {layer.name for layer in leaves(network) if layer.trainable_weights} == {"age_standardized"}


def test_everything_trains() -> None:
    moved = changed("all")
    assert any("Conv1/" in path for path in moved)
    assert any("moving_mean" in path for path in moved)


@pytest.mark.parametrize(
    "how", [Optimizer(), Optimizer("adam"), Optimizer("sgd"), Optimizer("adamw", weight_decay=0.1)]
)
def test_every_optimizer_takes_a_step(how: Optimizer) -> None:
    weight = keras.Variable([1.0], name="kernel")
    make_optimizer(how, steps=10, steps_per_epoch=5).apply([keras.ops.ones(1)], [weight])
    assert float(weight[0]) != 1.0


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (Schedule(), [1.0, 1.0, 1.0, 1.0]),
        (Schedule("exponential", decay=0.5), [1.0, 0.5**0.5, 0.5, 0.25]),
        (Schedule("cosine"), [1.0, (1 + math.cos(math.pi * 0.25)) / 2, 0.5, 0.0]),
        (Schedule("cosine", warmup=1), [0.0, 0.5, 1.0, 0.0]),
    ],
)
def test_rates_follow_their_formulas(schedule: Schedule, rates: list[float]) -> None:
    rate = Rate(1.0, schedule, steps=4, steps_per_epoch=2)
    assert [float(rate(step)) for step in (0, 1, 2, 4)] == pytest.approx(rates, abs=1e-6)


def test_a_frozen_layer_drops_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def backbone(name: str, image_size: int, weights: str | None) -> keras.Model:
        picture = keras.Input((image_size, image_size, 3))
        dropped = keras.layers.Dropout(0.5, name="drop")(picture)
        return keras.Model(picture, keras.layers.Conv2D(4, 3, name="conv")(dropped), name="toy")

    monkeypatch.setattr("pipeline.training.network.build_backbone", backbone)
    network = build_network(Model("toy", weights="none", image_size=16), TARGETS, LABELS, "head")
    pictures = {"image": np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)).astype("float32")}
    trained, judged = (np.array(network(pictures, training=training)["gender"]) for training in (True, False))
    assert trained == pytest.approx(judged, abs=1e-6)


def test_a_frozen_head_drops_nothing_out() -> None:
    model = Model("shared_trunk", weights="none", image_size=32, head=Head(units=(64,), dropout=(0.5,)))
    network = build_network(model, TARGETS, LABELS, "gender")
    pictures = {"image": np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")}
    trained, judged = (np.array(network(pictures, training=training)["gender"]) for training in (True, False))
    assert trained == pytest.approx(judged, abs=1e-6)


def test_standardised_answers_are_handed_over_with_their_weights() -> None:
    model, wanted = Model("shared_trunk", weights="none", image_size=32), (Regression("age"),)
    source = build_network(model, wanted, {"age": np.array([20.0, 40.0])})
    network = build_network(model, wanted, {"age": np.array([60.0, 70.0])})
    hand_over(source, network)
    pictures = {"image": np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")}
    assert np.array_equal(network(pictures)["age"], source(pictures)["age"])


def test_an_older_run_whose_layers_answer_probabilities_is_loaded_with_logits(tmp_path: Path) -> None:
    model = Model("shared_trunk", weights="none", image_size=32, head=Head(units=(8,)))
    wanted = (Binary("gender"), Classes("race", ("a", "b", "c")), Ordinal("group", tuple("abc")), Regression("age"))
    labels = {target.name: np.array([0.0, 1.0]) for target in wanted}
    run = runs.create(Experiment(model, (Stage("train", data=Data("sample")),), wanted, "old"), tmp_path / "runs")
    network = build_network(model, wanted, labels)
    pictures = {"image": np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")}
    logits = network.predict(pictures, verbose=0)
    network.get_layer("gender").activation = keras.activations.sigmoid
    network.get_layer("race").activation = keras.activations.softmax
    network.save(run.path / "model.keras")
    assert keras.saving.load_model(run.model).predict(pictures, verbose=0)["race"].sum() == pytest.approx(4)
    loaded = load_network(run)
    loaded.save(tmp_path / "again.keras")
    again = keras.saving.load_model(tmp_path / "again.keras")
    for found in (loaded(pictures), tf.function(loaded)(pictures), again.predict(pictures, verbose=0)):
        for name, expected in logits.items():
            assert np.array(found[name]) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_name_that_is_no_layer_is_refused() -> None:
    with pytest.raises(RequestError, match="layer4"):
        build_network(Model("mobilenetv2", weights="none", image_size=32), TARGETS, LABELS, ("layer4",))


def test_batch_norm_momentum_is_the_experiments() -> None:
    network = build_network(
        Model("mobilenetv2", weights="none", image_size=32, batch_norm_momentum=0.8), TARGETS, LABELS
    )
    norms = [layer for layer in leaves(network) if isinstance(layer, keras.layers.BatchNormalization)]
    assert {norm.momentum for norm in norms} == {0.8}


def test_weights_pass_on_by_name_across_different_heads() -> None:
    model = Model("shared_trunk", weights="none", image_size=32)
    source = build_network(model, TARGETS, LABELS)
    network = build_network(model, (Binary("gender"),), LABELS)
    assert hand_over(source, network) == []
    for layer in leaves(network):
        theirs = next(other for other in leaves(source) if other.name == layer.name)
        for a, b in zip(layer.get_weights(), theirs.get_weights(), strict=True):
            assert np.array_equal(a, b)


def test_cz4042_head_has_the_reports_parameters() -> None:
    """MobileNetV2 frozen, pooling, batch norm after it and after each of 1024-512-512: 2,264,640 are not trainable."""
    head = Head(units=(1024, 512, 512), batch_norm=True)
    model = Model("mobilenetv2", weights="none", image_size=224, head=head)
    network = build_network(model, (Binary("gender"),), LABELS, "head")
    assert counted(network.non_trainable_weights) == 2_264_640


def test_cz4042_hassner_has_the_reports_parameters() -> None:
    head = Head(pool="flatten", units=(512, 512), dropout=(0.5, 0.5))
    network = build_network(Model("hassner", weights="none", image_size=224, head=head), (Binary("gender"),), LABELS)
    assert network.count_params() == 115_023_873


UNIMIB_SMALL = Head(units=(512, 256, 32), activation="gelu")
UNIMIB_LARGE = Head(units=(2048, 512, 128), activation="gelu")
AI6126 = tuple(
    Classes(f"category{i}", tuple(f"{i}_{k}" for k in range(count))) for i, count in enumerate((7, 3, 3, 4, 6, 3))
)


@pytest.mark.parametrize(
    ("backbone", "features", "head", "after_the_first"),
    [
        ("resnet18", 512, UNIMIB_SMALL, 131_328 + 8_224 + 33),
        ("resnet50_v15", 2048, UNIMIB_LARGE, 1_049_088 + 65_664 + 129),
    ],
)
def test_unimib_heads_have_the_reports_parameters(
    backbone: str, features: int, head: Head, after_the_first: int
) -> None:
    model = Model(backbone, weights="none", image_size=64, head=head)
    network = build_network(model, (Regression("age", loss="mae", standardize=False),), LABELS, "head")
    assert counted(network.trainable_weights) == (features + 1) * head.units[0] + after_the_first


def test_ai6126_trains_the_reports_parameters() -> None:
    """SE-ResNeXt50 frozen but for its last stage, head 512-128-26 with dropout: 17,242,394."""
    head = Head(units=(512, 128), dropout=(0.5, 0.5))
    model = Model("se_resnext50", weights="none", image_size=64, head=head)
    network = build_network(model, AI6126, {target.name: np.zeros(1) for target in AI6126}, ("layer4", "head"))
    assert counted(network.trainable_weights) == 17_242_394


def test_an_activation_for_each_dense_layer() -> None:
    """Group 91: Swin's 1000 outputs as they are, then three layers with GELU between them."""
    head = Head(units=(1000, 512, 128), activation=("linear", "gelu", "gelu"))
    network = build_network(Model("shared_trunk", weights="none", image_size=32, head=head), TARGETS, LABELS)
    given = [network.get_layer(f"head_dense{i}").activation for i in (1, 2, 3)]
    assert given == [keras.activations.linear, keras.activations.gelu, keras.activations.gelu]


def counted(weights: list) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def test_a_branch_of_its_own_takes_the_place_of_the_shared_head() -> None:
    branch = Head(convolutions=(Convolution(8, 3, pool=2, batch_norm=True),), pool="flatten", units=(4,))
    model = Model("shared_trunk", weights="none", image_size=32, head=Head(units=(16,)))
    network = build_network(model, (Regression("age", head=branch), Binary("gender")), LABELS)
    names = {layer.name for layer in network.layers}
    assert {"age_conv1", "age_conv1_norm", "age_dense1", "head_dense1"} <= names
    assert network.get_layer("gender").kernel.shape == (16, 1)
    assert network.get_layer("age_standardized").kernel.shape == (4, 1)
