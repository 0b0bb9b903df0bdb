"""What a person gives to look at (files, folders, patterns, videos, a camera, a list) → pictures, one after another."""

from __future__ import annotations

import glob
import io
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline import videos
from pipeline.canvas import DAMAGED
from pipeline.errors import RequestError
from pipeline.pictures import check_size
from pipeline.videos import CAMERA, VIDEOS, is_moving, legible

PICTURES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".avif",
    ".heic",
)  # for the last two, a reason
LIST = "-"
_READ_BY_TENSORFLOW = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8")  # how JPEG, PNG and GIF files begin
_ONLY_PILLOW = ("BMP", "TIFF", "WEBP")  # TensorFlow reads no palette of a BMP
_NO_SCALE = ("I", "F")  # modes of Pillow whose numbers have no largest
FORMATS = ("JPEG", "PNG", "GIF", *_ONLY_PILLOW)  # that are answered; other readers of Pillow's start programs


@dataclass(frozen=True)
class Picture:
    """Something to look at: an encoded file's bytes, or the pixels of an upright picture, uint8 RGB [H, W, 3].

    Where it could not be read, neither, and the reason. frame (from 0), time, until and rate are a video's
    (`videos.Frame`).
    """

    name: str
    content: bytes | None = None
    pixels: np.ndarray | None = None
    reason: str = ""
    frame: int | None = None
    time: float | None = None
    until: float | None = None
    rate: float | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that are held in memory."""
        return self.pixels.nbytes if self.pixels is not None else len(self.content or b"")


def expand(inputs: Iterable[str]) -> list[str]:
    """Names of pictures, videos and cameras: files as they stand, those of folders (all levels deep) and of patterns in
    order of name, and for `-` what standard input lists, one a line. What a list names and is not there stays in it:
    `pictures` says so in its place.

    Raises RequestError for another input that is not there, or where there is nothing at all.
    """
    found, inputs = [], list(inputs)
    for given in inputs:
        if given == LIST:
            listed = (os.fsdecode(line.strip()) for line in sys.stdin.buffer)
            found += [name for line in listed if line for name in _expanded(line) or [line]]
        elif (names := _expanded(given)) is None:
            raise RequestError(f"no picture, video or folder {given}")
        elif not names and glob.has_magic(given):
            raise RequestError(f"no file is named like {given}")
        else:
            found += names
    if not found:
        raise RequestError(f"no pictures ({', '.join(PICTURES)}) and no videos in {', '.join(inputs)}")
    return found


def _expanded(given: str) -> list[str] | None:
    """What one input names; None where there is no such thing."""
    if given.startswith(CAMERA) or os.path.isfile(given):  # noqa: PTH113  Path's own raises for a name that is too long
        return [given]
    if os.path.isdir(given):  # noqa: PTH112
        endings = (*PICTURES, *VIDEOS)
        return sorted(str(file) for file in Path(given).rglob("*") if file.suffix.lower() in endings)
    if glob.has_magic(given):
        return sorted(path for path in glob.glob(given, recursive=True) if Path(path).is_file())  # noqa: PTH207  absolute too
    return None


def pictures(given: Any, every: int = 1) -> Iterator[Picture]:
    """Each as a Picture: paths, bytes of an encoded picture, uint8 RGB arrays [H, W, 3], PIL images (or one of these
    alone); and of a video or a camera each `every`-th frame. What can not be read is said in its place.

    Raises RequestError for a camera that is not there, something of another kind, or `every` below 1.
    """
    if every < 1:
        raise RequestError(f"every {every}: expected a whole number from 1")
    alone = isinstance(given, (str, Path, bytes, bytearray, Image.Image)) or getattr(given, "ndim", None) == 3
    for number, one in enumerate([given] if alone else given):
        if is_moving(one if isinstance(one, str) else str(one) if isinstance(one, Path) else None):
            yield from _frames(str(one), every)
        else:
            yield _picture(one, number)


def count(given: Iterable[str], every: int = 1) -> int:
    """How many pictures there will be, as far as the videos' files say it."""
    return sum(-(-videos.count(name) // every) if is_moving(name) else 1 for name in given)


def _frames(name: str, every: int) -> Iterator[Picture]:
    try:
        for number, pixels, time, until, rate in videos.frames(name, every):
            yield Picture(legible(name), pixels=pixels, frame=number, time=round(time, 3), until=until, rate=rate)
    except videos.UnreadableVideo as error:
        yield Picture(legible(name), reason=str(error))


def _picture(one: Any, number: int) -> Picture:
    name = f"picture {number}"
    if isinstance(one, (str, Path)):
        name = legible(str(one))
        try:
            return Picture(name, Path(one).read_bytes())
        except OSError as error:
            return Picture(name, reason=f"cannot be read: {error.strerror}")
        except ValueError:  # a name with a zero in it
            return Picture(name, reason="no name of a file")
    if isinstance(one, (bytes, bytearray)):
        return Picture(name, bytes(one))
    try:
        if isinstance(one, Image.Image):
            return Picture(name, pixels=_from_pillow(one))
        if isinstance(one, np.ndarray) and one.dtype == np.uint8 and one.ndim == 3 and one.shape[2] == 3:
            check_size(one.shape[1], one.shape[0])
            return Picture(name, pixels=one)
    except ValueError as error:
        return Picture(name, reason=str(error))
    what = f"an array {one.dtype} {one.shape}" if isinstance(one, np.ndarray) else type(one).__name__
    raise RequestError(f"{name} is {what}: expected a path, bytes, a PIL image, or a uint8 RGB array [H, W, 3]")


def is_foreign(content: bytes) -> bool:
    """Whether an encoded picture is in a format that TensorFlow does not read, or not rightly, and Pillow does."""
    if content.startswith(_READ_BY_TENSORFLOW):  # nearly all are: no header need be read
        return False
    try:
        with Image.open(io.BytesIO(content), formats=_ONLY_PILLOW):
            return True
    except Exception:  # Pillow's readers raise whatever their parsing runs into
        return False


def decoded(content: bytes) -> np.ndarray:
    """The upright pixels of a foreign picture, uint8 RGB [H, W, 3]. Raises ValueError for one that is damaged, or too
    small to use."""
    try:
        with Image.open(io.BytesIO(content), formats=_ONLY_PILLOW) as picture:
            return _from_pillow(picture)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(DAMAGED) from error


def _from_pillow(picture: Image.Image) -> np.ndarray:
    """Its upright pixels, uint8 RGB [H, W, 3]. Raises ValueError, with the reason, where there are none."""
    from PIL import ImageOps

    check_size(*picture.size)
    if picture.mode in _NO_SCALE:
        raise ValueError(f"a picture of Pillow's mode {picture.mode}, whose white is unknown: expected 8 or 16 bits")
    try:
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I;16"):  # Pillow would cut off all above 255
            upright = Image.fromarray((np.asarray(upright) / 257).round().astype(np.uint8))
        return np.asarray(upright.convert("RGB"))
    except Exception as error:  # Pillow's readers raise whatever their parsing runs into
        raise ValueError(DAMAGED) from error
