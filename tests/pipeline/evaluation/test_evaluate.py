"""Averages over views of each picture: what the views are, and that the mean of the answers is what is judged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from pipeline import datasets, evaluate, targets
from pipeline.cli.commands import main
from pipeline.config import Cache
from pipeline.data import inputs
from pipeline.data.crop import fit
from pipeline.training.network import load_network
from pipeline.training.objective import judge
from pipeline.training.runs import Run
from pipeline.utils.errors import RequestError
from tests.conftest import smooth_picture, write_picture

SIZE = 64
CUT, FAR, MIDDLE = 57, 7, 3  # 227/256 of 64 pixels, the last place where that begins, and the middle one


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> inputs.Crops:
    """More pictures than a batch has, of the crop' size."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [str(write_picture(folder / f"{i}.png", i, SIZE)) for i in range(70)]
    rows = pd.DataFrame({"path": paths, **dict.fromkeys("xywh", np.nan)})
    return inputs.make_crops(rows, SIZE, 0.0, Cache(), "test")


def shown(crops: inputs.Crops, views: int) -> np.ndarray:
    """uint8 [N, views, S, S, 3]."""
    batches = [batch["image"] for batch in inputs.viewed(crops, views)]
    assert max(len(batch) for batch in batches) <= 64  # as without views: they take no more memory
    return np.concatenate(batches).reshape(len(crops), views, SIZE, SIZE, 3)


def test_one_view_is_the_picture_and_two_are_with_its_mirror_image(crops: inputs.Crops) -> None:
    pictures = crops.first(70)
    assert np.array_equal(shown(crops, 1)[:, 0], pictures)
    both = shown(crops, 2)
    assert np.array_equal(both[:, 0], pictures)
    assert np.array_equal(both[:, 1], pictures[:, :, ::-1])


def test_ten_views_are_corners_and_centre_of_227_in_256_and_their_mirror_images(crops: inputs.Crops) -> None:
    views = shown(crops, 10)
    places = [(0, 0), (0, FAR), (FAR, 0), (FAR, FAR), (MIDDLE, MIDDLE)]
    for number in (0, 69):
        picture = smooth_picture(number, SIZE)
        for view, (top, left) in enumerate(places):
            cut = fit(tf.constant(picture[top : top + CUT, left : left + CUT]), SIZE).numpy()
            assert np.array_equal(views[number, view], cut)
            assert np.array_equal(views[number, view + 5], cut[:, ::-1])


@pytest.fixture
def copy(run: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(run.path, tmp_path / "run")))


def test_answers_are_the_mean_of_those_to_a_picture_and_its_mirror_image(copy: Run) -> None:
    before = (copy.path / "results.json").read_bytes()
    evaluate(copy, views=2)
    results = json.loads((copy.path / "results-views2.json").read_text())
    said = pd.read_csv(copy.path / "predictions-views2.csv")
    network, crops = load_network(copy), judged_crops(copy)
    pictures = crops.first(len(crops))
    outputs = [network.predict({"image": shown}, verbose=0) for shown in (pictures, pictures[:, :, ::-1])]
    for target in copy.experiment.targets:
        kind = targets.of(target)
        mean = np.mean([kind.decode(one[target.name]) for one in outputs], axis=0)
        column = said["age_predicted"] if target.name == "age" else said[["gender_p_female", "gender_p_male"]]
        np.testing.assert_allclose(column, mean, rtol=1e-4)
    assert (results["views"], results["count"]) == (2, len(said))
    assert results["targets"]["age"]["mae"] == pytest.approx((said["age"] - said["age_predicted"]).abs().mean())
    assert (copy.path / "results.json").read_bytes() == before
    assert {"confusion_gender-views2.png", "predicted_age-views2.png"} <= {p.name for p in copy.path.glob("figures/*")}


def test_an_older_run_whose_network_answers_probabilities_is_judged_alike(copy: Run) -> None:
    before = evaluate(copy)
    network = load_network(copy)
    network.get_layer("gender").activation = keras.activations.sigmoid
    network.save(copy.model)
    said = pd.read_csv(copy.path / "predictions.csv")
    after = evaluate(copy)
    assert after["loss"] == pytest.approx(before["loss"], rel=1e-6)
    assert after["targets"]["gender"] == before["targets"]["gender"]
    pd.testing.assert_frame_equal(pd.read_csv(copy.path / "predictions.csv"), said, rtol=1e-5)


def judged_crops(run: Run) -> inputs.Crops:
    table = datasets.load(run.experiment.stages[-1].data)
    rows = table[table["split"] == "test"].reset_index(drop=True)
    return inputs.make_crops(rows, run.experiment.model.image_size, 0.4, Cache(), "test")


def test_losses_and_answers_are_means_over_the_views(run: Run) -> None:
    network, wanted, some = load_network(run), run.experiment.targets, judged_crops(run)
    pictures = some.first(len(some))

    def judged(shown: np.ndarray, views: int):
        return judge(network, wanted, some, tf.data.Dataset.from_tensors({"image": shown}), views)

    plain, mirrored = judged(pictures, 1), judged(pictures[:, :, ::-1], 1)
    both = judged(np.stack([pictures, pictures[:, :, ::-1]], axis=1).reshape(-1, *pictures.shape[1:]), 2)
    assert both.loss == pytest.approx((plain.loss + mirrored.loss) / 2, rel=1e-5)
    same = judged(np.repeat(pictures, 2, axis=0), 2)
    assert same.loss == pytest.approx(plain.loss, rel=1e-5)
    np.testing.assert_allclose(same.answers["gender"], plain.answers["gender"], rtol=1e-4)
    assert same.metrics["age"] == pytest.approx(plain.metrics["age"], rel=1e-4)


def test_other_numbers_of_views_are_refused(run: Run, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(RequestError, match=r"views 3: expected 1 .*, 2 .* or 10"):
        evaluate(run, views=3)
    assert main(["evaluate", str(run.path), "--views", "3"]) == 2
    said = capsys.readouterr().err
    assert "invalid choice: 3 (choose from 1, 2, 10)" in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_the_command_shows_one_view_beside_ten_and_ends_with_their_own_file(copy: Run, capsys) -> None:
    assert main(["evaluate", str(copy.path), "--views", "10", "--split", "val"]) == 0
    assert "one view" not in capsys.readouterr().err
    assert main(["evaluate", str(copy.path), "--views", "10"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == str(copy.path / "results-views10.json")
    assert "mean of 10 views" in captured.err
    mae = json.loads((copy.path / "results.json").read_text())["targets"]["age"]["mae"]
    line = next(line for line in captured.err.splitlines() if "mae" in line)
    assert line.split("│")[-2].strip() == f"{mae:.4g}"
    assert (copy.path / "predictions-val-views10.csv").is_file()
