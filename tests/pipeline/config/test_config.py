"""Experiments as data: what is refused, and that nothing is lost on the way through JSON and the command line."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import (
    Augment,
    Binary,
    Classes,
    Data,
    Expectation,
    Experiment,
    Head,
    Model,
    OfficialSplit,
    Optimizer,
    Ordinal,
    RandomSplit,
    Regression,
    Schedule,
    Stage,
    parsing,
)
from pipeline.config.catalog import names
from pipeline.datasets import resolve
from pipeline.training.loading import load_experiment
from pipeline.utils.errors import RequestError

shares = st.floats(0, 0.4)
words = st.text("abcdefg", min_size=1, max_size=6)
heads = st.builds(
    Head,
    pool=st.sampled_from(["average", "max", "flatten"]),
    units=st.lists(st.integers(1, 512), max_size=3).map(tuple),
    l2=shares,
)
targets = st.one_of(
    st.builds(Regression, words, loss=st.sampled_from(["mae", "mse", "huber"]), head=st.none() | heads),
    st.builds(Binary, words, label_smoothing=shares),
    st.builds(Classes, words, st.lists(words, min_size=2, max_size=4, unique=True).map(tuple), ordered=st.booleans()),
    st.builds(Expectation, words, low=st.integers(-5, 5), high=st.integers(6, 120), sigma=shares, mean_weight=shares),
    st.builds(Ordinal, words, st.just(()) | st.just(("a", "b")), method=st.sampled_from(["coral", "corn"])),
)
data = st.builds(
    Data,
    words,
    root=st.none() | words,
    split=st.none() | st.builds(OfficialSplit, shares) | st.builds(RandomSplit, shares, shares),
    columns=st.none() | st.dictionaries(words, words, max_size=2),
    limit=st.none() | st.integers(1, 100),
)
stages = st.builds(
    Stage,
    words,
    data=data,
    train=st.sampled_from(["head", "all", ("head", "block_16")]),
    optimizer=st.builds(Optimizer, st.sampled_from(["adam", "adamw", "sgd"]), schedule=st.builds(Schedule)),
    augment=st.builds(Augment, flip=shares, fill=st.just("reflect") | st.integers(0, 255)),
)
experiments = st.builds(
    Experiment,
    model=st.builds(Model, words, head=heads),
    stages=st.lists(stages, min_size=1, max_size=2, unique_by=lambda s: s.name).map(tuple),
    targets=st.lists(targets, max_size=3, unique_by=lambda t: t.name).map(tuple),
)


@given(experiments)
def test_json_round_trip(experiment: Experiment) -> None:
    assert parsing.from_json(parsing.to_json(experiment), "test") == experiment


@pytest.mark.parametrize("name", [*names("experiments"), *names("models")])
def test_every_named_experiment_survives_json(name: str) -> None:
    experiment = load_experiment(name)
    assert parsing.from_json(parsing.to_json(experiment), name) == experiment


def _broken(change) -> str:
    value = json.loads(parsing.to_json(resolve(load_experiment("mobilenetv2"))))
    change(value)
    return json.dumps(value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v["stages"][0].update(epoch=3), r"stages\.0\.epoch"),
        (lambda v: v["stages"][0].update(epochs="many"), r"stages\.0\.epochs"),
        (lambda v: v["stages"][0].update(epochs=0), "epochs must be at least 1"),
        (lambda v: v["targets"][0].update(wait=1), r"targets\.0.*wait"),
        (lambda v: v["model"].update(image_size=3), "image_size must be from 8"),
        (lambda v: v["stages"][0]["optimizer"].update(momentum=0.9), "momentum must be left out"),
        (lambda v: v["stages"][0]["optimizer"].update(learning_rate=float("inf")), "learning_rate must be above 0"),
    ],
)
def test_json_that_is_wrong_names_the_field(change, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        parsing.from_json(_broken(change), "broken.json")


def test_override_reaches_nested_fields_and_keeps_the_rest() -> None:
    experiment = resolve(load_experiment("mobilenetv2"))
    arguments = "--stages.0.optimizer.name sgd --targets.1.weight 3 --model.head.units 64 32 --stages.0.augment.fill 0"
    changed = parsing.override(experiment, arguments.split())
    stage = experiment.stages[0]
    wanted = replace(
        experiment,
        model=replace(experiment.model, head=Head(units=(64, 32))),
        targets=(experiment.targets[0], replace(experiment.targets[1], weight=3.0)),
        stages=(
            replace(stage, optimizer=replace(stage.optimizer, name="sgd"), augment=replace(stage.augment, fill=0)),
        ),
    )
    assert changed == wanted


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--stages.0.epoch 3", "did you mean '--stages.0.epochs'"),
        ("--stages.0.epochs three", "stages.0.epochs"),
        ("--stages.0.epochs -1", "epochs must be at least 1"),
        ("--stages.0.optimizer.name adamm", "optimizer.name"),
        ("stray", "stray"),
    ],
)
def test_override_that_is_wrong_says_so_in_a_line(arguments: str, said: str) -> None:
    with pytest.raises(RequestError, match=said.replace(".", r"\.")) as caught:
        parsing.override(resolve(load_experiment("mobilenetv2")), arguments.split())
    assert "\n" not in str(caught.value)


CZ4042 = {  # dense layers, stages, rows of the last one's batches and its rate, as the report's tables have them
    "mobilenetv2": ((1024, 512, 256), 1, 64, 1e-3),
    "finetuned": ((1024, 512, 512), 2, 128, 1e-5),
    "tuned": ((512, 512, 512), 1, 64, 5e-4),
    "tuned_pretrained": ((512, 512, 512), 2, 64, 1e-5),
}


@pytest.mark.parametrize("name", CZ4042)
def test_cz4042_says_what_the_report_says(name: str) -> None:
    experiment = load_experiment(f"cz4042/{name}")
    last = experiment.stages[-1]
    found = (experiment.model.head.units, len(experiment.stages), last.batch_size, last.optimizer.learning_rate)
    assert found == CZ4042[name]
