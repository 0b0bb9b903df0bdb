"""Group 91's tuning: optimizer × rate for each of its three networks, 18 trials, by validation MSE.

Reported, by test MSE: ResNet-18 147.0566 with Adam (AdamW in the text) at 1e-3, EfficientNet-B0 133.3530 with AdamW at
1e-4, Swin V2 173.0199 with AdamW at 1e-3. SGD's momentum is 0.9, AdamW's decay PyTorch's 0.01; neither is said.
Run: make tune SEARCH=group91 DATA_ROOT=imdb_wiki
"""

from pipeline.config import Optimizer
from tuning.space import change

EXPERIMENT = ("group91/resnet18", "group91/efficientnet_b0", "group91/swinv2_tiny")
ALGORITHM = "grid"
OBJECTIVE = "val_age_mse"


def sample(hp, experiment):
    name = hp.Choice("optimizer", ["sgd", "adam", "adamw"])
    rate = hp.Choice("rate", [1e-3, 1e-4])
    optimizer = Optimizer(name, rate, weight_decay=0.01 if name == "adamw" else 0.0)
    return change(experiment, {"stages.0.optimizer": optimizer})
