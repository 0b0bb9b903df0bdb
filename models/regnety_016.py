"""RegNetY-1.6GF (Radosavovic et al. 2020, arXiv:2003.13678), timm's: the small one that stands in for 128GF."""

from __future__ import annotations

import keras

from models._regnety import regnety

FACTS = {
    "parameters": 10_313_430,
    "input": "224 (any from 32)",
    "imagenet": "timm/regnety_016.tv2_in1k",
    "reports": "",
}


def build(image_size: int) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, S/32, S/32, 888]."""
    return regnety("regnety_016", image_size, depths=(2, 6, 17, 2), widths=(48, 120, 336, 888), group_width=24)
