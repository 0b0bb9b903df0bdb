"""Levi & Hassner's CNN with its two FC of 512 on the drawn faces, at 48 pixels: minutes on a laptop.

The network of CZ4042's comparison (there at 224 pixels, 115,023,873 parameters with one sigmoid); a tenth of the
default rate, as it has no batch norm.
Run: make train MODEL=hassner
"""

from pipeline.config import Augment, Experiment, Head, Model, Optimizer, Schedule, Stage

EXPERIMENT = Experiment(
    model=Model(
        "hassner",
        weights="none",
        image_size=48,
        head=Head(pool="flatten", units=(512, 512), dropout=(0.5, 0.5)),
    ),
    stages=(
        Stage(
            "train",
            epochs=4,
            batch_size=32,
            optimizer=Optimizer("adam", 3e-4, schedule=Schedule("cosine", warmup=1)),
            augment=Augment(flip=0.5, rotation=8, zoom=0.08, shift=0.03),
        ),
    ),
)
