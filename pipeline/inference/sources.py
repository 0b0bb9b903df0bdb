"""What a person gives to look at (files, folders, patterns, videos, a camera, a list) → pictures, one after another."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.data.pictures import SUFFIXES, check_size, to_rgb
from pipeline.inference import videos
from pipeline.inference.videos import CAMERA, VIDEOS, is_moving, legible
from pipeline.utils import listing
from pipeline.utils.errors import RequestError

LIST = "-"


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
    """Names of pictures, videos and cameras: files as they stand, those of folders (all levels deep, as
    `listing.files` finds them) and of patterns in order of name, and for `-` what standard input lists, one a line.
    What a list names and is not there stays in it: `pictures` says so in its place.

    Raises RequestError for another input that is not there, or where there is nothing at all.
    """
    found, inputs, finder = [], list(inputs), listing.Finder()
    for given in inputs:
        if given == LIST:
            listed = (os.fsdecode(line.strip()) for line in sys.stdin.buffer)
            found += [name for line in listed if line for name in _expanded(line, finder) or [line]]
        elif (names := _expanded(given, finder)) is None:
            raise RequestError(f"no picture, video or folder {given}")
        elif not names and glob.has_magic(given):
            raise RequestError(f"no file is named like {given}")
        else:
            found += names
    if not found:
        raise RequestError(f"no pictures ({', '.join(SUFFIXES)}) and no videos in {', '.join(inputs)}")
    return found


def _expanded(given: str, finder: listing.Finder) -> list[str] | None:
    """What one input names, a file perhaps in another case or Unicode form; None where there is no such thing."""
    if given.startswith(CAMERA) or os.path.isfile(given):  # noqa: PTH113  Path's own raises for a name that is too long
        return [given]
    if os.path.isdir(given):  # noqa: PTH112
        return sorted(map(str, listing.files(given, (*SUFFIXES, *VIDEOS))))
    if glob.has_magic(given):
        return sorted(path for path in glob.glob(given, recursive=True) if Path(path).is_file())  # noqa: PTH207  absolute too
    return None if (file := finder.find(given)) is None else [file]


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
            return Picture(name, pixels=np.asarray(to_rgb(one)))
        if isinstance(one, np.ndarray) and one.dtype == np.uint8 and one.ndim == 3 and one.shape[2] == 3:
            check_size(one.shape[1], one.shape[0])
            return Picture(name, pixels=one)
    except ValueError as error:
        return Picture(name, reason=str(error))
    what = f"an array {one.dtype} {one.shape}" if isinstance(one, np.ndarray) else type(one).__name__
    raise RequestError(f"{name} is {what}: expected a path, bytes, a PIL image, or a uint8 RGB array [H, W, 3]")
