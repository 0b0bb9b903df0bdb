"""Folds, seeds and reproduced reports: what is run, found again and summed up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import datasets, load_experiment, train
from pipeline.cli.commands import main
from pipeline.config import Binary, Data, Experiment, FoldSplit, Optimizer, RandomSplit, Schedule
from pipeline.config.tables import Column, Row, Table
from pipeline.evaluation import plots
from pipeline.reports import repeats, reproduce, writeup
from pipeline.training import loading, runs
from pipeline.training.schedules import plateau_rate
from pipeline.utils.errors import RequestError, WorkError
from pipeline.utils.progress import duration
from tests.conftest import with_stage
from tests.pipeline.datasets.test_dataset_adience import small as write_adience
from tests.pipeline.datasets.test_dataset_celeba import write_files as write_celeba


def result(mae: float, accuracy: float, confusion: list[list[int]]) -> dict[str, object]:
    return {
        "targets": {
            "age": {"mae": mae, "interval": {"mae": [0, 9]}},
            "gender": {"accuracy": accuracy, "interval": {}, "confusion": confusion},
        }
    }


def test_folds_are_summed_up_by_mean_and_sample_deviation() -> None:
    found = {"a": result(4.0, 0.5, [[1, 2], [3, 4]]), "b": result(6.0, 0.9, [[10, 0], [0, 1]])}
    summary = repeats.summarise(found)
    assert summary["age"]["mae"] == {"mean": 5.0, "std": pytest.approx(2**0.5), "values": [4.0, 6.0]}
    assert summary["gender"]["accuracy"]["mean"] == pytest.approx(0.7)
    assert summary["gender"]["confusion"] == [[11, 2], [3, 5]]


def test_a_metric_undefined_in_one_fold_is_undefined_in_the_mean() -> None:
    summary = repeats.summarise(
        {"a": {"targets": {"x": {"auc": None, "interval": {}}}}, "b": {"targets": {"x": {"auc": 1.0}}}}
    )
    assert np.isnan(summary["x"]["auc"]["mean"])


def test_a_fold_without_a_known_label_leaves_the_mean_undefined() -> None:
    summary = repeats.summarise(
        {"a": result(4.0, 0.5, [[1]]), "b": {"targets": {"age": {"interval": {}}, "gender": {"interval": {}}}}}
    )
    assert np.isnan(summary["age"]["mae"]["mean"])
    assert summary["gender"]["confusion"] == [[1]]


def test_means_over_several_targets_are_summed_up_too() -> None:
    found = {seed: result(4.0, 0.5, [[1]]) | {"mean": {"accuracy": value, "interval": {}}} for seed, value in
             (("a", 0.2), ("b", 0.4))}  # fmt: skip
    assert repeats.summarise(found)["mean"]["accuracy"]["mean"] == pytest.approx(0.3)


@pytest.fixture(scope="module")
def adience(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return Data("adience", root=str(write_adience(tmp_path_factory.mktemp("adience"))))


def test_each_fold_is_tested_once_and_shares_no_person(adience: Data, tiny: Experiment) -> None:
    experiments = repeats.over_folds(with_stage(replace(tiny, targets=()), data=adience), "all")
    tested: list[str] = []
    for experiment in experiments.values():
        rows = datasets.load(experiment.stages[-1].data)
        assert not set(rows["subject"][rows["split"] == "test"]) & set(rows["subject"][rows["split"] != "test"])
        tested += rows["path"][rows["split"] == "test"].tolist()
    assert sorted(tested) == sorted(datasets.read(adience)["path"])


def test_both_stages_on_the_folded_data_leave_its_test_rows_out(adience: Data, tiny: Experiment) -> None:
    stage = replace(tiny.stages[0], data=adience)
    two = replace(tiny, targets=(), stages=(replace(stage, name="first"), stage))
    (experiment,) = repeats.over_folds(two, "3").values()
    assert [stage.data.split.fold for stage in experiment.stages] == [3, 3]


@pytest.mark.parametrize(("data", "chosen", "said"), [("adience", "7", "it has 0 to 4"), ("csv", "all", "it has none")])
def test_folds_that_are_not_there_are_refused(
    data: str, chosen: str, said: str, adience: Data, tiny: Experiment
) -> None:
    experiment = with_stage(replace(tiny, targets=()), data=adience) if data == "adience" else tiny
    with pytest.raises(RequestError, match=said):
        repeats.over_folds(experiment, chosen)


@pytest.mark.slow
def test_all_folds_of_a_drawn_adience_are_trained_once_and_summed_up(
    adience: Data, tiny: Experiment, tmp_path: Path
) -> None:
    experiment = with_stage(replace(tiny, targets=(Binary("gender"),)), data=adience, epochs=1)
    experiments = repeats.over_folds(experiment, "all")
    experiments = {fold: experiments[fold] for fold in ("fold 0", "fold 1")}
    folder = repeats.repeat(experiments, "folds", tmp_path)
    made = sorted(path for path in tmp_path.rglob("model.keras"))
    assert repeats.repeat(experiments, "folds", tmp_path) == folder  # finds both
    assert sorted(path for path in tmp_path.rglob("model.keras")) == made
    summary = json.loads((folder / "folds.json").read_text())
    assert np.sum(summary["targets"]["gender"]["confusion"]) == 48
    assert len(summary["targets"]["gender"]["accuracy"]["values"]) == 2
    assert (folder / "confusion_gender.png").is_file()
    assert "±" in (folder / "folds.md").read_text()


def test_seeds_are_the_experiments_own_and_those_that_follow(tiny: Experiment) -> None:
    assert [one.seed for one in repeats.over_seeds(replace(tiny, seed=5), 3).values()] == [5, 6, 7]


def test_a_finished_run_is_found_by_its_configuration(run, tiny: Experiment) -> None:
    folder = run.path.parent.parent
    assert runs.find(loading.settle(tiny), folder) == run
    assert runs.find(loading.settle(replace(tiny, seed=9)), folder) is None


def test_runs_of_an_experiment_without_a_name_are_found_by_the_network(tiny: Experiment, tmp_path: Path) -> None:
    nameless = loading.settle(replace(tiny, name=""))
    made = runs.create(nameless, tmp_path)
    assert runs.find(nameless, tmp_path) == made


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_is_not_made_anew(tiny: Experiment, tmp_path: Path) -> None:
    stopped = train(with_stage(tiny, epochs=1), tmp_path)
    runs.reopen(stopped, loading.settle(tiny))
    finished = repeats.carry_out(tiny, tmp_path)
    assert finished == stopped
    assert len(finished.history) == 2


def test_folds_and_seeds_exclude_each_other(capsys: pytest.CaptureFixture) -> None:
    assert main(["train", "mobilenetv2", "--folds", "all", "--seeds", "2"]) == 2
    assert "leave one out" in capsys.readouterr().err


# -- a falling rate ---------------------------------------------------------------------------------------------------

PLATEAU = Optimizer("adam", 0.1, schedule=Schedule("plateau", decay=0.5, patience=2))


@pytest.mark.parametrize(
    ("losses", "rate"),
    [([], 0.1), ([3, 2, 1], 0.1), ([1, 2], 0.1), ([1, 2, 2], 0.05), ([1, 2, 2, 2], 0.05), ([1, 2, 2, 2, 2], 0.025)],
)
def test_the_rate_falls_after_so_many_epochs_without_a_lower_loss(losses: list[float], rate: float) -> None:
    assert plateau_rate(PLATEAU, losses) == pytest.approx(rate)


@pytest.mark.slow
def test_a_resumed_run_falls_from_the_plateau_where_it_would_have(tiny: Experiment, tmp_path: Path) -> None:
    at_plateau = Optimizer("sgd", 1e-9, schedule=Schedule("plateau", decay=0.1, patience=1))
    experiment = with_stage(tiny, epochs=3, optimizer=at_plateau)
    whole = train(experiment, tmp_path)
    stopped = train(with_stage(experiment, epochs=2), tmp_path / "stopped")
    resumed = train(experiment, tmp_path, resume=stopped)
    assert resumed.history["learning_rate"].tolist() == whole.history["learning_rate"].tolist()
    expected = [plateau_rate(at_plateau, whole.history["val_loss"][:epoch]) for epoch in range(3)]
    assert whole.history["learning_rate"].tolist() == pytest.approx(expected)


# -- reproduced tables ------------------------------------------------------------------------------------------------

TABLE = Table(
    "results",
    "Results",
    (
        Column("MAE", "test:age.mae"),
        Column("val MAE", "val:age_mae", honest="test:age.mae"),
        Column("epochs", "epochs"),
    ),
    (Row("ours", "tiny", {"MAE": "5.6"}), Row("gone", "tiny")),
)


def test_a_table_has_what_was_reported_ours_and_honest(run, tiny: Experiment, tmp_path: Path) -> None:
    ours = loading.settle(tiny)
    cases = [
        writeup.Case(TABLE, TABLE.rows[0], ours, (ours,)),
        writeup.Case(TABLE, TABLE.rows[1], why_not="no dataset x"),
    ]
    report = writeup.tell("tiny", cases, lambda experiment: run, warning="in small")
    writeup.write(tmp_path, report, redraw=True)
    mae = json.loads((run.path / "results.json").read_text())["targets"]["age"]["mae"]
    table = pd.read_csv(tmp_path / "results.csv", dtype=str)
    assert table["MAE: reported"][0] == "5.6"
    assert table["MAE: ours"][0] == table["val MAE: honest"][0] == f"{mae:.4g}"
    assert table["epochs: ours"][0] == "2"
    assert table.loc[1].drop("Results").isna().all()
    text = (tmp_path / "results.md").read_text()
    assert "in small" in text and "gone: not run. no dataset x" in text
    assert (tmp_path / "figures/results-curves.png").is_file()
    assert "figures/results-comparison.png" in (tmp_path / "index.html").read_text()


def test_folds_that_are_not_all_done_give_no_mean(run, tiny: Experiment) -> None:
    folds = tuple(loading.settle(replace(tiny, name=f"fold{number}")) for number in range(3))
    case = writeup.Case(TABLE, TABLE.rows[0], loading.settle(tiny), folds)
    (told,) = writeup.tell("tiny", [case], lambda experiment: None if experiment == folds[2] else run, "").tables
    assert told.frame["MAE: honest"].tolist() == [""]
    assert any("2 of 3 folds are done" in note for note in told.notes)


def test_one_fold_is_not_written_in_the_place_of_all(
    adience: Data, tiny: Experiment, run, monkeypatch, tmp_path
) -> None:
    experiment = with_stage(replace(tiny, targets=(Binary("gender"),)), data=adience)
    monkeypatch.setattr(repeats, "carry_out", lambda *_: run)
    folders = {repeats.repeat(repeats.over_folds(experiment, which), "folds", tmp_path).name for which in ("all", "3")}
    assert folders == {"tiny-folds", "tiny-fold3-folds"}


def test_quick_tables_name_the_networks_that_stand_in() -> None:
    assert "regnety_016 stands in for regnety_128gf" in reproduce.QUICK


@pytest.mark.slow
def test_a_run_that_fails_whatever_the_reason_leaves_the_others(tmp_path: Path, monkeypatch) -> None:
    tried = []

    def carried_out(experiment: Experiment, *_: object, **__: object) -> None:
        tried.append(experiment.name)
        raise MemoryError

    monkeypatch.setattr(repeats, "carry_out", carried_out)
    with pytest.raises(WorkError, match="MemoryError"):
        reproduce.reproduce("cm50265", quick=True, runs_folder=tmp_path)
    assert len(tried) > 1
    assert (tmp_path / "reproduce" / "cm50265-quick" / "index.html").is_file()


def test_a_figure_of_the_kept_epoch_is_that_epochs(run) -> None:
    kept = run.history.loc[run.history["val_loss"].idxmin()]
    assert writeup.value(run, "val:age_mae") == kept["val_age_mae"]
    assert writeup.value(run, "train:age_mae") == kept["age_mae"]


def test_every_table_names_experiments_that_are_there_and_columns_that_it_has() -> None:
    for report in reproduce.reports():
        for case in reproduce.plan(report):
            assert set(case.row.reported) <= {column.heading for column in case.table.columns}


def test_times_and_settings_stand_in_a_table_as_in_the_report(run, tiny: Experiment, tmp_path: Path) -> None:
    columns = (Column("train time", "seconds:last"), Column("size", "set:model.image_size"))
    columns += (Column("rate", "set:stages.-1.optimizer.learning_rate"), Column("elsewhere", "test:age.mae"))
    row = Row("ours", "tiny", {"train time": "1h 41m 9s", "size": "224"}, sources={"elsewhere": "epochs"})
    table, ours = Table("results", "Results", columns, (row,)), loading.settle(tiny)
    report = writeup.tell("tiny", [writeup.Case(table, row, ours, (ours,))], lambda experiment: run, "")
    (told,) = report.tables
    frame = told.frame.iloc[0]
    seconds = json.loads((run.path / "environment.json").read_text())["stages"]["train"]["seconds"]
    assert frame["train time: ours"] == (f"{seconds:.3g} s" if seconds < 60 else duration(seconds))
    assert float(frame["seconds"]) == pytest.approx(seconds, abs=0.06)
    assert (frame["size: ours"], frame["rate: honest"], frame["elsewhere: ours"]) == ("32", "0.001", "2")
    drawn = {}
    plots_comparison = plots.comparison
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            plots, "comparison", lambda rows, bars, title: drawn.update(bars) or plots_comparison(rows, bars, title)
        )
        writeup.write(tmp_path, report, redraw=True)
    assert drawn["train time"]["reported"].tolist() == [6069.0]


def test_weights_take_the_place_of_a_download_alone() -> None:
    cases = reproduce.plan("cz4042", quick=True, weights={"mobilenetv2": "file.weights.h5"})
    assert {case.ours.model.weights for case in cases} == {"none"}  # in small, all start from nothing
    assert reproduce.started_from(load_experiment("cz4042/pretrained"), {"mobilenetv2": "file"}).weights == "file"
    assert (
        reproduce.started_from(load_experiment("cz4042/pretrained_scratch"), {"mobilenetv2": "file"}).weights == "none"
    )


def test_results_on_other_data_are_those_of_the_rows_that_were_asked_for(tmp_path: Path) -> None:
    run, random = runs.Run(tmp_path), Data("adience", root="somewhere", split=RandomSplit(test=0.2, val=0.0))
    (tmp_path / "results-test-adience.json").write_text(json.dumps({"data": runs.told(random)}))
    assert runs.is_judged_on(run, replace(random, root="elsewhere"))
    assert not runs.is_judged_on(run, replace(random, split=FoldSplit()))
    (tmp_path / "results-test-adience.json").write_text("{}")  # of an older version
    assert not runs.is_judged_on(run, random)


def test_what_cannot_be_judged_on_other_data_is_trained_all_the_same(tmp_path: Path) -> None:
    celeba = str(write_celeba(tmp_path / "celeba"))
    cases = [case for case in reproduce.plan("cz4042", roots={"celeba": celeba}) if case.table.name == "celeba"]
    pretrained = next(case for case in cases if case.row.experiment == "cz4042/pretrained")
    assert pretrained.ours is not None and pretrained.other is None
    assert "cannot be judged on adience" in pretrained.why_not
    assert writeup.value(None, "other:gender.accuracy", None) is None


def test_a_dataset_that_is_not_there_is_said_and_the_tables_are_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        folder = reproduce.reproduce("cm50265", runs_folder=tmp_path)
    assert "utkface" in caplog.text and "left out" in caplog.text
    assert "0.93" in (folder / "models.md").read_text()


@pytest.mark.slow
def test_quick_makes_every_table_and_finds_its_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = reproduce.reproduce("cm50265", quick=True)
    table = pd.read_csv(folder / "models.csv")
    assert table.filter(like="ours").notna().all(axis=None)
    assert table.filter(like="honest").notna().all(axis=None)
    made = sorted(Path("runs").rglob("model.keras"))
    reproduce.reproduce("cm50265", quick=True)
    assert sorted(Path("runs").rglob("model.keras")) == made
