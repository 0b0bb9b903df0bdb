"""RegNetY (Radosavovic et al. 2020, arXiv:2003.13678) as timm builds it; layers have the names of timm's modules."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from models._blocks import batch_norm, convolution, imagenet_normalised, relu, squeeze_excite


def regnety(name: str, image_size: int, depths: Sequence[int], widths: Sequence[int], group_width: int) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, S/32, S/32, widths[-1]]. depths, widths: of the four stages `s1` to `s4`."""
    picture = keras.Input((image_size, image_size, 3), name="picture")
    x = _unit(imagenet_normalised(picture), 32, 3, "stem", stride=2)
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), start=1):
        for i in range(1, depth + 1):
            x = _block(x, width, group_width, f"s{stage}.b{i}", stride=2 if i == 1 else 1)
    return keras.Model(picture, x, name=name)


def _block(x: keras.KerasTensor, width: int, group_width: int, at: str, stride: int) -> keras.KerasTensor:
    """1×1, grouped 3×3, squeeze-and-excitation to a quarter of the block's input, 1×1, and the shortcut."""
    y = _unit(x, width, 1, f"{at}.conv1")
    y = _unit(y, width, 3, f"{at}.conv2", stride, groups=width // group_width)
    y = squeeze_excite(y, round(x.shape[-1] / 4), f"{at}.se")
    y = _unit(y, width, 1, f"{at}.conv3", activated=False)
    if stride > 1 or x.shape[-1] != width:
        x = _unit(x, width, 1, f"{at}.downsample", stride, activated=False)
    return relu(layers.Add(name=f"{at}.add")([y, x]), f"{at}.act3")


def _unit(
    x: keras.KerasTensor, filters: int, kernel: int, name: str, stride: int = 1, groups: int = 1, activated: bool = True
) -> keras.KerasTensor:
    x = batch_norm(convolution(x, filters, kernel, f"{name}.conv", stride, groups), f"{name}.bn")
    return relu(x, f"{name}.act") if activated else x
