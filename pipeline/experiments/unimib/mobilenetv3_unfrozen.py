"""UNIMIB's MobileNetV3 (large) from ImageNet with the small head, everything unfrozen.

Reported: converges later than ResNet18; no number.
Run: make train MODEL=unimib/mobilenetv3_unfrozen DATA_ROOT=imdb_wiki
"""

from pipeline.experiments.unimib._base import SMALL, experiment

EXPERIMENT = experiment("mobilenetv3", SMALL, train="all")
