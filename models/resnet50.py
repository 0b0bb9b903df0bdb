"""ResNet50 (He et al. 2015, arXiv:1512.03385) of keras.applications: stride in the first 1×1, as the Keras reports."""

from __future__ import annotations

import keras
from keras import layers, ops

FACTS = {
    "parameters": 23_534_592,
    "input": "224 (any from 32)",
    "imagenet": "keras.applications",
    "reports": "cz4042, cm50265",
}


def build(image_size: int, weights: str | None = None) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, S/32, S/32, 2048]. Its weights expect BGR less ImageNet's mean."""
    picture = keras.Input((image_size, image_size, 3), name="picture")
    centred = layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68], name="normalisation")(ops.flip(picture, -1))
    network = keras.applications.ResNet50(
        include_top=False, weights=weights, input_tensor=centred, input_shape=(image_size, image_size, 3)
    )
    return keras.Model(picture, network.output, name="resnet50")
