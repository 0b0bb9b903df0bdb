"""Faces and answers drawn on a picture, legible at any size."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Self

import cv2
import matplotlib
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from pipeline.data import manifests
from pipeline.inference.sources import Picture
from pipeline.utils import files
from pipeline.utils.errors import RequestError

COLOUR, INK = (255, 196, 0), (20, 20, 20)
_TEXT_SHARE = 1 / 40  # of the longer side, for a line of text
_LEAST_TEXT = 11  # pixels
_HIGHEST_RATE = 60.0  # frames a second of a video that is written
_STEADY = 0.1  # of a frame's duration: by so much it may differ from what the rate says


def draw(pixels: np.ndarray, faces: pd.DataFrame, meanings: Mapping[str, Mapping[str, Any]]) -> np.ndarray:
    """uint8 RGB [H, W, 3] → a copy with a box around each face (a frame around a picture that is one), its landmarks,
    and what is said of it. faces: rows of `Predictor`'s table; meanings: the targets of labels.json."""
    picture = Image.fromarray(pixels)
    pen, height = ImageDraw.Draw(picture), max(_LEAST_TEXT, round(max(pixels.shape[:2]) * _TEXT_SHARE))
    for _, face in faces.iterrows():
        box = [float(face[side]) for side in manifests.BOX]
        x, y, w, h = (0.0, 0.0, *map(float, picture.size)) if np.isnan(box).any() else box
        pen.rectangle((x, y, x + w - 1, y + h - 1), outline=COLOUR, width=max(2, height // 6))
        _write(pen, said(face, meanings), (x, y, h), height, picture.size)
    return np.asarray(picture)


def said(face: Mapping[str, Any], meanings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What a row says, a line for each target: `age 34`, `gender female 98 %`."""
    lines = []
    for name, meaning in meanings.items():
        answer = face[f"{name}_predicted"]
        if meaning.get("classes"):
            lines.append(f"{name} {answer} {face[f'{name}_p_{answer}']:.0%}")
        else:
            lines.append(f"{name} {answer:.0f}")
    return lines


def _write(
    pen: ImageDraw.ImageDraw, lines: list[str], box: tuple[float, float, float], height: int, size: tuple[int, int]
) -> None:
    """Lines on a plate above a box (x, y, its height), or below it, or where there is room for neither within it; moved
    and shrunk so that they stay within the picture."""
    font = _font(height)
    widest = max(pen.textlength(line, font=font) for line in lines)
    if widest > size[0] and height > _LEAST_TEXT:
        return _write(pen, lines, box, max(_LEAST_TEXT, int(height * size[0] / widest)), size)
    step = round(height * 1.25)
    x, y, tall = box
    left = min(max(x, 0), max(size[0] - widest - 4, 0))
    above, below, needed = y - step * len(lines), y + tall, step * len(lines)
    top = above if above >= 0 else below if below + needed <= size[1] else min(max(y, 0), max(size[1] - needed, 0))
    pen.rectangle((left, top, left + widest + 4, top + needed), fill=COLOUR)
    for number, line in enumerate(lines):
        pen.text((left + 2, top + step * number), line, fill=INK, font=font)
    return None


class Drawings:
    """Pictures and videos with what was said of them, written into a folder; without a folder, nothing is.

    Each keeps its name (a second one of the same name gets a number); a picture is a JPEG, a video an MP4 that lasts
    as long as its own, each frame shown until the next one that was looked at. names: of the files that are looked at.
    Raises RequestError where those lie in the folder themselves.
    """

    def __init__(
        self, folder: Path | None, meanings: Mapping[str, Mapping[str, Any]], every: int, names: Iterable[str] = ()
    ) -> None:
        self.folder, self.meanings, self.every = folder, meanings, every
        self.used: set[str] = set()
        self.video: tuple[str, _Video] | None = None
        self.open = ExitStack()  # holds the video that is being written
        if folder is not None and (lies := next((name for name in names if _lies_in(name, folder)), None)):
            raise RequestError(f"--draw {folder}: {lies} lies there and might be overwritten; name another folder")

    def __enter__(self) -> Self:
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *problem: Any) -> None:
        self.open.__exit__(*problem)

    def add(self, picture: Picture, pixels: np.ndarray | None, faces: pd.DataFrame) -> None:
        """Draw the rows of one picture, or frame, of which there are pixels."""
        if self.folder is None or pixels is None:
            return
        shown = draw(pixels, faces[faces["reason"] == ""], self.meanings)
        if picture.frame is None:
            with files.written(self._place(picture.name, ".jpg")) as temporary:
                Image.fromarray(shown).save(temporary, quality=92)
        else:
            self._video_of(picture, shown).add(shown, picture.time, picture.until)

    def _place(self, name: str, ending: str) -> Path:
        stem = re.sub(r"[^\w.-]", "_", Path(name).stem)
        names = (f"{stem}-{number}{ending}" if number > 1 else f"{stem}{ending}" for number in count(1))
        free = next(name for name in names if name not in self.used)
        self.used.add(free)
        return self.folder / free

    def _video_of(self, picture: Picture, shown: np.ndarray) -> _Video:
        if self.video is None or self.video[0] != picture.name or picture.frame == 0:
            self.open.close()
            place, rate = self._place(picture.name, ".mp4"), _frame_rate(picture, self.every)
            self.video = picture.name, self.open.enter_context(_video(place, rate, shown.shape[1::-1]))
        return self.video[1]


def _lies_in(name: str, folder: Path) -> bool:
    there = os.path.isfile(name)  # noqa: PTH113  Path's own raises for a name that is too long
    return there and Path(name).parent.resolve() == folder.resolve()


def _frame_rate(first: Picture, every: int) -> float:
    """Frames a second for a video: its own, if its first frame lasts as long as that says, otherwise (it varies) so
    many that no frame is shown much too early or late."""
    rate = first.rate / every
    is_constant = first.until is None or abs((first.until - first.time) * rate - 1) < _STEADY
    return min(rate, _HIGHEST_RATE) if is_constant else _HIGHEST_RATE


class _Video:
    """A video of a constant frame rate, in which pictures are shown at times of their own."""

    def __init__(self, writer: cv2.VideoWriter, rate: float, size: tuple[int, int]) -> None:
        self.writer, self.rate, self.size = writer, rate, size
        self.written = 0
        self.last: np.ndarray | None = None

    def add(self, shown: np.ndarray, time: float, until: float | None) -> None:
        """Show a picture from a time until another, seconds; where that is not known yet, until the next one."""
        shown = _fitted(shown, self.size)[:, :, ::-1]
        self._fill(time, shown if self.last is None else self.last)
        self.last = shown
        self._fill(time + 1 / self.rate if until is None else until, shown)

    def _fill(self, until: float, shown: np.ndarray) -> None:
        for _ in range(self.written, round(until * self.rate)):
            self.writer.write(shown)
            self.written += 1


def _fitted(shown: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The whole picture in the middle of one of this width and height: OpenCV leaves out a frame of another size."""
    height, width = shown.shape[:2]
    if (width, height) == size:
        return shown
    share = min(size[0] / width, size[1] / height)
    inner = max(round(width * share), 1), max(round(height * share), 1)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    fitted = np.zeros((size[1], size[0], 3), np.uint8)
    fitted[top : top + inner[1], left : left + inner[0]] = cv2.resize(shown, inner, interpolation=cv2.INTER_AREA)
    return fitted


@contextmanager
def _video(path: Path, rate: float, size: tuple[int, int]) -> Iterator[_Video]:
    """An MP4 to show pictures in. Raises RequestError where there can be none."""
    with files.written(path) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
        if not writer.isOpened():
            raise RequestError(f"--draw {path.parent}: OpenCV cannot write the video {path.name}")
        try:
            yield _Video(writer, rate, size)
        finally:
            writer.release()


@cache
def _font(height: int) -> ImageFont.FreeTypeFont:
    """The font that matplotlib brings along: the same on every machine."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", height)
