"""ResNet-50 v1.5 (He et al. 2015, arXiv:1512.03385), as torchvision and timm build it: the stride is in the 3×3."""

from __future__ import annotations

import keras

from models._resnet import resnet

FACTS = {
    "parameters": 23_508_032,
    "input": "224 (any from 32)",
    "imagenet": "timm/resnet50.tv_in1k",
    "reports": "unimib",
}


def build(image_size: int) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, S/32, S/32, 2048]."""
    return resnet("resnet50_v15", image_size, depths=(3, 4, 6, 3))
