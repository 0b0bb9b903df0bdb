"""An experiment as a report did it, honestly, or in small: what divides its rows, chooses its epoch, sets its size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pipeline import datasets
from pipeline.config import Classes, Data, Experiment, OfficialSplit, RandomSplit, Split, Stage, Target
from pipeline.datasets import sample

PROTOCOLS = ("report", "honest")
QUICK_ROWS, QUICK_EPOCHS, QUICK_BATCH = 400, 2, 32
QUICK_NETWORKS = {"regnety_128gf": "regnety_016", "resnet152_v15": "resnet18"}
_QUICK_SIZES = {"hassner": 48, "shared_trunk": 64, "swinv2_tiny": 64}  # pixels; 32 for all others


def under(protocol: str, experiment: Experiment) -> Experiment:
    """The experiment under one of PROTOCOLS: `report` is as it stands, `honest` is its honest twin."""
    return honest(experiment) if protocol == "honest" else experiment


def honest(experiment: Experiment) -> Experiment:
    """The experiment's honest twin, named `<name>-honest`; the experiment itself where it is honest already.

    Persons stay on one side (the dataset's own split takes the place of one by images), every stage has validation rows
    of its own, which are not augmented, and they choose the epoch: an experiment that keeps the last one keeps the one
    with the lowest validation loss. Test rows are read once, at the end.
    """
    experiment = datasets.resolve(experiment)
    twin = replace(experiment, stages=tuple(map(_honest, experiment.stages)))
    return experiment if twin == experiment else replace(twin, name=f"{experiment.name}-honest")


def quick(experiment: Experiment) -> Experiment:
    """The experiment in small, named `<name>-quick`: so many drawn faces, few epochs, small pictures, random weights.

    regnety_016 stands in for regnety_128gf and resnet18 for resnet152. The six class columns of the drawn faces stand
    in for a report's attributes, whose classes its dataset's files name. It shows that all of it works, and says
    nothing of the report.
    """
    model = experiment.model
    name = QUICK_NETWORKS.get(model.name, model.name)
    model = replace(model, name=name, weights="none", image_size=_QUICK_SIZES.get(name, 32))
    standing_in = iter(sample.ATTRIBUTES)
    wanted = tuple(_on_sample(target, standing_in) for target in experiment.targets)
    stages = tuple(map(_quick_stage, experiment.stages))
    return replace(experiment, name=f"{experiment.name}-quick", model=model, targets=wanted, stages=stages)


def _on_sample(target: Target, standing_in: Iterator[Classes]) -> Target:
    if target.kind != "classes" or target.classes:
        return target
    attribute = next(standing_in)
    return replace(target, name=attribute.name, classes=attribute.classes)


def _quick_stage(stage: Stage) -> Stage:
    split = stage.data.split if isinstance(stage.data.split, RandomSplit) else None
    split = split and replace(split, stratify=None)  # so few rows would leave none of most values
    schedule = stage.optimizer.schedule
    warmup = min(schedule.warmup, QUICK_EPOCHS / 4)
    return replace(
        stage,
        data=Data("sample", split=split, limit=QUICK_ROWS, centre=stage.data.centre),
        epochs=min(stage.epochs, QUICK_EPOCHS),
        batch_size=min(stage.batch_size, QUICK_BATCH),
        optimizer=replace(stage.optimizer, schedule=replace(schedule, warmup=warmup)),
    )


def _honest(stage: Stage) -> Stage:
    data = replace(stage.data, split=_honest_split(stage), **_judged_on_labels(stage.data))
    return replace(stage, data=data, keep="val_loss" if stage.keep == "last" else stage.keep, augment_val=False)


def _honest_split(stage: Stage) -> Split:
    split = stage.data.split
    leaks = isinstance(split, RandomSplit) and (split.by == "image" or not split.test)
    split = datasets.own_split(stage.data) if leaks else split
    if isinstance(split, OfficialSplit) and not _judged_on_labels(stage.data):
        return split
    return replace(split, val=split.val or 0.1)


def _judged_on_labels(data: Data) -> dict[str, str]:
    """The option by which a dataset whose test rows have no labels is judged on others."""
    return getattr(datasets.find(data.name), "HONEST", {})
