"""CZ4042 "pretrained": MobileNetV2 from ImageNet, CelebA with a frozen backbone, then all of it on Adience.

Reported: Adience test accuracy 0.9147, loss 0.1865. 50 epochs at 1e-5, batch 128, FC 1024-512-512.
Run: make train MODEL=cz4042/finetuned ARGS="--root pretrain=celeba --root finetune=adience"
"""

from pipeline.config import Experiment
from pipeline.experiments.cz4042._base import GENDER, celeba, head, mobilenetv2, stage

EXPERIMENT = Experiment(
    model=mobilenetv2(head(1024, 512, 512)),
    targets=GENDER,
    stages=(
        celeba("pretrain", test=0.2, rate=1e-3),
        stage("finetune", "all", epochs=50, batch_size=128, rate=1e-5),
    ),
)
