"""CZ4042's CelebA pre-training at 224 pixels: MobileNetV2 from ImageNet, frozen, FC 1024-512-512.

Reported: CelebA test accuracy 0.9669; on Adience's test, before fine-tuning, 0.7868. 20 epochs, batch 128, Adam; of
its rates, 1e-3 and 3e-4, the first.
Run: make train MODEL=cz4042/pretrained DATA_ROOT=celeba
"""

from pipeline.config import Data, Experiment, RandomSplit
from pipeline.experiments.cz4042._base import GENDER, head, mobilenetv2, stage

CELEBA = Data("celeba", split=RandomSplit(test=0.2, val=0.0, by="image"))
EXPERIMENT = Experiment(
    model=mobilenetv2(head(1024, 512, 512)),
    targets=GENDER,
    stages=(stage("train", "head", epochs=20, batch_size=128, rate=1e-3, data=CELEBA),),
)
