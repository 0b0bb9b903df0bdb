"""Picture → crop: right colours from every kind of file, the right cut, the right way up."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipeline.data.crop import crop, fit
from pipeline.data.pictures import WHOLE, decode
from tests.conftest import smooth_picture


def make(content: bytes, size: int = 64, box: Sequence[float] = WHOLE, margin: float = 0.0) -> np.ndarray:
    pixels, scale = decode(content, box, margin, size)
    return crop(tf.constant(pixels), tf.constant(box, tf.float32), size, margin, scale=tf.constant(scale)).numpy()


def encoded(picture: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    to = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(to, kind, **options)
    return to.getvalue()


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def test_a_picture_of_the_right_size_passes_byte_for_byte() -> None:
    assert np.array_equal(make(encoded(smooth_picture(0), "png")), smooth_picture(0))


def test_jpeg_decodes_as_opencv_does() -> None:
    content = encoded(smooth_picture(0), "jpeg", quality=90)
    theirs = cv2.cvtColor(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.array_equal(make(content), theirs)


PICTURE = Image.fromarray(smooth_picture(2))
PROGRESSIVE = encoded(PICTURE, "jpeg", quality=90, progressive=True)


@pytest.mark.parametrize(
    ("content", "wanted", "tolerance"),
    [
        (encoded(PICTURE.convert("L"), "png"), PICTURE.convert("L").convert("RGB"), 0.0),
        (encoded(PICTURE.convert("L"), "jpeg", quality=98), PICTURE.convert("L").convert("RGB"), 1.0),
        (encoded(PICTURE.convert("RGBA"), "png"), PICTURE, 0.0),
        (encoded(PICTURE.quantize(64), "png"), PICTURE.quantize(64).convert("RGB"), 0.0),
        (encoded(PICTURE.convert("CMYK"), "jpeg", quality=98), PICTURE, 2.0),
        (encoded(PICTURE, "bmp"), PICTURE, 0.0),
        (PROGRESSIVE, Image.open(io.BytesIO(PROGRESSIVE)), 0.0),
    ],
    ids=["grey png", "grey jpeg", "rgba", "palette", "cmyk", "bmp", "progressive"],
)
def test_every_kind_of_picture_has_its_colours(content: bytes, wanted: Image.Image, tolerance: float) -> None:
    assert difference(make(content), np.array(wanted)) <= tolerance


def test_sixteen_bit_becomes_eight() -> None:
    grey = smooth_picture(3)[..., 0]
    ok, content = cv2.imencode(".png", grey.astype(np.uint16) * 257)
    assert ok
    assert np.array_equal(make(content.tobytes()), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("side", [500, 900, 1700])
def test_large_jpegs_decoded_at_a_fraction_are_nearly_the_same(side: int) -> None:
    large = cv2.resize(smooth_picture(4), (side, side), interpolation=cv2.INTER_CUBIC)
    whole = fit(tf.constant(large), 200).numpy()
    assert difference(make(encoded(large, "jpeg", quality=95), 200), whole) < 1.5


def test_small_jpegs_are_decoded_whole() -> None:
    """So that the exported model says the same of a small picture's bytes and of its pixels."""
    content = encoded(smooth_picture(4, 256), "jpeg", quality=95)
    pixels = tf.io.decode_jpeg(content, 3, dct_method="INTEGER_ACCURATE")
    assert np.array_equal(make(content, 32), fit(pixels, 32).numpy())


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(fit(tf.constant(stripes), 60).numpy().astype(int) - 128).max() <= 12


def test_box_is_cut_with_its_margin_as_a_square() -> None:
    picture = np.zeros((100, 120, 3), np.uint8)
    picture[30:50, 40:60] = 255
    white = make(encoded(picture, "png"), 20, box=(40, 30, 20, 20))
    assert np.array_equal(white, np.full((20, 20, 3), 255))
    with_margin = make(encoded(picture, "png"), 40, box=(40, 30, 20, 20), margin=0.5)
    assert with_margin.mean() == pytest.approx(255 / 4, abs=1)


def test_beyond_the_picture_its_edge_goes_on() -> None:
    picture = np.full((50, 50, 3), 70, np.uint8)
    assert np.array_equal(make(encoded(picture, "png"), 30, box=(-10, -10, 30, 30)), np.full((30, 30, 3), 70))


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_box_means_the_same_in_a_jpeg_decoded_at_a_fraction(kind: str) -> None:
    large = cv2.resize(smooth_picture(4), (512, 512), interpolation=cv2.INTER_CUBIC)
    options = {"quality": 97} if kind == "jpeg" else {}
    cut = make(encoded(large, kind, **options), 64, box=(128, 64, 256, 256))
    assert difference(cut, fit(tf.constant(large[64:320, 128:384]), 64).numpy()) < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_applies_it(orientation: int, tmp_path: Path) -> None:
    from PIL import ImageOps

    picture = Image.fromarray(smooth_picture(5)[:48])
    exif = picture.getexif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    picture.save(path, exif=exif)
    upright = np.array(ImageOps.exif_transpose(Image.open(path)))
    assert np.array_equal(make(path.read_bytes()), fit(tf.constant(upright), 64).numpy())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (encoded(PICTURE, "ico"), "not a readable image; expected JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF, HEIC"),
        (b"", "empty"),
        (b"<html>404</html>", "not a readable image"),
        (encoded(smooth_picture(0)[:1, :1], "png"), "1×1"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_reason(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode(content)


def test_whole_is_no_box() -> None:
    assert all(map(math.isnan, WHOLE))


def tilted(angle: float, size: int = 200) -> tuple[np.ndarray, list[float], list[float]]:
    """A picture with two bright eyes on a line that is turned by `angle` degrees, the box around it, and the eyes."""
    picture = np.zeros((size, size, 3), np.uint8)
    centre, reach = (
        np.array([size / 2, size / 2]),
        30 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))]),
    )
    eyes = [*(centre - reach), *(centre + reach)]
    for x, y in (eyes[:2], eyes[2:]):
        cv2.circle(picture, (round(x), round(y)), 5, (255, 255, 255), -1)
    return picture, [50.0, 50.0, 100.0, 100.0], eyes


def cut(picture: np.ndarray, box: list[float], eyes: list[float], size: int = 100) -> np.ndarray:
    box, eyes = (tf.constant(values, tf.float32) for values in (box, eyes))
    return crop(tf.constant(picture), box, size, 0.0, eyes).numpy()


@pytest.mark.parametrize("angle", [-170, -60, -20, 15, 45, 100])
def test_eyes_are_level_after_alignment(angle: float) -> None:
    bright = np.argwhere(cut(*tilted(angle))[..., 0] > 128)
    left, right = bright[bright[:, 1] < 50], bright[bright[:, 1] >= 50]
    assert left.mean(axis=0) == pytest.approx([49.5, 19.5], abs=1)
    assert right.mean(axis=0) == pytest.approx([49.5, 79.5], abs=1)


def test_level_eyes_change_nothing() -> None:
    picture, box = smooth_picture(1, 200), [50.0, 40.0, 100.0, 90.0]
    np.testing.assert_array_equal(cut(picture, box, [80, 70, 120, 70]), cut(picture, box, [np.nan] * 4))


def test_a_turned_face_at_the_edge_repeats_the_edge() -> None:
    picture = np.full((100, 100, 3), 90, np.uint8)
    assert (cut(picture, [0.0, 0.0, 60.0, 60.0], [20, 20, 40, 35]) == 90).all()
