"""Videos and cameras → their frames, each with its time."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pipeline import containers
from pipeline.errors import RequestError
from pipeline.sizes import Sizes

VIDEOS = (
    ".mp4",
    ".mov",
    ".avi",
    ".mkv",
    ".webm",
    ".m4v",
    ".3gp",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".flv",
    ".mts",
    ".ogv",
)
CAMERA = "camera:"
_USUAL_RATE = 25.0  # frames a second, where nothing is known
_HIGHEST_RATE = 1000.0  # that a header is believed

log = logging.getLogger(__name__)


class UnreadableVideo(Exception):
    """A video of which no frame can be read, and why."""


class Frame(NamedTuple):
    """A frame of a video, upright, uint8 RGB [H, W, 3], and when it is shown: from `time` until `until` (None of a
    camera), seconds from the first frame, or from when the camera was opened. number: from 0. rate: frames a second
    that the file, or the camera, names; one that varies is not there."""

    number: int
    pixels: np.ndarray
    time: float
    until: float | None
    rate: float


def is_moving(name: object) -> bool:
    """Whether a name is that of a video or a camera."""
    return isinstance(name, str) and (name.startswith(CAMERA) or Path(name).suffix.lower() in VIDEOS)


def legible(path: str) -> str:
    """The path as text that every format holds, also where its bytes are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def count(name: str) -> int:
    """How many frames a video has by what its file says; 1 where it says nothing, as of a camera."""
    if name.startswith(CAMERA):
        return 1
    with _quiet():
        return max(_counted(cv2.VideoCapture(name)), 1)


def frames(name: str, every: int = 1) -> Iterator[Frame]:
    """Each `every`-th frame of a video or a camera. A video that ends before its time is told.

    Raises RequestError for a camera that is not there, UnreadableVideo with the reason for a video without frames.
    """
    return _of_camera(name, every) if name.startswith(CAMERA) else _of_file(name, every)


def _of_camera(name: str, every: int) -> Iterator[Frame]:
    number = name.removeprefix(CAMERA)
    if not number.isdecimal():
        raise RequestError(f"{name}: expected camera:0, camera:1, …")
    with _quiet():
        camera, opened = cv2.VideoCapture(int(number)), time.monotonic()
    if not camera.isOpened():
        raise RequestError(f"no {name}: expected camera:0 for the first camera of this machine")
    rate = _rate(camera)
    for number in _grabbed(camera):
        seconds = time.monotonic() - opened  # while one is answered, others go by
        if number % every == 0 and (pixels := _pixels(camera)) is not None:
            yield Frame(number, pixels, seconds, None, rate)


def _of_file(name: str, every: int) -> Iterator[Frame]:
    """A frame is known to end when the next one is there: each is handed on as late as that."""
    with _quiet():
        video = cv2.VideoCapture(name)
    if not video.isOpened():
        raise UnreadableVideo("not a readable video")
    container, rate = containers.read(name), _rate(video)
    on_its_side = video.get(cv2.CAP_PROP_ORIENTATION_META) % 180 == 90
    with _quiet():
        sizes = Sizes(name)
    waiting, number, start, before, now = None, -1, 0.0, 0.0, 0.0
    for number in _grabbed(video):
        if number == 0:
            start, promised = _timestamp(video), _promised(video, container)
        before, now = now, _next_time(now, _timestamp(video) - start, rate)
        if number % every == 0 and (pixels := _pixels(video)) is not None:
            if waiting:
                yield waiting._replace(until=now)
            if container.mirrored:  # OpenCV takes it for turned: the rows of the coded frame run the wrong way
                pixels = np.ascontiguousarray(np.flip(pixels, 1 if on_its_side else 0))
            if size := sizes.changed(_timestamp(video)):
                pixels = cv2.resize(pixels, size[::-1] if on_its_side else size)
            waiting = Frame(number, pixels, now, None, rate)
    if number < 0 or waiting is None:
        raise UnreadableVideo("a video without frames that can be read")
    end = now + (min(1 / rate, now - before) if now > before else 1 / rate)
    if number + 1 < _counted(video) and promised - end > min(1.0, promised / 10) and not container.whole:
        log.warning(f"{legible(name)} was cut short: it ends at {end:.1f} of {promised:.1f} seconds")
    elif promised > now:
        end = promised
    yield waiting._replace(until=end)


def _grabbed(video: cv2.VideoCapture) -> Iterator[int]:
    """The numbers of the frames, as each is there to be retrieved."""
    number = 0
    while video.grab():
        yield number
        number += 1


def _pixels(video: cv2.VideoCapture) -> np.ndarray | None:
    there, frame = video.retrieve()
    return frame[:, :, ::-1].copy() if there else None


def _timestamp(video: cv2.VideoCapture) -> float:
    """The presentation timestamp of the frame that was grabbed, in seconds."""
    return video.get(cv2.CAP_PROP_POS_MSEC) / 1000


def _next_time(before: float, seconds: float, rate: float) -> float:
    """The time of a frame; where time would run backwards, as in files without timestamps and between parts that were
    joined, by the rate."""
    return seconds if seconds >= before else before + 1 / rate


def _rate(video: cv2.VideoCapture) -> float:
    rate = video.get(cv2.CAP_PROP_FPS)
    return min(rate, _HIGHEST_RATE) if math.isfinite(rate) and rate > 0 else _USUAL_RATE


def _counted(video: cv2.VideoCapture) -> int:
    """How many frames the file says; OpenCV multiplies duration and rate where it names no number."""
    return max(int(video.get(cv2.CAP_PROP_FRAME_COUNT)), 0)


def _promised(video: cv2.VideoCapture, container: containers.Container) -> float:
    """Seconds from the first frame, which was grabbed, to the end, by what the container says; 0 where it does not."""
    if container.duration is not None:
        return container.duration
    first = video.get(cv2.CAP_PROP_PTS) if container.matroska else 0  # in frames, as the count is
    return max(_counted(video) - max(first, 0), 0) / _rate(video)


@contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV tells of everything it tried to open a camera; that there is none is said in one line."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
