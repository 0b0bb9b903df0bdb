"""Group 91's EfficientNet-B0 before tuning: random weights, one output neuron, rate 1e-3.

Reported: test MSE 146.4457; validation moved between 147 and 152 after the fifth epoch. Optimizer and batch are not
given: Adam and 64 are taken, and at most 30 epochs.
Run: make train MODEL=group91/efficientnet_b0 DATA_ROOT=imdb_wiki
"""

from pipeline.config import Head, Optimizer
from pipeline.experiments.group91._base import experiment

EXPERIMENT = experiment("efficientnet_b0", Head(), Optimizer("adam", 1e-3), epochs=30, batch_size=64)
