"""UNIMIB's tuning: SGD or Adam at 1e-4, 1e-3 or 1e-2, on the frozen ResNet18, by validation MAE.

Reported: no significant difference between the two; 1e-4 was taken, as the most consistent. Which network it was tried
on is not said; `--experiment unimib/resnet18_unfrozen` names another.
Run: make tune SEARCH=unimib DATA_ROOT=imdb_wiki
"""

from pipeline.config import Optimizer
from tuning.space import change

EXPERIMENT = "unimib/resnet18_frozen"
ALGORITHM = "grid"
OBJECTIVE = "val_age_mae"


def sample(hp, experiment):
    name, rate = hp.Choice("optimizer", ["sgd", "adam"]), hp.Choice("rate", [1e-4, 1e-3, 1e-2])
    return change(experiment, {"stages.0.optimizer": Optimizer(name, rate)})
