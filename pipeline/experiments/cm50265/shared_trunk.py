"""CM50265's own model ("Model A"): one backbone of three convolutions, a branch each for age and gender.

Reported: training 93 % and MAE 5.6, validation 88 % and MAE 6.8. 50 epochs, the lowest validation loss kept.
Run: make train MODEL=cm50265/shared_trunk DATA_ROOT=utkface
"""

from pipeline.config import Convolution, Experiment, Head, Model
from pipeline.experiments.cm50265._base import DROPOUT, L2, age, gender, stage


def branch(last_filters: int) -> Head:
    """Convolutions, then dense layers; the last convolution is wider for age than for gender."""
    return Head(
        convolutions=(
            Convolution(64, 3, pool=2, batch_norm=True),
            Convolution(128, 2, pool=2, batch_norm=True),
            Convolution(last_filters, 2),
        ),
        pool="flatten",
        units=(128, 16),
        dropout=DROPOUT,
        l2=L2,
    )


EXPERIMENT = Experiment(
    model=Model("shared_trunk", weights="none", image_size=128),
    targets=(age(branch(128)), gender(branch(64))),
    stages=(stage("all"),),
)
