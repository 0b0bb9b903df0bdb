"""The fused augmentation: one warp and one colour matrix must do what their steps do, wherever they are applied."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pipeline import train
from pipeline.config import Augment, Cache, Experiment, parsing
from pipeline.data import augment, inputs
from pipeline.training import machine
from pipeline.training.network import load_network
from pipeline.training.objective import Trainer
from pipeline.training.runs import Run
from pipeline.utils.errors import RequestError
from tests.conftest import manifest_of, smooth_picture, with_stage, write_picture

SIZE = 64
GEOMETRY = {"flip": 1.0, "rotation": 20.0, "shear": 8.0, "zoom": 0.15, "shift": 0.06, "crop": 0.8}
COLOUR = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.3, "hue": 0.05, "grey": 0.5}
STRONGEST = {"flip": 1, "rotation": 180, "shear": 30, "zoom": 0.6, "shift": 0.6} | dict.fromkeys(COLOUR, 0.5)
FILLS = ("reflect", 0, 200)


def warp(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """An independent bilinear warp in float: scipy on each channel, NaN where the footprint leaves the picture."""
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(float)
    x, y, _ = np.linalg.inv(matrix) @ np.stack([columns.ravel(), rows.ravel(), np.ones(rows.size)])
    inside = (x >= 0) & (y >= 0) & (x <= picture.shape[1] - 1) & (y <= picture.shape[0] - 1)
    channels = [ndimage.map_coordinates(picture[..., c], [y, x], order=1, mode="nearest") for c in range(3)]
    warped = np.stack(channels, axis=-1)
    warped[~inside] = np.nan
    return warped.reshape(picture.shape)


def very_smooth_picture(seed: int) -> np.ndarray:
    """Each of the six interpolations of the stepwise warp blurs a little: a picture that blurring hardly changes."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return cv2.resize(noise, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_one_warp_equals_an_independent_warp(seed: int) -> None:
    picture = smooth_picture(seed % 7, SIZE)
    matrix = augment.affine(Augment(**GEOMETRY), SIZE, augment.draws(seed, 0, 1))[0]
    theirs = warp(picture.astype(float), matrix)
    inside = ~np.isnan(theirs)
    ours = augment.apply(picture, matrix, np.eye(4)).astype(float)
    assert np.abs(ours - theirs)[inside].mean() <= 0.5


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_one_warp_equals_its_steps_one_after_the_other(seed: int) -> None:
    picture = very_smooth_picture(seed % 7)
    fused = augment.affine(Augment(**GEOMETRY), SIZE, augment.draws(seed, 0, 1))[0]
    stepwise = picture.astype(float)
    for name, strength in GEOMETRY.items():
        stepwise = warp(stepwise, augment.affine(Augment(**{name: strength}), SIZE, augment.draws(seed, 0, 1))[0])
    ours = augment.apply(picture, fused, np.eye(4)).astype(float)
    both = ~np.isnan(stepwise) & ~np.isnan(warp(picture.astype(float), fused))
    assert both.mean() > 0.2
    assert np.abs(ours - stepwise)[both].mean() <= 1.0


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_one_colour_matrix_equals_its_steps(seed: int) -> None:
    picture = smooth_picture(seed % 7, SIZE) // 2 + 64  # stays off the ends, where clipping comes in
    fused = augment.colour(Augment(**COLOUR), augment.draws(seed, 0, 1))[0]
    stepwise = picture.astype(float)
    for name, strength in COLOUR.items():
        matrix = augment.colour(Augment(**{name: strength}), augment.draws(seed, 0, 1))[0]
        stepwise = stepwise @ matrix[:3, :3].T + matrix[:3, 3]
    ours = augment.apply(picture, np.eye(3), fused).astype(float)
    inside = (stepwise >= 0) & (stepwise <= 255)
    assert np.abs(ours - stepwise)[inside].max() <= 1.0


def test_nothing_asked_changes_no_byte() -> None:
    pictures = smooth_picture(1)[None]
    assert augment.augment(pictures, Augment(), augment.draws(0, 0, 1)).tobytes() == pictures.tobytes()


