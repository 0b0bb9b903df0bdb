"""The fused augmentation: one warp and one colour matrix must do what their steps do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pipeline import augment
from pipeline.config import Augment
from tests.conftest import smooth_picture

SIZE = 64
GEOMETRY = {"flip": 1.0, "rotation": 20.0, "shear": 8.0, "zoom": 0.15, "shift": 0.06, "crop": 0.8}
COLOUR = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.3, "hue": 0.05, "grey": 0.5}


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


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_one_warp_equals_an_independent_warp(seed: int) -> None:
    picture = smooth_picture(seed % 7, SIZE)
    matrix = augment.affine(Augment(**GEOMETRY), SIZE, np.random.default_rng(seed))
    theirs = warp(picture.astype(float), matrix)
    inside = ~np.isnan(theirs)
    ours = augment.apply(picture, matrix, np.eye(4)).astype(float)
    assert np.abs(ours - theirs)[inside].mean() <= 0.5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_one_warp_equals_its_steps_one_after_the_other(seed: int) -> None:
    picture = very_smooth_picture(seed % 7)
    fused = augment.affine(Augment(**GEOMETRY), SIZE, np.random.default_rng(seed))
    rng, stepwise = np.random.default_rng(seed), picture.astype(float)
    for name, strength in GEOMETRY.items():  # each step by itself draws the same numbers in the same order
        stepwise = warp(stepwise, augment.affine(Augment(**{name: strength}), SIZE, rng))
    ours = augment.apply(picture, fused, np.eye(4)).astype(float)
    both = ~np.isnan(stepwise) & ~np.isnan(warp(picture.astype(float), fused))
    assert both.mean() > 0.2
    assert np.abs(ours - stepwise)[both].mean() <= 1.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_one_colour_matrix_equals_its_steps(seed: int) -> None:
    picture = smooth_picture(seed % 7, SIZE) // 2 + 64  # stays off the ends, where clipping comes in
    fused = augment.colour(Augment(**COLOUR), np.random.default_rng(seed))
    rng, stepwise = np.random.default_rng(seed), picture.astype(float)
    for name, strength in COLOUR.items():
        matrix = augment.colour(Augment(**{name: strength}), rng)
        stepwise = stepwise @ matrix[:3, :3].T + matrix[:3, 3]
    ours = augment.apply(picture, np.eye(3), fused).astype(float)
    inside = (stepwise >= 0) & (stepwise <= 255)
    assert np.abs(ours - stepwise)[inside].max() <= 1.0


def test_nothing_asked_changes_no_byte() -> None:
    picture = smooth_picture(1)
    assert augment.augment(picture, Augment(), (0, 0, 0)).tobytes() == picture.tobytes()


def test_flip_is_exact() -> None:
    picture = smooth_picture(1)
    assert np.array_equal(augment.augment(picture, Augment(flip=1.0), (0, 0, 0)), picture[:, ::-1])


def test_pictures_depend_on_seed_epoch_and_row_only() -> None:
    picture, how = smooth_picture(1), Augment(rotation=30, brightness=0.3)
    first = augment.augment(picture, how, (1, 2, 3))
    assert np.array_equal(first, augment.augment(picture, how, (1, 2, 3)))
    for other in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert not np.array_equal(first, augment.augment(picture, how, other))


@pytest.mark.parametrize(("fill", "corner"), [(0, 0), (200, 200)])
def test_outside_is_filled_with_the_level_asked_for(fill: int, corner: int) -> None:
    white = np.full((SIZE, SIZE, 3), 90, np.uint8)
    turned = augment.apply(white, augment.affine(Augment(shift=0.9), SIZE, np.random.default_rng(3)), np.eye(4), fill)
    assert corner in (turned[0, 0, 0], turned[0, -1, 0], turned[-1, 0, 0], turned[-1, -1, 0])


def test_hue_keeps_grey_and_luma() -> None:
    matrix = augment.colour(Augment(hue=0.5), np.random.default_rng(5))[:3, :3]
    assert matrix @ np.full(3, 90.0) == pytest.approx(np.full(3, 90.0), abs=0.2)
    assert augment.LUMA @ matrix == pytest.approx(augment.LUMA, abs=5e-3)
