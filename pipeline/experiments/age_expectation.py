"""The age of the drawn faces as the expected value of a softmax over years: DEX, with mean-variance loss.

Rothe, Timofte & Van Gool 2015 ("DEX") and Pan et al. 2018, whose weights of the two terms these are, on
MobileNetV2 from nothing. What it scores means nothing for real faces.
Run: make train MODEL=age_expectation
"""

from pipeline.config import Augment, Expectation, Experiment, Model, Optimizer, Schedule, Stage

EXPERIMENT = Experiment(
    model=Model("mobilenetv2", weights="none", image_size=64),
    targets=(Expectation("age", low=0, high=90, mean_weight=0.2, variance_weight=0.05),),
    stages=(
        Stage(
            "train",
            epochs=6,
            batch_size=32,
            optimizer=Optimizer("adamw", 2e-3, weight_decay=4e-3, schedule=Schedule("cosine", warmup=1)),
            augment=Augment(flip=0.5, rotation=8, zoom=0.08, shift=0.03),
        ),
    ),
)
