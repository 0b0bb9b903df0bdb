"""Group 91's Swin V2 (swinv2_cr_tiny_224) before tuning: its 1000 outputs go through a three-layer MLP with GELU.

Reported: test MSE 183.4713, the lowest validation loss at epoch 16. Neither the widths of the MLP nor the settings are
given: 512, 128 and the output, Adam at 1e-3, batch 64 and at most 30 epochs are taken.
Run: make train MODEL=group91/swinv2_tiny DATA_ROOT=imdb_wiki
"""

from pipeline.config import Head, Optimizer
from pipeline.experiments.group91._base import experiment

MLP = Head(units=(1000, 512, 128), activation=("linear", "gelu", "gelu"))
EXPERIMENT = experiment("swinv2_tiny", MLP, Optimizer("adam", 1e-3), epochs=30, batch_size=64)
