"""Training in 16 bits: gradients that would vanish in float16 are computed of a scaled loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import Binary, Experiment, Model, Optimizer, Regression
from pipeline.training import machine
from pipeline.training.network import build_network
from pipeline.training.objective import Trainer
from pipeline.training.schedules import make_optimizer

LABELS = {"age": np.array([20.0, 40.0]), "gender": np.array([0.0, 1.0])}
TARGETS = (Regression("age"), Binary("gender"))


@pytest.fixture
def policy(request: pytest.FixtureRequest) -> Iterator[str]:
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")


def compiled() -> Trainer:
    keras.utils.set_random_seed(0)
    trainer = Trainer(build_network(Model("shared_trunk", weights="none", image_size=32), TARGETS, LABELS), TARGETS)
    trainer.compile(make_optimizer(Optimizer("sgd", learning_rate=1e-3), 10, 10), run_eagerly=True)
    return trainer


def step(trainer: Trainer) -> None:
    rng = np.random.default_rng(0)
    y = {"age": np.linspace(20, 60, 8, dtype="float32")[:, None], "gender": np.eye(2, 1, dtype="float32").repeat(4, 0)}
    known = {name: np.ones(8, "float32") for name in y}
    trainer.train_on_batch({"image": rng.integers(0, 256, (8, 32, 32, 3))}, y, known)


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_float16_scales_the_loss_and_unscales_its_gradients(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, seen = compiled(), {}
    outer, inner = trainer.optimizer, trainer.optimizer.inner_optimizer
    for name, optimizer in (("scaled", outer), ("unscaled", inner)):

        def apply(gradients, *others, name=name, applied=optimizer.apply, **named):
            gradients = list(gradients)
            seen[name] = [keras.ops.convert_to_numpy(g) for g in gradients]
            return applied(gradients, *others, **named)

        monkeypatch.setattr(optimizer, "apply", apply)
    before = trainer.get_weights()
    step(trainer)
    assert isinstance(outer, keras.optimizers.LossScaleOptimizer)
    assert max(np.abs(g).max() for g in seen["unscaled"]) > 0
    for scaled, unscaled in zip(seen["scaled"], seen["unscaled"], strict=True):
        np.testing.assert_allclose(scaled, unscaled * outer.initial_scale, rtol=1e-3)
    assert not all(np.array_equal(b, a) for b, a in zip(before, trainer.get_weights(), strict=True))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"], indirect=True)
def test_other_precisions_have_the_range_and_need_no_scale(policy: str) -> None:
    assert not isinstance(compiled().optimizer, keras.optimizers.LossScaleOptimizer)


@pytest.mark.parametrize(("capability", "said"), [((7, 5), "float32"), ((8, 0), "mixed_bfloat16"), (None, "float32")])
def test_auto_is_bfloat16_where_the_gpu_has_it(
    capability: tuple[int, int] | None, said: str, tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["GPU"] * (capability is not None))
    details = {"compute_capability": capability}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: details)
    assert machine.precision(replace(tiny, precision="auto")) == said
