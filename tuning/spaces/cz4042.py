"""CZ4042's tuning of MobileNetV2: 28 trials in its three tables, each from the best of the one before.

Runs 1 and 2 side by side (batch, rate, FC1, FC3; FC2 is 512), run 3 from their best (L2), run 4 from that (dropout).
20 epochs each, train:val 60:20, chosen by validation accuracy; by loss other rows of the report would have won. Losses
of 11 to 18 beside an accuracy of 0.87 need an L2 of about 1e-2 already in runs 1 and 2: it is taken. The report does
not say which epoch its figures are of: the last is taken. Frozen, ImageNet weights, as in `cz4042/mobilenetv2`. Our
val_loss is without the penalty, theirs with it.
Run: make tune SEARCH=cz4042 DATA_ROOT=adience
"""

from dataclasses import replace

from pipeline.config import RandomSplit
from pipeline.experiments.cz4042.mobilenetv2 import EXPERIMENT as COMPARED
from tuning.space import change

EXPERIMENT = replace(
    change(COMPARED, {"stages.0.data.split": RandomSplit(test=0.2, val=0.2, by="image")}), name="cz4042/mobilenetv2"
)
ALGORITHM = "grid"
OBJECTIVE = "val_gender_accuracy"
GROUPS = (("batch", "rate", "FC1", "FC3"), ("L2",), ("dropout 1", "dropout 2", "dropout 3"))
TITLES = ("runs 1 and 2", "run 3", "run 4")
# fmt: off
REPORTED = {
    "val_loss": (
        1.314906, 0.723441, 1.790023, 2.294764, 18.312383, 17.236421, 14.455925, 13.259344,
        1.132274, 1.190108, 0.273368, 0.231337, 15.417082, 14.634536, 12.519720, 11.563533,
        0.017376, 0.763034, 0.208280, 0.439983,
        0.772137, 0.255795, 2.447204, 1.893447, 0.924545, 0.462397, 0.533465, 0.496854,
    ),
    "val_gender_accuracy": (
        0.788313, 0.788313, 0.776524, 0.496155, 0.863659, 0.869810, 0.867760, 0.856996,
        0.707842, 0.837006, 0.926704, 0.922091, 0.893900, 0.876473, 0.882624, 0.870835,
        0.892875, 0.893388, 0.942080, 0.908764,
        0.859559, 0.950281, 0.611993, 0.836494, 0.862634, 0.932342, 0.888262, 0.919528,
    ),
}
# fmt: on


def sample(hp, experiment):
    batch, rate = hp.Choice("batch", [128, 64]), hp.Choice("rate", [5e-4, 1e-5])
    units = (hp.Choice("FC1", [1024, 512]), 512, hp.Choice("FC3", [512, 256]))
    l2 = hp.Choice("L2", [1e-9, 1e-4, 1e-3, 1e-2], default=1e-2)
    dropout = tuple(hp.Choice(f"dropout {layer}", [0.5, 0.0], default=0.0) for layer in (1, 2, 3))
    return change(
        experiment,
        {
            "stages.0.batch_size": batch,
            "stages.0.optimizer.learning_rate": rate,
            "model.head.units": units,
            "model.head.dropout": dropout,
            "model.head.l2": l2,
        },
    )
