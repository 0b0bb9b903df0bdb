"""Searches as users meet them, with a trainer that takes no time."""

from __future__ import annotations

import io
import json
import logging
import math
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from pipeline.config import catalog, parsing
from pipeline.reports.protocols import quick
from pipeline.training import tracking
from pipeline.training.loading import settle
from pipeline.utils.errors import RequestError
from tests.tuning.conftest import said_of
from tuning import figures, view
from tuning.__main__ import main
from tuning.oracles import make_oracle
from tuning.record import Folder, Outcome, Plan
from tuning.search import Request, expected, fitted, planned
from tuning.space import COLUMNS, explored, load_space, sampled, starting_points
from tuning.supervision import Trainer


def test_a_grid_tries_everything_and_leaves_what_train_takes(space, searched, trained: Path) -> None:
    folder = searched(space())
    table = pd.read_csv(folder.path / "trials.csv", dtype={"trial": str})
    assert table[["units", "rate"]].values.tolist() == [[8, 0.01], [8, 0.02], [16, 0.01], [16, 0.02]]
    results = json.loads((folder.path / "results.json").read_text())
    assert (results["winner"], results["test"]["count"]) == ("0002", 7)
    winner = parsing.read_json(folder.path / "best_experiment.json")
    assert (winner.name, winner.model.head.units, winner.stages[0].epochs) == ("mobilenetv2_tuned", (16,), 3)
    assert trained.read_text().split()[-4:] == ["0000", "0001", "0002", "0003"]
    assert {path.stem for path in folder.path.glob("figures/*.png")} == {"parallel", "importance", "best_so_far"}
    page = (folder.path / "search.html").read_text()
    assert page.count("data:image/png") == 3
    assert "won by val_loss, the least" in page


def test_hyperband_promotes_the_best_and_goes_on_with_their_runs(space, searched) -> None:
    folder = searched(space("hyperband", range(1, 40), [0.01, 0.02], epochs=9), "--trials", "20")
    table = folder.table().set_index("trial")
    promoted = table[table["after"].notna()]
    assert len(promoted)
    for trial, row in promoted.iterrows():
        history = json.loads((folder.path / row["run"] / "history.json").read_text())
        earlier = json.loads((folder.path / table.loc[row["after"], "run"] / "history.json").read_text())
        assert history[: len(earlier)] == earlier
        assert len(history) == row["epochs"] > table.loc[row["after"], "epochs"]
        assert folder.values(trial)["rate"] == folder.values(row["after"])["rate"]
    assert table["epochs"].max() == 9


def test_where_the_rate_falls_to_its_end_hyperband_begins_anew(space, searched, trained: Path) -> None:
    """Going on, a run would be none that an experiment's file can describe."""
    path = space("hyperband", range(1, 40), [0.01, 0.02], epochs=9)
    path.write_text(path.read_text().replace('"constant"', '"cosine"'))
    table = searched(path, "--trials", "20").table()
    assert table["after"].notna().any()
    rungs = [len(json.loads(one.read_text())) for one in sorted(trained.parent.glob("runs/**/history.json"))]
    assert len(rungs) == len(table) + 1  # and the winner's copy
    assert not list(trained.parent.glob("runs/**/resumed"))


def test_hyperbands_budget_cannot_grow(space, searched, capsys) -> None:
    path = space("hyperband", range(1, 40), [0.01, 0.02], epochs=9)
    folder = searched(path, "--trials", "20")
    assert main([str(path), "--resume", str(folder.path), "--trials", "30"]) == 2
    assert "brackets are cut to it" in capsys.readouterr().err


