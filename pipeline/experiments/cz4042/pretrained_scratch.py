"""CZ4042's CelebA pre-training "resized ZW": MobileNetV2 with zero weights, that is none of ImageNet's, at 112 pixels.

Reported: CelebA test accuracy 0.9720; on Adience's test, before fine-tuning, 0.6052. The report speaks of a frozen
backbone; one without weights can only have trained. 20 epochs, batch 128, Adam; of its rates, 1e-3 and 3e-4, the first.
Run: make train MODEL=cz4042/pretrained_scratch DATA_ROOT=celeba
"""

from dataclasses import replace

from pipeline.experiments.cz4042.pretrained_resized import EXPERIMENT as RESIZED

EXPERIMENT = replace(
    RESIZED,
    model=replace(RESIZED.model, weights="none"),
    stages=(replace(RESIZED.stages[0], train="all"),),
)
