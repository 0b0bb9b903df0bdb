"""AI6126's tuning: batch, then weight decay, then dropout, each from the best so far; 10 trials of 30 epochs.

Reported: curves, and what won: batch 128 of 64, 128, 256; decay 0.0008 of 0.0003, 0.0005, 0.0008, 0.0095; dropout 0.5
of 0.2, 0.3, 0.5 (at 30 epochs, which is taken for all). The order is that of the report's sections.
Run: make tune SEARCH=ai6126 DATA_ROOT=fashion
"""

from dataclasses import replace

from pipeline.experiments.ai6126.dropout_05 import EXPERIMENT as AT_30_EPOCHS
from tuning.space import change

EXPERIMENT = replace(AT_30_EPOCHS, name="ai6126/dropout_05")
ALGORITHM = "grid"
OBJECTIVE = "val_mean_accuracy"
GROUPS = (("batch",), ("decay",), ("dropout",))
TITLES = ("batch size", "weight decay", "dropout")


def sample(hp, experiment):
    rate = hp.Choice("dropout", [0.2, 0.3, 0.5], default=0.5)
    return change(
        experiment,
        {
            "stages.0.batch_size": hp.Choice("batch", [64, 128, 256], default=128),
            "stages.0.optimizer.weight_decay": hp.Choice("decay", [3e-4, 5e-4, 8e-4, 9.5e-3], default=8e-4),
            "model.head.dropout": (rate, rate),
        },
    )
