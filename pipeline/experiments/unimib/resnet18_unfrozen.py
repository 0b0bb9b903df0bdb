"""UNIMIB's ResNet18 from ImageNet with the small head, everything unfrozen.

Reported: the best of all, "much closer to the actual labels"; a figure, no number.
Run: make train MODEL=unimib/resnet18_unfrozen DATA_ROOT=imdb_wiki
"""

from pipeline.experiments.unimib._base import SMALL, experiment

EXPERIMENT = experiment("resnet18", SMALL, train="all")
