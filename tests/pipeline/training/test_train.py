"""Train, evaluate, export and predict for real, through the functions that users call."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from pipeline import Predictor, datasets, evaluate, export, train
from pipeline.cli.commands import main
from pipeline.config import Binary, Classes, Data, Experiment, OfficialSplit, Optimizer, parsing
from pipeline.data import inputs, manifests
from pipeline.data.crop import fit
from pipeline.data.pictures import NOT_READABLE
from pipeline.training import checkpoints
from pipeline.training.runs import Run
from pipeline.utils.errors import RequestError, WorkError
from tests.conftest import relabelled, with_stage, write_picture

CONTRACT = (
    "experiment.json",
    "environment.json",
    "history.csv",
    "model.keras",
    "results.json",
    "predictions.csv",
    "rejected.csv",
    "saved_model/saved_model.pb",
    "saved_model/assets.extra/labels.json",
    "figures/curves.png",
    "figures/confusion_gender.png",
    "figures/predicted_age.png",
)


@pytest.mark.parametrize("name", CONTRACT)
def test_a_run_has_every_file_of_the_contract(run, name: str) -> None:
    assert (run.path / name).is_file()


def test_nothing_temporary_is_left(run) -> None:
    assert not [path for path in run.path.rglob("*") if path.name.startswith(".")]


def test_the_configuration_loads_back_equal_and_runs_again(run, tiny: Experiment) -> None:
    assert run.experiment == datasets.resolve(tiny)


def test_results_follow_the_contract(run) -> None:
    results = json.loads((run.path / "results.json").read_text())
    assert {"split", "count", "loss", "penalty", "seconds", "leak", "targets"} <= set(results)
    assert results["penalty"] > 0
    assert set(results["leak"]) == {"subjects", "duplicates", "near_duplicates"}
    age, gender = results["targets"]["age"], results["targets"]["gender"]
    assert {"mae", "rmse", "mse", "r2", "pearson", "spearman", "cs5", "interval"} <= set(age)
    assert {"accuracy", "balanced_accuracy", "auc", "f1", "interval", "confusion"} <= set(gender)
    assert np.sum(gender["confusion"]) == results["count"]
    low, high = gender["interval"]["accuracy"]
    assert low <= gender["accuracy"] <= high


def test_predictions_say_what_the_results_say(run) -> None:
    results, said = json.loads((run.path / "results.json").read_text()), pd.read_csv(run.path / "predictions.csv")
    assert list(said) == [
        "path",
        "subject",
        "age",
        "age_predicted",
        "gender",
        "gender_predicted",
        "gender_p_female",
        "gender_p_male",
    ]
    assert len(said) == results["count"]
    assert (said["gender"] == said["gender_predicted"]).mean() == pytest.approx(
        results["targets"]["gender"]["accuracy"]
    )
    assert (said["age"] - said["age_predicted"]).abs().mean() == pytest.approx(
        results["targets"]["age"]["mae"], rel=1e-4
    )


def test_validation_in_training_is_the_judgement_of_evaluate(run) -> None:
    results = evaluate(run, "val")
    history = run.history
    kept = history.loc[history["val_loss"].idxmin()]
    assert kept["val_loss"] == pytest.approx(results["loss"], rel=1e-5)
    assert kept["val_gender_auc"] == pytest.approx(results["targets"]["gender"]["auc"])


def test_history_has_a_row_an_epoch_and_no_times(run) -> None:
    history = run.history
    assert history["epoch"].tolist() == [1, 2]
    assert history["stage"].unique().tolist() == ["train"]
    assert not [name for name in history if "second" in name or "time" in name]


def test_the_same_seed_gives_the_same_run(run, tiny: Experiment, tmp_path: Path) -> None:
    again = train(tiny, tmp_path)
    evaluate(again)
    for name in ("history.csv", "predictions.csv"):
        assert (again.path / name).read_bytes() == (run.path / name).read_bytes()


def test_another_seed_gives_another_run(run, tiny: Experiment, tmp_path: Path) -> None:
    other = train(replace(tiny, seed=1), tmp_path)
    assert not other.history.equals(run.history)


OPENED_ALONE = """
import sys, json, csv
import tensorflow as tf
import numpy as np
folder, predictions = sys.argv[1:]
model = tf.saved_model.load(folder)
labels = json.load(open(folder + "/assets.extra/labels.json"))
rows = list(csv.DictReader(open(predictions)))
content = [open(row["path"], "rb").read() for row in rows]
said = model.signatures["jpeg"](bytes=tf.constant(content))
pixels = tf.stack([tf.io.decode_jpeg(one, 3, dct_method="INTEGER_ACCURATE") for one in content])
seen = model.signatures["serving_default"](images=pixels)
classes = labels["targets"]["gender"]["classes"]
for answer in (said, seen):
    wanted = np.array([[float(row["gender_p_" + name]) for name in classes] for row in rows])
    assert answer["gender"].dtype == tf.float32 and answer["gender"].shape == wanted.shape
    assert np.abs(answer["gender"] - wanted).max() < 1e-4
    ages = np.array([float(row["age_predicted"]) for row in rows])
    assert answer["age"].shape == ages.shape and np.abs(answer["age"] - ages).max() < 1e-3
