"""FairFace in two stages: a frozen MobileNetV2 under a new head, then all of it from there.

The first stage runs the network once for each picture; the second starts from a head that already says something.
Run: make train MODEL=two_stages WEIGHTS=file DATA_ROOT=fairface
"""

from pipeline.config import Augment, Data, Experiment, Head, Model, Optimizer, Schedule, Stage

FAIRFACE = Data("fairface")

EXPERIMENT = Experiment(
    model=Model(
        "mobilenetv2", weights="imagenet", image_size=96, head=Head(units=(256,), batch_norm=True, dropout=(0.5,))
    ),
    stages=(
        Stage("head", FAIRFACE, train="head", epochs=3, optimizer=Optimizer("adam", 1e-3, schedule=Schedule("cosine"))),
        Stage(
            "all",
            FAIRFACE,
            train="all",
            epochs=3,
            optimizer=Optimizer("adamw", 1e-3, weight_decay=4e-3, schedule=Schedule("cosine", warmup=0.5)),
            augment=Augment(flip=0.5, rotation=8, zoom=0.08, shift=0.03),
        ),
    ),
)
