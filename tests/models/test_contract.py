"""One contract for every network: it trains where it should, comes back from a file, and answers alike everywhere.

RegNetY-128GF needs 10 GB to train; regnety_016, the same code, stands in for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import build_backbone, facts, list_models
from pipeline.config import Binary, Model, Regression
from pipeline.training.network import build_network
from pipeline.training.objective import Trainer

SIZE = 64
TARGETS = (Regression("age"), Binary("gender"))
LABELS = {"age": np.array([20.0, 40.0]), "gender": np.array([0.0, 1.0])}
NAMES = [name for name in list_models() if name != "regnety_128gf"]
EVERY = [pytest.param(name, marks=pytest.mark.slow) if facts(name)["parameters"] > 2e6 else name for name in NAMES]


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3)).astype("float32")


def moved_by_a_step(name: str, train: str) -> tuple[set[str], set[str], set[str]]:
    """Paths of all variables, of the trainable ones, and of those that one step changed."""
    keras.utils.set_random_seed(0)
    network = build_network(Model(name, weights="none", image_size=SIZE), TARGETS, LABELS, train)
    kept = [v for v in network.variables if "seed" not in v.path]
    before = [keras.ops.convert_to_numpy(v) for v in kept]
    trainer = Trainer(network, TARGETS)
    trainer.compile(keras.optimizers.Adam(1e-3), run_eagerly=True)  # compiling takes most of a minute for some
    y = {"age": np.linspace(60, 95, 8, dtype="float32")[:, None], "gender": np.arange(8, dtype="float32")[:, None] % 2}
    trainer.train_on_batch({"image": pictures(8)}, y, {target: np.ones(8, "float32") for target in y})
    changed = {v.path for v, old in zip(kept, before, strict=True) if not np.array_equal(v, old)}
    return {v.path for v in kept}, {v.path for v in network.trainable_variables}, changed


@pytest.mark.parametrize("name", EVERY)
def test_a_step_changes_every_weight_of_a_network_that_trains(name: str) -> None:
    everything, trainable, changed = moved_by_a_step(name, "all")
    assert trainable <= changed
    fixed = {path for path in everything - changed if "constants/" not in path}  # EfficientNet's own constants
    assert not fixed


@pytest.mark.parametrize("name", EVERY)
def test_a_step_changes_nothing_of_a_frozen_backbone(name: str) -> None:
    _, trainable, changed = moved_by_a_step(name, "head")
    assert changed
    assert changed <= trainable
    assert all(path.startswith(("age", "gender")) for path in changed)


@pytest.mark.parametrize("name", EVERY)
def test_a_network_comes_back_from_a_file_and_from_a_saved_model(name: str, tmp_path: Path) -> None:
    backbone = build_backbone(name, SIZE)
    answers = np.asarray(backbone(pictures(2)))
    backbone.save(tmp_path / "backbone.keras")
    assert np.array_equal(keras.saving.load_model(tmp_path / "backbone.keras")(pictures(2)), answers)
    backbone.export(tmp_path / "saved_model", verbose=False)
    saved = tf.saved_model.load(tmp_path / "saved_model")  # must outlive the call
    served = saved.serve(pictures(2))
    assert np.abs(served - answers).max() <= 1e-4 * np.abs(answers).max()


@pytest.mark.slow
def test_jax_answers_as_tensorflow_does(tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="JAX is an optional backend")
    for name in NAMES:
        build_backbone(name, SIZE).save_weights(tmp_path / f"{name}.weights.h5")
    np.save(tmp_path / "pictures.npy", pictures(2))
    program = (
        "import sys, numpy as np\n"
        "from models import build_backbone\n"
        "x = np.load('pictures.npy')\n"
        f"backbones = {{n: build_backbone(n, {SIZE}, weights=n + '.weights.h5') for n in sys.argv[1:]}}\n"
        "np.savez('jax.npz', **{n: t.predict(x, verbose=0) for n, t in backbones.items()})\n"
    )
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", program, *NAMES], cwd=tmp_path, env=environment, check=True)
    with np.load(tmp_path / "jax.npz") as theirs:
        for name in NAMES:
            ours = build_backbone(name, SIZE, weights=tmp_path / f"{name}.weights.h5")(pictures(2))
            assert np.linalg.norm(theirs[name] - ours) <= 1e-4 * np.linalg.norm(ours), name
