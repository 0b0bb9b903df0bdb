"""Picture files before they are decoded: which can be used, and which way up they are. Without TensorFlow."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

SMALLEST = 8  # pixels; what is smaller shows no face
FORMATS = ("JPEG", "MPO", "PNG", "BMP", "GIF")  # MPO: the JPEG of some phones
WHOLE = (math.nan,) * 4  # the box that stands for the whole picture
OUTSIDE = "its face box is outside"
_EXIF_ORIENTATION = 0x0112


def read(path: str | bytes, box: Sequence[float] = WHOLE) -> tuple[bytes, int]:
    """A picture file's bytes and its EXIF orientation, as `checked` has it. path: as text, or as its bytes."""
    content = Path(path.decode() if isinstance(path, bytes) else path).read_bytes()
    return content, checked(content, box)


def check_size(width: int, height: int) -> None:
    """Raises ValueError with the reason for a picture that is too small to use."""
    if min(width, height) < SMALLEST:
        raise ValueError(f"only {width}×{height} pixels")


def checked(content: bytes, box: Sequence[float] = WHOLE) -> int:
    """The EXIF orientation (1..8, 1 is upright) of an encoded picture that can be used.

    box: x y w h of a face in pixels of the upright picture. Raises ValueError with the reason when it is no picture,
    one whose colours TensorFlow would not read right, one too small or too large to use, or one without any of the box.
    """
    if not content:
        raise ValueError("the file is empty")
    try:
        with Image.open(io.BytesIO(content)) as picture:
            kind = "BMP with a palette" if picture.format == "BMP" and picture.mode == "P" else picture.format
            size, orientation = picture.size, picture.getexif().get(_EXIF_ORIENTATION, 1)
    except Image.DecompressionBombError as error:
        raise ValueError("the picture is too large") from error
    except Exception as error:  # Pillow's readers raise whatever their parsing runs into
        raise ValueError("not a readable picture") from error
    if kind not in FORMATS:
        raise ValueError(f"a {kind}; expected JPEG, PNG, BMP or GIF")
    check_size(*size)
    orientation = orientation if orientation in range(1, 9) else 1
    x, y, w, h = box
    width, height = size[::-1] if orientation > 4 else size
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise ValueError(OUTSIDE)
    return orientation
