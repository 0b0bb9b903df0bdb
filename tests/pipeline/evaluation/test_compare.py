"""Runs side by side, on hand-made predictions whose differences are known."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.cli.commands import main
from pipeline.evaluation.compare import Answers, compare, difference_intervals
from pipeline.utils import metrics
from pipeline.utils.errors import RequestError

EXPERIMENT = '{"model": {"name": "hassner"}, "stages": [{"name": "train"}]}'
ROWS = 8
TRUE = pd.DataFrame(
    {
        "path": [f"/data/faces/{i // 4}/{i}.jpg" for i in range(ROWS)],
        "subject": ["a", "a", "b", "b", "c", "c", "d", "d"],
        "age": [20.0, 30, 40, 50, 60, 20, 30, None],
        "gender": ["female", "male"] * 4,
    }
)


def written(folder: Path, true: pd.DataFrame, errors: np.ndarray, wrong: list[int]) -> Path:
    """A judged run: ages that are off by `errors`, genders that are wrong in the rows `wrong`."""
    folder.mkdir(parents=True)
    male = (true["gender"] == "male").to_numpy()
    said = np.where(np.isin(np.arange(len(true)), wrong), ~male, male)
    table = pd.DataFrame({"path": true["path"], "subject": true["subject"]})
    table["age"], table["age_predicted"] = true["age"], (true["age"].fillna(0) + errors).astype(np.float32)
    table["gender"], table["gender_predicted"] = true["gender"], np.where(said, "male", "female")
    table["gender_p_female"], table["gender_p_male"] = np.where(said, 0.2, 0.8), np.where(said, 0.8, 0.2)
    table.to_csv(folder / "predictions.csv", index=False)
    names = {"age": metrics.REGRESSION, "gender": metrics.BINARY}
    targets = {target: dict.fromkeys(names[target], 0.0) | {"interval": {}} for target in names}
    folder.joinpath("results.json").write_text(json.dumps({"split": "test", "count": len(true), "targets": targets}))
    folder.joinpath("experiment.json").write_text(EXPERIMENT)
    return folder


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    """The second run is a year nearer to every age, and right about one gender more."""
    first = written(tmp_path / "first", TRUE, np.full(ROWS, 6.0), [0, 3])
    return [first, written(tmp_path / "second", TRUE, np.full(ROWS, -5.0), [3])]


def found(compared: pd.DataFrame, metric: str) -> pd.Series:
    """What is said of the last run."""
    return compared[compared["metric"] == metric].iloc[-1]


def edited(run: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Change a run's predictions, and its count with them."""
    table = change(pd.read_csv(run / "predictions.csv"))
    table.to_csv(run / "predictions.csv", index=False)
    results = json.loads((run / "results.json").read_text()) | {"count": len(table)}
    (run / "results.json").write_text(json.dumps(results))


def test_metrics_and_differences_by_hand(pair: list[Path]) -> None:
    compared = compare(pair)
    age = compared[compared["metric"] == "mae"]
    assert age["run"].tolist() == [str(run) for run in pair]
    assert (age["value"].tolist(), age["count"].tolist()) == ([6.0, 5.0], [7, 7])
    assert age["difference"].isna().tolist() == [True, False]
    assert found(compared, "mae")[["difference", "low", "high"]].tolist() == [-1, -1, -1]  # a year in every resample
    assert found(compared, "cs5")[["value", "difference"]].tolist() == [1, 1]
    accuracy = found(compared, "accuracy")
    assert accuracy[["value", "difference"]].tolist() == pytest.approx([7 / 8, 1 / 8])
    assert accuracy["low"] == 0 < accuracy["difference"] <= accuracy["high"]


