"""What a backbone is shown of a picture, made within the network so that every export has it."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

from models._blocks import IMAGENET_MEAN, IMAGENET_STD

LUMA = (0.299, 0.587, 0.114)


@keras.saving.register_keras_serializable("facet")
class Greyscale(layers.Layer):
    """RGB [N, h, w, 3] → the same shape, each channel the luma 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601)."""

    def call(self, picture: keras.KerasTensor) -> keras.KerasTensor:
        grey = sum(share * picture[..., i] for i, share in enumerate(LUMA))
        return ops.stack([grey] * 3, axis=-1)


def standardised(mean: Sequence[float], std: Sequence[float]) -> layers.Layer:
    """A layer that brings channels of this mean and standard deviation [3], in levels 0..255, to ImageNet's.

    A backbone that normalises by ImageNet's then gives them mean 0 and deviation 1.
    """
    scale = [255 * wanted / max(found, 1e-3) for wanted, found in zip(IMAGENET_STD, std, strict=True)]
    offset = [255 * wanted - found * by for wanted, found, by in zip(IMAGENET_MEAN, mean, scale, strict=True)]
    return layers.Rescaling(scale, offset=offset, dtype="float32", name="channel_statistics")
