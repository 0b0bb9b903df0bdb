"""Rubbish among good rows: the good rows train on, and rejected.csv names the rest."""

from __future__ import annotations

import errno
import io
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import evaluate, train
from pipeline.cli.commands import main
from pipeline.config import Cache, Data, Experiment, OfficialSplit, RandomSplit, parsing
from pipeline.data.inputs import make_crops
from pipeline.training import checkpoints
from pipeline.training.runs import Run
from pipeline.utils.errors import RequestError
from tests.conftest import smooth_picture, with_stage, write_picture

FACE = Image.fromarray(smooth_picture(0, 96))


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    to = io.BytesIO()
    picture.save(to, kind, **options)
    return to.getvalue()


DAMAGED = {
    "truncated.jpg": encoded(FACE, "jpeg")[:400],
    "truncated.png": encoded(FACE, "png")[:900],
    "empty.jpg": b"",
    "html.jpg": b"<!DOCTYPE html><title>404</title>",
    "tiny.png": encoded(FACE.crop((0, 0, 1, 1)), "png"),
    "truncated.webp": encoded(FACE, "webp")[:200],
    "garbage.jpg": encoded(FACE, "jpeg")[:150] + b"\0" * 300,
    "icon.png": encoded(FACE, "ico"),
}
ODD_BUT_GOOD = {
    "sixteen.png": encoded(Image.fromarray(smooth_picture(1, 96)[..., 0].astype(np.uint16) * 257), "png"),
    "cmyk.jpg": encoded(FACE.convert("CMYK"), "jpeg"),
    "still.gif": encoded(FACE, "gif"),
    "alpha.png": encoded(FACE.convert("RGBA"), "png"),
    "palette.bmp": encoded(FACE.quantize(16), "bmp"),
    "webp.jpg": encoded(FACE, "webp"),
    "named wrongly.jpg": encoded(FACE, "png"),
}


@pytest.fixture
def collection(faces_csv: Path, tmp_path: Path) -> str:
    """A user's CSV: 192 faces, eight damaged files, and seven odd ones that can be read."""
    table = pd.read_csv(faces_csv)[["path", "age", "gender"]].head(192)
    table["path"] = [str(faces_csv.parent / path) for path in table["path"]]
    files = DAMAGED | ODD_BUT_GOOD
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    odd = pd.DataFrame({"path": list(files), "age": 30, "gender": "female"})
    pd.concat([table, odd]).to_csv(tmp_path / "faces.csv", index=False)
    return str(tmp_path / "faces.csv")


def test_eight_damaged_pictures_are_named_and_the_rest_trains_on(
    collection: str, tiny: Experiment, tmp_path: Path
) -> None:
    data = Data("csv", root=collection, split=RandomSplit(test=0.2, val=0.2))
    run = train(with_stage(tiny, data=data, epochs=1), tmp_path / "runs")
    evaluate(run)
    rejected = pd.read_csv(run.path / "rejected.csv")
    assert {Path(path).name for path in rejected["path"]} == set(DAMAGED)
    assert rejected["reason"].str.len().gt(3).all()


def test_a_picture_of_144_megapixels_is_read(tmp_path: Path) -> None:
    large = Image.new("RGB", (12_000, 12_000), (200, 120, 40))
    large.save(tmp_path / "large.jpg", quality=90)
    rows = pd.DataFrame({"path": [str(tmp_path / "large.jpg")], "x": np.nan, "y": np.nan, "w": np.nan, "h": np.nan})
    crops = make_crops(rows, 64, 0.4, Cache(), "test")
    assert np.abs(crops.first(1)[0].astype(int) - (200, 120, 40)).max() <= 3


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    tiny: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, caplog
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "tiny.json").write_text(parsing.to_json(tiny))
    monkeypatch.setattr(checkpoints.np, "savez", full)
    with caplog.at_level("INFO"):
        assert main(["train", str(tmp_path / "tiny.json"), "--runs", str(tmp_path / "runs")]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "No space left on device" in last and "last.npz" in last
    assert "--resume" in caplog.messages[-1]
    assert not list(tmp_path.rglob(".unfinished-*"))
    assert not list(tmp_path.rglob("last.npz"))


def test_one_class_only_trains_and_says_what_is_undefined(tiny: Experiment, faces_csv: Path, tmp_path: Path) -> None:
    table = pd.read_csv(faces_csv).assign(gender="female")
    table["path"] = [str(faces_csv.parent / path) for path in table["path"]]
    table.to_csv(tmp_path / "faces.csv", index=False)
    data = replace(tiny.stages[0].data, root=str(tmp_path / "faces.csv"))
    run = train(with_stage(tiny, data=data, epochs=1), tmp_path / "runs")
    results = evaluate(run)
    assert np.isnan(results["targets"]["gender"]["auc"])
    assert '"auc": null' in (run.path / "results.json").read_text()


def test_an_empty_split_is_named(tiny: Experiment, tmp_path: Path) -> None:
    for i in range(4):
        write_picture(tmp_path / f"{i}.jpg", seed=i)
    rows = "".join(f"{i}.jpg,{20 + i},female,test\n" for i in range(4))
    (tmp_path / "faces.csv").write_text("path,age,gender,split\n" + rows)
    data = Data("csv", root=str(tmp_path / "faces.csv"), split=OfficialSplit(0.0))
    with pytest.raises(RequestError, match="training split of csv is empty"):
        train(with_stage(tiny, data=data), tmp_path / "runs")


def test_a_model_that_holds_code_is_refused(run: Run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "copy")))
    picture = keras.Input((32, 32, 3), name="image")
    keras.Model(picture, keras.layers.Lambda(lambda x: x * 2)(picture)).save(copy.path / "model.keras")
    with pytest.raises(RequestError, match=r"model\.keras cannot be loaded"):
        evaluate(copy)


@pytest.mark.parametrize("file", ["experiment.json", "model.keras"])
def test_a_run_without_a_file_says_which(run: Run, file: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    (copy / file).unlink()
    assert main(["evaluate", str(copy)]) == 2
    assert file in capsys.readouterr().err
