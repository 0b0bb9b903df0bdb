"""UNIMIB's RegNetY-128GF from ImageNet with the large head, its convolutions frozen.

Reported: converges later than ResNet18; no number. With its ImageNet top it has 644,812,894 parameters.
Run: make train MODEL=unimib/regnety_128gf_frozen DATA_ROOT=imdb_wiki
"""

from pipeline.experiments.unimib._base import LARGE, experiment

EXPERIMENT = experiment("regnety_128gf", LARGE, train="head")
