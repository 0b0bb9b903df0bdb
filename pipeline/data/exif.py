"""The EXIF orientation of an encoded image, as TensorFlow ops: an exported SavedModel reads it without Python.

JPEG keeps EXIF in an APP1 segment, PNG in an eXIf chunk; in both it is a TIFF header with a list of 12-byte entries
(Exif 2.32, CIPA DC-008-2019; PNG, third edition).
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

_ORIENTATION = 0x0112
_LONG = 4  # an entry's type: four bytes; by the standard an orientation is a SHORT of two
_JPEG_START, _PNG_SIGNATURE = 2, 8  # bytes before the first segment, before the first chunk
_APP1, _START_OF_SCAN, _END_OF_IMAGE = 0xE1, 0xDA, 0xD9
_LITTLE_ENDIAN = ord("I")  # of "II"; "MM" is big-endian
_NOWHERE = -1


def orientation(content: tf.Tensor) -> tf.Tensor:
    """The EXIF orientation of a JPEG or PNG.

    Args:
        content: the encoded image, string scalar.

    Returns:
        1 to 8, int32 scalar; 1 where there is none, it makes no sense, or the image is of another format.
    """
    data = tf.io.decode_raw(content, tf.uint8)
    start = tf.case(
        [
            (tf.io.is_jpeg(content), lambda: _in_jpeg(data)),
            (tf.strings.substr(content, 0, 4) == b"\x89PNG", lambda: _in_png(data)),
        ],
        default=lambda: tf.constant(_NOWHERE),
    )
    return tf.cond(start == _NOWHERE, lambda: tf.constant(1), lambda: _in_tiff(data, start))


def _in_jpeg(data: tf.Tensor) -> tf.Tensor:
    """Where the TIFF header of a JPEG begins, or _NOWHERE: segments before the scan are walked through."""

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        return (_byte(data, at + 1) == _APP1) & _spells(data, at + 4, b"Exif\x00\x00")

    def goes_on(at: tf.Tensor) -> tf.Tensor:
        marker = _byte(data, at + 1)
        is_segment = (_byte(data, at) == 0xFF) & (marker != _START_OF_SCAN) & (marker != _END_OF_IMAGE)
        return (at + 4 < tf.size(data)) & is_segment & ~is_exif(at)

    def following(at: tf.Tensor) -> tf.Tensor:
        is_fill = _byte(data, at + 1) == 0xFF  # any number of these may stand before a marker
        return tf.where(is_fill, at + 1, at + 2 + tf.maximum(_number(data, at + 2, 2), 2))

    at = _walk(goes_on, following, _JPEG_START)
    return tf.where(is_exif(at), at + 10, _NOWHERE)


def _in_png(data: tf.Tensor) -> tf.Tensor:
    """Where the TIFF header of a PNG begins, or _NOWHERE."""

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        return _spells(data, at + 4, b"eXIf")

    def goes_on(at: tf.Tensor) -> tf.Tensor:
        return (at >= 0) & (at + 12 < tf.size(data)) & ~is_exif(at)

    at = _walk(goes_on, lambda at: at + 12 + tf.maximum(_number(data, at, 4), 0), _PNG_SIGNATURE)
    return tf.where(is_exif(at), at + 8, _NOWHERE)


def _in_tiff(data: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """The orientation that the first list of entries behind a TIFF header tells."""
    is_little = _byte(data, start) == _LITTLE_ENDIAN
    entries = start + _number(data, start + 4, 4, is_little)
    first, count = entries + 2, _number(data, entries, 2, is_little)
    places = first + 12 * tf.range(tf.clip_by_value(count, 0, (tf.size(data) - first) // 12))
    of_tag = tf.boolean_mask(places, _number(data, places, 2, is_little) == _ORIENTATION)
    is_long = _number(data, of_tag + 2, 2, is_little) == _LONG
    values = tf.where(is_long, _number(data, of_tag + 8, 4, is_little), _number(data, of_tag + 8, 2, is_little))
    values = tf.concat([values, [1]], axis=0)
    return tf.where((values[0] >= 1) & (values[0] <= 8), values[0], 1)


def _walk(
    goes_on: Callable[[tf.Tensor], tf.Tensor], following: Callable[[tf.Tensor], tf.Tensor], start: int
) -> tf.Tensor:
    return tf.while_loop(goes_on, lambda at: (following(at),), (tf.constant(start),))[0]


def _byte(data: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """The byte at a place, or at several, int32; the nearest one where a damaged file points outside."""
    return tf.cast(tf.gather(data, tf.clip_by_value(at, 0, tf.size(data) - 1)), tf.int32)


def _number(data: tf.Tensor, at: tf.Tensor, length: int, is_little: tf.Tensor | bool = False) -> tf.Tensor:
    """A number of two or four bytes at a place, or at several, int32."""
    parts = [_byte(data, at + i) for i in range(length)]
    big, little = (sum(part * 256**i for i, part in enumerate(order)) for order in (parts[::-1], parts))
    return tf.where(is_little, little, big)


def _spells(data: tf.Tensor, at: tf.Tensor, text: bytes) -> tf.Tensor:
    return tf.reduce_all([_byte(data, at + i) == code for i, code in enumerate(text)])