def test_a_setting_may_depend_on_another(trained: Path, searched, tmp_path: Path) -> None:
    path = tmp_path / "depending.py"
    path.write_text(
        '"""Depending."""\nfrom tuning.space import change\nEXPERIMENT, ALGORITHM = "mobilenetv2", "grid"\n\n'
        "def sample(hp, experiment):\n"
        '    layers = hp.Int("layers", 0, 1)\n'
        '    width = hp.Choice("width", [8, 16], parent_name="layers", parent_values=[1])\n'
        '    return change(experiment, {"model.head.units": (width,) * layers})\n'
    )
    table = searched(path).table()
    assert table["status"].tolist() == ["done"] * 3
    assert table["layers"].tolist() == [0, 1, 1]
    assert table["width"].tolist()[1:] == [8, 16]


def in_groups(folder: Path) -> Path:
    """A space of two groups, the second searched from the best of the first."""
    path = folder / "linked.py"
    path.write_text(
        '"""Linked."""\nfrom tuning.space import change\nEXPERIMENT, ALGORITHM = "mobilenetv2", "grid"\n'
        'GROUPS = (("rate",), ("units",))\nTITLES = ("first", "second")\n'
        'REPORTED = {"val_loss": (1.5, 2.5, 3.5, 4.5)}\n\n'
        "def sample(hp, experiment):\n"
        '    units, rate = hp.Choice("units", [4, 16], default=16), hp.Choice("rate", [0.03, 0.01])\n'
        '    return change(experiment, {"model.head.units": (units,), "stages.-1.optimizer.learning_rate": rate})\n'
    )
    return path


def test_groups_are_searched_one_after_the_other_from_the_best(trained: Path, searched, tmp_path: Path) -> None:
    folder = searched(in_groups(tmp_path))
    assert folder.table()[["units", "rate"]].values.tolist() == [[16, 0.03], [16, 0.01], [4, 0.01], [16, 0.01]]
    page = (folder.path / "search.html").read_text()
    assert "<h2>first</h2>" in page and "<h2>second</h2>" in page and "<td>4.5</td>" in page


# -- what is said ------------------------------------------------------------------------------------------------------


def plan_of(path: Path, epoch_seconds: float, **budget: float) -> Plan:
    """The plan of a space in whose trials all takes half a minute, and an epoch so long."""
    found = load_space(str(path))
    starts = {name: settle(one) for name, one in starting_points(found).items()}
    return replace(planned(Request(found, starts, **budget)), setup_seconds=30.0, epoch_seconds=epoch_seconds)


def test_time_is_reckoned_for_the_longest_trial(tmp_path: Path) -> None:
    path = tmp_path / "lengths.py"
    path.write_text(HEAD + EPOCHS % "length")
    assert plan_of(path, 1.0).epochs == 5


def test_minutes_for_one_trial_and_no_bracket_are_told_how_many_it_takes(space) -> None:
    plan = plan_of(space("hyperband", range(1, 40), epochs=9), 5.0, minutes=2)
    with pytest.raises(RequestError) as told:
        fitted(plan, 60.0)
    assert "smallest bracket (3 trials of up to 9 epochs): it takes about 2 min 15 s here" in str(told.value)
    assert str(told.value).endswith("give 4 or more")
    assert fitted(plan, 140.0).trials == 3


def test_what_is_promised_is_what_the_time_that_is_left_has_room_for(space) -> None:
    path = space("random", range(1, 40))
    ended = [Outcome("done", seconds=40.0)] * 3
    assert expected(plan_of(path, 10.0, minutes=10), [], 150.0) == (2, 120.0)
    assert expected(plan_of(path, 10.0, minutes=10), ended, 150.0) == (2, 120.0)
    assert expected(plan_of(path, 10.0, trials=8), ended, math.inf) == (5, 300.0)
    assert expected(plan_of(path, 10.0, trials=8), ended, 100.0) == (5, 100.0)
    assert expected(plan_of(space("grid"), 10.0), ended, math.inf) == (1, 60.0)
    bands = plan_of(space("hyperband", range(1, 40), epochs=9), 10.0, trials=3)
    assert expected(bands, ended[:1], math.inf) == (2, 3 * 30 + 9 * 10 - 40.0)
    assert expected(plan_of(space("random"), 10.0, trials=8), [], math.inf) == (4, 240.0)  # settings for no more