assert not [name for name in sys.modules if name.partition(".")[0] in ("pipeline", "models")]
"""


def test_a_run_whose_steps_wait_for_pictures_says_so(tiny: Experiment, tmp_path: Path, monkeypatch, caplog) -> None:
    changed = inputs.augment
    monkeypatch.setattr(sys.modules["pipeline.training.train"], "WORTH_SAYING", 0.2)
    monkeypatch.setattr(inputs, "augment", lambda *given: time.sleep(0.3) or changed(*given))
    with caplog.at_level("WARNING"):
        run = train(tiny, tmp_path)
    assert caplog.text.count("of the time, steps waited for their pictures: augment less") == 1
    assert json.loads((run.path / "environment.json").read_text())["stages"]["train"]["waited_seconds"] > 0.2


def test_the_saved_model_answers_with_tensorflow_alone(run, tmp_path: Path) -> None:
    program = [sys.executable, "-c", OPENED_ALONE, str(run.path / "saved_model"), str(run.path / "predictions.csv")]
    done = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("shape", [(20, 20), (33, 47), (90, 60)])
def test_the_saved_model_takes_pixels_of_any_size(run, shape: tuple[int, int]) -> None:
    import tensorflow as tf

    images = np.random.default_rng(0).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    network = keras.saving.load_model(run.model, compile=False)
    crops = fit(tf.constant(images), run.experiment.model.image_size)
    wanted = network.predict({"image": crops.numpy()}, verbose=0)
    male = 1 / (1 + np.exp(-wanted["gender"][:, 0]))
    saved = tf.saved_model.load(str(run.saved_model))
    said = saved.signatures["serving_default"](images=tf.constant(images))
    assert said["gender"].numpy()[:, 1] == pytest.approx(male, abs=1e-4)
    assert said["age"].numpy() == pytest.approx(wanted["age"][:, 0], abs=1e-3)


def test_predictor_answers_for_files_and_gives_a_reason_where_it_cannot(run, tmp_path: Path) -> None:
    said = pd.read_csv(run.path / "predictions.csv")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    answers = Predictor(run.path)([said["path"][0], broken, said["path"][1]], faces="whole")
    assert answers["age_predicted"][[0, 2]].to_numpy() == pytest.approx(said["age_predicted"][:2].to_numpy(), abs=1e-3)
    assert answers["reason"].tolist() == ["", NOT_READABLE, ""]
    assert answers["gender_predicted"].isna().tolist() == [False, True, False]


def test_predictor_refuses_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="neither a SavedModel nor a run"):
        Predictor(tmp_path)


def test_two_stages_hand_on_their_weights(tiny: Experiment, tmp_path: Path) -> None:
    """The second stage starts where the first ended: with a rate of next to nothing it judges as the first did."""
    first = replace(tiny.stages[0], name="pretrain", train="head", epochs=1)
    still = replace(first, name="finetune", optimizer=Optimizer("sgd", 1e-12, momentum=0.0))
    history = train(replace(tiny, stages=(first, still)), tmp_path).history
    assert history["stage"].tolist() == ["pretrain", "finetune"]
    assert history["val_age_mae"][1] == pytest.approx(history["val_age_mae"][0], rel=1e-5)
    assert history["val_gender_auc"][1] == pytest.approx(history["val_gender_auc"][0], rel=1e-5)


def test_keep_chooses_the_epoch_that_is_handed_on(tiny: Experiment, tmp_path: Path) -> None:
    finished = train(with_stage(tiny, keep="val_gender_accuracy", epochs=3), tmp_path)
    results = evaluate(finished, "val")
    assert results["targets"]["gender"]["accuracy"] == pytest.approx(finished.history["val_gender_accuracy"].max())


def test_keep_that_is_no_column_is_refused_before_training(tiny: Experiment, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="val_gender_accuracy"):
        train(with_stage(tiny, keep="val_gender_acuracy", epochs=1), tmp_path)
    assert not list(tmp_path.iterdir())


def test_early_stopping_ends_a_stage_that_no_longer_gets_better(tiny: Experiment, tmp_path: Path) -> None:
    still = with_stage(
        tiny, optimizer=Optimizer("sgd", 1e-12, momentum=0.0), epochs=8, early_stopping=2, keep="val_gender_accuracy"
    )
    assert len(train(still, tmp_path).history) < 8


def test_a_loss_that_is_no_number_stops_the_work(tiny: Experiment, tmp_path: Path) -> None:
    wild = with_stage(tiny, optimizer=Optimizer("sgd", 1e12))
    with pytest.raises(WorkError, match="lower learning rate"):
        train(wild, tmp_path)


def test_test_pictures_are_not_read_in_training(tiny: Experiment, faces: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "faces"
    shutil.copytree(faces, copy)
    data = replace(tiny.stages[0].data, root=str(copy / "manifest.csv"))
    table = datasets.load(data)
    for path in table["path"][table["split"] == "test"]:
        Path(path).write_bytes(b"gone bad")
    finished = train(with_stage(tiny, data=data, epochs=1), tmp_path / "runs")
    assert pd.read_csv(finished.path / "rejected.csv").empty


def test_a_target_without_labels_is_refused(tiny: Experiment, faces_csv: Path, tmp_path: Path) -> None:
    data = replace(tiny.stages[0].data, root=relabelled(faces_csv, tmp_path, age=np.nan))
    with pytest.raises(RequestError, match="known age"):
        train(with_stage(tiny, data=data), tmp_path / "runs")


def test_a_stage_may_lack_a_target_that_another_has(tiny: Experiment, faces_csv: Path, tmp_path: Path) -> None:
    data = replace(tiny.stages[0].data, root=relabelled(faces_csv, tmp_path, age=np.nan))
    first = replace(tiny.stages[0], name="pretrain", data=data, epochs=1)
    finished = train(replace(tiny, stages=(first, replace(tiny.stages[0], epochs=1))), tmp_path / "runs")
    assert finished.history["val_age_mae"].notna().tolist() == [False, True]


def test_unlabelled_test_rows_leave_the_other_targets_judged(tiny: Experiment, faces_csv: Path, tmp_path: Path) -> None:
    split = np.where(np.arange(240) % 3 == 0, "test", "train")
    ages = np.where(split == "test", np.nan, pd.read_csv(faces_csv)["age"])
    data = replace(
        tiny.stages[0].data, root=relabelled(faces_csv, tmp_path, split=split, age=ages), split=OfficialSplit(0)
    )
    finished = train(with_stage(tiny, data=data, epochs=1), tmp_path / "runs")
    results = evaluate(finished)
    assert results["targets"]["age"] == {"interval": {}}
    assert results["targets"]["gender"]["accuracy"] > 0


@pytest.mark.parametrize("file", ["model.keras", "saved_model/saved_model.pb", "saved_model/assets.extra/labels.json"])
def test_a_damaged_run_is_named_in_one_line(run, file: str, tmp_path: Path) -> None:
    import shutil

    copy = Run(Path(shutil.copytree(run.path, tmp_path / "copy")))
    (copy.path / file).write_bytes(b"damaged")
    with pytest.raises(RequestError, match="copy"):
        evaluate(copy) if file == "model.keras" else Predictor(copy.path)


def test_evaluate_on_another_dataset_writes_beside_the_first(run, faces_csv: Path) -> None:
    before = (run.path / "results.json").read_bytes()
    evaluate(run, "test", "csv", str(faces_csv))
    assert (run.path / "results-test-csv.json").is_file()
    assert (run.path / "results.json").read_bytes() == before


def test_another_datasets_faces_are_cut_as_predict_cuts_them(run, faces_csv: Path, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    labels = copy.saved_model / "assets.extra" / "labels.json"
    labels.write_text(json.dumps(json.loads(labels.read_text()) | {"margin": 0.05}))
    root = relabelled(faces_csv, tmp_path, x=30, y=30, w=60, h=60)
    assert evaluate(copy, "test", "csv", root)["data"]["margin"] == 0.05


def test_judging_the_training_pictures_as_another_dataset_is_reported_as_a_leak(run, faces_csv: Path, tmp_path) -> None:
    seen = pd.read_csv(faces_csv)["path"].map(lambda path: str(faces_csv.parent / path))
    table = datasets.load(run.experiment.stages[0].data)
    trained = set(table["path"][table["split"] == "train"])
    root = relabelled(faces_csv, tmp_path, split=np.where(seen.isin(trained), "test", "train"), subject=np.nan)
    results = evaluate(run, "test", "csv", root)
    assert results["leak"]["duplicates"] == results["count"] == len(trained)


def test_other_classes_of_the_same_name_are_refused_and_strange_ones_counted(
    tiny: Experiment, faces_csv: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As FairFace's age groups on Adience, of which only 0-2 are spelt alike."""
    count = len(pd.read_csv(faces_csv))
    groups = [("0-2", "4-6", "8-12")[i % 3] for i in range(count)]
    data = replace(tiny.stages[0].data, root=relabelled(faces_csv, tmp_path, age_group=groups))
    wanted = (Binary("gender"), Classes("age_group", ("0-2", "3-9", "10-19"), ordered=True))
    with pytest.raises(RequestError, match="none of the classes 0-2, 3-9, 10-19, the first is '4-6'"):
        train(with_stage(replace(tiny, targets=wanted), data=data), tmp_path / "runs")
    run = train(
        with_stage(replace(tiny, targets=(wanted[0], Classes("age_group", ("0-2", "4-6")))), data=data, epochs=1),
        tmp_path / "runs",
    )
    assert (
        "age_group labels of csv are none of the classes 0-2, 4-6, the first is '8-12': they count as unknown"
        in caplog.text
    )
    root = relabelled(faces_csv, tmp_path, age_group=["0-2", "3-9", "10-19"] * (count // 3), split="test")
    results = evaluate(run, dataset="csv", root=root)
    assert list(results["targets"]) == ["gender"]
    assert "'3-9': it is not judged" in caplog.text


def test_without_a_known_validation_label_the_last_epoch_is_kept(
    tiny: Experiment, faces_csv: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = datasets.load(tiny.stages[0].data)
    validates = table["split"] == "val"
    for name, (unknown, said) in {
        "all": (("age", "gender"), "has a known label: there is no validation"),
        "age": (("age",), "no validation row has a known age: there is no val_age_mae"),
    }.items():
        labels = {column: table[column].mask(validates) for column in unknown}
        table.assign(**labels).to_csv(tmp_path / f"{name}.csv", index=False)
        data = replace(tiny.stages[0].data, root=str(tmp_path / f"{name}.csv"), split=OfficialSplit(0.0))
        run = train(with_stage(tiny, data=data, keep="val_age_mae"), tmp_path / name)
        assert said in caplog.text
        assert np.array_equal(checkpoints.read(run).kept[0], checkpoints.read(run).weights[0])
        assert ("val_loss" in run.history) is (name == "age")


def test_a_stage_before_the_last_may_have_other_classes(
    tiny: Experiment, faces_csv: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It teaches the other targets."""
    (tmp_path / "other").mkdir()
    count = len(pd.read_csv(faces_csv))
    groups = ["0-2", "4-6", "8-12"] * (count // 3)
    data = replace(tiny.stages[0].data, root=relabelled(faces_csv, tmp_path, age_group=groups))
    others = ["0-2", "3-9", "10-19"] * (count // 3)
    other = replace(data, root=relabelled(faces_csv, tmp_path / "other", age_group=others))
    stage = replace(tiny.stages[0], data=data, epochs=1)
    wanted = (Binary("gender"), Classes("age_group", ("0-2", "4-6", "8-12"), ordered=True))
    stages = (replace(stage, name="before", data=other), stage)
    train(replace(tiny, targets=wanted, stages=stages), tmp_path / "runs")
    assert "the first is '3-9': they count as unknown" in caplog.text


def test_labels_that_training_counted_as_unknown_do_not_end_the_judgement(
    tiny: Experiment, faces_csv: Path, tmp_path: Path
) -> None:
    """Also where the few test rows have none of a class."""
    count = len(pd.read_csv(faces_csv))
    split = ["train"] * (count - 20) + ["test"] * 20
    kinds = [*("A", "B", "C", "C") * ((count - 20) // 4), *(["A"] * 5 + ["C"] * 15)]
    root = relabelled(faces_csv, tmp_path, kind=kinds, split=split)
    data = replace(tiny.stages[0].data, root=root, split=OfficialSplit(0.0))
    run = train(with_stage(replace(tiny, targets=(Classes("kind", ("A", "B")),)), data=data, epochs=1), tmp_path)
    assert sum(map(sum, evaluate(run)["targets"]["kind"]["confusion"])) == 5


@pytest.mark.parametrize("name", ["csv", "afad"])
def test_subjects_of_another_dataset_are_other_people_but_for_those_of_a_table(
    name: str, run: Run, faces_csv: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    data = replace(copy.experiment.stages[-1].data, name=name)  # any dataset's root may be a table
    (copy.path / "experiment.json").write_text(parsing.to_json(with_stage(copy.experiment, data=data)))
    person = datasets.load(data).query("split == 'train'")["subject"].iloc[0]
    pictures = [write_picture(tmp_path / f"{i}.jpg", seed=50 + i, size=32) for i in range(4)]
    table = pd.DataFrame({"path": pictures, "age": 20, "split": "test", "subject": person})
    table.to_csv(tmp_path / "table.csv", index=False)
    other = Data("utkface", root=str(tmp_path / "table.csv"), split=OfficialSplit(0.0))
    assert evaluate(copy, dataset=other)["leak"]["subjects"] == (4 if name == "csv" else 0)
    assert ("1 subjects of csv and utkface go by one name" in caplog.text) is (name == "csv")


def test_how_another_dataset_is_read_can_be_said(run: Run, faces_csv: Path, tmp_path: Path, capsys) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    root = relabelled(faces_csv, tmp_path, split="test", years=40)
    command = ["evaluate", str(copy.path), "--dataset", "csv", "--root", root]
    assert main([*command, "--columns", "age", "years"]) == 0
    assert set(pd.read_csv(copy.path / "predictions-test-csv.csv")["age"]) == {40}
    assert main([*command, "--name", "utkface", "--split.test", "0.5"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(copy.path / "results-test-utkface.json")
    assert main([*command, "--colums", "age", "years"]) == 2
    assert "--columns" in capsys.readouterr().err
    assert main(["evaluate", str(copy.path), "--columns", "age", "years"]) == 2
    assert "how a --dataset is read" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["photo.jpg", "photo 2.png"])
def test_predictor_turns_photographs_upright_as_training_does(run, name: str, tmp_path: Path) -> None:
    from PIL import Image

    said = pd.read_csv(run.path / "predictions.csv")
    upright = Image.open(said["path"][0])
    exif = upright.getexif()
    exif[0x0112] = 6  # the camera was held so that the picture must be turned right by 90 degrees
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / name, exif=exif, quality=100, subsampling=0)
    answers = Predictor(run.path)([tmp_path / name], faces="whole")
    assert answers["age_predicted"][0] == pytest.approx(said["age_predicted"][0], abs=0.5)


def test_answers_never_take_the_place_of_a_folder(run, tmp_path: Path) -> None:
    from pipeline.utils.files import check_table

    (tmp_path / "table.parquet").mkdir()
    with pytest.raises(RequestError, match=r"table\.parquet"):
        check_table(tmp_path / "table.parquet")


def test_an_audit_judges_leaking_rows_and_all_others_by_themselves(run, faces_csv: Path, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    root = relabelled(faces_csv, tmp_path, split="test")
    results = evaluate(copy, dataset="csv", root=root, audit=True)
    trained = datasets.load(copy.experiment.stages[-1].data).query("split == 'train'")
    said = pd.read_csv(copy.path / "predictions-test-csv.csv")
    leaking = said["subject"].isin(trained["subject"])
    for name, rows in {"leaking": said[leaking], "without_leak": said[~leaking]}.items():
        part = results["audit"][name]
        assert part["count"] == len(rows) > 0
        assert part["targets"]["age"]["mae"] == pytest.approx((rows["age"] - rows["age_predicted"]).abs().mean())


def test_faces_are_trained_cropped_and_aligned_from_a_cleaned_manifest(tiny: Experiment, faces_csv, tmp_path) -> None:
    """The export says how its pictures were cropped."""
    box = dict(zip("xywh", (30, 30, 60, 60), strict=True))
    eyes = dict(zip(manifests.LANDMARKS, (45, 50, 75, 60, 60, 65, 50, 80, 70, 85), strict=True))
    data = replace(tiny.stages[0].data, root=relabelled(faces_csv, tmp_path, **box, **eyes), aligned=True)
    finished = train(with_stage(tiny, data=data, epochs=1), tmp_path / "runs")
    export(finished)
    labels = json.loads((finished.saved_model / "assets.extra/labels.json").read_text())
    assert (labels["margin"], labels["aligned"]) == (0.4, True)


def test_a_run_is_judged_where_its_training_rows_are_not(run, faces_csv: Path, tmp_path: Path, caplog) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    configuration = (copy.path / "experiment.json").read_text()
    (copy.path / "experiment.json").write_text(configuration.replace(str(faces_csv), str(tmp_path / "gone.csv")))
    results = evaluate(copy, dataset="csv", root=str(faces_csv))
    assert results["leak"] is None
    assert "training rows are not at hand" in caplog.text


def test_a_run_is_judged_where_its_data_were_moved(run, faces_csv: Path, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    configuration = (copy.path / "experiment.json").read_text()
    (copy.path / "experiment.json").write_text(configuration.replace(str(faces_csv), str(tmp_path / "gone.csv")))
    assert evaluate(copy, root=str(faces_csv))["leak"] == {"subjects": 0, "duplicates": 0, "near_duplicates": 0}
