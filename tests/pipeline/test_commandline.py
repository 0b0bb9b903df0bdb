"""The command line as users meet it: exit status, one clear line, nothing heavy imported for light work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.__main__ import main

LIGHT = [
    ["list", "models"],
    ["list", "experiments"],
    ["list", "datasets"],
    ["train", "mobilenetv2", "--batch-sise", "3"],
    ["train", "mobilenetv2", "--dataset", "fairfase"],
    ["train", "mobilenetv2", "--stages.0.epochs", "none"],
]


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_light_commands_import_neither_tensorflow_nor_pandas(arguments: list[str]) -> None:
    program = (
        f"import sys; from pipeline.__main__ import main; main({arguments!r});"
        "print(sorted({'tensorflow', 'keras', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train mobilenetv2 --batch-sise 3", "did you mean '--batch-size'"),
        ("train mobilenetv9", "did you mean 'mobilenetv2'"),
        ("train mobilenetv2 --dataset fairfase", "did you mean 'fairface'"),
        ("train mobilenetv2 --dataset fairface", "needs --root"),
        ("train mobilenetv2 --dataset fairface --root nowhere", "nowhere is no folder"),
        ("train mobilenetv2 --epochs soon", "--epochs"),
        ("train mobilenetv2 --epochs warmup=3", "no stage 'warmup'"),
        ("train mobilenetv2 --image-size 2", "image_size must be"),
        ("train nowhere.json", "nowhere.json"),
        ("evaluate runs/none", "no run runs/none"),
        ("export runs/none", "no run runs/none"),
        ("predict runs/none nothing.jpg", "nothing.jpg"),
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


def test_train_ends_with_the_path_of_the_run(tiny, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    from pipeline import parsing

    configuration = tmp_path / "tiny.json"
    configuration.write_text(parsing.to_json(tiny))
    status = main(["train", str(configuration), "--epochs", "1", "--limit", "80", "--runs", str(tmp_path / "runs")])
    out = capsys.readouterr().out
    assert status == 0
    assert (Path(out.splitlines()[-1]) / "results.json").is_file()
