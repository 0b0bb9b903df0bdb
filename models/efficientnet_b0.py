"""EfficientNet-B0 (Tan and Le 2019, arXiv:1905.11946), from keras.applications."""

from __future__ import annotations

import keras
import numpy as np

from models._blocks import IMAGENET_MEAN, IMAGENET_STD

FACTS = {
    "parameters": 4_007_548,
    "input": "224 (any from 32)",
    "imagenet": "keras.applications",
    "reports": "group91",
}


def build(image_size: int, weights: str | None = None) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, S/32, S/32, 1280].

    Keras' published weights hold ImageNet's standard deviations in the place of its variances, and Keras mends that by
    a further layer which only its downloaded network has. Here the first layer, `normalisation`, mends it beforehand,
    so that the network is the same wherever its weights come from.
    """
    mean, std = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
    picture = keras.Input((image_size, image_size, 3), name="picture")
    mended = keras.layers.Rescaling(
        (std**-0.5).tolist(), offset=(255 * mean * (1 - std**-0.5)).tolist(), name="normalisation"
    )(picture)
    theirs = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_tensor=mended, input_shape=(image_size, image_size, 3)
    )
    network = keras.models.clone_model(theirs, clone_function=_steadily_named)
    if weights:
        network.set_weights(keras.applications.EfficientNetB0(include_top=False, weights=weights).get_weights())
    constants = network.get_layer("constants")
    constants.set_weights([mean, std, np.array(0)])
    constants.finalize_state()
    return keras.Model(network.inputs[0], network.output, name="efficientnet_b0")


def _steadily_named(layer: keras.Layer) -> keras.Layer:
    """A copy of the layer; Keras numbers the two that it left without a name by how many came before in the process."""
    names = {"Normalization": "constants", "Rescaling": "rescaling" if layer.name != "normalisation" else layer.name}
    return layer.__class__.from_config(layer.get_config() | {"name": names.get(type(layer).__name__, layer.name)})