def test_flip_is_exact() -> None:
    pictures = smooth_picture(1)[None]
    assert np.array_equal(augment.augment(pictures, Augment(flip=1.0), augment.draws(0, 0, 1)), pictures[:, :, ::-1])


def test_pictures_depend_on_seed_epoch_and_row_only() -> None:
    pictures, how = smooth_picture(1)[None], Augment(rotation=30, brightness=0.3)

    def changed(seed: int, epoch: int, row: int, rows: int = 9) -> np.ndarray:
        return augment.augment(pictures, how, augment.draws(seed, epoch, rows)[row : row + 1])

    assert np.array_equal(changed(1, 2, 3), changed(1, 2, 3, rows=4))
    for other in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert not np.array_equal(changed(1, 2, 3), changed(*other))


@pytest.mark.parametrize(("fill", "corner"), [(0, 0), (200, 200)])
def test_outside_is_filled_with_the_level_asked_for(fill: int, corner: int) -> None:
    white = np.full((SIZE, SIZE, 3), 90, np.uint8)
    turned = augment.apply(white, augment.affine(Augment(shift=0.9), SIZE, augment.draws(3, 0, 1))[0], np.eye(4), fill)
    assert corner in (turned[0, 0, 0], turned[0, -1, 0], turned[-1, 0, 0], turned[-1, -1, 0])


def test_hue_keeps_grey_and_luma() -> None:
    matrix = augment.colour(Augment(hue=0.5), augment.draws(5, 0, 1))[0, :3, :3]
    assert matrix @ np.full(3, 90.0) == pytest.approx(np.full(3, 90.0), abs=0.2)
    assert augment.LUMA @ matrix == pytest.approx(augment.LUMA, abs=5e-3)


def both_ways(pictures: np.ndarray, how: Augment, seed: int, compiled: object = lambda f: f) -> np.ndarray:
    """How many levels [N, S, S, 3] the device's pictures differ from OpenCV's."""
    drawn = augment.draws(seed, 0, len(pictures))
    theirs = augment.augment(pictures, how, drawn)
    changes = augment.for_device(how, SIZE, drawn)
    ours = compiled(lambda *batch: augment.apply_on_device(*batch, how.fill))(pictures, *changes).numpy()
    assert ours.dtype == np.uint8
    return np.abs(ours.astype(int) - theirs)


def drawn_strengths(names: dict[str, float], seed: int, fill: str | int) -> Augment:
    shares = np.random.default_rng(seed).random(len(names) + 1)
    strengths = {name: STRONGEST[name] * share for name, share in zip(names, shares, strict=False) if name in STRONGEST}
    return Augment(**strengths, crop=1 - 0.7 * shares[-1] if "crop" in names else 1.0, fill=fill)


@pytest.mark.parametrize("fill", FILLS)
@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_the_device_warps_as_opencv_does(fill: str | int, seed: int) -> None:
    pictures = np.stack([smooth_picture(seed % 1000 + i, SIZE) for i in range(4)])
    differing = both_ways(pictures, drawn_strengths(GEOMETRY, seed, fill), seed)
    assert differing.mean() <= 0.5
    if fill == "reflect":  # a fill makes a hard edge, where OpenCV's places count, which before 5 were rounded to 1/32
        assert differing.max() <= 1


@pytest.mark.parametrize("fill", FILLS)
@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_the_device_does_all_steps_as_opencv_does(fill: str | int, seed: int) -> None:
    pictures = np.stack([smooth_picture(seed % 1000 + i, SIZE) for i in range(4)])
    differing = both_ways(pictures, drawn_strengths(GEOMETRY | COLOUR, seed, fill), seed)
    assert differing.mean() <= 0.5
    if fill == "reflect":  # where the warp is a level off, contrast and brightness may make two of it
        assert differing.max() <= 3
        assert (differing > 1).mean() <= 0.01


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.skipif(int(cv2.__version__.split(".")[0]) < 5, reason="OpenCV rounded places to 1/32 of a pixel")
def test_hard_edges_are_the_same_too(fill: str | int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3), dtype=np.uint8)
    differing = both_ways(noise, drawn_strengths(GEOMETRY | COLOUR, 1, fill), 1)
    assert differing.max() <= 3
    assert (differing > 0).mean() <= 0.01


