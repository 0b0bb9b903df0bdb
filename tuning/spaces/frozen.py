"""A head on a frozen network: its layers, dropout and rate by Hyperband, which all share what the network answers.

Photographs are needed, as a network from nothing is no use frozen: FairFace, or what --dataset and --root name.
Run: make tune SEARCH=frozen DATA_ROOT=fairface
"""

from pipeline.config import Data, Experiment, Model, Optimizer, Schedule, Stage
from tuning.space import change

EXPERIMENT = Experiment(
    name="frozen",
    model=Model("mobilenetv2", weights="imagenet", image_size=96),
    stages=(
        Stage(
            "train",
            data=Data("fairface"),
            train="head",
            epochs=9,
            batch_size=64,
            optimizer=Optimizer("adamw", 1e-3, weight_decay=4e-3, schedule=Schedule("cosine")),
        ),
    ),
)
ALGORITHM = "hyperband"
TRIALS = 30


def sample(hp, experiment):
    layers = hp.Int("layers", 0, 2, default=1)
    dense = {"parent_name": "layers", "parent_values": [1, 2]}
    width = hp.Choice("width", [64, 128, 256, 512], default=256, **dense)
    dropout = hp.Choice("dropout", [0.0, 0.25, 0.5], **dense)
    return change(
        experiment,
        {
            "model.head.units": (width,) * layers,
            "model.head.dropout": (dropout,) * layers,
            "model.head.batch_norm": hp.Boolean("batch norm"),
            "stages.-1.optimizer.learning_rate": hp.Float("rate", 1e-4, 1e-2, sampling="log", default=1e-3),
        },
    )
