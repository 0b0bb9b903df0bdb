"""Real trials: what the trainer's process does is `train`, and no test picture is needed for it."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline import datasets, train
from pipeline.cli.commands import main as pipeline_main
from pipeline.config import Experiment, parsing
from tests.conftest import with_stage
from tests.tuning.conftest import said_of
from tuning.__main__ import main
from tuning.record import Folder
from tuning.supervision import FailedError, Trainer

SPACE = '''
"""Settings of a small network."""
from tuning.space import change

EXPERIMENT, ALGORITHM = {experiment!r}, {algorithm!r}


def sample(hp, experiment):
    rate, width = hp.Choice("rate", [1e-3, 1e-2]), hp.Choice("width", [8, 16, 24])
    return change(experiment, {{"stages.-1.optimizer.learning_rate": rate, "model.head.units": (width,)}})
'''


@pytest.fixture
def without_test_pictures(tiny: Experiment, faces: Path, tmp_path: Path) -> Experiment:
    """`tiny` on a copy of its faces from which those of the test split are gone."""
    root = shutil.copytree(faces, tmp_path / "faces")
    data = replace(tiny.stages[0].data, root=str(root / "manifest.csv"))
    table = datasets.load(data)
    for path in table["path"][table["split"] == "test"]:
        Path(path).unlink()
    return with_stage(tiny, data=data)


def job_of(experiment: Experiment, folder: Path) -> dict:
    job = {"do": "train", "experiment": asdict(experiment), "runs": str(folder), "resume": None}
    return job | {"track": None, "group": None, "log": str(folder / "log.txt")}


@pytest.mark.slow
def test_a_trial_is_what_train_does_without_the_test_pictures(
    tiny: Experiment, without_test_pictures: Experiment, tmp_path: Path
) -> None:
    reference = train(tiny, tmp_path / "reference")
    with Trainer() as trainer:
        done = trainer.done(job_of(without_test_pictures, tmp_path), time.time() + 200)
    assert (Path(done["run"]) / "history.csv").read_bytes() == (reference.path / "history.csv").read_bytes()
    assert not list(Path(done["run"]).glob("results*"))


@pytest.mark.slow
def test_the_next_trial_is_done_after_one_that_failed(tiny: Experiment, tmp_path: Path) -> None:
    wild = replace(tiny.stages[0].optimizer, learning_rate=1e30)
    with Trainer() as trainer:
        with pytest.raises(FailedError, match="a lower learning rate than 1e\\+30 may help"):
            trainer.done(job_of(with_stage(tiny, optimizer=wild), tmp_path), time.time() + 200)
        assert trainer.done(job_of(tiny, tmp_path), time.time() + 200)["event"] == "done"


def space_of(experiment: Experiment, algorithm: str, folder: Path) -> Path:
    (folder / "tiny.json").write_text(parsing.to_json(experiment))
    path = folder / "small.py"
    path.write_text(SPACE.format(experiment=str(folder / "tiny.json"), algorithm=algorithm))
    return path


def searched(space: Path, runs: Path, *options: str) -> Folder:
    assert main([str(space), "--runs", str(runs), *options]) == 0
    return Folder(max(runs.glob("tuning/small/*")))


@pytest.mark.slow
def test_two_workers_find_what_one_process_finds(without_test_pictures: Experiment, tmp_path: Path) -> None:
    space = space_of(without_test_pictures, "grid", tmp_path)
    alone = searched(space, tmp_path / "alone", "--trials", "4")
    shared = searched(space, tmp_path / "shared", "--trials", "4", "--workers", "2")
    assert said_of(shared) == said_of(alone)
    assert (alone.path / "trials.csv").is_file()


@pytest.mark.slow
def test_the_winner_trained_again_is_the_winner_and_it_alone_was_judged(tiny: Experiment, tmp_path: Path) -> None:
    folder = searched(space_of(tiny, "hyperband", tmp_path), tmp_path / "runs", "--trials", "6", "--epochs", "3")
    judged = [path.parent.name for path in folder.path.rglob("results.json")]
    assert sorted(judged) == sorted(["winner", folder.path.name])
    best = str(folder.path / "best_experiment.json")
    assert pipeline_main(["train", best, "--runs", str(tmp_path / "again")]) == 0
    again = next((tmp_path / "again").glob("*/*"))
    ours = json.loads((folder.path / "results.json").read_text())
    theirs = json.loads((again / "results.json").read_text())
    if folder.values(ours["winner"]).get("tuner/initial_epoch") == 0:
        assert theirs["targets"] == ours["test"]["targets"]
    assert pd.read_csv(again / "history.csv").shape[0] == folder.outcome(ours["winner"]).epochs


@pytest.mark.slow
def test_xla_and_mixed_precision_are_recorded_by_every_trial(tiny: Experiment, tmp_path: Path) -> None:
    options = ("--trials", "2", "--xla", "on", "--precision", "mixed_bfloat16")
    folder = searched(space_of(tiny, "random", tmp_path), tmp_path / "runs", *options)
    for path in folder.path.glob("trials/*/*/environment.json"):
        environment = json.loads(path.read_text())
        assert (environment["xla"], environment["precision"]) == (True, "mixed_bfloat16")
    assert folder.table()["val_loss"].notna().tolist() == [True, True]
