"""UNIMIB's ResNet152 (torchvision's) from ImageNet with the large head, everything unfrozen.

Reported: converges later than ResNet18; no number.
Run: make train MODEL=unimib/resnet152_v15_unfrozen DATA_ROOT=imdb_wiki
"""

from pipeline.experiments.unimib._base import LARGE, experiment

EXPERIMENT = experiment("resnet152_v15", LARGE, train="all")
