"""Levi & Hassner's gender CNN (2015), as the CZ4042 report built it: stride 1, no padding.

With one sigmoid on two FC of 512 at 224 pixels it has the report's 115,023,873 parameters.
"""

from __future__ import annotations

import keras

from models._blocks import levi_hassner

FACTS = {"parameters": 1_513_984, "input": "224 (any from 37)", "imagenet": None, "reports": "cz4042"}


def build(image_size: int) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, 24, 24, 384] at 224 pixels."""
    return levi_hassner(image_size, "hassner", strides=(1, 1, 1), padding=(0, 0, 0))
