"""CM50265's shared trunk with a branch each for age and gender, small enough for the drawn faces on a laptop.

The report's network, losses (MSE(age) + 50 · BCE(gender)) and exponentially falling Adam rate; 64×64 instead of
128×128, fewer epochs, dropout and L2 as the report leaves them to its search: light.
Run: make train MODEL=shared_trunk
"""

from pipeline.config import (
    Augment,
    Binary,
    Convolution,
    Experiment,
    Head,
    Model,
    Optimizer,
    Regression,
    Schedule,
    Stage,
)


def branch(last_filters: int) -> Head:
    """The report's branch; its last convolution is wider for age than for gender."""
    return Head(
        convolutions=(
            Convolution(64, 3, pool=2, batch_norm=True),
            Convolution(128, 2, pool=2, batch_norm=True),
            Convolution(last_filters, 2),
        ),
        pool="flatten",
        units=(128, 16),
        dropout=(0.2, 0.0),
        l2=1e-4,
    )


EXPERIMENT = Experiment(
    model=Model("shared_trunk", weights="none", image_size=64),
    targets=(
        Regression("age", loss="mse", standardize=False, head=branch(128)),
        Binary("gender", weight=50.0, head=branch(64)),
    ),
    stages=(
        Stage(
            "train",
            epochs=12,
            batch_size=32,
            optimizer=Optimizer("adam", learning_rate=1e-3, schedule=Schedule("exponential", decay=0.8)),
            augment=Augment(flip=0.5, rotation=10, zoom=0.1),
        ),
    ),
)
