"""A frozen backbone is run once for each picture, and nothing but the time differs."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline import train
from pipeline.config import Augment, Binary, Cache, Convolution, Experiment, Head, Model, Regression
from pipeline.data import inputs
from pipeline.training import features
from pipeline.training.network import build_network, load_network
from pipeline.training.runs import Run
from pipeline.utils.errors import RequestError
from tests.conftest import manifest_of, with_stage

NO_ROOM = Cache(memory=0.0, disk=0.0)
LABELS = {"age": np.array([20.0, 40.0]), "gender": np.array([0.0, 1.0])}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def frozen(tiny: Experiment) -> Experiment:
    """Only the head trains, without dropout, on pictures as they are."""
    model = replace(tiny.model, head=Head(units=(16,)))
    return with_stage(replace(tiny, model=model), train="head", augment=Augment(), epochs=3)


def head_weights(run: Run) -> np.ndarray:
    network = load_network(run)
    backbone = network.get_layer("shared_trunk")
    return np.concatenate([w.ravel() for layer in network.layers if layer is not backbone for w in layer.get_weights()])


def views_kept(run: Run) -> int:
    return json.loads((run.path / "environment.json").read_text())["stages"]["train"]["trunk_views_kept"]


def relative(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


def test_the_head_learns_the_same_as_with_the_backbone_in_the_loop(
    frozen: Experiment, cache: Path, tmp_path: Path
) -> None:
    short = train(frozen, tmp_path / "runs")
    long = train(replace(frozen, cache=NO_ROOM), tmp_path / "runs")
    assert relative(head_weights(short), head_weights(long)) < 1e-3
    assert views_kept(short) == 1
    assert views_kept(long) == 0


@pytest.mark.slow
def test_views_are_the_first_epochs_own(frozen: Experiment, cache: Path, tmp_path: Path) -> None:
    augmented = with_stage(frozen, augment=Augment(flip=0.5, rotation=20), epochs=2)
    short = train(with_stage(augmented, views=2), tmp_path / "runs")
    long = train(augmented, tmp_path / "runs")
    assert relative(head_weights(short), head_weights(long)) < 1e-3
    assert views_kept(short) == 2


def test_augmentation_without_views_keeps_nothing(frozen: Experiment, cache: Path, tmp_path: Path) -> None:
    train(with_stage(frozen, augment=Augment(flip=0.5), epochs=1), tmp_path / "runs")
    assert not cache.exists()


@pytest.mark.slow
def test_another_run_finds_what_the_first_one_kept(
    frozen: Experiment, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(frozen, tmp_path / "runs")
    monkeypatch.setattr(keras.Model, "predict_on_batch", None)  # the backbone must not be run
    again = train(frozen, tmp_path / "runs")
    assert np.array_equal(head_weights(first), head_weights(again))


@pytest.mark.slow
def test_damaged_features_are_made_again(
    frozen: Experiment, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = train(frozen, tmp_path / "runs")
    for path in cache.rglob("*.features.npy"):
        path.write_bytes(path.read_bytes()[:100])
    again = train(frozen, tmp_path / "runs")
    assert "cannot be read" in caplog.text
    assert np.array_equal(head_weights(first), head_weights(again))


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_does_not_stop_a_run(
    frozen: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FACET_CACHE", str(tmp_path / "file"))
    train(with_stage(frozen, epochs=1), tmp_path / "runs")
    assert "cannot be kept" in caplog.text


@pytest.mark.slow
def test_a_resumed_run_goes_on_with_the_same_features(frozen: Experiment, cache: Path, tmp_path: Path) -> None:
    half = train(with_stage(frozen, epochs=2), tmp_path / "runs")
    resumed = train(with_stage(frozen, epochs=3), tmp_path / "runs", resume=half)
    whole = train(with_stage(frozen, epochs=3), tmp_path / "runs")
    assert np.array_equal(head_weights(resumed), head_weights(whole))


def a_backbone() -> keras.Model:
    picture = keras.Input((16, 16, 3), name="image")
    inner = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(2, 3)], name="inner")
    return keras.Model({"image": picture}, keras.layers.GlobalAveragePooling2D()(inner(picture)), name="backbone")


def crops_of(paths: list[Path]) -> inputs.Crops:
    return inputs.make_crops(manifest_of(paths), 16, 0.4, Cache(), "test")


def test_a_picture_that_comes_again_does_not_go_through_the_backbone_again(
    faces: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, asked = a_backbone(), []
    predict = backbone.predict_on_batch
    monkeypatch.setattr(backbone, "predict_on_batch", lambda batch: asked.append(len(batch["image"])) or predict(batch))
    crops = crops_of(sorted(faces.rglob("*.jpg"))[:64] * 3)
    found = features.answered(backbone, crops, Cache(), "test").first(192)
    assert sum(asked) == 64
    assert np.array_equal(found[:64], found[128:])


def test_what_the_last_backbone_answered_stays_with_the_crops(faces: Path, cache: Path) -> None:
    backbone, other = a_backbone(), a_backbone()
    crops = crops_of(sorted(faces.rglob("*.jpg"))[:8])
    answers = features.answered(backbone, crops, Cache(), "test")
    assert features.answered(backbone, crops, Cache(), "test") is answers
    assert not np.array_equal(features.answered(other, crops, Cache(), "test").first(8), answers.first(8))
    assert np.array_equal(features.answered(backbone, crops, Cache(), "test").first(8), answers.first(8))


def test_the_backbone_that_was_not_asked_for_longest_makes_room(
    faces: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("older", "newer")):
        folder = cache / "features" / name
        folder.mkdir(parents=True)
        (folder / "a.features.npy").write_bytes(bytes(10_000))
        os.utime(folder, (number, number))
    usage = shutil.disk_usage(cache)._replace(free=0)
    monkeypatch.setattr(features.shutil, "disk_usage", lambda path: usage)  # all that there is, is taken by features
    features.answered(a_backbone(), crops_of(sorted(faces.rglob("*.jpg"))[:8]), Cache(disk=1.0), "test")
    assert sorted(path.name.partition("-")[0] for path in (cache / "features").iterdir()) == ["backbone", "newer"]


def test_views_without_a_frozen_backbone_are_refused(frozen: Experiment, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="views are for a frozen backbone"):
        train(with_stage(frozen, train="all", augment=Augment(flip=0.5), views=2), tmp_path / "runs")


def test_views_that_cannot_be_kept_are_refused(frozen: Experiment, tmp_path: Path) -> None:
    age, gender = frozen.targets
    one_is_grey = replace(frozen, targets=(age, replace(gender, view="grey")))
    with pytest.raises(RequestError, match="no views to keep where one target sees colour"):
        train(with_stage(one_is_grey, augment=Augment(flip=0.5), views=2), tmp_path / "runs")


def test_views_without_augmentation_are_refused(frozen: Experiment) -> None:
    with pytest.raises(ValueError, match="views must be"):
        with_stage(frozen, views=2)


@pytest.mark.parametrize(
    ("heads", "shape"),
    [
        ((None, None), (128,)),
        ((Head(), Head(units=(4,))), (128,)),
        ((Head(pool="flatten"), None), (6, 6, 128)),
        ((Head(convolutions=(Convolution(4),)), None), (6, 6, 128)),
        ((Head(pool="max"), Head(pool="max")), (128,)),
    ],
)
def test_what_is_kept_is_what_the_heads_read(heads: tuple[Head | None, ...], shape: tuple[int, ...]) -> None:
    wanted = (Regression("age", head=heads[0]), Binary("gender", head=heads[1]))
    network = build_network(Model("shared_trunk", weights="none", image_size=32), wanted, LABELS, "head")
    backbone, rest = features.split(network, "shared_trunk")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    kept = backbone.predict({"image": pictures}, verbose=0)
    assert kept.shape[1:] == shape
    whole = network.predict({"image": pictures}, verbose=0)
    for name, answers in rest.predict({"image": kept}, verbose=0).items():
        assert np.allclose(answers, whole[name], atol=1e-5)


def test_another_pooling_of_the_same_backbone_is_kept_apart(frozen: Experiment, cache: Path, tmp_path: Path) -> None:
    for pool in ("average", "max"):
        model = replace(frozen.model, head=Head(pool=pool))
        train(with_stage(replace(frozen, model=model), epochs=1), tmp_path / "runs")
    assert len(list((cache / "features").iterdir())) == 2
