"""Cleaning: what goes, why, and that nothing is looked at twice."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib import cbook

from pipeline import datasets
from pipeline.config import Cleaning, Data, RandomSplit
from pipeline.data import manifests
from pipeline.faces.clean import clean
from pipeline.utils.errors import RequestError, WorkError


def hopper() -> np.ndarray:
    """matplotlib's sample photograph of Grace Hopper, BGR."""
    return cv2.imread(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's CSV of seven pictures, each of which is something else."""
    folder, face = tmp_path_factory.mktemp("rows"), hopper()
    pictures = {
        "good": face,
        "twice": np.hstack([face, face]),
        "noise": np.random.default_rng(0).integers(0, 256, face.shape, np.uint8),
        "small": cv2.resize(face, None, fx=0.12, fy=0.12, interpolation=cv2.INTER_AREA),
        "blurred": cv2.GaussianBlur(face, (0, 0), 8),
        "scored": face,
    }
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), picture)
    (folder / "damaged.png").write_bytes((folder / "good.png").read_bytes()[:5000])
    names = [*pictures, "damaged"]
    rows = pd.DataFrame({"path": [f"{name}.png" for name in names], "age": [35.0, 35, 35, 35, 35, 80, 35]})
    rows["face_score"] = ["1.5"] * 5 + ["-inf"] + ["1.5"]
    rows["second_face_score"] = [None, "2", None, None, None, None, "9"]
    rows.to_csv(folder / "faces.csv", index=False)
    return folder / "faces.csv"