def test_one_persons_rows_have_differences_without_intervals(tmp_path: Path, caplog, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    alone = TRUE.assign(subject="a")
    runs = [written(tmp_path / str(error), alone, np.full(ROWS, error), []) for error in (6.0, 5.0)]
    assert main(["compare", *map(str, runs)]) == 0
    assert " -1 " in capsys.readouterr().err
    assert "there are no intervals" in caplog.text
    assert found(compare(runs), "mae")[["difference", "low"]].isna().tolist() == [False, True]


def test_means_of_several_class_targets_are_compared_too(tmp_path: Path) -> None:
    """By hand: the second run is right about all four in each of two targets, the first about half of them in one."""
    classes = [{"kind": "classes", "name": name, "classes": ["no", "yes"]} for name in ("hat", "scarf")]
    runs = []
    for number, hats in enumerate((["no", "no", "no", "no"], ["no", "yes", "no", "yes"])):
        run = tmp_path / str(number)
        run.mkdir()
        run.joinpath("experiment.json").write_text(json.dumps(json.loads(EXPERIMENT) | {"targets": classes}))
        table = pd.DataFrame({"path": list("abcd"), "subject": None})
        for name, said in (("hat", hats), ("scarf", ["no", "yes", "no", "yes"])):
            table[name], table[f"{name}_predicted"] = ["no", "yes", "no", "yes"], said
            table[f"{name}_p_no"] = [1.0 if one == "no" else 0.0 for one in said]
            table[f"{name}_p_yes"] = 1 - table[f"{name}_p_no"]
        table.to_csv(run / "predictions.csv", index=False)
        targets = {name: dict.fromkeys(metrics.CLASSES, 0.0) for name in ("hat", "scarf")}
        results = {"count": 4, "targets": targets, "mean": dict.fromkeys(metrics.OVERALL, 0.0)}
        run.joinpath("results.json").write_text(json.dumps(results))
        runs.append(run)
    compared = compare(runs)
    mean = compared[compared["target"] == "mean"].set_index(["metric", "run"])["value"].unstack()
    assert mean[str(runs[0])].to_dict() == {"accuracy": 0.75, "balanced_accuracy": 0.75, "class_recall": 0.75}
    assert (mean[str(runs[1])] == 1).all()


def test_every_further_run_is_compared_with_the_first(pair: list[Path], tmp_path: Path) -> None:
    third = written(tmp_path / "third", TRUE, np.full(ROWS, 9.0), [0, 1, 2, 3])
    two, three = compare(pair), compare([*pair, third])
    assert three[three["metric"] == "mae"]["difference"].tolist()[1:] == [-1, 3]
    assert three[three["run"] != str(third)].reset_index(drop=True).equals(two)


def test_what_is_hard_for_both_runs_cancels(tmp_path: Path) -> None:
    """Errors of decades that both make say nothing of the month between them."""
    rng = np.random.default_rng(0)
    ages = pd.DataFrame({"path": [f"{i}.jpg" for i in range(200)], "subject": None, "age": 40.0, "gender": "male"})
    hard = rng.exponential(20, 200)
    runs = [written(tmp_path / str(i), ages, hard + i * rng.uniform(0, 0.2, 200), []) for i in range(2)]
    mae = found(compare(runs), "mae")
    assert 0.08 < mae["low"] < mae["high"] < 0.12


@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "subjects"])
@pytest.mark.slow
def test_the_interval_covers_the_true_difference(grouped: bool) -> None:
    """Two models, one wrong about 30 pictures of 100 and the other about 22, mostly the same (or the same persons'):
    95 of 100 intervals should hold the 0.08 between them. (Of 8,000 such pairs with 1,000 resamples each 95.6 % did,
    and 94.6 % of those with 80 persons.)"""
    rng, held = np.random.default_rng(3), 0
    for _ in range(200):
        groups, first, other = simulated(rng, grouped)
        low, high = difference_intervals(first, other, groups, resamples=300)["accuracy"]
        held += low - 1e-9 <= 0.08 <= high + 1e-9
    assert 0.93 <= held / 200 <= 0.97


def simulated(rng: np.random.Generator, grouped: bool) -> tuple[np.ndarray, Answers, Answers]:
    """Groups [N], and the answers of two models."""
    sizes = rng.integers(1, 6, 80) if grouped else np.ones(200, int)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    persons_luck = rng.random(len(sizes))[groups]
    answers = []
    for wrong in (0.3, 0.22):
        luck = np.where(rng.random(len(groups)) < 0.6, persons_luck, rng.random(len(groups)))
        said = (luck < wrong).astype(np.float32)
        answers.append(
            Answers(metrics.CLASSES, ("right", "wrong"), np.zeros_like(said), said, np.eye(2)[said.astype(int)])
        )
    return groups, *answers


def test_rows_may_lie_elsewhere_and_in_another_order(pair: list[Path]) -> None:
    before = compare(pair)
    moved = TRUE["path"].str.replace("/data/faces", "D:/pictures").tolist()
    edited(pair[1], lambda table: table.assign(path=moved).iloc[::-1])
    assert compare(pair).equals(before)


def test_several_faces_of_one_picture_are_rows_of_their_own(pair: list[Path]) -> None:
    for run in pair:
        edited(run, lambda table: table.assign(path=["a.jpg"] * ROWS))
    assert found(compare(pair), "mae")["difference"] == -1


def test_other_rows_are_refused_by_name(pair: list[Path]) -> None:
    edited(pair[0], lambda table: table.drop(index=5))
    edited(pair[1], lambda table: table.drop(index=[0, 1, 2, 6]))
    with pytest.raises(RequestError) as refused:
        compare(pair)
    first, second, said = *map(str, pair), str(refused.value)
    assert f"4 of the 7 rows of {first} are not in {second} (/data/faces/0/0.jpg, /data/faces/0/1.jpg, " in said
    assert f"1 of the 4 rows of {second} are not in {first} (/data/faces/1/5.jpg)" in said


def test_other_labels_of_the_same_rows_are_refused(pair: list[Path]) -> None:
    edited(pair[1], lambda table: table.assign(age=table["age"].replace(30, 31)))
    with pytest.raises(RequestError, match=r"2 rows have another age .* the first is /data/faces/0/1\.jpg"):
        compare(pair)


