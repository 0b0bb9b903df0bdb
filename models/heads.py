"""Heads: what is put on a backbone's feature map before a target's last layer. Plain functions on Keras tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
from keras import layers, ops

_POOLING = {
    "average": layers.GlobalAveragePooling2D,
    "max": layers.GlobalMaxPooling2D,
    "flatten": layers.Flatten,
}


def convolutions(features: keras.KerasTensor, blocks: Sequence[Mapping[str, object]], name: str) -> keras.KerasTensor:
    """A branch's own convolutions: each block is {filters, kernel, pool, batch_norm}; ReLU, valid padding."""
    x = features
    for i, block in enumerate(blocks, start=1):
        x = layers.Conv2D(block["filters"], block["kernel"], activation="relu", name=f"{name}_conv{i}")(x)
        if block["pool"] > 1:
            x = layers.MaxPooling2D(block["pool"], name=f"{name}_conv{i}_pool")(x)
        if block["batch_norm"]:
            x = layers.BatchNormalization(name=f"{name}_conv{i}_norm")(x)
    return x


def pooled(features: keras.KerasTensor, pool: str, name: str) -> keras.KerasTensor:
    """[N, h, w, C] → [N, C] (average, max) or [N, h·w·C] (flatten)."""
    return _POOLING[pool](name=name)(features)


def dense(
    x: keras.KerasTensor,
    units: Sequence[int],
    name: str,
    activation: str | Sequence[str] = "relu",
    batch_norm: bool = False,
    dropout: Sequence[float] = (),
    l2: float = 0.0,
) -> keras.KerasTensor:
    """Dense layers [N, F] → [N, units[-1]], each with its activation, then batch norm, then dropout.

    activation: one for all, or one for each of units.
    l2 is the factor of the penalty on each kernel (Keras' `L2`: factor · Σ w²).
    """
    activations = [activation] * len(units) if isinstance(activation, str) else activation
    for i, (width, activation) in enumerate(zip(units, activations, strict=True), start=1):
        penalty = keras.regularizers.L2(l2) if l2 else None
        x = layers.Dense(width, activation=activation, kernel_regularizer=penalty, name=f"{name}_dense{i}")(x)
        if batch_norm:
            x = layers.BatchNormalization(name=f"{name}_dense{i}_norm")(x)
        if dropout and dropout[i - 1]:
            x = layers.Dropout(dropout[i - 1], name=f"{name}_dropout{i}")(x)
    return x


@keras.saving.register_keras_serializable("facet")
class SharedDense(layers.Layer):
    """Features [N, F] → logits [N, units]: one weight vector, and a bias for each unit (CORAL, arXiv:1901.07884).

    The biases begin at 1, falling evenly to 1 / units as in the authors' coral-pytorch: the probabilities start in
    order.
    """

    def __init__(self, units: int, **options: object) -> None:
        super().__init__(**options)
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], 1), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer=_falling, name="bias")

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        return ops.matmul(features, self.kernel) + self.bias

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"units": self.units}


def _falling(shape: tuple[int], dtype: str | None = None) -> keras.KerasTensor:
    return ops.arange(shape[0], 0, -1, dtype=dtype) / shape[0]
