"""UNIMIB's ResNet18 from ImageNet with the small head, its convolutions frozen.

Reported: Pearson 0.549 on the test set after 50 epochs.
Run: make train MODEL=unimib/resnet18_frozen DATA_ROOT=imdb_wiki
"""

from pipeline.experiments.unimib._base import SMALL, experiment

EXPERIMENT = experiment("resnet18", SMALL, train="head")
