"""ResNet50 on the drawn faces, at 48 pixels: minutes on a laptop. The default recipe otherwise.

Run: make train MODEL=resnet50
"""

from pipeline.config import Augment, Experiment, Model, Optimizer, Schedule, Stage

EXPERIMENT = Experiment(
    model=Model("resnet50", image_size=48),
    stages=(
        Stage(
            "train",
            epochs=4,
            batch_size=32,
            optimizer=Optimizer("adamw", 1e-3, weight_decay=4e-3, schedule=Schedule("cosine", warmup=1)),
            augment=Augment(flip=0.5, rotation=8, zoom=0.08, shift=0.03),
        ),
    ),
)
