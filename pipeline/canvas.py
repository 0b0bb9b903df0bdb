"""Picture → canvas: uint8 RGB [S, S, 3]. The one function that training, evaluation and the exported model share.

Everything here is TensorFlow ops, so that the SavedModel traces the very same steps.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from pipeline import manifests
from pipeline.pictures import WHOLE

FRACTION_FROM = 400  # pixels of the shorter side: below, decoding at a fraction saves no time worth its difference
DAMAGED = "damaged or of an unknown format"
UNREADABLE = (OSError, ValueError, tf.errors.OpError)  # what reading a picture and making its canvas raise


def reason(error: Exception) -> str:
    """What one of UNREADABLE says to a user."""
    if isinstance(error, OSError):
        return f"{manifests.UNREACHED}: {error.strerror}"
    return DAMAGED if isinstance(error, tf.errors.OpError) else str(error)


def canvas(
    content: tf.Tensor,
    box: tf.Tensor,
    orientation: tf.Tensor,
    size: int,
    margin: float,
    eyes: tf.Tensor | None = None,
    small: bool = False,
) -> tf.Tensor:
    """Encoded JPEG, PNG, BMP or GIF (its first picture), string scalar → uint8 RGB [size, size, 3].

    box: float [4], x y w h of the face in pixels of the upright picture, or NaN for the whole picture, which is then
    squeezed into the square. With a box, the square around it with `margin` (share of its longer side) on every side
    is cut out; beyond the picture its edge pixels go on (as in DEX, Rothe et al. 2015). eyes: float [4], x y of the
    left and of the right eye as in the picture: the square is turned about its centre until they are level; NaN or None
    leaves it upright. A JPEG of FRACTION_FROM pixels and more is decoded at 1/2, 1/4 or 1/8 where what is cut out still
    has `size` pixels then. Grey, palette, CMYK, 16-bit and transparent pictures become RGB; transparency is dropped.
    small: `is_small_jpeg` is known to hold, which saves asking.
    """
    full, picture = _upright_picture(content, _cut_side(box, margin), orientation, size, small)
    scale = tf.cast(tf.shape(picture)[:2], tf.float32) / full
    angle = None if eyes is None else _tilt(eyes)
    if _is_known(box, WHOLE):
        return fit(picture, size)
    return tf.cond(
        tf.math.is_nan(box[0]),
        lambda: fit(picture, size),
        lambda: fit(_cut(picture, box, margin, scale, angle), size),
    )


def is_small_jpeg(content: tf.Tensor) -> tf.Tensor:
    """Whether an encoded picture is a JPEG that is always decoded whole."""
    return tf.cond(
        tf.io.is_jpeg(content),
        lambda: tf.reduce_min(tf.image.extract_jpeg_shape(content)[:2]) < FRACTION_FROM,
        lambda: False,
    )


def cut(picture: tf.Tensor, box: tf.Tensor, size: int, margin: float, eyes: tf.Tensor) -> tf.Tensor:
    """The canvas of a face, as `canvas` makes it, from the pixels of an upright picture, uint8 RGB [H, W, 3]."""
    return fit(_cut(picture, box, margin, tf.ones(2), _tilt(eyes)), size)


def whole(content: tf.Tensor, orientation: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Encoded picture → height and width of the upright picture (float [2]), and its pixels, uint8 RGB [H, W, 3].

    A JPEG whose shorter side is at least twice `size` is decoded at 1/2, 1/4 or 1/8, not below `size`.
    """
    return _upright_picture(content, tf.constant(math.nan), orientation, size)


def fit(pictures: tf.Tensor, size: int) -> tf.Tensor:
    """[H, W, 3] or [N, H, W, 3] in 0..255 → uint8 [(N,) size, size, 3], bilinear with antialiasing, rounded."""
    # Enlarging needs no antialiasing; TensorFlow would not do any, in three times the time.
    resized = tf.cond(
        tf.reduce_all(tf.shape(pictures)[-3:-1] <= size),
        lambda: tf.image.resize(pictures, (size, size)),
        lambda: tf.image.resize(pictures, (size, size), antialias=True),
    )
    return tf.cast(tf.round(resized), tf.uint8)  # means of grey levels need no clipping


def middle(canvases: tf.Tensor, centre: tuple[float, float]) -> tf.Tensor:
    """[(N,) S, S, 3] uint8 → the same shape: their middle, shares `centre` of height and width, enlarged to all of
    them, as a centre crop and a second resize do."""
    size = canvases.shape[-2]
    height, width = (round(size * share) for share in centre)
    if (height, width) == (size, size):
        return canvases
    top, left = (size - height) // 2, (size - width) // 2
    # `fit` does the same; this alone, without its choice, converts to LiteRT and ONNX.
    enlarged = tf.image.resize(
        tf.cast(canvases[..., top : top + height, left : left + width, :], tf.float32), (size, size)
    )
    return tf.cast(tf.round(enlarged), tf.uint8)


def _cut_side(box: tf.Tensor, margin: float) -> tf.Tensor:
    """Side of the square that is cut out, in pixels of the full picture; NaN for the whole picture."""
    return tf.maximum(box[2], box[3]) * (1 + 2 * margin)


