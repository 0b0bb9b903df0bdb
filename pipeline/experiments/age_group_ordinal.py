"""FairFace's nine age groups in their order: CORN, on MobileNetV2 with the default recipe.

Shi, Cao & Raschka 2021 (arXiv:2111.08851). A group's probability is that of passing the ones before it and no more; the
group that is said is the median. FairFace must be at hand: `pipeline/datasets/fairface.py` says where it comes from.
Run: make train MODEL=age_group_ordinal DATA_ROOT=dir
"""

from pipeline.config import Augment, Data, Experiment, Model, Optimizer, Ordinal, Schedule, Stage

AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")

EXPERIMENT = Experiment(
    model=Model("mobilenetv2"),
    targets=(Ordinal("age_group", AGES, method="corn"),),
    stages=(
        Stage(
            "train",
            data=Data("fairface"),
            epochs=7,
            batch_size=32,
            optimizer=Optimizer("adamw", 2e-3, weight_decay=4e-3, schedule=Schedule("cosine", warmup=1)),
            augment=Augment(flip=0.5, rotation=8, zoom=0.08, shift=0.03),
        ),
    ),
)
