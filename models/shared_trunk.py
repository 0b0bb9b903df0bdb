"""The small backbone that the CM50265 report shares between age and gender: three convolutions, from scratch."""

from __future__ import annotations

import keras
from keras import layers

FACTS = {"parameters": 112_704, "input": "128 (any from 12)", "imagenet": None, "reports": "cm50265"}


def build(image_size: int) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, ~S/4, ~S/4, 128]. Valid padding, as Keras' default is and the report implies.

    Pixels are scaled to 0..1, as with the report's Keras generators (rescale=1/255).
    """
    picture = keras.Input((image_size, image_size, 3), name="picture")
    x = layers.Rescaling(1 / 255, name="normalisation")(picture)
    x = layers.Conv2D(64, 3, activation="relu", name="conv1")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = layers.BatchNormalization(name="norm2")(x)
    x = layers.Conv2D(128, 3, activation="relu", name="conv3")(x)
    x = layers.MaxPooling2D(2, name="pool3")(x)
    return keras.Model(picture, x, name="shared_trunk")