def _upright_picture(
    content: tf.Tensor, side: tf.Tensor, orientation: tf.Tensor, size: int, small: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    full, picture = _whole_jpeg(content) if small else _decode(content, side, size)
    return tf.where(orientation > 4, full[::-1], full), _upright(picture, orientation)


def _whole_jpeg(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """As `_decode`, of a JPEG at its full size."""
    return _with_its_size(_jpeg(content))


def _with_its_size(picture: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.cast(tf.shape(picture)[:2], tf.float32), picture


def _jpeg(content: tf.Tensor, ratio: int = 1) -> tf.Tensor:
    # INTEGER_ACCURATE is what OpenCV and PIL decode to; TensorFlow's default differs by up to 7 levels.
    return tf.io.decode_jpeg(content, 3, ratio=ratio, dct_method="INTEGER_ACCURATE")


def _decode(content: tf.Tensor, side: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width of the full picture (float [2]), and the picture, a JPEG perhaps at a fraction of that."""

    def jpeg() -> tuple[tf.Tensor, tf.Tensor]:
        full = tf.cast(tf.image.extract_jpeg_shape(content)[:2], tf.float32)
        needed = tf.where(tf.math.is_nan(side), tf.reduce_min(full), side)
        power = tf.clip_by_value(tf.math.floor(tf.math.log(needed / size) / math.log(2)), 0, 3)
        power = tf.where(tf.reduce_min(full) < FRACTION_FROM, 0.0, power)
        branches = [lambda ratio=ratio: _jpeg(content, ratio) for ratio in (1, 2, 4, 8)]
        return full, tf.switch_case(tf.cast(power, tf.int32), branches)

    def other() -> tuple[tf.Tensor, tf.Tensor]:
        picture = tf.io.decode_image(content, channels=3, expand_animations=False)
        return _with_its_size(tf.ensure_shape(picture, (None, None, 3)))

    return tf.cond(tf.io.is_jpeg(content), jpeg, other)


def _upright(picture: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """The picture turned as its EXIF orientation says: 5 to 8 are transposed, then rows or columns run backwards."""

    def turned() -> tf.Tensor:
        over = tf.cond(orientation > 4, lambda: tf.transpose(picture, (1, 0, 2)), lambda: picture)
        upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
        mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
        over = tf.cond(upside_down, lambda: over[::-1], lambda: over)
        return tf.cond(mirrored, lambda: over[:, ::-1], lambda: over)

    return picture if _is_known(orientation, 1) else tf.cond(orientation == 1, lambda: picture, turned)


def _is_known(tensor: tf.Tensor, value: object) -> bool:
    """Whether a tensor is a constant of that value: what need not be asked for each picture makes reading faster."""
    constant = tf.get_static_value(tensor)
    return constant is not None and np.array_equal(constant, np.array(value, constant.dtype), equal_nan=True)


def _tilt(eyes: tf.Tensor) -> tf.Tensor:
    """Angle in radians of the line from the left to the right eye, positive where the right one is lower; 0 where they
    are unknown."""
    angle = tf.math.atan2(eyes[3] - eyes[1], eyes[2] - eyes[0])
    return tf.where(tf.math.is_nan(angle), 0.0, angle)


def _cut(picture: tf.Tensor, box: tf.Tensor, margin: float, scale: tf.Tensor, angle: tf.Tensor | None) -> tf.Tensor:
    """The square around the box, level once turned by `angle` about its centre."""
    half = _cut_side(box, margin) / 2
    centre = tf.stack([box[1] + box[3] / 2, box[0] + box[2] / 2])
    low = tf.cast(tf.round((centre - half) * scale), tf.int32)
    high = tf.maximum(tf.cast(tf.round((centre + half) * scale), tf.int32), low + 1)
    if angle is None:
        return _window(picture, low, high)
    side = tf.cast(high - low, tf.float32)
    corners = (tf.abs(tf.cos(angle)) + tf.abs(tf.sin(angle)) - 1) / 2  # how far they reach out, in sides
    rim = tf.cast(tf.math.ceil(side * corners), tf.int32)
    return _turned(_window(picture, low - rim, high + rim), angle, high - low)


def _window(picture: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Rows and columns from low to high; indices beyond the picture are clipped, which repeats its edge."""
    last = tf.shape(picture)[:2] - 1
    rows = tf.clip_by_value(tf.range(low[0], high[0]), 0, last[0])
    columns = tf.clip_by_value(tf.range(low[1], high[1]), 0, last[1])
    return tf.gather(tf.gather(picture, rows, axis=0), columns, axis=1)


def _turned(picture: tf.Tensor, angle: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """The middle of a picture, float [*shape, 3], turned by `angle` about its centre (bilinear)."""
    (v, u), (y, x) = (tf.unstack((tf.cast(s, tf.float32) - 1) / 2) for s in (shape, tf.shape(picture)[:2]))
    cos, sin = tf.cos(angle), tf.sin(angle)
    zero = tf.zeros(())
    to_input = tf.stack([cos, -sin, x - cos * u + sin * v, sin, cos, y - sin * u - cos * v, zero, zero])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(picture, tf.float32)[None],
        transforms=to_input[None],
        output_shape=shape,
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )[0]
