"""The experiments of the five reports: what they say, that they build and learn from data in true formats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from pipeline import datasets, evaluate, export, train
from pipeline.config import Classes, Data, Experiment, Head, catalog
from pipeline.reports import protocols
from pipeline.training import runs
from pipeline.training.loading import load_experiment, settle
from pipeline.training.network import build_network
from pipeline.training.schedules import make_optimizer
from pipeline.utils import metrics
from tests.conftest import with_stage, write_picture
from tests.pipeline.datasets import test_dataset_adience as adience
from tests.pipeline.datasets import test_dataset_celeba as celeba
from tests.pipeline.datasets import test_dataset_fashion as fashion
from tests.pipeline.datasets import test_dataset_imdb_wiki as imdb_wiki

LABELS = {"age": np.array([20.0, 40.0]), "gender": np.array([0.0, 1.0])}
NAMES = [name for name in catalog.names("experiments") if "/" in name]
REPORTS = {"cz4042": 11, "cm50265": 4, "group91": 6, "unimib": 10, "ai6126": 9}


@pytest.mark.parametrize("report", REPORTS)
def test_every_experiment_of_a_report_has_its_file(report: str) -> None:
    assert sum(name.startswith(f"{report}/") for name in NAMES) == REPORTS[report]


@pytest.mark.parametrize("name", NAMES)
def test_its_file_says_how_to_run_it(name: str) -> None:
    text = (catalog.FOLDERS["experiments"] / f"{name}.py").read_text(encoding="utf-8")
    assert f"Run: make train MODEL={name}" in text
    assert "Reported: " in text


def test_ai6126_rate_rises_for_five_epochs_and_falls_as_a_cosine() -> None:
    stage, steps = load_experiment("ai6126/winner").stages[0], 39  # 5,000 pictures in batches of 128
    rate = make_optimizer(stage.optimizer, 120 * steps, steps)._learning_rate
    found = [float(rate(epoch * steps)) for epoch in (0, 1, 2, 3, 4, 5, 6, 119)]
    falling = [0.0025 * (1 + np.cos(np.pi * (epoch - 5) / 115)) for epoch in (5, 6, 119)]
    assert found == pytest.approx([0, 0.001, 0.002, 0.003, 0.004, *falling], rel=1e-5, abs=1e-9)


def test_class_weights_from_counts_are_the_reports_up_to_a_factor() -> None:
    counts = np.array([250, 1000, 3750])
    ratio = metrics.class_weights(counts) / (5000 / (220 * counts))
    assert ratio == pytest.approx([ratio[0]] * 3)


def test_a_class_without_labels_weighs_nothing() -> None:
    assert metrics.class_weights(np.array([3, 0, 1])).tolist() == pytest.approx([4 / 9, 0, 4 / 3])


def test_overall_is_the_mean_over_targets_and_the_recall_over_all_classes() -> None:
    found = metrics.overall([np.array([[3, 1], [0, 4]]), np.array([[1, 0, 1], [0, 2, 0], [1, 1, 2]])])
    assert found["accuracy"] == pytest.approx((7 / 8 + 5 / 8) / 2)
    assert found["balanced_accuracy"] == pytest.approx(((0.75 + 1) / 2 + (0.5 + 1 + 0.5) / 3) / 2)
    assert found["class_recall"] == pytest.approx((0.75 + 1 + 0.5 + 1 + 0.5) / 5)


@pytest.mark.parametrize(
    ("name", "split"), [("cz4042/tuned", "folds"), ("unimib/resnet18_frozen", "random"), ("cm50265/resnet50", "random")]
)
def test_the_honest_twin_keeps_persons_apart_and_chooses_by_validation(name: str, split: str) -> None:
    stage = protocols.honest(load_experiment(name)).stages[-1]
    assert (stage.data.split.kind, stage.keep, stage.augment_val) == (split, "val_loss", False)
    assert stage.data.split.val > 0
    assert getattr(stage.data.split, "by", "subject") == "subject"


def test_the_honest_twin_is_judged_on_the_list_that_has_labels(tmp_path: Path) -> None:
    data = Data("fashion", root=str(fashion.write_fashion(tmp_path)))
    winner = load_experiment("ai6126/winner")
    (stage,) = protocols.honest(replace(winner, stages=(replace(winner.stages[0], data=data),))).stages
    as_listed, honest = datasets.load(replace(data, split=None)), datasets.load(stage.data)
    assert stage.data.split.val == 0.1
    assert honest["path"][honest["split"] == "test"].tolist() == as_listed["path"][as_listed["split"] == "val"].tolist()
    assert honest["sleeve"].notna().all()


def test_an_honest_experiment_is_its_own_twin() -> None:
    experiment = settle(load_experiment("mobilenetv2"))
    assert protocols.honest(experiment) == experiment


# -- building and learning --------------------------------------------------------------------------------------------


def write_adience(folder: Path) -> Path:
    root = adience.small(folder)
    for path in root.glob("fold_*_data.txt"):
        path.rename(path.with_name(path.name.replace("fold_", "fold_frontal_")))
    return root


def write_imdb(folder: Path) -> Path:
    names = tuple(f"0{i % 4}/nm{i:07}_rm{i}_1960-7-1_2000.jpg" for i in range(12))
    every = {
        "dob": np.full((1, 12), 716058, np.int32),
        "photo_taken": np.array([[1990, 2000] * 6], np.uint16),  # two ages, each of which is divided
        "gender": np.array([[0.0, 1.0] * 6]),
        "face_score": np.full((1, 12), 2.5),
        "second_face_score": np.full((1, 12), np.nan),
    }
    return imdb_wiki.write_mat(folder / "imdb_crop", names=names, **every)


def write_utkface(folder: Path) -> Path:
    for i in range(12):
        write_picture(folder / f"{20 + i}_{i % 2}_0_201701091424{i:05}.jpg.chip.jpg", seed=i, size=32)
    return folder


WRITTEN = {
    "adience": write_adience,
    "celeba": celeba.write_files,
    "fashion": fashion.write_fashion,
    "imdb_wiki": write_imdb,
    "utkface": write_utkface,
}


def small(name: str, folder: Path) -> Experiment:
    """The experiment on data in its datasets' true formats: small pictures, random weights, one epoch of few rows."""
    experiment = load_experiment(name)
    stages = tuple(
        replace(
            stage,
            data=replace(stage.data, root=str(WRITTEN[stage.data.name](folder / stage.data.name))),
            epochs=1,
            batch_size=4,
        )
        for stage in experiment.stages
    )
    return settle(replace(experiment, model=protocols.quick(experiment).model, stages=stages))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "cz4042/tuned_pretrained",
        "cm50265/grey_gender",
        "group91/resnet18",
        "unimib/mobilenetv3_frozen",
        "ai6126/winner",
    ],
)
def test_an_experiment_of_each_report_learns_from_the_true_format(name: str, tmp_path: Path) -> None:
    experiment = small(name, tmp_path / "data")
    run = train(experiment, tmp_path)
    assert run.history["stage"].tolist() == [stage.name for stage in experiment.stages]
    assert np.isfinite(run.history["loss"]).all()
    evaluate(run, runs.judged_split(experiment))


