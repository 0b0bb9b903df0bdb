"""Group 91's ResNet-18 before tuning: random weights, one output neuron.

Reported: test MSE 152.0446; the test loss no longer fell after the sixth epoch. The settings are not given; Adam at
1e-3, batch 64 and at most 30 epochs are taken.
Run: make train MODEL=group91/resnet18 DATA_ROOT=imdb_wiki
"""

from pipeline.config import Head, Optimizer
from pipeline.experiments.group91._base import experiment

EXPERIMENT = experiment("resnet18", Head(), Optimizer("adam", 1e-3), epochs=30, batch_size=64)
