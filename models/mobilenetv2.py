"""MobileNetV2 1.0 (Sandler et al. 2018, arXiv:1801.04381), from keras.applications."""

from __future__ import annotations

import keras

FACTS = {"parameters": 2_223_872, "input": "224 (any from 32)", "imagenet": "keras.applications", "reports": "cz4042"}


def build(image_size: int, weights: str | None = None) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, S/32, S/32, 1280]."""
    picture = keras.Input((image_size, image_size, 3), name="picture")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="normalisation")(picture)
    network = keras.applications.MobileNetV2(
        include_top=False, weights=weights, input_tensor=scaled, input_shape=(image_size, image_size, 3)
    )
    return keras.Model(picture, network.output, name="mobilenetv2")
