"""Crops kept or made again, what is left out and why, and the order of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.config import Augment, Cache
from pipeline.data import inputs
from pipeline.utils.errors import WorkError
from tests.conftest import manifest_of, write_picture

STILL = Augment()
EVERYWHERE = {"memory": Cache(), "disk": Cache(memory=0.0), "nowhere": Cache(memory=0.0, disk=0.0)}


def rows_of(folder: Path, count: int) -> pd.DataFrame:
    return manifest_of(write_picture(folder / f"{i}.jpg", seed=i) for i in range(count))


@pytest.mark.parametrize("kept", EVERYWHERE)
def test_crops_are_the_same_wherever_they_are_kept(kept: str, tmp_path: Path) -> None:
    rows = rows_of(tmp_path, 12)
    crops = inputs.make_crops(rows, 32, 0.4, EVERYWHERE[kept], "test")
    reference = inputs.make_crops(rows, 32, 0.4, Cache(), "test")
    assert crops.kept == kept
    for ours, theirs in zip(inputs.judging(crops, 5), inputs.judging(reference, 5), strict=True):
        assert np.array_equal(ours["image"], theirs["image"])


def batches(crops: inputs.Crops, epoch: int, how: Augment = STILL, seed: int = 0) -> list[np.ndarray]:
    labels = {"row": np.arange(len(crops), dtype=np.float32)[:, None]}
    known = {"row": np.ones(len(crops), np.float32)}
    return [
        (x["image"].numpy(), y["row"].numpy()[:, 0])
        for x, y, _ in inputs.training(crops, labels, known, 4, how, seed, epoch)
    ]


def test_an_epoch_shows_every_row_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    crops = inputs.make_crops(rows_of(tmp_path, 12), 32, 0.4, Cache(), "test")
    first, again, second = (np.concatenate([y for _, y in batches(crops, epoch)]) for epoch in (0, 0, 1))
    assert sorted(first) == list(range(12))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_pictures_go_with_their_labels(tmp_path: Path) -> None:
    crops = inputs.make_crops(rows_of(tmp_path, 8), 32, 0.4, Cache(), "test")
    in_order = np.concatenate([batch["image"] for batch in inputs.judging(crops)])
    for pictures, numbers in batches(crops, 0):
        assert np.array_equal(pictures, in_order[numbers.astype(int)])


@pytest.mark.parametrize("kept", EVERYWHERE)
def test_augmentation_is_repeatable_and_changes_with_the_epoch(kept: str, tmp_path: Path) -> None:
    crops = inputs.make_crops(rows_of(tmp_path, 8), 32, 0.4, EVERYWHERE[kept], "test")
    how = Augment(rotation=20, brightness=0.3)
    one, two, other = (batches(crops, epoch, how)[0][0] for epoch in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_unreadable_pictures_are_left_out_with_their_reason(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, 60)
    good = Path(rows["path"][1]).read_bytes()
    Path(rows["path"][3]).write_bytes(good[: len(good) // 2])
    Path(rows["path"][7]).write_bytes(b"")
    Path(rows["path"][9]).unlink()
    crops = inputs.make_crops(rows, 32, 0.4, Cache(), "train")
    assert crops.rejected["path"].tolist() == rows["path"][[3, 7, 9]].tolist()
    assert all(
        word in reason for word, reason in zip(("damaged", "empty", "gone"), crops.rejected["reason"], strict=True)
    )
    assert crops.rows["path"].tolist() == rows["path"].drop([3, 7, 9]).tolist()
    assert len(np.concatenate([batch["image"] for batch in inputs.judging(crops)])) == 57


def test_faces_outside_of_their_picture_are_left_out(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, 60).astype(dict.fromkeys("xywh", float))
    side = Image.open(rows["path"][0]).size[0]
    rows.loc[[3, 4, 5], list("xywh")] = [[side, 0, 9, 9], [-9, 2, 9, 9], [-8, 2, 9, 9]]
    crops = inputs.make_crops(rows, 32, 0.4, Cache(), "train")
    assert crops.rejected["path"].tolist() == rows["path"][[3, 4]].tolist()
    assert set(crops.rejected["reason"]) == {"its face box is outside"}


def test_too_many_unreadable_pictures_stop_the_work(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, 20)
    for path in rows["path"][:6]:
        Path(path).write_bytes(b"<html>not found</html>")
    with pytest.raises(WorkError, match=r"6 of 20 train pictures .*0\.jpg, .*5\.jpg \(not a readable image"):
        inputs.make_crops(rows, 32, 0.4, Cache(), "train")


def test_a_watched_stream_tells_of_every_batch_and_changes_none(tmp_path: Path) -> None:
    crops = inputs.make_crops(rows_of(tmp_path, 12), 32, 0.4, Cache(), "test")
    told = []
    stream = inputs.training(crops, {}, {}, 4, STILL, 0, 0)
    watched = list(inputs.watched(stream, lambda: told.append(1)))
    assert len(told) == len(watched) == 3
    for (ours, *_), (plain, *_) in zip(watched, stream, strict=True):
        assert np.array_equal(ours["image"], plain["image"])
