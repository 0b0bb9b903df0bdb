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

from pipeline import manifests, runs
from pipeline.errors import RequestError
from pipeline.sources import Picture

COLOUR, INK = (255, 196, 0), (20, 20, 20)
_TEXT_SHARE = 1 / 40  # of the longer side, for a line of text
_LEAST_TEXT = 11  # pixels


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

    Each keeps its name (a second one of the same name gets a number); a picture is a JPEG, a video an MP4 that takes
    as long as its own, its frames shown until the next one that was looked at. names: of the files that are looked at.
    Raises RequestError where those lie in the folder themselves.
    """

    def __init__(
        self, folder: Path | None, meanings: Mapping[str, Mapping[str, Any]], every: int, names: Iterable[str] = ()
    ) -> None:
        self.folder, self.meanings, self.every = folder, meanings, every
        self.used: set[str] = set()
        self.video: tuple[str, cv2.VideoWriter] | None = None
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
            with runs.written(self._place(picture.name, ".jpg")) as temporary:
                Image.fromarray(shown).save(temporary, quality=92)
        else:
            self._writer(picture, shown).write(shown[:, :, ::-1])

    def _place(self, name: str, ending: str) -> Path:
        stem = re.sub(r"[^\w.-]", "_", Path(name).stem)
        names = (f"{stem}-{number}{ending}" if number > 1 else f"{stem}{ending}" for number in count(1))
        free = next(name for name in names if name not in self.used)
        self.used.add(free)
        return self.folder / free

    def _writer(self, picture: Picture, shown: np.ndarray) -> cv2.VideoWriter:
        if self.video is None or self.video[0] != picture.name:
            self.open.close()
            written = _video(self._place(picture.name, ".mp4"), picture.rate / self.every, shown.shape[1::-1])
            self.video = picture.name, self.open.enter_context(written)
        return self.video[1]


def _lies_in(name: str, folder: Path) -> bool:
    there = os.path.isfile(name)  # noqa: PTH113  Path's own raises for a name that is too long
    return there and Path(name).parent.resolve() == folder.resolve()


@contextmanager
def _video(path: Path, rate: float, size: tuple[int, int]) -> Iterator[cv2.VideoWriter]:
    """An MP4 to write frames of this width and height into. Raises RequestError where there can be none."""
    with runs.written(path) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
        if not writer.isOpened():
            raise RequestError(f"--draw {path.parent}: OpenCV cannot write the video {path.name}")
        try:
            yield writer
        finally:
            writer.release()


@cache
def _font(height: int) -> ImageFont.FreeTypeFont:
    """The font that matplotlib brings along: the same on every machine."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", height)
