"""Blocks that two files or more share: plain functions on tensors, and the layers Keras lacks."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("facet")
class LocalResponseNormalization(layers.Layer):
    """x / (1 + α/n · Σ x²)^β over the n channels around each (Krizhevsky et al. 2012, in Caffe's form)."""

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, **options: object) -> None:
        super().__init__(**options)
        self.size, self.alpha, self.beta = size, alpha, beta

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        half = self.size // 2
        squares = ops.pad(ops.square(x), [[0, 0], [0, 0], [0, 0], [half, half]])
        channels = x.shape[-1]
        around = sum(squares[..., i : i + channels] for i in range(self.size))
        return x * ops.power(1 + self.alpha / self.size * around, -self.beta)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "size": self.size, "alpha": self.alpha, "beta": self.beta}


def levi_hassner(image_size: int, name: str, strides: Sequence[int], padding: Sequence[int]) -> keras.Model:
    """Three convolutions (96 of 7×7, 256 of 5×5, 384 of 3×3), each with ReLU and 3×3/2 max pooling; the first two with
    local response normalisation. strides and padding (pixels on each side) are those of the convolutions."""
    picture = keras.Input((image_size, image_size, 3), name="picture")
    x = layers.Rescaling(1 / 255, name="normalisation")(picture)
    for i, (filters, kernel) in enumerate(((96, 7), (256, 5), (384, 3)), start=1):
        if padding[i - 1]:
            x = layers.ZeroPadding2D(padding[i - 1], name=f"conv{i}_pad")(x)
        x = layers.Conv2D(filters, kernel, strides[i - 1], activation="relu", name=f"conv{i}")(x)
        x = layers.MaxPooling2D(3, 2, name=f"pool{i}")(x)
        if i < 3:
            x = LocalResponseNormalization(name=f"norm{i}")(x)
    return keras.Model(picture, x, name=name)
