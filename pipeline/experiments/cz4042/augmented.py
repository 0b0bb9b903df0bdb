"""CZ4042's augmentation study, with: flips, rotation by up to 90°, brightness; CelebA weights, 50 epochs at 1e-5.

Reported: 0.8491 (loss 0.3561, 5 h 24 min); without (`cz4042/finetuned`, the same settings) 0.9000 (0.2764, 4 h 8 min);
"max val accuracy of 0.88 after about 110 epochs". Its brightness "−0.5 to 1.5" is taken as 0.5 to 1.5: a picture times
a negative factor is none. Fill as its generator's default, the nearest pixel, is here the mirrored picture.
Run: make train MODEL=cz4042/augmented ARGS="--root pretrain=celeba --root finetune=adience"
"""

from dataclasses import replace

from pipeline.config import Augment
from pipeline.experiments.cz4042.finetuned import EXPERIMENT as PLAIN

PRETRAIN, FINETUNE = PLAIN.stages
EXPERIMENT = replace(
    PLAIN, stages=(PRETRAIN, replace(FINETUNE, augment=Augment(flip=0.5, rotation=90, brightness=0.5)))
)
