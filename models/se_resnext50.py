"""SE-ResNeXt-50 32x4d (Xie et al. 2017, arXiv:1611.05431; Hu et al. 2018, arXiv:1709.01507), timm's."""

from __future__ import annotations

import keras

from models._resnet import resnet

FACTS = {
    "parameters": 25_510_896,
    "input": "224 (any from 32)",
    "imagenet": "timm/seresnext50_32x4d.racm_in1k",
    "reports": "ai6126",
}


def build(image_size: int) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, S/32, S/32, 2048]."""
    return resnet("se_resnext50", image_size, depths=(3, 4, 6, 3), groups=32, group_width=4, se_reduction=16)
