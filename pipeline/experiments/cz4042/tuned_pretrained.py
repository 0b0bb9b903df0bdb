"""CZ4042 "MNV2 Tuned + Pretrained": ImageNet → CelebA (head) → Adience (all).

Reported: Adience test accuracy 0.9287, loss 0.7237. CelebA 20 epochs, batch 128, 3e-4, 90:10; then Adience 50 epochs,
batch 64, 1e-5, 80:20.
Run: make train MODEL=cz4042/tuned_pretrained ARGS="--root pretrain=celeba --root finetune=adience"
"""

from dataclasses import replace

from pipeline.experiments.cz4042._base import celeba, stage
from pipeline.experiments.cz4042.tuned import EXPERIMENT as TUNED

EXPERIMENT = replace(
    TUNED,
    stages=(
        celeba("pretrain", test=0.1, rate=3e-4),
        stage("finetune", "all", epochs=50, batch_size=64, rate=1e-5),
    ),
)
