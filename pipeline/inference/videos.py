"""Videos and cameras → their frames, each with its time."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from pipeline.utils.errors import RequestError

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
_MATRIX = "DISPLAYMATRIX"

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
    try:
        with _opened(name) as video:
            return max(video.stream.frames or round(video.end * _rate(video.stream)), 1)
    except UnreadableVideo:
        return 1


def frames(name: str, every: int = 1) -> Iterator[Frame]:
    """Each `every`-th frame of a video or a camera. A video that ends before its time is told.

    Raises RequestError for a camera that is not there, UnreadableVideo with the reason for a video without frames.
    """
    return _of_camera(name, every) if name.startswith(CAMERA) else _of_file(name, every)


def _of_camera(name: str, every: int) -> Iterator[Frame]:
    device = name.removeprefix(CAMERA)
    if not device.isdecimal():
        raise RequestError(f"{name}: expected camera:0, camera:1, …")
    with _quiet():
        camera, opened = cv2.VideoCapture(int(device)), time.monotonic()
    if not camera.isOpened():
        raise RequestError(f"no {name}: expected camera:0 for the first camera of this machine")
    rate, number = camera.get(cv2.CAP_PROP_FPS) or _USUAL_RATE, 0
    while camera.grab():
        seconds = time.monotonic() - opened  # while one is answered, others go by
        if number % every == 0:
            there, pixels = camera.retrieve()
            if there:
                yield Frame(number, pixels[:, :, ::-1].copy(), seconds, None, rate)
        number += 1


def _of_file(name: str, every: int) -> Iterator[Frame]:
    """A frame is known to end when the next one is there: each is handed on as late as that."""
    with _opened(name) as video:
        rate, waiting, start, now = _rate(video.stream), None, 0.0, 0.0
        for number, frame in enumerate(video):
            seconds = number / rate if video.is_avi else frame.time
            if number == 0:
                start = seconds or 0.0
            elif seconds is None or seconds - start < now:
                now += 1 / rate  # of a frame without a timestamp, and where several parts were joined
            else:
                now = seconds - start
            if number % every == 0:
                if waiting:
                    yield waiting._replace(until=now)
                waiting = Frame(number, _upright(frame), now, None, rate)
        if waiting is None:
            raise UnreadableVideo("a video without frames that can be read")
        end = now + (float(frame.duration * frame.time_base) if frame.duration else 1 / rate)
        promised, missing = video.end - start, video.end - video.reached
        if missing > min(1.0, promised / 10) and not 0 < video.stream.frames <= number + 1:
            log.warning(f"{legible(name)} was cut short: it ends at {end:.1f} of {promised:.1f} seconds")
            promised = end
    yield waiting._replace(until=max(end, promised))


class _Video:
    """The frames of an open file's first video stream, in the order in which they are shown.

    reached: the latest time of any stream so far, seconds; end: that of the whole file by its header, 0 where it has
    none. Both are on the clock of the file's timestamps.
    """

    def __init__(self, file: av.container.InputContainer) -> None:
        self.file, self.stream = file, file.streams.video[0]
        self.stream.thread_type = "AUTO"
        self.reached = 0.0
        counts_from_zero = "matroska" in file.format.name  # others count from the first timestamp
        start = 0 if counts_from_zero else file.start_time or 0
        self.end = (start + file.duration) / av.time_base if file.duration else 0.0
        self.is_avi = file.format.name == "avi"  # which has no timestamps: its rate is constant
        if self.is_avi and self.stream.frames:  # FFmpeg corrects the duration of one that was cut
            self.end = max(self.end, self.stream.frames / _rate(self.stream))

    def __iter__(self) -> Iterator[av.VideoFrame]:
        packets = self.file.demux()
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.FFmpegError):  # the latter where a file was cut
                return
            if packet.pts is not None:
                self.reached = max(self.reached, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream is self.stream:
                with suppress(av.FFmpegError):  # a damaged frame is left out
                    yield from packet.decode()


@contextmanager
def _opened(name: str) -> Iterator[_Video]:
    """Raises UnreadableVideo for a file that is no video."""
    try:
        file = av.open(name)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableVideo("not a readable video") from error
    with file:
        if not file.streams.video:
            raise UnreadableVideo("a file without a video stream")
        yield _Video(file)


def _upright(frame: av.VideoFrame) -> np.ndarray:
    """The pixels as the frame's display matrix has them shown, turned by quarters and mirrored, uint8 RGB [H, W, 3].

    x' = a x + c y, y' = b x + d y: the first two of three rows are a b 0 and c d 0 (ISO/IEC 14496-12, 6.2.2).
    """
    pixels, matrix = frame.to_ndarray(format="rgb24"), frame.side_data.get(_MATRIX)
    if matrix is None:
        return pixels
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5]
    if abs(b) > abs(a):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _rate(stream: av.VideoStream) -> float:
    """Frames a second, on average, as the file says."""
    return min(float(stream.average_rate or stream.guessed_rate or _USUAL_RATE), _HIGHEST_RATE)


@contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV tells of everything it tried to open a camera; that there is none is said in one line."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
