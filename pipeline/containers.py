"""What the container of a video says and OpenCV does not tell: edit lists and mirrors of MP4, the size of Matroska."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # how Matroska and WebM begin, and what holds their media
_LARGEST_INDEX = 2**28  # bytes of a `moov` box: that of a day of video is smaller


@dataclass(frozen=True)
class Container:
    """duration: seconds that the video's edit list shows, None without one. mirrored: whether the frames are to be
    shown mirrored, besides their rotation. matroska: its duration counts from 0, and not from the first frame. whole:
    a Matroska file that is as large as it says."""

    duration: float | None = None
    mirrored: bool = False
    matroska: bool = False
    whole: bool = False


def read(path: str) -> Container:
    """What the container says; nothing of another format, or where it is damaged."""
    try:
        size = Path(path).stat().st_size
        with open(path, "rb") as file:  # noqa: PTH123  Path's own does no more
            if file.read(4) == _EBML:
                return Container(matroska=True, whole=_ends_by(file, size))
            file.seek(0)
            return _of_index(_index(file, size))
    except (OSError, ValueError, OverflowError, LookupError, struct.error):
        return Container()


def _ends_by(file: BinaryIO, size: int) -> bool:
    """Whether the Segment of a Matroska file, whose EBML header is being read, ends within so many bytes."""
    file.seek(int(_length(file)), 1)
    return file.read(4) == _SEGMENT and _length(file) + file.tell() <= size


def _length(file: BinaryIO) -> float:
    """A number whose first set bit says of how many bytes it is; infinite where all bits are set, of a live stream."""
    first = file.read(1)[0]
    more = 8 - first.bit_length()
    number = int.from_bytes(bytes([first & (0x7F >> more)]) + file.read(more), "big")
    return math.inf if number == 2 ** (7 * (more + 1)) - 1 else number


def _index(file: BinaryIO, size: int) -> bytes:
    """The contents of the `moov` box of an MP4 file. Raises LookupError where there is none."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if length == 1:
            length, header = struct.unpack(">Q", file.read(8))[0], 16
        if kind == b"moov":
            return file.read(min(length - header, _LARGEST_INDEX))
        if length < header:
            break
        at += length
    raise LookupError("no moov box")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes that lie in another one: kinds and contents."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if length < 8:
            return
        yield kind, data[at + 8 : at + length]
        at += length


def _of_index(index: bytes) -> Container:
    inside = list(_boxes(index))
    movie = dict(inside)[b"mvhd"]
    for kind, track in inside:
        boxes = dict(_boxes(track))
        if kind == b"trak" and dict(_boxes(boxes[b"mdia"]))[b"hdlr"][8:12] == b"vide":
            break
    else:
        return Container()
    timescale = struct.unpack_from(">I", movie, 20 if movie[0] else 12)[0]
    edits = dict(_boxes(boxes.get(b"edts", b""))).get(b"elst")
    shown = sum(_edits(edits)) / timescale if edits else 0  # of a fragmented file it says 0
    is_mirrored = _mirrors(movie, 36) != _mirrors(boxes[b"tkhd"], 40)
    return Container(duration=shown or None, mirrored=is_mirrored)


def _edits(box: bytes) -> Iterator[int]:
    """The durations of the parts that are shown, in units of the movie."""
    part = ">Qqi" if box[0] else ">Iii"
    for number in range(struct.unpack_from(">I", box, 4)[0]):
        duration, start, _ = struct.unpack_from(part, box, 8 + number * struct.calcsize(part))
        if start >= 0:  # others only wait
            yield duration


def _mirrors(header: bytes, at: int) -> bool:
    """Whether the matrix in a header turns right to left: whether its determinant is negative. at: where it stands
    in version 0; version 1 has three times, which are 12 bytes longer together."""
    a, b, _, c, d = struct.unpack_from(">5i", header, at + 12 * (header[0] == 1))
    return a * d - b * c < 0
