"""CM50265's search with keras-tuner: dropout, L2 and the filters of the last convolution of its own model.

The report gives neither the ranges nor what was found, nor the algorithm: its last convolution has 64 filters for
gender and 128 for age, so 32 to 256 are searched, at random, by validation loss.
Run: make tune SEARCH=cm50265 DATA_ROOT=utkface
"""

from tuning.space import change

EXPERIMENT = "cm50265/shared_trunk"
TRIALS = 20


def sample(hp, experiment):
    filters = {"age": [64, 128, 256], "gender": [32, 64, 128]}
    common = {
        "dropout": (hp.Float("dropout", 0.0, 0.5, step=0.1), 0.0),
        "l2": hp.Float("L2", 1e-6, 1e-2, sampling="log"),
    }
    changes = {}
    for number, target in enumerate(experiment.targets):
        chosen = hp.Choice(f"{target.name} filters", filters[target.name], default=filters[target.name][1])
        changes |= {f"targets.{number}.head.{name}": value for name, value in common.items()}
        changes[f"targets.{number}.head.convolutions.-1.filters"] = chosen
    return change(experiment, changes)