def built_alike(name: str) -> tuple[object, ...]:
    """What a network is built of: experiments that agree in it build the same."""
    experiment = protocols.quick(load_experiment(name))
    return experiment.model, experiment.targets, experiment.stages[-1].train


@pytest.mark.slow
@pytest.mark.parametrize("name", {built_alike(name): name for name in NAMES}.values())
def test_an_experiment_builds_and_trains_what_it_names(name: str) -> None:
    model, wanted, what = built_alike(name)
    labels = {target.name: np.array([0.0, 1.0]) for target in wanted}
    statistics = ([128.0] * 3, [64.0] * 3) if model.channel_statistics else None
    network = build_network(model, wanted, labels, what, statistics)
    backbone = network.get_layer(model.name)
    assert network.trainable_weights
    assert bool(backbone.trainable_weights) == (what != "head")
    keras.utils.clear_session()


def test_the_winner_of_ai6126_writes_what_the_task_wants(tmp_path: Path, tiny: Experiment) -> None:
    experiment = load_experiment("ai6126/winner")
    stage = replace(
        experiment.stages[0],
        data=Data("fashion", root=str(fashion.write_fashion(tmp_path / "fashion"))),
        train="all",
        epochs=1,
        batch_size=2,
    )
    experiment = replace(experiment, model=replace(tiny.model, head=Head()), stages=(stage,))
    run = train(experiment, tmp_path)
    evaluate(run)
    said = pd.read_csv(run.path / "predictions.csv")
    wanted = [
        [classes.index(said[f"{name}_predicted"][i]) for name, classes in fashion.CLASSES.items()] for i in (0, 1)
    ]
    with ZipFile(run.path / "prediction.zip") as archive:
        assert archive.namelist() == ["prediction.txt"]
        lines = archive.read("prediction.txt").decode().splitlines()
    assert [[int(number) for number in line.split()] for line in lines] == wanted


def test_balanced_targets_get_their_class_weights_from_the_training_labels(tmp_path: Path, tiny: Experiment) -> None:
    data = Data("fashion", root=str(fashion.write_fashion(tmp_path / "fashion")))
    experiment = replace(tiny, targets=(Classes("sleeve", classes=(), balanced=True),))
    run = train(with_stage(experiment, data=data, epochs=1, batch_size=4), tmp_path)
    assert run.experiment.targets[0].class_weights == pytest.approx((2 / 3, 4 / 3, 4 / 3))


# -- views and statistics ---------------------------------------------------------------------------------------------


def test_the_grey_branch_of_an_exported_model_does_not_see_colour(tiny: Experiment, tmp_path: Path) -> None:
    age, gender = tiny.targets
    run = train(with_stage(replace(tiny, targets=(age, replace(gender, view="grey"))), epochs=1), tmp_path)
    answer = tf.saved_model.load(str(export(run))).signatures["serving_default"]
    grey = np.full((1, 32, 32, 3), 120, np.uint8)
    coloured = grey + np.array([16, 0, -42], np.int8).astype(np.uint8)  # of nearly the same luma
    plain, other = (answer(images=tf.constant(picture)) for picture in (grey, coloured))
    assert abs(float(plain["age"][0] - other["age"][0])) > 0.01
    assert np.abs(plain["gender"] - other["gender"]).max() < 1e-3


def test_channel_statistics_bring_the_training_pictures_to_mean_0_and_deviation_1(tiny: Experiment) -> None:
    mean, std = (10.0, 100.0, 200.0), (5.0, 20.0, 40.0)
    network = build_network(
        replace(tiny.model, name="resnet18", channel_statistics=True), tiny.targets, LABELS, statistics=(mean, std)
    )
    pixels = np.random.default_rng(0).normal(mean, std, (4, 32, 32, 3)).astype(np.float32)
    before = network.get_layer("channel_statistics")(pixels)
    seen = np.array(network.get_layer("resnet18").get_layer("normalisation")(before))
    assert np.abs(seen.mean(axis=(0, 1, 2))).max() < 0.05
    assert seen.std(axis=(0, 1, 2)) == pytest.approx([1, 1, 1], abs=0.05)
