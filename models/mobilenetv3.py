"""MobileNetV3 large (Howard et al. 2019, arXiv:1905.02244), from keras.applications."""

from __future__ import annotations

import keras

FACTS = {"parameters": 2_971_952, "input": "224 (any from 32)", "imagenet": "keras.applications", "reports": "unimib"}


def build(image_size: int, weights: str | None = None) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, S/32, S/32, 960]. The scaling of pixels is a layer of Keras' network."""
    picture = keras.Input((image_size, image_size, 3), name="picture")
    network = keras.applications.MobileNetV3Large(
        include_top=False, weights=weights, input_tensor=picture, input_shape=(image_size, image_size, 3)
    )
    return keras.Model(picture, network.output, name="mobilenetv3")
