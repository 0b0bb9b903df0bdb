"""Group 91's Swin V2 tuned: AdamW at 1e-3, 23 epochs, batch 64.

Reported: train MSE 117.6851, test MSE 173.0199. AdamW's decay is PyTorch's default, 0.01.
Run: make train MODEL=group91/swinv2_tiny_tuned DATA_ROOT=imdb_wiki
"""

from pipeline.config import Optimizer
from pipeline.experiments.group91._base import experiment
from pipeline.experiments.group91.swinv2_tiny import MLP

ADAMW = Optimizer("adamw", 1e-3, weight_decay=0.01)
EXPERIMENT = experiment("swinv2_tiny", MLP, ADAMW, epochs=23, batch_size=64)
