"""CZ4042 "Starting simple": ResNet50 from ImageNet, FC 2048-1024, no regularisation, fewer than five epochs.

Reported: that it runs. Frozen is assumed, as for the report's other networks before fine-tuning.
Run: make train MODEL=cz4042/first DATA_ROOT=adience
"""

from pipeline.config import Experiment, Head, Model
from pipeline.experiments.cz4042._base import GENDER, stage

EXPERIMENT = Experiment(
    model=Model("resnet50", weights="imagenet", image_size=224, head=Head(units=(2048, 1024))),
    targets=GENDER,
    stages=(stage("train", "head", epochs=4, batch_size=128, rate=1e-3),),
)
