"""ResNets as torchvision and timm build them (He et al. 2015, arXiv:1512.03385; "v1.5": the stride is in the 3×3).

Layers have the names of timm's modules, so that its checkpoints, and torchvision's, fit by name.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from models._blocks import batch_norm, convolution, imagenet_normalised, relu, squeeze_excite


def resnet(
    name: str,
    image_size: int,
    depths: Sequence[int],
    bottleneck: bool = True,
    groups: int = 1,
    group_width: int = 64,
    se_reduction: int = 0,
) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, S/32, S/32, 512 · (4 with bottleneck)].

    depths: blocks of each of the four stages `layer1` to `layer4`. groups, group_width: those of the 3×3 in the first
    stage's bottlenecks, the width doubling each stage (Xie et al. 2017, ResNeXt: 32 of 4). se_reduction: channels of a
    block for each of its squeeze-and-excitation (0: none).
    """
    picture = keras.Input((image_size, image_size, 3), name="picture")
    x = convolution(imagenet_normalised(picture), 64, 7, "conv1", stride=2)
    x = relu(batch_norm(x, "bn1"), "act1")
    x = layers.ZeroPadding2D(1, name="maxpool.pad")(x)  # zeros are the least after ReLU
    x = layers.MaxPooling2D(3, 2, name="maxpool")(x)
    for stage, depth in enumerate(depths):
        planes = 64 * 2**stage
        for i in range(depth):
            at, stride = f"layer{stage + 1}.{i}", 2 if stage and not i else 1
            if bottleneck:
                out = 4 * planes
                y = _bottleneck(x, planes * groups * group_width // 64, out, at, stride, groups)
            else:
                out = planes
                y = _basic(x, planes, at, stride)
            if se_reduction:
                y = squeeze_excite(y, out // se_reduction, f"{at}.se")
            x = layers.Add(name=f"{at}.add")([y, _shortcut(x, out, at, stride)])
            x = relu(x, f"{at}.act")
    return keras.Model(picture, x, name=name)


def _basic(x: keras.KerasTensor, planes: int, at: str, stride: int) -> keras.KerasTensor:
    x = convolution(x, planes, 3, f"{at}.conv1", stride)
    x = relu(batch_norm(x, f"{at}.bn1"), f"{at}.act1")
    return batch_norm(convolution(x, planes, 3, f"{at}.conv2"), f"{at}.bn2")


def _bottleneck(x: keras.KerasTensor, width: int, out: int, at: str, stride: int, groups: int) -> keras.KerasTensor:
    x = relu(batch_norm(convolution(x, width, 1, f"{at}.conv1"), f"{at}.bn1"), f"{at}.act1")
    x = convolution(x, width, 3, f"{at}.conv2", stride, groups)
    x = relu(batch_norm(x, f"{at}.bn2"), f"{at}.act2")
    return batch_norm(convolution(x, out, 1, f"{at}.conv3"), f"{at}.bn3")


def _shortcut(x: keras.KerasTensor, out: int, at: str, stride: int) -> keras.KerasTensor:
    if stride == 1 and x.shape[-1] == out:
        return x
    return batch_norm(convolution(x, out, 1, f"{at}.downsample.0", stride), f"{at}.downsample.1")
