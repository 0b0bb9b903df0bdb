"""CZ4042's comparison of networks, Hassner's CNN from scratch with its two FC of 512: 115,023,873 parameters.

Reported: loss 0.4080, accuracy 0.8766 (the text calls it validation, the table test accuracy), 1 h 41 min 9 s.
Run: make train MODEL=cz4042/hassner DATA_ROOT=adience
"""

from pipeline.config import Head, Model
from pipeline.experiments.cz4042._base import compared

EXPERIMENT = compared(
    Model("hassner", weights="none", image_size=224, head=Head(pool="flatten", units=(512, 512), dropout=(0.5, 0.5))),
    train="all",
)
