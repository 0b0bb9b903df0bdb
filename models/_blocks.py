"""Blocks that two files or more share: plain functions on tensors, and the layers Keras lacks."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


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


@keras.saving.register_keras_serializable("facet")
class GroupedConv2D(layers.Conv2D):
    """A convolution in groups. On a CPU each group is a convolution of its own: the same sums, and TensorFlow's own
    gradient of a grouped kernel takes a hundred times longer there (measured: 32 groups of 4, 56², 36 s for 8)."""

    def convolution_op(self, inputs: keras.KerasTensor, kernel: keras.KerasTensor) -> keras.KerasTensor:
        if any(name.lower().startswith(("gpu", "cuda", "rocm", "tpu")) for name in keras.distribution.list_devices()):
            return super().convolution_op(inputs, kernel)
        parts = zip(ops.split(inputs, self.groups, axis=-1), ops.split(kernel, self.groups, axis=-1), strict=True)
        return ops.concatenate([super(GroupedConv2D, self).convolution_op(x, part) for x, part in parts], axis=-1)


def imagenet_normalised(picture: keras.KerasTensor) -> keras.KerasTensor:
    """0..255 → (x/255 − mean)/std of ImageNet's channels, as torchvision's and timm's checkpoints expect."""
    scale = [1 / (255 * std) for std in IMAGENET_STD]
    offset = [-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    return layers.Rescaling(scale, offset=offset, name="normalisation")(picture)


def convolution(
    x: keras.KerasTensor, filters: int, kernel: int, name: str, stride: int = 1, groups: int = 1
) -> keras.KerasTensor:
    """PyTorch's convolution without bias: kernel // 2 pixels of padding on every side, whatever the stride.

    He's normal initialisation by fan-out, as in torchvision's ResNets.
    """
    padding = "same" if stride == 1 else "valid"
    if stride > 1 and kernel > 1:  # Keras' "same" would pad an even picture on one side only
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}.pad")(x)
    kind, grouped = (GroupedConv2D, {"groups": groups}) if groups > 1 else (layers.Conv2D, {})
    initializer = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    return kind(filters, kernel, stride, padding, use_bias=False, kernel_initializer=initializer, name=name, **grouped)(
        x
    )


def batch_norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """PyTorch's batch norm: epsilon 1e-5, momentum 0.9 (0.1 in its words)."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(name=name)(x)


def squeeze_excite(x: keras.KerasTensor, reduced: int, name: str) -> keras.KerasTensor:
    """Scale every channel by a gate that two 1×1 convolutions read off the channels' means (Hu et al. 2018)."""
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}.pool")(x)
    gate = layers.Conv2D(reduced, 1, activation="relu", name=f"{name}.fc1")(gate)
    gate = layers.Conv2D(x.shape[-1], 1, activation="sigmoid", name=f"{name}.fc2")(gate)
    return layers.Multiply(name=f"{name}.scale")([x, gate])


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
