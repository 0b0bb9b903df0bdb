"""What a user names on the command line → an Experiment, as it will be run."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import models
from pipeline import datasets
from pipeline.config import Augment, Experiment, Model, Optimizer, Schedule, Stage, catalog, parsing
from pipeline.utils.errors import unknown


def load_experiment(name: str) -> Experiment:
    """The experiment of a name under `pipeline/experiments/`, of a JSON file, or a model's default experiment.

    Raises RequestError for a name that is none of these, or a file that does not hold an experiment.
    """
    if name.endswith(".json"):
        return parsing.read_json(Path(name))
    if name in catalog.names("experiments"):
        module = importlib.import_module(f"pipeline.experiments.{name.replace('/', '.')}")
        return replace(module.EXPERIMENT, name=name)
    if name in catalog.names("models"):
        return default_experiment(name)
    raise unknown("experiment", name, {*catalog.names("experiments"), *catalog.names("models")})


def settle(experiment: Experiment) -> Experiment:
    """The experiment with nothing left open: targets, splits and weights as they will be used."""
    experiment = datasets.resolve(experiment)
    if experiment.model.name not in models.list_models():
        raise unknown("model", experiment.model.name, models.list_models())
    if experiment.model.weights != "auto":
        return experiment
    drawn = experiment.stages[-1].data.name == "sample"
    weights = "imagenet" if not drawn and models.facts(experiment.model.name)["imagenet"] else "none"
    return replace(experiment, model=replace(experiment.model, weights=weights))


def default_experiment(model: str) -> Experiment:
    """A recipe that suits most networks: every target of the dataset, the drawn faces unless another is named.

    The rate was chosen by validation loss: MobileNetV2 at 96², 4 epochs of FairFace from ImageNet, 1.493 with 1e-3 and
    1.462 with 2e-3, both with flips alone; the light warp keeps it there (1.469) and stops a network that starts from
    nothing from learning the few drawn faces by heart.
    """
    stage = Stage(
        "train",
        epochs=7,
        batch_size=32,
        optimizer=Optimizer("adamw", 2e-3, weight_decay=4e-3, schedule=Schedule("cosine", warmup=1)),
        augment=Augment(flip=0.5, rotation=8, zoom=0.08, shift=0.03),
    )
    return Experiment(name=model, model=Model(model), stages=(stage,))