def test_a_search_that_goes_on_promises_what_is_left(space, searched, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path = space("random", range(1, 40))
    folder = searched(path, "--trials", "3")
    assert ": 3 trials of up to 3 epochs" in caplog.text
    searched(path, "--trials", "5", "--resume", str(folder.path))
    assert ": 2 more trials of up to 3 epochs" in caplog.text


def test_brackets_in_names_and_values_are_no_markup(
    trained: Path, searched, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, color_system=None, width=160, soft_wrap=True)
    monkeypatch.setattr(view, "console", terminal)
    path = tmp_path / "brackets.py"
    path.write_text(
        'from tuning.space import change\nEXPERIMENT, ALGORITHM = "mobilenetv2", "grid"\n\n'
        "def sample(hp, experiment):\n"
        '    chosen = hp.Choice("[bold]", ["[/head]", "[/data/faces]"])\n'
        '    rate = {"[/head]": 0.01, "[/data/faces]": 0.5}[chosen]\n'
        '    return change(experiment, {"stages.-1.optimizer.learning_rate": rate, "stages.-1.epochs": 3})\n'
    )
    assert main([str(path), "--runs", str(tmp_path / "runs")]) == 0
    report = capsys.readouterr().err
    for text in ("[bold]", "[/head]", "[/data/faces]"):
        assert text in report
        assert text in screen.getvalue()
    assert "failed: the loss is nan ([bold] [/data/faces])" in screen.getvalue()


def test_a_figure_that_cannot_be_drawn_is_left_out_with_a_warning(
    space, searched, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "parallel", lambda *given: [][0])
    folder = searched(space())
    assert "figure parallel could not be drawn: IndexError" in caplog.text
    assert folder.finished
    assert (folder.path / "search.html").read_text().count("data:image/png") == 2


def test_a_search_that_w_and_b_does_not_take_is_over_all_the_same(
    space, searched, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setattr(tracking, "overview", lambda *given: [][0])
    assert searched(space(), "--track", "wandb").finished
    assert "W&B does not show the search as a whole: IndexError" in caplog.text


def test_the_table_of_trials_has_the_columns_that_no_setting_may_be_called(space, searched) -> None:
    folder = searched(space("hyperband", range(1, 40), epochs=3), "--trials", "3")
    assert set(folder.table()) == {*COLUMNS, "units", "rate"}


# -- sturdy -----------------------------------------------------------------------------------------------------------

KILLED = """
import sys
from tuning import supervision
supervision.COMMAND = (sys.executable, "-m", "tests.tuning.trainer")
from tuning.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_killed_search_goes_on_to_the_same_trials(
    space, searched, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = space("hyperband", range(1, 19), [0.01, 0.02], epochs=9)
    whole = searched(path, "--trials", "14", runs="whole")
    monkeypatch.setenv("EPOCH_SECONDS", "0.05")
    command = [sys.executable, "-c", KILLED, str(path), "--trials", "14", "--runs", str(tmp_path / "killed")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not list(tmp_path.glob("killed/tuning/space/*/trials/0005/*/history.json")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    monkeypatch.delenv("EPOCH_SECONDS")
    before = len(trained.read_text().split())
    done = [path.parent.name for path in tmp_path.glob("killed/tuning/space/*/trials/*/outcome.json")]
    again = searched(path, "--trials", "14", runs="killed")
    assert len(list(tmp_path.glob("killed/tuning/space/*"))) == 1
    assert said_of(again) == said_of(whole)
    assert len(done) >= 5
    assert sorted({*trained.read_text().split()[before:], *done}) == again.trial_ids()
    assert len(trained.read_text().split()) - before == 14 - len(done)  # what was done is not done again


def test_a_finished_search_is_begun_anew_and_one_that_is_named_has_more_trials(space, searched) -> None:
    path = space("random", range(1, 40))
    first = searched(path, "--trials", "3")
    assert searched(path, "--trials", "3").path != first.path
    before = said_of(first)
    more = searched(path, "--trials", "5", "--resume", str(first.path))
    assert (more.path, len(more.table())) == (first.path, 5)
    assert said_of(more)[:4] == before


@pytest.mark.parametrize(("algorithm", "done"), [("random", 2), ("hyperband", 11)])
def test_trials_on_data_that_changed_are_not_compared(
    algorithm: str, done: int, space, searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Of Hyperband's 14, the twelfth goes on with a run that another trial began."""
    path = space(algorithm, range(1, 40), epochs=9)
    whole = searched(path, "--trials", "14", runs="whole")
    command = [str(path), "--runs", str(tmp_path / "runs"), "--trials", "14"]
    add = Folder.add

    def stopped(folder: Folder, trial_id: str, outcome: Outcome) -> None:
        add(folder, trial_id, outcome)
        if len(folder.outcomes()) == done:
            raise KeyboardInterrupt

    monkeypatch.setattr(Folder, "add", stopped)
    assert main(command) == 1
    monkeypatch.setattr(Folder, "add", add)
    monkeypatch.setenv("EXAMPLES", "others")
    assert main(command) == 2
    assert "the data have changed" in capsys.readouterr().err
    folder = Folder(next((tmp_path / "runs").glob("tuning/space/*")))
    assert len(folder.outcomes()) == done
    monkeypatch.delenv("EXAMPLES")
    assert said_of(searched(path, "--trials", "14")) == said_of(whole)


def test_a_search_of_before_the_data_were_noted_goes_on(space, searched) -> None:
    path = space("random", range(1, 40))
    folder = searched(path, "--trials", "2")
    for outcome in folder.path.glob("trials/*/outcome.json"):
        told = json.loads(outcome.read_text())
        del told["examples"]
        outcome.write_text(json.dumps(told))
    assert len(searched(path, "--trials", "4", "--resume", str(folder.path)).outcomes()) == 4


def test_trials_that_fail_or_are_killed_are_counted_with_their_reasons(space, searched, capsys) -> None:
    folder = searched(space(rates=[0.01, 0.5, 0.25]))
    table = folder.table()
    assert table["status"].tolist() == ["done", "failed", "failed"] * 2
    assert table["reason"][1] == "the loss is nan"
    assert "SIGKILL" in table["reason"][2]
    assert "4 of 6 trials failed" in (folder.path / "search.html").read_text()


def test_a_trainer_that_is_killed_leaves_nothing(trained: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with Trainer() as trainer:
        trainer.done({"do": "judge"}, time.time() + 60)
        assert len(list((tmp_path / "temporary").rglob("tmp*"))) == 1  # what its process wrote
    assert not list((tmp_path / "temporary").iterdir())


def test_where_all_fail_the_status_is_1(space, trained: Path, tmp_path: Path, capsys) -> None:
    assert main([str(space(rates=[0.5])), "--runs", str(tmp_path / "runs")]) == 1
    assert "all 2 trials failed, the first: the loss is nan" in capsys.readouterr().err
    assert len(pd.read_csv(next(tmp_path.glob("runs/tuning/space/*/trials.csv")))) == 2


@pytest.mark.slow
def test_time_over_ends_the_search_with_the_best_so_far(space, searched, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = searched(space("grid", [8], [0.01, 0.02, 0.125]), "--minutes", "0.15")
    assert folder.table()["status"].tolist() == ["done", "done", "stopped"]
    assert (folder.path / "best_experiment.json").is_file()
    assert folder.table()["epochs"].max() == 3


# -- wrong requests ---------------------------------------------------------------------------------------------------

CHANGES = 'def sample(hp, experiment):\n    value = hp.Choice("it", [0.1, 2.0])\n    return change(experiment, {%s})\n'
HEAD = 'from tuning.space import change\nEXPERIMENT, TRIALS = "mobilenetv2", 2\n\n'
EPOCHS = 'def sample(hp, experiment):\n    return change(experiment, {"stages.-1.epochs": hp.Choice("%s", [2, 5])})\n'
TWO = "from pipeline.config import Data, Experiment, Model, Stage\n"
TWO += 'EXPERIMENT = (Experiment(Model("resnet18"), stages=(Stage("train", Data("sample")),)),) * 2\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + CHANGES % '"stages.0.optimizer.name": value', "stages.0.optimizer.name: Input should be"),
        (HEAD + CHANGES % '"stages.0.optimizer.learning_rat": value', "did you mean 'stages.0.optimizer"),
        (HEAD + CHANGES % '"stages.1.epochs": 3', "unknown field 'stages.1'"),
        (HEAD + CHANGES % '"model.head.units.0": 3', "unknown field 'model.head.units.0'"),
        (HEAD + CHANGES % '"model.head.units": (8,), "model.head.dropout": (value,)', "head dropout must be"),
        (HEAD + 'def sample(hp, experiment):\n    return experiment\n', "nothing to search"),
        (HEAD + 'def sample(hp, experiment):\n    hp.Boolean("a")\n', "must answer an Experiment"),
        (HEAD + 'def sample(hp, experiment):\n    return hp.nothing\n', "AttributeError"),
        (HEAD, "has no sample"),
        ("def sample(:", "SyntaxError"),
        (HEAD + 'ALGORITHM = "gird"\n' + CHANGES % '"seed": 1', "did you mean 'grid'"),
        (HEAD + 'GROUPS = (("that",),)\n' + CHANGES % '"seed": 1', "GROUPS and settings differ by it, that"),
        (HEAD + EPOCHS % "epochs", "has a column 'epochs' of its own; call the setting otherwise"),
        (HEAD + EPOCHS % "val_loss", "has a column 'val_loss' of its own"),
        (HEAD + 'OBJECTIVE = "val_it"\n' + EPOCHS % "val_it", "has a column 'val_it' of its own"),
        (HEAD + EPOCHS % "experiment", "has a column 'experiment' of its own"),
        (HEAD + 'ALGORITHM = "hyperband"\n' + EPOCHS % "length", "setting 'length' changes the epochs of the last"),
        (HEAD + "EXPERIMENT = 42\n" + EPOCHS % "it", "EXPERIMENT must be an Experiment, a name as `train` takes it"),
        (HEAD + TWO + EPOCHS % "it", "EXPERIMENT must be an Experiment, a name as `train` takes it"),
        (HEAD + "OBJECTIVE = 3\n" + EPOCHS % "it", "OBJECTIVE must be a column of history.csv, not 3"),
        (HEAD + 'TRIALS = "8"\n' + EPOCHS % "it", "TRIALS must be a number of trials, at least 1, not '8'"),
        (HEAD + "TRIALS = 0\n" + EPOCHS % "it", "TRIALS must be a number of trials, at least 1, not 0"),
        (HEAD + 'GROUPS = ("rate")\n' + EPOCHS % "it", "GROUPS must be tuples of settings' names"),
    ],
)  # fmt: skip
def test_a_wrong_space_is_told_before_anything_is_trained(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(text)
    with pytest.raises(RequestError) as told:
        found = load_space(str(path))
        explored(found, {name: settle(one) for name, one in starting_points(found).items()})
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", catalog.names("searches"))
def test_every_space_that_is_shipped_can_be_explored(name: str) -> None:
    found = load_space(name)
    starts = {name: settle(quick(one)) for name, one in starting_points(found).items()}
    settings, _ = explored(found, starts)
    drawn = make_oracle("random", found.objective, settings, 0, 5, 1)
    for number in range(5):
        hp = settings.copy()
        hp.values = drawn.populate_space(f"{number:04}")["values"]
        sampled(found, hp, starts)


@pytest.mark.parametrize("arguments", [["--help"], ["nosuch"], ["default", "--batch-sise", "3"]], ids=" ".join)
def test_light_work_imports_neither_tensorflow_nor_keras_tuner(arguments: list[str]) -> None:
    program = (
        f"import sys; from tuning.__main__ import main\ntry: main({arguments!r})\nexcept SystemExit: pass\n"
        "print(sorted({'tensorflow', 'keras', 'keras_tuner', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_wrong_space_is_one_line_and_status_2(trained: Path, tmp_path: Path, capsys) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(HEAD + CHANGES % '"stages.0.optimizer.learning_rat": value')
    assert main([str(path), "--runs", str(tmp_path / "runs")]) == 2
    captured = capsys.readouterr()
    assert "did you mean 'stages.0.optimizer.learning_rate'" in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--minutes 0.00001", "too small a budget for one trial"),
        ("--minutes 0", "--minutes"),
        ("--trials 0", "--trials"),
        ("--trials 1 --algorithm hyperband", "too few for Hyperband"),
        ("--objective val_gender_acuracy", "history.csv has no such measure; expected one of val_loss"),
        ("--objective stage", "'train', which is no measure to compare; expected one of val_loss"),
        ("--objective learning_rate", "history.csv has no such measure; expected one of val_loss"),
        ("--resume nowhere", "nowhere holds no search"),
        ("--batch-sise 3", "did you mean '--batch-size'"),
        ("--experiment nosuch", "unknown experiment 'nosuch'"),
    ],
)
def test_a_wrong_request_is_status_2(options: str, said: str, space, trained: Path, tmp_path: Path, capsys) -> None:
    path = space(epochs=3)
    assert main([str(path), "--runs", str(tmp_path / "runs"), *options.split()]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


def test_a_search_that_another_process_is_at_work_on_is_left_alone(space, searched, tmp_path: Path, capsys) -> None:
    path = space()
    folder = searched(path)
    (folder.path / "results.json").unlink()  # as while it is searched
    with folder.held():
        assert searched(path).path != folder.path
        assert main([str(path), "--runs", str(tmp_path / "runs"), "--resume", str(folder.path)]) == 2
        assert "is being searched by another process" in capsys.readouterr().err
    assert searched(path, "--resume", str(folder.path)).path == folder.path


def test_groups_are_a_grids(searched, trained: Path, tmp_path: Path) -> None:
    """Another algorithm knows none: all its trials are in one table."""
    folder = searched(in_groups(tmp_path), "--algorithm", "random", "--trials", "4")
    assert folder.plan.groups == []
    assert "4 trials, best first" in (folder.path / "search.html").read_text()


def test_the_folder_of_another_search_is_refused(space, searched, tmp_path: Path, capsys) -> None:
    folder = searched(space())
    older = space(rates=[0.01, 0.03])
    assert main([str(older), "--runs", str(tmp_path / "runs"), "--resume", str(folder.path)]) == 2
    assert "holds another search: its settings, code differ" in capsys.readouterr().err.splitlines()[-1]


def edited(path: Path, folder: Folder) -> None:
    path.write_text(path.read_text().replace('learning_rate": rate', 'learning_rate": min(rate, 0.015)'))


def made_older(path: Path, folder: Folder) -> None:
    plan = json.loads((folder.path / "search.json").read_text())
    del plan["code"]
    (folder.path / "search.json").write_text(json.dumps(plan))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (edited, "its code differs from what is asked for"),
        (made_older, "a search of another version of Facet"),
    ],
)
def test_a_search_of_another_space_or_version_is_left_alone(
    change: Callable[[Path, Folder], None], said: str, space, searched, tmp_path: Path, capsys
) -> None:
    path = space()
    folder = searched(path)
    (folder.path / "results.json").unlink()  # as while it is searched
    change(path, folder)
    assert searched(path).path != folder.path
    assert main([str(path), "--runs", str(tmp_path / "runs"), "--resume", str(folder.path)]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