def test_other_classes_are_refused(pair: list[Path]) -> None:
    names = {"gender_p_female": "gender_p_woman"}
    edited(pair[1], lambda table: table.rename(columns=names).replace("female", "woman"))
    with pytest.raises(RequestError, match=r"gender is female, male in .* and woman, male in .*same order"):
        compare(pair)


def test_targets_that_one_run_lacks_are_left_out(pair: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    without(pair[1], "age")
    with caplog.at_level(logging.WARNING):
        assert set(compare(pair)["target"]) == {"gender"}
    assert f"age is left out: {pair[1]} was not judged on it" in caplog.text
    without(pair[0], "gender")
    with pytest.raises(RequestError, match=r"no target .*first has age; .*second has gender"):
        compare(pair)


def without(run: Path, target: str) -> None:
    """As where no judged row has a known label."""
    results = json.loads((run / "results.json").read_text())
    results["targets"][target] = {"interval": {}}
    (run / "results.json").write_text(json.dumps(results))


@pytest.mark.parametrize("name", ["results.json", "predictions.csv"])
def test_a_run_that_was_not_judged_is_told_how_to_be(pair: list[Path], name: str, capsys) -> None:
    pair[1].joinpath(name).unlink()
    assert main(["compare", *map(str, pair)]) == 2
    said = capsys.readouterr().err
    assert f"{pair[1]} has no {name}: `python -m pipeline evaluate {pair[1]} --split test` writes it" in said
    assert said.count("\n") == 1


def test_runs_without_test_rows_are_compared_on_validation_rows(pair: list[Path]) -> None:
    before = compare(pair)
    split = '"data": {"name": "sample", "split": {"kind": "random", "test": 0, "val": 0.2}}'
    for run in pair:
        run.joinpath("experiment.json").write_text(EXPERIMENT.replace('"train"', f'"train", {split}'))
        run.joinpath("results.json").rename(run / "results-val.json")
        run.joinpath("predictions.csv").rename(run / "predictions-val.csv")
    assert compare(pair).equals(before)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results.json", "{"),
        ("results.json", "[]"),
        ("results.json", '{"count": 3, "targets": {}}'),
        ("predictions.csv", ""),
        ("predictions.csv", "path,subject\n" + "a.jpg,\n" * ROWS),
    ],
)
def test_damaged_files_are_told_in_a_line(pair: list[Path], name: str, content: str, capsys) -> None:
    pair[1].joinpath(name).write_text(content)
    assert main(["compare", *map(str, pair)]) == 2
    said = capsys.readouterr().err
    assert f"results.json and predictions.csv of {pair[1]} are damaged (" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("others", [[], ["."], ["../{}"]], ids=["alone", "twice", "another way"])
def test_a_run_alone_is_no_comparison(pair: list[Path], others: list[str]) -> None:
    with pytest.raises(RequestError, match="two different runs or more"):
        compare([pair[0], *(pair[0] / other.format(pair[0].name) for other in others)])


def test_the_command_prints_a_table_writes_two_files_and_needs_no_tensorflow(pair: list[Path], tmp_path: Path) -> None:
    program = (
        "import sys; from pipeline.cli.commands import main\n"
        f"assert main(['compare', *{[str(run) for run in pair]}]) == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=with_this_code()
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / done.stdout.splitlines()[-1]
    assert folder.parent == tmp_path / "runs" / "compare"
    table = pd.read_csv(folder / "comparison.csv")
    assert table.columns.tolist() == ["target", "metric", "count", "run", "value", "difference", "low", "high"]
    assert f"2. {pair[1]}" in done.stderr
    assert "-1 (-1 to -1)" in done.stderr
    rows = [line.split("|")[1:-1] for line in (folder / "comparison.md").read_text().splitlines() if "|" in line]
    assert [cell.strip() for cell in rows[2]] == ["age", "mae", "7", "6", "5", "-1 (-1 to -1)"]
    assert {len(row) for row in rows} == {6}


def with_this_code() -> dict[str, str]:
    import os

    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}


def test_a_trained_run_is_measured_as_it_was_judged(run, pair: list[Path], tmp_path: Path) -> None:
    """Against a copy whose ages are two years higher: the same values as in results.json, and the difference."""
    import shutil

    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    results = json.loads((run.path / "results.json").read_text())
    edited(copy, lambda table: table.assign(age_predicted=table["age_predicted"] + 2))
    compared = compare([run.path, copy])
    for row in compared[compared["run"] == str(run.path)].itertuples():
        assert row.value == pytest.approx(results["targets"][row.target][row.metric], rel=1e-6)
    assert found(compared, "pearson")["difference"] == pytest.approx(0, abs=1e-6)
    assert found(compared, "auc")[["difference", "low", "high"]].tolist() == [0, 0, 0]
