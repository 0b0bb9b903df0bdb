"""The age of the drawn faces by asking of every year whether the person is older: CORN.

Shi, Cao & Raschka 2021 (arXiv:2111.08851) on MobileNetV2 from nothing; `--targets.0.method coral` is the older way.
What either scores means nothing for real faces.
Run: make train MODEL=age_ordinal
"""

from pipeline.config import Augment, Experiment, Model, Optimizer, Ordinal, Schedule, Stage

EXPERIMENT = Experiment(
    model=Model("mobilenetv2", weights="none", image_size=64),
    targets=(Ordinal("age", method="corn", low=0, high=90),),
    stages=(
        Stage(
            "train",
            epochs=8,
            batch_size=32,
            optimizer=Optimizer("adamw", 2e-3, weight_decay=4e-3, schedule=Schedule("cosine", warmup=1)),
            augment=Augment(flip=0.5, rotation=8, zoom=0.08, shift=0.03),
        ),
    ),
)