@pytest.mark.parametrize("xla", [False, True])
def test_the_device_compiles_it(xla: bool) -> None:
    pictures = np.stack([smooth_picture(i, SIZE) for i in range(4)])
    how = drawn_strengths(GEOMETRY | COLOUR, 2, "reflect")
    assert both_ways(pictures, how, 2, lambda f: tf.function(f, jit_compile=xla)).max() <= 3


@pytest.mark.parametrize("how", [Augment(), Augment(flip=1.0)])
def test_the_device_changes_no_byte_that_it_need_not(how: Augment) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
    assert both_ways(noise, how, 0).max() == 0


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_the_training_step_changes_pictures_whatever_its_precision(precision: str) -> None:
    pictures = np.stack([smooth_picture(i, SIZE) for i in range(2)])
    warp, colour = augment.for_device(Augment(rotation=20, hue=0.1, fill=90), SIZE, augment.draws(0, 0, 2))
    keras.mixed_precision.set_global_policy(precision)
    try:
        seen = Trainer(lambda x, training: x["image"], (), fill=90)({"image": pictures, "warp": warp, "colour": colour})
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert np.array_equal(seen, augment.apply_on_device(pictures, warp, colour, 90))


def test_a_stream_for_the_device_has_the_same_rows_and_pictures(tmp_path: Path) -> None:
    rows = manifest_of(write_picture(tmp_path / f"{i}.jpg", seed=i) for i in range(10))
    crops = inputs.make_crops(rows, 32, 0.4, Cache(), "test")
    labels, known = {"row": np.arange(10.0)[:, None]}, {"row": np.ones(10)}
    how = Augment(rotation=30, shift=0.2, brightness=0.3, fill=7)
    ways = [inputs.training(crops, labels, known, 4, how, 5, 1, augment_on=way) for way in ("cpu", "device")]
    for (theirs, rows, _), (ours, our_rows, _) in zip(*ways, strict=True):
        assert np.array_equal(rows["row"], our_rows["row"])
        changed = augment.apply_on_device(ours["image"], ours["warp"], ours["colour"], how.fill)
        assert np.abs(changed.numpy().astype(int) - theirs["image"]).mean() <= 0.5
    (still, *_), *_ = inputs.training(crops, labels, known, 4, Augment(), 5, 1, augment_on="device")
    assert list(still) == ["image"]


@pytest.mark.slow
def test_training_is_the_same_on_the_device_and_repeatable(tiny: Experiment, run: Run, tmp_path: Path) -> None:
    on_device = replace(with_stage(tiny, epochs=1), augment_on="device")
    first, again = (train(on_device, tmp_path / name) for name in ("first", "again"))
    assert first.history.equals(again.history)
    for name in ("loss", "val_loss"):
        assert first.history[name][0] == pytest.approx(run.history[name][0], rel=0.01)
    for finished, where in ((first, "device"), (run, "cpu")):
        assert json.loads(finished.file("environment.json").read_text())["augment_on"] == where
    ours, theirs = load_network(first), load_network(run)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]


def test_where_is_chosen_by_the_machine_unless_it_is_said(tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    for gpu, chosen in ((False, "cpu"), (True, "device")):
        monkeypatch.setattr(machine, "_has_gpu", lambda gpu=gpu: gpu)
        assert machine.augments_on(tiny) == chosen
        assert machine.augments_on(replace(tiny, augment_on="cpu")) == "cpu"
    said = parsing.to_json(replace(tiny, augment_on="device"))
    assert parsing.from_json(said, "test").augment_on == "device"
    with pytest.raises(RequestError, match="augment_on"):
        parsing.from_json(said.replace('"device"', '"moon"'), "test")
