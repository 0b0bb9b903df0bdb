"""CZ4042's comparison of networks, ResNet50 from ImageNet, frozen, FC 1024-512-256.

Reported: test loss 0.6513, accuracy 0.7688, 1 h 59 min 11 s.
Run: make train MODEL=cz4042/resnet50 DATA_ROOT=adience
"""

from pipeline.config import Model
from pipeline.experiments.cz4042._base import compared, head

EXPERIMENT = compared(Model("resnet50", weights="imagenet", image_size=224, head=head(1024, 512, 256)), train="head")
