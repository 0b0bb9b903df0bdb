"""Image files → upright 8-bit RGB: the formats that are read, and the one decoder. Without TensorFlow.

Training, evaluation, the leak audit, thumbnails, the face detector and `predict` all decode by `decode`. An exported
SavedModel cannot call it; `crop.decode` repeats it in TensorFlow for JPEG and PNG.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

FORMATS = {  # Pillow's name of each format that is read → the suffixes of its files; the content decides, not the name
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),  # MPO: several JPEGs in one file; the first counts
    "PNG": (".png",),
    "GIF": (".gif",),  # the first frame
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)
EXPECTED = "expected JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF, HEIC, JPEG 2000 or PPM"
NOT_READABLE = f"not a readable image; {EXPECTED}"
TOO_LARGE = "the image has too many pixels"
SMALLEST = 8  # pixels; what is smaller shows no face
FRACTION_FROM = 400  # pixels of the shorter side: below, decoding at a fraction saves no time worth its difference
WHOLE = (math.nan,) * 4  # the box that stands for the whole image
OUTSIDE = "its face box is outside"
DAMAGED = "damaged"
_EXIF_ORIENTATION = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # TIFF tags, and a value of the second


@contextmanager
def opened(content: bytes) -> Iterator[Image.Image]:
    """An encoded image of one of FORMATS with its header read, its pixels not yet decoded.

    Raises ValueError with the reason for an empty file, another format, or an image of too many pixels.
    """
    if not content:
        raise ValueError("the file is empty")
    try:
        image = Image.open(io.BytesIO(content), formats=tuple(FORMATS))
    except Image.DecompressionBombError as error:
        raise ValueError(TOO_LARGE) from error
    except Exception as error:  # Pillow's readers raise whatever their parsing runs into
        raise ValueError(NOT_READABLE) from error
    with image:
        yield image


def check_size(width: int, height: int) -> None:
    """Raises ValueError with the reason for an image that is too small to use."""
    if min(width, height) < SMALLEST:
        raise ValueError(f"only {width}×{height} pixels")


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 is upright, and stands for one that is missing or makes no sense."""
    if image.format == "TIFF":  # Pillow turns its pixels while it decodes them
        return 1
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # damaged metadata do no harm to the pixels
        return 1
    return value if value in _TRANSPOSE else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height in pixels, once the EXIF orientation is applied."""
    return image.size if orientation(image) < 5 else image.size[::-1]


def plain_jpeg(path: str) -> int:
    """The EXIF orientation of a file that is a JPEG of grey or YCbCr always decoded at full size; 0 for any other."""
    with Image.open(path, formats=tuple(FORMATS)) as image:
        is_plain = image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L") and min(image.size) < FRACTION_FROM
        return orientation(image) if is_plain else 0


def decode(
    content: bytes, box: Sequence[float] = WHOLE, margin: float = 0.0, size: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Decode an image to upright 8-bit RGB.

    Grey, palette, CMYK and 16-bit images become RGB (of 16 bits the upper eight); transparency is dropped.

    Args:
        content: the encoded image, in one of FORMATS.
        box: x y w h of a face in pixels of the upright image, or NaN for the whole image.
        margin: share of the box's longer side that is cut out on every side of it.
        size: pixels that the square about the box (of a whole image the shorter side) needs at least. A JPEG of
            FRACTION_FROM pixels and more is then decoded at 1/2, 1/4 or 1/8, which is faster. None: at full size.

    Returns:
        The pixels, uint8 [H, W, 3], and their scale: height and width as shares of the full image's, float32 [2].

    Raises:
        ValueError: with the reason, for what cannot be decoded, or an image without any of the box.
    """
    with opened(content) as image:
        width, height = upright_size(image)
        x, y, w, h = box
        if x >= width or y >= height or x + w <= 0 or y + h <= 0:
            raise ValueError(OUTSIDE)
        if size is not None and min(width, height) >= FRACTION_FROM:
            side = min(width, height) if math.isnan(x) else max(w, h) * (1 + 2 * margin)
            shrink(image, int(side / size))
        pixels = np.asarray(to_rgb(image))
    return pixels, (np.array(pixels.shape[:2]) / (height, width)).astype(np.float32)


def shrink(image: Image.Image, factor: int) -> None:
    """Have a JPEG that is not decoded yet decoded at 1/2, 1/4 or 1/8, the smallest that is not below 1/factor."""
    factor = max((f for f in (2, 4, 8) if f <= factor), default=1)
    if factor > 1:
        image.draft(None, (image.width // factor, image.height // factor))


def to_rgb(image: Image.Image) -> Image.Image:
    """A PIL image as an upright one of mode RGB. Raises ValueError, with the reason, where it has no or too few pixels.

    Image.convert would clip all above 255 in a 16-bit image to white.
    """
    check_size(*image.size)
    turn = orientation(image)
    try:
        image.load()
    except Exception as error:  # Pillow's decoders raise whatever they run into
        raise ValueError(f"{DAMAGED} ({str(error) or type(error).__name__:.80})") from error
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        image = Image.fromarray(_eight_bits(image))
    elif image.mode in ("I", "F"):
        raise ValueError(f"an image of Pillow's mode {image.mode}, whose white is unknown; expected 8 or 16 bits")
    if turn != 1:
        image = image.transpose(_TRANSPOSE[turn])
    if "transparency" in image.info:  # of a palette: convert would warn that it drops it
        image = image.copy()
        del image.info["transparency"]
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> np.ndarray:
    """The upper eight bits of a grey image of more, uint8 [H, W]."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    grey = (np.asarray(image) >> (bits - 8)).clip(0, 255).astype(np.uint8)
    return 255 - grey if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else grey
