"""Group 91's EfficientNet-B0 tuned, its best: AdamW at 1e-4, 19 epochs, batch 128.

Reported: train MSE 91.5581, test MSE 133.3530. AdamW's decay is PyTorch's default, 0.01.
Run: make train MODEL=group91/efficientnet_b0_tuned DATA_ROOT=imdb_wiki
"""

from pipeline.config import Head, Optimizer
from pipeline.experiments.group91._base import experiment

ADAMW = Optimizer("adamw", 1e-4, weight_decay=0.01)
EXPERIMENT = experiment("efficientnet_b0", Head(), ADAMW, epochs=19, batch_size=128)
