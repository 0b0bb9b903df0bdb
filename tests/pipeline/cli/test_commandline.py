"""The command line as users meet it: exit status, one clear line, nothing heavy imported for light work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.commands import main
from pipeline.utils.errors import RequestError
from pipeline.utils.startup import import_tensorflow
from tests.conftest import write_picture

LIGHT = [
    ["list", "models"],
    ["list", "experiments"],
    ["list", "datasets"],
    ["train", "mobilenetv2", "--batch-sise", "3"],
    ["train", "mobilenetv2", "--dataset", "fairfase"],
    ["train", "mobilenetv2", "--stages.0.epochs", "none"],
    ["predict", "run", "face.jpg", "--out", "answers.txt"],
]


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_light_commands_import_neither_tensorflow_nor_pandas(arguments: list[str]) -> None:
    program = (
        f"import sys; from pipeline.cli.commands import main; main({arguments!r});"
        "print(sorted({'tensorflow', 'keras', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_bar_is_for_a_terminal_whatever_a_notebook_says_of_colours() -> None:
    program = "from pipeline.utils.progress import track; print(list(track([1, 2], 'counting', 2)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("[1, 2]\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train mobilenetv2 --batch-sise 3", "did you mean '--batch-size'"),
        ("train mobilnetv2", "did you mean 'mobilenetv2'"),
        ("train mobilenetv2 --dataset fairfase", "did you mean 'fairface'"),
        ("train mobilenetv2 --dataset fairface", "needs --root"),
        ("train mobilenetv2 --dataset fairface --root nowhere", "nowhere is no folder"),
        ("train mobilenetv2 --epochs soon", "--epochs"),
        ("train mobilenetv2 --epochs warmup=3", "no stage 'warmup'"),
        ("train mobilenetv2 --image-size 2", "image_size must be"),
        ("train mobilenetv2 --image-size 0", "image_size must be"),
        ("train mobilenetv2 --model.name nosuch", "unknown model 'nosuch'"),
        ("train nowhere.json", "nowhere.json"),
        ("train cz4042/finetuned --root celeba=nowhere --root adience=nowhere", "nowhere is no folder"),
        ("train cz4042/finetuned --root celebs=nowhere", "no stage 'celebs'; there are: pretrain, finetune, celeba"),
        ("evaluate runs/none", "no run runs/none"),
        ("reproduce cm50265 --root utkfase=x", "did you mean 'utkface'"),
        ("reproduce cm50265 --weights resnet5=x", "did you mean 'resnet50'"),
        ("predict runs/none nothing.jpg --out answers.txt", "expected a file whose name ends in .csv"),
        ("predict runs/none nothing.jpg --draw pyproject.toml", "--draw pyproject.toml: expected a folder"),
        ("export runs/none", "no run runs/none"),
        ("predict runs/none nothing.jpg", "nothing.jpg"),
        ("predict runs/none pyproject.toml", "runs/none"),
        ("list planets", "planets"),
        ("fly", "fly"),
        ("", "COMMAND"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(arguments: str, said: str, capsys: pytest.CaptureFixture) -> None:
    assert main(arguments.split()) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def configured(arguments: str):
    from pipeline.cli.commands import _configured, _parser

    return _configured(*_parser().parse_known_args(arguments.split()))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "faces=mine" / "faces.csv"
    write_picture(path.parent / "a.jpg")
    path.parent.joinpath("faces.csv").write_text("file,years,smile\na.jpg,20,yes\na.jpg,30,no\n")
    return path


def test_options_that_say_how_data_are_read_come_before_targets_and_split(table: Path) -> None:
    mapped = "--stages.0.data.columns path file age years --stages.0.data.classes smile"
    experiment = configured(f"train mobilenetv2 --dataset csv --root {table} {mapped} --targets.1.weight 2")
    assert [(target.name, target.weight) for target in experiment.targets] == [("age", 1.0), ("smile", 2.0)]


def test_published_lists_bring_their_split(table: Path, tmp_path: Path) -> None:
    lists = f"--stages.0.data.split-lists {table} {table}"
    experiment = configured(f"train mobilenetv2 --dataset utkface --root {tmp_path} {lists}")
    assert experiment.stages[0].data.split.kind == "official"


def test_a_split_is_overridden_where_the_dataset_set_it(tmp_path: Path) -> None:
    experiment = configured("train mobilenetv2 --stages.0.data.split.test 0.4 --seed 3 --batch-size train=8")
    assert (experiment.stages[0].data.split.test, experiment.seed, experiment.stages[0].batch_size) == (0.4, 3, 8)


@pytest.mark.parametrize(
    ("options", "roots"),
    [
        ("two_stages --root {here}", ["{here}", "{here}"]),  # both are on FairFace
        ("two_stages --root head={here}/a --root {here}", ["{here}/a", "{here}"]),
        ("cz4042/finetuned --root {here} --root celeba={here}/a", ["{here}/a", "{here}"]),
    ],
)
def test_a_root_is_for_all_stages_on_its_dataset(options: str, roots: list[str], tmp_path: Path) -> None:
    from pipeline.cli.commandline import with_short_options
    from pipeline.cli.commands import _parser
    from pipeline.training.loading import load_experiment

    (tmp_path / "a").mkdir()
    chosen = _parser().parse_args(["train", *options.format(here=tmp_path).split()])
    experiment = with_short_options(load_experiment(chosen.experiment), chosen)
    assert [stage.data.root for stage in experiment.stages] == [root.format(here=tmp_path) for root in roots]


def test_targets_that_another_dataset_cannot_teach_are_left_out(tmp_path: Path) -> None:
    experiment = configured(f"train shared_trunk --dataset fairface --root {tmp_path}")
    assert [target.name for target in experiment.targets] == ["gender"]


def test_another_dataset_is_not_limited_as_the_experiments_own_was(tmp_path: Path) -> None:
    from pipeline.cli.commandline import with_short_options
    from pipeline.cli.commands import _parser
    from tuning.spaces.default import EXPERIMENT

    chosen = _parser().parse_args(["train", "x", "--dataset", "fairface", "--root", str(tmp_path)])
    data = with_short_options(EXPERIMENT, chosen).stages[0].data
    assert (data.name, data.root, data.limit) == ("fairface", str(tmp_path), None)


def test_keras_on_a_jax_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RequestError, match="pip install jax"):
        import_tensorflow()


def test_a_picture_too_small_for_the_network_is_named(faces_csv: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = f"train shared_trunk --image-size 16 --dataset csv --root {faces_csv} --limit 60"
    assert main(arguments.split()) == 2
    assert "shared_trunk at 16 pixels" in capsys.readouterr().err


def test_predict_says_how_many_pictures_failed_and_keeps_its_columns(run, tmp_path: Path, capsys) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    write_picture(tmp_path / "good.png")
    bad, good, out = (str(tmp_path / name) for name in ("bad.jpg", "good.png", "answers.csv"))
    assert main(["predict", str(run.path), bad, good, "--out", out, "--faces", "whole"]) == 0
    both = Path(out).read_text().splitlines()[0]
    assert main(["predict", str(run.path), bad, "--out", out, "--faces", "whole"]) == 1
    assert "no answer for any of 1 pictures" in capsys.readouterr().err
    assert Path(out).read_text().splitlines()[0] == both


@pytest.mark.parametrize("name", ["../elsewhere", "/tmp/x", "a b", ".."])
def test_a_name_that_leads_out_of_the_runs_folder_is_refused(name: str, tiny, tmp_path: Path, capsys) -> None:
    from pipeline.config import parsing

    (tmp_path / "tiny.json").write_text(parsing.to_json(tiny).replace('"name": "tiny"', f'"name": "{name}"'))
    assert main(["train", str(tmp_path / "tiny.json"), "--runs", str(tmp_path / "runs")]) == 2
    assert "it becomes a folder" in capsys.readouterr().err


def test_a_defect_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("pipeline.config.catalog.names", lambda what: 1 / 0)
    assert main(["list", "datasets"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    log = Path(said.strip().rsplit(" ", 1)[1])
    assert "ZeroDivisionError" in log.read_text()
    log.unlink()


def test_train_ends_with_the_path_of_the_run(tiny, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    from pipeline.config import parsing

    configuration = tmp_path / "tiny.json"
    configuration.write_text(parsing.to_json(tiny))
    status = main(["train", str(configuration), "--epochs", "1", "--limit", "80", "--runs", str(tmp_path / "runs")])
    out = capsys.readouterr().out
    assert status == 0
    assert (Path(out.splitlines()[-1]) / "results.json").is_file()
