"""Upright image → crop: uint8 RGB [S, S, 3]. The one function that training, evaluation and the exported model share.

Everything here is TensorFlow ops, so that the SavedModel traces the very same steps.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipeline.data import exif, manifests
from pipeline.data.pictures import DAMAGED, FRACTION_FROM, WHOLE

UNREADABLE = (OSError, ValueError, tf.errors.OpError)  # what reading an image and making its crop raise


def reason(error: Exception) -> str:
    """What one of UNREADABLE says to a user."""
    if isinstance(error, OSError):
        return f"{manifests.UNREACHED}: {error.strerror}"
    return DAMAGED if isinstance(error, tf.errors.OpError) else str(error)


def crop(
    picture: tf.Tensor,
    box: tf.Tensor,
    size: int,
    margin: float,
    eyes: tf.Tensor | None = None,
    scale: tf.Tensor | None = None,
) -> tf.Tensor:
    """Cut a face out of an upright image and resize it.

    Args:
        picture: uint8 RGB [H, W, 3], as `pictures.decode` gives it.
        box: x y w h of the face in pixels of the full image, float [4], or NaN for the whole image, which is then
            squeezed into the square. With a box, the square around it is cut out; beyond the image its edge pixels go
            on (as in DEX, Rothe et al. 2015).
        size: pixels of the crop's side.
        margin: share of the box's longer side that is added on every side.
        eyes: float [4], x y of the left and of the right eye as in the image: the square is turned about its centre
            until they are level; NaN or None leaves it upright.
        scale: height and width of `picture` as shares of the full image's, float [2]; None: it is the full image.

    Returns:
        uint8 RGB [size, size, 3].
    """
    if _is_known(box, WHOLE):
        return fit(picture, size)
    scale = tf.ones(2) if scale is None else scale
    angle = None if eyes is None else _tilt(eyes)
    return tf.cond(
        tf.math.is_nan(box[0]),
        lambda: fit(picture, size),
        lambda: fit(_cut(picture, box, margin, scale, angle), size),
    )


def decode(content: tf.Tensor, size: int) -> tf.Tensor:
    """`pictures.decode` of a whole image as TensorFlow ops, for what must run without Python.

    The EXIF orientation is applied. A JPEG of FRACTION_FROM pixels and more is decoded at 1/2, 1/4 or 1/8 where its
    shorter side still has `size` pixels then.

    Args:
        content: an encoded JPEG, PNG, BMP or GIF (its first frame), string scalar.
        size: pixels that the shorter side needs at least.

    Returns:
        The upright pixels, uint8 RGB [H, W, 3].
    """

    def jpeg() -> tf.Tensor:
        shorter = tf.reduce_min(tf.image.extract_jpeg_shape(content)[:2])
        halvings = tf.reduce_sum(
            tf.cast(shorter >= tf.maximum([2 * size, 4 * size, 8 * size], FRACTION_FROM), tf.int32)
        )
        return tf.switch_case(halvings, [lambda ratio=ratio: decode_jpeg(content, ratio) for ratio in (1, 2, 4, 8)])

    def other() -> tf.Tensor:
        return tf.ensure_shape(tf.io.decode_image(content, channels=3, expand_animations=False), (None, None, 3))

    return upright(tf.cond(tf.io.is_jpeg(content), jpeg, other), exif.orientation(content))


def decode_jpeg(content: tf.Tensor, ratio: int = 1) -> tf.Tensor:
    """The pixels of a JPEG as they lie in the file, uint8 RGB [H, W, 3], at full size or at 1/ratio of it."""
    # INTEGER_ACCURATE is what OpenCV and Pillow decode to; TensorFlow's default differs by up to 7 levels.
    return tf.io.decode_jpeg(content, 3, ratio=ratio, dct_method="INTEGER_ACCURATE")


def upright(picture: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Pixels [H, W, 3] turned as the EXIF orientation of their file, 1 to 8, says: 5 to 8 are transposed, then rows or
    columns are reversed."""

    def turned() -> tf.Tensor:
        over = tf.cond(orientation > 4, lambda: tf.transpose(picture, (1, 0, 2)), lambda: picture)
        upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
        mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
        over = tf.cond(upside_down, lambda: over[::-1], lambda: over)
        return tf.cond(mirrored, lambda: over[:, ::-1], lambda: over)

    return picture if _is_known(orientation, 1) else tf.cond(orientation == 1, lambda: picture, turned)


def fit(pictures: tf.Tensor, size: int) -> tf.Tensor:
    """[H, W, 3] or [N, H, W, 3] in 0..255 → uint8 [(N,) size, size, 3], bilinear with antialiasing, rounded."""
    # Enlarging needs no antialiasing; TensorFlow would not do any, in three times the time.
    resized = tf.cond(
        tf.reduce_all(tf.shape(pictures)[-3:-1] <= size),
        lambda: tf.image.resize(pictures, (size, size)),
        lambda: tf.image.resize(pictures, (size, size), antialias=True),
    )
    return tf.cast(tf.round(resized), tf.uint8)  # means of grey levels need no clipping


def middle(crops: tf.Tensor, centre: tuple[float, float]) -> tf.Tensor:
    """[(N,) S, S, 3] uint8 → the same shape: their middle, shares `centre` of height and width, enlarged to all of
    them, as a centre crop and a second resize do."""
    size = crops.shape[-2]
    height, width = (round(size * share) for share in centre)
    if (height, width) == (size, size):
        return crops
    top, left = (size - height) // 2, (size - width) // 2
    # `fit` does the same; this alone, without its choice, converts to LiteRT and ONNX.
    enlarged = tf.image.resize(
        tf.cast(crops[..., top : top + height, left : left + width, :], tf.float32), (size, size)
    )
    return tf.cast(tf.round(enlarged), tf.uint8)


def _cut_side(box: tf.Tensor, margin: float) -> tf.Tensor:
    """Side of the square that is cut out, in pixels of the full image; NaN for the whole image."""
    return tf.maximum(box[2], box[3]) * (1 + 2 * margin)


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
