"""The decoder: every format, bit depth and EXIF orientation gives the same upright 8-bit RGB, wherever it is used."""

from __future__ import annotations

import io
import struct
import zlib
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pillow_heif
import pytest
import tensorflow as tf
from PIL import Image

from pipeline.config import Cache
from pipeline.data import exif, manifests
from pipeline.data.crop import decode as decode_in_graph
from pipeline.data.inputs import make_crops
from pipeline.data.pictures import FORMATS, SUFFIXES, decode
from tests.conftest import smooth_picture

# What each EXIF orientation asks of the stored pixels (Exif 2.32), in NumPy.
UPRIGHT = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p.swapaxes(0, 1)[:, ::-1],
    7: lambda p: p.swapaxes(0, 1)[::-1, ::-1],
    8: lambda p: p.swapaxes(0, 1)[::-1],
}
COLOUR = smooth_picture(0, 64)[:48]
GREY = COLOUR[..., 0]
DEEP = GREY.astype(np.uint16) * 256 + 77  # sixteen bits whose upper eight are GREY


def orientated(value: int, byte_order: str = ">", is_long: bool = False) -> bytes:
    """An EXIF block with nothing but the orientation."""
    kind, number = (4, "I") if is_long else (3, "H")
    entry = struct.pack(f"{byte_order}HHI{number}", 0x0112, kind, 1, value).ljust(12, b"\0")
    order = b"II*\0" if byte_order == "<" else b"MM\0*"
    return b"Exif\0\0" + order + struct.pack(f"{byte_order}IH", 8, 1) + entry + b"\0" * 4


def saved(pixels: np.ndarray, kind: str, orientation: int = 1, **options: object) -> bytes:
    to, image = io.BytesIO(), Image.fromarray(pixels)
    exif_of = {"exif": orientated(orientation)} if orientation != 1 else {}
    if kind == "TIFF":
        exif_of = {"tiffinfo": {0x0112: orientation}}
    image.save(to, kind, **exif_of, **options)
    return to.getvalue()


WRITERS = {  # format → options under which it loses nothing, or how far it may be off
    "PNG": ({}, 0),
    "TIFF": ({}, 0),
    "WEBP": ({"lossless": True}, 0),
    "JPEG": ({"quality": 100, "subsampling": 0}, 4),
    "AVIF": ({"quality": 100, "subsampling": "4:4:4"}, 4),
}


@pytest.mark.parametrize(
    ("kind", "bits", "orientation"),
    [
        (kind, bits, orientation)
        for kind, bits, orientation in product(WRITERS, (8, 16), UPRIGHT)
        if bits == 8 or kind in ("PNG", "TIFF")
    ],
)
def test_bit_depth_orientation_and_format(kind: str, bits: int, orientation: int) -> None:
    options, tolerance = WRITERS[kind]
    content = saved(DEEP if bits == 16 else COLOUR, kind, orientation, **options)
    stored = np.repeat(GREY[..., None], 3, axis=2) if bits == 16 else COLOUR
    pixels, scale = decode(content)
    assert pixels.shape == UPRIGHT[orientation](stored).shape
    assert np.abs(pixels.astype(int) - UPRIGHT[orientation](stored)).max() <= tolerance
    assert scale.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("kind", "pixels", "expected"),
    [
        ("PPM", DEEP, GREY),
        ("JPEG2000", DEEP, GREY),
        ("PPM", COLOUR, COLOUR),
        ("JPEG2000", COLOUR, COLOUR),
        ("BMP", COLOUR, COLOUR),
        ("PNG", GREY > 100, np.where(GREY > 100, 255, 0)),
    ],
    ids=["16-bit pgm", "16-bit jp2", "ppm", "jp2", "bmp", "1-bit png"],
)
def test_formats_without_exif(kind: str, pixels: np.ndarray, expected: np.ndarray) -> None:
    expected = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, axis=2)
    assert np.array_equal(decode(saved(pixels, kind))[0], expected)


def test_sixteen_bit_rgb_png() -> None:
    height, width = GREY.shape
    raw = b"".join(b"\0" + (row.astype(">u2") * 256 + 9).astype(">u2").tobytes() for row in COLOUR)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(raw))]
    chunks = (
        struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in [*parts, (b"IEND", b"")]
    )
    assert np.array_equal(decode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))[0], COLOUR)


def test_white_is_zero_tiff() -> None:
    to = io.BytesIO()
    Image.fromarray(DEEP).save(to, "TIFF", tiffinfo={262: 0})
    assert np.array_equal(decode(to.getvalue())[0][..., 0], 255 - GREY)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_heic_is_upright(orientation: int) -> None:
    to = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(COLOUR)).save(to, quality=100, chroma=444, exif=orientated(orientation))
    stored = decode(to.getvalue())[0]
    assert np.abs(stored.astype(int) - UPRIGHT[orientation](COLOUR)).max() <= 8


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_decoder_of_the_exported_model_is_the_same(kind: str, orientation: int) -> None:
    content = saved(smooth_picture(3, 500)[:450], kind, orientation)
    in_graph = tf.function(lambda c: decode_in_graph(c, 64))(tf.constant(content)).numpy()
    assert np.array_equal(in_graph, decode(content, size=64)[0])


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    to = io.BytesIO()
    image.save(to, kind, **options)
    return to.getvalue()


