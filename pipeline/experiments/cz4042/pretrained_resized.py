"""CZ4042's CelebA pre-training "resized": MobileNetV2 from ImageNet, frozen, at 112 pixels, FC 1024-512-512.

Reported: CelebA test accuracy 0.9794; on Adience's test, before fine-tuning, 0.6371. 20 epochs, batch 128, Adam; of
its rates, 1e-3 and 3e-4, the first.
Run: make train MODEL=cz4042/pretrained_resized DATA_ROOT=celeba
"""

from dataclasses import replace

from pipeline.experiments.cz4042.pretrained import EXPERIMENT as FULL

EXPERIMENT = replace(FULL, model=replace(FULL.model, image_size=112))
