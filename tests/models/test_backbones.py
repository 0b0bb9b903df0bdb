"""One contract for every network."""

from __future__ import annotations

import math
from pathlib import Path

import keras
import numpy as np
import pytest

from models import build_backbone, facts, list_models
from models._blocks import IMAGENET_MEAN, IMAGENET_STD, LocalResponseNormalization

WITH_TOP = {  # parameters with a classifier of 1000 classes, as timm counts them
    "resnet18": 11_689_512,
    "resnet50_v15": 25_557_032,
    "resnet152_v15": 60_192_808,
    "regnety_128gf": 644_812_894,
    "swinv2_tiny": 28_332_124,
    "se_resnext50": 27_559_896,
}
HUGE = "regnety_128gf"


def trainable(model: keras.Model) -> int:
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


@pytest.mark.parametrize("name", [name for name in list_models() if name != HUGE])
def test_builds_at_two_sizes_with_the_same_weights(name: str) -> None:
    small, large = (build_backbone(name, size) for size in (64, 96))
    assert [(w.path, w.shape) for w in small.weights] == [(w.path, w.shape) for w in large.weights]
    assert trainable(small) == facts(name)["parameters"]
    assert large.output_shape[1] > small.output_shape[1]


@pytest.mark.parametrize("name", WITH_TOP)
def test_counts_are_timms(name: str) -> None:
    features = {"resnet18": 512, "swinv2_tiny": 768, HUGE: 7392}.get(name, 2048)
    assert facts(name)["parameters"] + 1000 * (features + 1) == WITH_TOP[name]


@pytest.mark.slow
def test_the_largest_network_holds_its_count_and_answers() -> None:
    backbone = build_backbone(HUGE, 64)
    assert trainable(backbone) == facts(HUGE)["parameters"]
    answer = backbone(np.full((1, 64, 64, 3), 128.0, "float32"))
    assert answer.shape == (1, 2, 2, 7392)
    assert np.isfinite(answer).all()


@pytest.mark.parametrize("name", ["efficientnet_b0", "hassner", "mobilenetv2", "regnety_016", "swinv2_tiny"])
def test_weights_survive_a_file(name: str, tmp_path: Path) -> None:
    backbone = build_backbone(name, 64)
    backbone.save_weights(tmp_path / "backbone.weights.h5")
    again = build_backbone(name, 96, weights=str(tmp_path / "backbone.weights.h5"))
    for ours, theirs in zip(backbone.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_mobilenetv2_takes_pixels_and_answers_as_keras_does_on_scaled_ones() -> None:
    backbone = build_backbone("mobilenetv2", 96)
    reference = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3))
    reference.set_weights(backbone.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype("float32")
    theirs = reference.predict(keras.applications.mobilenet_v2.preprocess_input(pixels.copy()), verbose=0)
    assert np.allclose(backbone.predict(pixels, verbose=0), theirs, atol=1e-4)


def test_resnet50_takes_pixels_and_answers_as_keras_does_on_preprocessed_ones() -> None:
    backbone = build_backbone("resnet50", 64)
    reference = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(64, 64, 3))
    reference.set_weights(backbone.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("float32")
    theirs = reference.predict(keras.applications.resnet50.preprocess_input(pixels.copy()), verbose=0)
    assert np.allclose(backbone.predict(pixels, verbose=0), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "theirs"), [("efficientnet_b0", "EfficientNetB0"), ("mobilenetv3", "MobileNetV3Large")]
)
def test_keras_networks_take_pixels_as_keras_with_downloaded_weights_does(name: str, theirs: str) -> None:
    """Stands in for the download: Keras' file, with the extra layer that Keras gives EfficientNet along with it."""
    backbone = build_backbone(name, 64)
    reference = getattr(keras.applications, theirs)(include_top=False, weights=None, input_shape=(64, 64, 3))
    reference.set_weights(backbone.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("float32")
    given = pixels
    if name == "efficientnet_b0":  # (x/255 − mean)/std, as the reference with ImageNet's weights would normalise
        for layer in reference.layers:
            if isinstance(layer, keras.layers.Normalization):
                layer.set_weights([np.zeros(3), np.ones(3), np.array(0)])
                layer.finalize_state()
        given = (pixels - 255 * np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    answers = reference.predict(given.astype("float32"), verbose=0)
    assert np.allclose(backbone.predict(pixels, verbose=0), answers, rtol=1e-4, atol=1e-4)


def test_local_response_normalisation_equals_tensorflows() -> None:
    import tensorflow as tf

    x = np.random.default_rng(0).normal(0, 30, (2, 4, 4, 16)).astype("float32")
    ours = LocalResponseNormalization(size=5, alpha=1e-2, beta=0.75)(x)
    theirs = tf.nn.local_response_normalization(x, depth_radius=2, bias=1.0, alpha=1e-2 / 5, beta=0.75)
    assert np.allclose(keras.ops.convert_to_numpy(ours), theirs, atol=1e-5)


def test_weights_of_keras_applications_load(tmp_path: Path) -> None:
    reference = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(224, 224, 3))
    reference.save_weights(tmp_path / "theirs.weights.h5")
    backbone = build_backbone("mobilenetv2", 64, weights=str(tmp_path / "theirs.weights.h5"))
    for ours, theirs in zip(backbone.get_weights(), reference.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    build_backbone("shared_trunk", 64).save_weights(tmp_path / "other.weights.h5")
    differ = r"Layer 'Conv1' expected 1 variables, but received 2 .*; in Conv1, bn_Conv1, \w+ and 10\d more$"
    with pytest.raises(ValueError, match=rf"other\.weights\.h5 does not fit mobilenetv2: {differ}"):
        build_backbone("mobilenetv2", 64, weights=str(tmp_path / "other.weights.h5"))


@pytest.mark.parametrize(
    ("weights", "error", "said"),
    [("nowhere.weights.h5", FileNotFoundError, "nowhere"), ("imagenet", ValueError, "no ImageNet weights")],
)
def test_weights_that_cannot_be_had_say_why(weights: str, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        build_backbone("shared_trunk", 64, weights=weights)


def test_a_failed_download_names_the_alternatives(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: object, **kwargs: object) -> None:
        raise Exception("URL fetch failure on https://…: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr("keras.src.applications.mobilenet_v2.file_utils.get_file", no_network)
    with pytest.raises(ConnectionError, match=r"weights none, or the path of a .weights\.h5, \.h5 of Keras 2, \.keras"):
        build_backbone("mobilenetv2", 96, weights="imagenet")


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValueError, match="mobilenetv2"):
        build_backbone("mobilenetv9")
