"""colab.ipynb runs from top to bottom, and is stored without outputs."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import matplotlib.cbook
import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "colab.ipynb"


def test_no_outputs_are_stored() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


def test_a_run_that_was_stopped_is_gone_on_with(tmp_path: Path) -> None:
    """Only the newest one of the same data; a folder's name may hold spaces."""
    (source,) = (cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if "def train(" in cell.source)
    asked = []
    names = {"RUNS": str(tmp_path / "my runs"), "ARGS": "", "json": json, "Path": Path, "quote": shlex.quote}
    names["run"] = lambda command: asked.append(command) or "a run"
    for number, data, ended in ((1, "sample", True), (2, "csv", False), (3, "sample", False)):
        run = tmp_path / "my runs" / "mobilenetv2" / str(number)
        run.mkdir(parents=True)
        (run / "experiment.json").write_text(json.dumps({"stages": [{"data": {"name": data}}]}))
        if ended:
            (run / "environment.json").touch()
    exec(source, names)
    (run / "environment.json").touch()
    names["train"]("sample")
    names["train"]("csv", "/a b/c.csv")
    given = [dict(word.split("=", 1) for word in shlex.split(command) if "=" in word) for command in asked]
    assert shlex.split(given[0]["ARGS"]) == ["--resume", str(run)]
    assert shlex.split(given[1]["ARGS"]) == ["--runs", str(tmp_path / "my runs")]
    assert shlex.split(given[2]["ARGS"]) == ["--resume", str(tmp_path / "my runs" / "mobilenetv2" / "2")]


@pytest.mark.slow
def test_it_runs_from_top_to_bottom(faces_csv: Path, tmp_path: Path) -> None:
    """From an empty folder, on a copy of the files as they stand now, with a table of drawn faces as the user's."""
    copy = tmp_path / "copy"
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in filter(None, files):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    for command in ("init -q", "add -A", "-c user.name=t -c user.email=t@t commit -qm copy"):
        subprocess.run(["git", *command.split()], cwd=copy, check=True)
    notebook = nbformat.read(NOTEBOOK, 4)
    parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    options = "--epochs 1 --limit 150 --image-size 64 --weights none"
    given = {
        "REPOSITORY": str(copy),
        "DATASET": "csv",
        "ROOT": str(faces_csv),
        "RUNS": "kept here",
        "ARGS": options,
        "SEARCH": f"--trials 1 {options}",
        "REPORT": "",
        "PHOTOS": [str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))],
        "FORMATS": ["litert"],
    }
    parameters.source = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "facet" / "saved_model.zip").stat().st_size > 1_000_000
    assert len(pd.read_csv(tmp_path / "facet" / "answers.csv")) == 1
    runs = list((tmp_path / "facet" / "kept here" / "mobilenetv2").iterdir())
    assert len(runs) == 2
    assert all(not pd.read_csv(run / "predictions.csv").empty for run in runs)
