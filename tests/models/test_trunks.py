"""One contract for every network."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from models import build_trunk, list_models
from models._blocks import LocalResponseNormalization

PARAMETERS = {
    "hassner": 14_208 + 614_656 + 885_120,
    "hassner_original": 14_208 + 614_656 + 885_120,
    "mobilenetv2": 2_257_984,
    "resnet50": 23_587_712,
    "shared_trunk": 1_792 + 36_928 + 256 + 73_856,
}


@pytest.mark.parametrize("name", list_models())
def test_builds_at_two_sizes_with_the_same_weights(name: str) -> None:
    small, large = (build_trunk(name, size) for size in (64, 96))
    assert small.count_params() == large.count_params() == PARAMETERS[name]
    assert large.output_shape[1] > small.output_shape[1]


@pytest.mark.parametrize("name", list_models())
def test_layer_names_are_stable(name: str) -> None:
    first, second = ([layer.name for layer in build_trunk(name, 64).layers] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", list_models())
def test_weights_survive_a_file(name: str, tmp_path: Path) -> None:
    trunk = build_trunk(name, 64)
    trunk.save_weights(tmp_path / "trunk.weights.h5")
    again = build_trunk(name, 96, weights=str(tmp_path / "trunk.weights.h5"))
    for ours, theirs in zip(trunk.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_mobilenetv2_takes_pixels_and_answers_as_keras_does_on_scaled_ones() -> None:
    trunk = build_trunk("mobilenetv2", 96)
    reference = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3))
    reference.set_weights(trunk.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype("float32")
    theirs = reference.predict(keras.applications.mobilenet_v2.preprocess_input(pixels.copy()), verbose=0)
    assert np.allclose(trunk.predict(pixels, verbose=0), theirs, atol=1e-4)


def test_resnet50_takes_pixels_and_answers_as_keras_does_on_preprocessed_ones() -> None:
    trunk = build_trunk("resnet50", 64)
    reference = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(64, 64, 3))
    reference.set_weights(trunk.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("float32")
    theirs = reference.predict(keras.applications.resnet50.preprocess_input(pixels.copy()), verbose=0)
    assert np.allclose(trunk.predict(pixels, verbose=0), theirs, rtol=1e-4, atol=1e-4)


def test_local_response_normalisation_equals_tensorflows() -> None:
    import tensorflow as tf

    x = np.random.default_rng(0).normal(0, 30, (2, 4, 4, 16)).astype("float32")
    ours = LocalResponseNormalization(size=5, alpha=1e-2, beta=0.75)(x)
    theirs = tf.nn.local_response_normalization(x, depth_radius=2, bias=1.0, alpha=1e-2 / 5, beta=0.75)
    assert np.allclose(keras.ops.convert_to_numpy(ours), theirs, atol=1e-5)


def test_weights_of_keras_applications_load(tmp_path: Path) -> None:
    reference = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(224, 224, 3))
    reference.save_weights(tmp_path / "theirs.weights.h5")
    trunk = build_trunk("mobilenetv2", 64, weights=str(tmp_path / "theirs.weights.h5"))
    for ours, theirs in zip(trunk.get_weights(), reference.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    build_trunk("shared_trunk", 64).save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ValueError, match=r"other\.weights\.h5 does not fit mobilenetv2"):
        build_trunk("mobilenetv2", 64, weights=str(tmp_path / "other.weights.h5"))


@pytest.mark.parametrize(
    ("weights", "error", "said"),
    [("nowhere.weights.h5", FileNotFoundError, "nowhere"), ("imagenet", ValueError, "no ImageNet weights")],
)
def test_weights_that_cannot_be_had_say_why(weights: str, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        build_trunk("shared_trunk", 64, weights=weights)


def test_a_failed_download_names_the_alternatives(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: object, **kwargs: object) -> None:
        raise Exception("URL fetch failure on https://…: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr("keras.src.applications.mobilenet_v2.file_utils.get_file", no_network)
    with pytest.raises(ConnectionError, match=r"weights none, or the path of a \.weights\.h5 file"):
        build_trunk("mobilenetv2", 96, weights="imagenet")


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValueError, match="mobilenetv2"):
        build_trunk("mobilenetv9")