IMAGE = Image.fromarray(COLOUR)


@pytest.mark.parametrize(
    "content",
    [
        saved(DEEP, "PNG"),
        encoded(IMAGE.quantize(20), "PNG"),
        encoded(IMAGE.convert("RGBA"), "PNG"),
        encoded(IMAGE.convert("LA"), "PNG"),
        encoded(IMAGE.convert("1"), "PNG"),
        encoded(IMAGE.convert("L"), "JPEG"),
        encoded(IMAGE.convert("CMYK"), "JPEG"),
        encoded(IMAGE.crop((0, 0, 63, 47)), "JPEG", progressive=True),
        encoded(IMAGE, "GIF"),
        encoded(IMAGE, "BMP"),
    ],
    ids=["16-bit", "palette", "rgba", "grey alpha", "1-bit", "grey jpeg", "cmyk", "progressive", "gif", "bmp"],
)
def test_the_exported_decoder_agrees_on_every_kind_of_pixel(content: bytes) -> None:
    assert np.array_equal(decode_in_graph(tf.constant(content), 64).numpy(), decode(content)[0])


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("is_long", [False, True])
def test_exif_of_either_byte_order_is_read_in_the_graph(byte_order: str, is_long: bool) -> None:
    to = io.BytesIO()
    Image.fromarray(COLOUR).save(to, "JPEG", exif=orientated(6, byte_order, is_long), comment=b"before" * 20)
    assert int(exif.orientation(tf.constant(to.getvalue()))) == 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("kept", [3, 12, 24, 32, 40])
def test_damaged_metadata_do_not_stop_the_graph(kind: str, kept: int) -> None:
    assert int(exif.orientation(tf.constant(saved(COLOUR, kind, 6)[:kept]))) == 1


@pytest.mark.parametrize("orientation", [9, 0, 65535])
def test_an_orientation_without_sense_is_upright(orientation: int) -> None:
    content = saved(COLOUR, "PNG", orientation)
    assert np.array_equal(decode(content)[0], COLOUR)
    assert np.array_equal(decode_in_graph(tf.constant(content), 64).numpy(), COLOUR)


def test_a_decoder_given_a_palette_with_transparency_is_silent(recwarn: pytest.WarningsRecorder) -> None:
    to, image = io.BytesIO(), Image.fromarray(COLOUR).quantize(16)
    image.save(to, "PNG", transparency=b"\x00" * 8)
    assert np.array_equal(decode(to.getvalue())[0], np.asarray(image.convert("RGB")))
    assert not recwarn.list


def test_a_small_jpeg_is_the_same_when_read_again_every_epoch(tmp_path: Path) -> None:
    """Those that are kept nowhere are decoded by TensorFlow then."""
    for orientation in UPRIGHT:
        (tmp_path / f"{orientation}.jpg").write_bytes(saved(COLOUR, "JPEG", orientation))
    rows = pd.DataFrame(
        {"path": sorted(map(str, tmp_path.iterdir())), "x": np.nan, "y": np.nan, "w": np.nan, "h": np.nan}
    )
    kept, again = (make_crops(rows, 32, 0.0, Cache(memory=memory, disk=0.0), f"rows {memory}") for memory in (1.0, 0.0))
    assert (kept.kept, again.kept) == ("memory", "nowhere")
    assert np.array_equal(kept.first(8), again.first(8))


def test_hashes_tell_sixteen_bit_images_apart(tmp_path: Path) -> None:
    paths = [tmp_path / f"{seed}.png" for seed in range(10)]
    for seed, path in enumerate(paths):
        path.write_bytes(saved(smooth_picture(seed)[..., 0].astype(np.uint16) * 257, "PNG"))
    assert manifests.inspect(map(str, paths))["file_phash"].nunique() == 10


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_turned_copy_has_the_hash_and_the_size_of_its_original(orientation: int, tmp_path: Path) -> None:
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    (tmp_path / "upright.png").write_bytes(saved(COLOUR, "PNG"))
    (tmp_path / "turned.png").write_bytes(saved(np.ascontiguousarray(UPRIGHT[inverse](COLOUR)), "PNG", orientation))
    found = manifests.inspect([str(tmp_path / "upright.png"), str(tmp_path / "turned.png")])
    assert found["file_phash"].nunique() == 1
    assert found[["file_width", "file_height"]].to_numpy().tolist() == [[64, 48]] * 2


def test_formats_are_pillows() -> None:
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)
    assert len(SUFFIXES) == len(set(SUFFIXES))
