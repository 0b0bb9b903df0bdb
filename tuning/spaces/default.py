"""What a practitioner would try: rate, head, dropout, weight decay, augmentation, what trains.

From a small network on some of the drawn faces; `--experiment`, `--dataset` and `--root` name others. Random search:
with six settings and few trials it is hard to beat (Bergstra & Bengio 2012); give it more by --trials or --minutes.
Run: make tune
"""

from pipeline.config import Augment, Data, Experiment, Model, Optimizer, Schedule, Stage
from tuning.space import change

EXPERIMENT = Experiment(
    name="default",
    model=Model("shared_trunk", weights="none", image_size=48),
    stages=(
        Stage(
            "train",
            data=Data("sample", limit=1000),
            epochs=4,
            optimizer=Optimizer("adamw", 2e-3, weight_decay=4e-3, schedule=Schedule("cosine", warmup=1)),
            augment=Augment(flip=0.5, rotation=8, zoom=0.08, shift=0.03),
        ),
    ),
)
TRIALS = 8


def sample(hp, experiment):
    units = hp.Choice("head", [0, 64, 256], default=64)
    dropout = hp.Choice("dropout", [0.0, 0.25, 0.5], parent_name="head", parent_values=[64, 256])
    strength = hp.Choice("augmentation", [0.0, 0.5, 1.0, 1.5], default=1.0)
    augment = experiment.stages[-1].augment
    scaled = {name: strength * getattr(augment, name) for name in ("rotation", "zoom", "shift")}
    return change(
        experiment,
        {
            "model.head.units": (units,) if units else (),
            "model.head.dropout": (dropout,) if units else (),
            "stages.-1.optimizer.learning_rate": hp.Float("rate", 3e-4, 1e-2, sampling="log", default=2e-3),
            "stages.-1.optimizer.weight_decay": hp.Float("weight decay", 1e-5, 1e-1, sampling="log", default=4e-3),
            "stages.-1.train": hp.Choice("trains", ["all", "head"]),
        }
        | {f"targets.{number}.head": None for number in range(len(experiment.targets))}  # all share the model's
        | {f"stages.-1.augment.{name}": value for name, value in scaled.items()},
    )
