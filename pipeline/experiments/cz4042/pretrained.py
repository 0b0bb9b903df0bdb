"""CZ4042's CelebA pre-training at 224 pixels: MobileNetV2 from ImageNet, frozen, FC 1024-512-512.

Reported: CelebA test accuracy 0.9669; on Adience's test, before fine-tuning, 0.7868. 20 epochs, batch 128, Adam; of
its rates, 1e-3 and 3e-4, the first.
Run: make train MODEL=cz4042/pretrained DATA_ROOT=celeba
"""

from pipeline.config import Experiment
from pipeline.experiments.cz4042._base import GENDER, celeba, head, mobilenetv2

EXPERIMENT = Experiment(
    model=mobilenetv2(head(1024, 512, 512)), targets=GENDER, stages=(celeba("train", test=0.2, rate=1e-3),)
)
