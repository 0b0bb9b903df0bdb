"""RegNetY-128GF (Radosavovic et al. 2020, arXiv:2003.13678), torchvision's and timm's (regnety_1280).

It needs about 10 GB of memory to train. The published weights are SWAG's (arXiv:2201.08371), its linear classifier on
ImageNet: licence CC BY-NC 4.0.
"""

from __future__ import annotations

import keras

from models._regnety import regnety

FACTS = {
    "parameters": 637_419_894,
    "input": "224 (any from 32)",
    "imagenet": "timm/regnety_1280.swag_lc_in1k",
    "reports": "unimib",
}


def build(image_size: int) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, S/32, S/32, 7392]."""
    return regnety("regnety_128gf", image_size, depths=(2, 7, 17, 1), widths=(528, 1056, 2904, 7392), group_width=264)
