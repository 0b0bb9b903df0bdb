"""Group 91's ResNet-18 tuned: Adam at 1e-3 (AdamW in the text), 12 epochs, batch 512.

Reported: train MSE 115.3515, test MSE 147.0566.
Run: make train MODEL=group91/resnet18_tuned DATA_ROOT=imdb_wiki
"""

from pipeline.config import Head, Optimizer
from pipeline.experiments.group91._base import experiment

EXPERIMENT = experiment("resnet18", Head(), Optimizer("adam", 1e-3), epochs=12, batch_size=512)
