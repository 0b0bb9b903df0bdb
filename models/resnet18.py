"""ResNet-18 (He et al. 2015, arXiv:1512.03385), as torchvision and timm build it."""

from __future__ import annotations

import keras

from models._resnet import resnet

FACTS = {
    "parameters": 11_176_512,
    "input": "224 (any from 32)",
    "imagenet": "timm/resnet18.tv_in1k",
    "reports": "group91, unimib",
}


def build(image_size: int) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, S/32, S/32, 512]."""
    return resnet("resnet18", image_size, depths=(2, 2, 2, 2), bottleneck=False)