@pytest.fixture(scope="module")
def looked_at(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one cleaning; tests with other rules work on copies, whose pictures need not be looked at again."""
    out = tmp_path_factory.mktemp("clean")
    clean(Cleaning(Data("csv", root=str(table))), out, processes=1)
    return out


def why(out: Path) -> dict[str, str]:
    rejected = pd.read_csv(out / "rejected.csv")
    return {Path(path).stem: reason for path, reason in zip(rejected["path"], rejected["reason"], strict=True)}


def again(table: Path, looked_at: Path, out: Path, **rules: object) -> dict[str, str]:
    """The reasons under other rules, from what was found before."""
    shutil.copytree(looked_at / "detected", out / "detected")
    clean(Cleaning(Data("csv", root=str(table)), **rules), out, scheduler="tcp://there.is.none:1")
    return why(out)


def test_every_rejected_row_keeps_its_reason(looked_at: Path) -> None:
    reasons = why(looked_at)
    assert {name: reason.partition(":")[0] for name, reason in reasons.items()} == {
        "twice": "more than one face",
        "noise": "no face",
        "blurred": "blurred",
        "small": "face smaller than 24 pixels",
        "damaged": "damaged (image file is truncated)",
    }


def test_the_rows_that_stay_have_box_landmarks_and_confidence(looked_at: Path) -> None:
    row = pd.read_csv(looked_at / "manifest.csv").iloc[0]
    assert Path(row["path"]).stem == "good"
    for eye in ("left_eye", "right_eye"):
        assert row["x"] < row[f"{eye}_x"] < row["x"] + row["w"]
        assert row["y"] < row[f"{eye}_y"] < row["y"] + row["h"]
    assert row["confidence"] > 0.99


def test_other_rules_look_at_nothing_again(table: Path, looked_at: Path, tmp_path: Path) -> None:
    assert "small" not in again(table, looked_at, tmp_path, smallest=8)


def test_metadata_come_first(table: Path, looked_at: Path, tmp_path: Path) -> None:
    reasons = again(table, looked_at, tmp_path, face_score_above=0, second_face_below=8)
    assert reasons["scored"] == "face score not above 0"
    assert reasons["damaged"] == "second face's score not below 8"
    assert reasons["twice"] == "more than one face"


def test_ages_outside_the_range_go(table: Path, looked_at: Path, tmp_path: Path) -> None:
    assert again(table, looked_at, tmp_path, age_range=(0, 70))["scored"] == "age not from 0 to 70"


def test_rare_ages_go_when_all_others_were_judged(table: Path, looked_at: Path, tmp_path: Path) -> None:
    reasons = again(table, looked_at, tmp_path, min_per_age=1, smallest=8, sharpness=0)
    assert "scored" not in reasons
    shutil.rmtree(tmp_path / "detected")
    assert again(table, looked_at, tmp_path, min_per_age=2, smallest=8, sharpness=0)["scored"].startswith(
        "fewer than 2"
    )


def test_a_label_that_must_be_known_but_is_no_column_is_an_error(table: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no gender"):
        clean(Cleaning(Data("csv", root=str(table)), known=("gender",)), tmp_path)


def test_when_nothing_stays_that_is_an_error(table: Path, looked_at: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkError, match=r"rejected\.csv"):
        again(table, looked_at, tmp_path, smallest=4000)


def test_figures_and_counts_are_written(looked_at: Path) -> None:
    assert sorted(p.name for p in (looked_at / "figures").iterdir()) == ["boxes.png", "kept_and_rejected.png"]
    assert '"kept": 2' in (looked_at / "clean.json").read_text()


def test_a_face_is_sought_where_the_dataset_says_it_is(table: Path, tmp_path: Path) -> None:
    """Of two people side by side, a box picks the right one, and the answer is in pixels of the whole picture."""
    width = hopper().shape[1]
    box = f"{width + 150},100,250,300"
    (table.parent / "boxed.csv").write_text(f"path,age,x,y,w,h\ntwice.png,3,{box}\n")
    out = clean(Cleaning(Data("csv", root=str(table.parent / "boxed.csv"), margin=0.2)), tmp_path, processes=1)
    row = pd.read_csv(out).iloc[0]
    assert row["x"] > width
    assert row["left_eye_x"] > row["x"]


def test_training_aligns_by_what_cleaning_found(looked_at: Path) -> None:
    data = Data("csv", root=str(looked_at / "manifest.csv"), aligned=True, split=RandomSplit())
    assert set(manifests.EYES) <= set(datasets.load(data))
    assert not set(manifests.LANDMARKS) & set(datasets.load(replace(data, aligned=False)))


def test_data_without_landmarks_cannot_be_aligned(table: Path) -> None:
    with pytest.raises(RequestError, match="python -m pipeline clean csv"):
        datasets.load(Data("csv", root=str(table), aligned=True))


# -- with processes that come and go ----------------------------------------------------------------------------------

COUNT = 400


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """The command that cleans 400 drawn faces, and the folder of one that ran undisturbed."""
    from pipeline.datasets import sample

    folder = tmp_path_factory.mktemp("drawn")
    sample.load(folder / "faces", count=COUNT)
    command = [sys.executable, "-m", "pipeline", "clean", "csv", "--root", str(folder / "faces" / "manifest.csv")]
    subprocess.run([*command, "--out", str(folder / "whole")], check=True)
    return command, folder / "whole"


def same_rows(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in ("manifest.csv", "rejected.csv"))


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(drawn: tuple[list[str], Path], tmp_path: Path) -> None:
    command, whole = drawn
    with subprocess.Popen([*command, "--out", str(tmp_path), "--processes", "1"]) as process:
        while len(list((tmp_path / "detected").glob("*.parquet"))) < COUNT // 64:
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    done = subprocess.run([*command, "--out", str(tmp_path)], check=True, capture_output=True, text=True)
    assert "pictures were looked at before" in done.stderr
    assert same_rows(tmp_path, whole)


@pytest.mark.slow
def test_workers_of_a_cluster_find_the_same(drawn: tuple[list[str], Path], tmp_path: Path) -> None:
    command, whole = drawn
    dask = [sys.executable, "-m", "dask"]
    address = "tcp://127.0.0.1:38786"
    started = [subprocess.Popen([*dask, "scheduler", "--host", "127.0.0.1", "--port", "38786", "--no-dashboard"])]
    started += [subprocess.Popen([*dask, "worker", address, "--nthreads", "1", "--no-dashboard"]) for _ in range(2)]
    try:
        subprocess.run([*command, "--out", str(tmp_path), "--scheduler", address], check=True)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)
    assert same_rows(tmp_path, whole)
