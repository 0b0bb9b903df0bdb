"""Levi & Hassner's CNN as they published it (2015, CVPR workshop on faces): stride 4, padded, made for 227 pixels."""

from __future__ import annotations

import keras

from models._blocks import levi_hassner

FACTS = {"parameters": 1_513_984, "input": "227 (any from 63)", "imagenet": None, "reports": ""}


def build(image_size: int) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, 7, 7, 384] at 227 pixels."""
    return levi_hassner(image_size, "hassner_original", strides=(4, 1, 1), padding=(0, 2, 1))
