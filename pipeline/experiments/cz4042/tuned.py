"""CZ4042 "MNV2 Tuned": ImageNet → Adience, with what its four searches found.

Reported: test accuracy 0.934, loss 0.06276, 50 epochs (its list says 20 epochs and CelebA weights, its figure ImageNet
weights: taken are 50 and ImageNet). Batch 64, rate 5e-4, FC 512-512-512, L2 1e-3, dropout 0.5 0.5 0. Frozen, as in the
searches.
Run: make train MODEL=cz4042/tuned DATA_ROOT=adience
"""

from pipeline.config import Experiment
from pipeline.experiments.cz4042._base import GENDER, head, mobilenetv2, stage

EXPERIMENT = Experiment(
    model=mobilenetv2(head(512, 512, 512, dropout=(0.5, 0.5, 0.0), l2=1e-3)),
    targets=GENDER,
    stages=(stage("train", "head", epochs=50, batch_size=64, rate=5e-4),),
)
