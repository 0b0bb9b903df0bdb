"""The sizes of a video's frames as they are coded, which change in recordings of calls: OpenCV scales all to that of
the first, whatever their proportions."""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
from PIL import Image

_VP9, _MOTION_JPEG = (b"VP90",), (b"MJPG",)
_H264, _HEVC = (b"h264", b"H264", b"avc1", b"avc3"), (b"hevc", b"HEVC", b"hvc1", b"hev1")
_ROUNDING = 1e-4  # seconds

Size = tuple[int, int]


class Sizes:
    """Follows the width and height of a video's frames, by the key frames that are read beside it."""

    def __init__(self, name: str) -> None:
        self._key_frames = _key_frames(name)
        self._next = next(self._key_frames, None)
        self.first = self._now = self._next[1] if self._next else None

    def changed(self, seconds: float) -> Size | None:
        """The size of the frame of this timestamp, in order; None where it is that of the first, or unknown."""
        while self._next and self._next[0] <= seconds + _ROUNDING:
            self._now = self._next[1]
            self._next = next(self._key_frames, None)
        return self._now if self._now != self.first else None


def _key_frames(name: str) -> Iterator[tuple[float, Size]]:
    """Timestamps and sizes of the key frames: only these may change it. Of codecs that cannot, none."""
    packets = cv2.VideoCapture(name, cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])  # as they are coded
    codec = struct.pack("<I", int(packets.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF)
    if codec not in (b"VP80", *_VP9, *_MOTION_JPEG, *_H264, *_HEVC):
        return
    while packets.grab():
        if packets.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME):
            seconds, (there, packet) = packets.get(cv2.CAP_PROP_POS_MSEC) / 1000, packets.retrieve()
            if there and (size := _size(codec, packet.tobytes())):
                yield seconds, size


def _size(codec: bytes, packet: bytes) -> Size | None:
    """The width and height of a key frame; None where it is damaged."""
    try:
        if codec == b"VP80":  # three bytes, a mark of three, and width and height of 14 bits
            width, height = struct.unpack_from("<HH", packet, 6)
            return width & 0x3FFF, height & 0x3FFF
        if codec in _MOTION_JPEG:
            with Image.open(io.BytesIO(packet), formats=["JPEG"]) as picture:
                return picture.size
    except (struct.error, OSError, SyntaxError):
        return None
    return _as_opened(codec, packet)


def _as_opened(codec: bytes, packet: bytes) -> Size | None:
    """The size of a key frame that is opened as a video of its own."""
    if codec in _VP9:  # in IVF: a header without a size, and one of the frame
        packet = struct.pack("<4sHH4sHHIIQ", b"DKIF", 0, 32, b"VP90", 0, 0, 25, 1, 1) + (
            struct.pack("<IQ", len(packet), 0) + packet
        )
    ending = "ivf" if codec in _VP9 else "h264" if codec in _H264 else "hevc"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"frame.{ending}"
        path.write_bytes(packet)
        video = cv2.VideoCapture(str(path))
        size = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
        video.release()
    return size if min(size) > 0 else None
