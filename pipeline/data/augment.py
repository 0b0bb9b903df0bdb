"""Training only: crop → another crop, by one warp and one colour matrix.

Each geometric step answers an affine matrix, each photometric step a colour matrix; they are multiplied, and applied
once each. A new step is a function that answers matrices, its line in GEOMETRIC or PHOTOMETRIC, and a field of
`config.Augment` that says how strong it is. Random numbers come from (seed, epoch, row), so the pictures are the same
whatever the threads.

Matrices are made for a batch at once: Python holds up the threads that warp for as long as it works.

Clipping to 0..255 comes once, at the end, where a chain of transforms would clip after each.

The matrices are applied by OpenCV on the CPU (`apply`), or by keras.ops within the training step, where the network
runs (`apply_on_device`): the same pictures, but for a grey level here and there.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import cv2
import numpy as np
from keras import ops

from pipeline.config import Augment

cv2.setNumThreads(0)  # batches are augmented in parallel; OpenCV's own threads would fight over the same cores

LUMA = np.array([0.299, 0.587, 0.114])
_GREYED = np.tile(LUMA, (3, 1))
_YIQ = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = np.linalg.inv(_YIQ)
_MID_GREY = 127.5
_COLOUR_STEPS = 1024  # OpenCV keeps ten bits of a colour matrix that it applies to bytes

_NOT_THE_ORDER = 1  # the rows' order is drawn from (seed, epoch)

Number = float | np.ndarray  # one for all pictures, or [B]


def draws(seed: int, epoch: int, rows: int) -> np.ndarray:
    """float64 [rows, N] in 0..1: what an epoch's pictures are changed by. A row's numbers depend on (seed, epoch) and
    its place alone, not on how many rows there are."""
    return np.random.default_rng((seed, epoch, _NOT_THE_ORDER)).random((rows, sum(_COUNTS.values())))


def augment(crops: np.ndarray, how: Augment, drawn: np.ndarray) -> np.ndarray:
    """uint8 RGB [B, S, S, 3] → the same shape, changed as their rows [B, N] of `draws` have it. No strength at all:
    unchanged."""
    changes = zip(crops, *matrices(how, crops.shape[1], drawn), strict=True)
    return np.stack([apply(crop, warp, mix, how.fill) for crop, warp, mix in changes])


def for_device(how: Augment, size: int, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `apply_on_device` takes, one of each for every row of `drawn`: float32 [B, 2, 3] and [B, 3, 4].

    The first says where a pixel (x, y, 1) of the answer is taken from: the inverse of `affine`.
    """
    warps, colours = matrices(how, size, drawn)
    return np.linalg.inv(warps)[:, :2].astype(np.float32), colours[:, :3].astype(np.float32)


def matrices(how: Augment, size: int, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The `affine` and the `colour` matrices, these as exact as OpenCV takes them."""
    return affine(how, size, drawn), np.round(colour(how, drawn) * _COLOUR_STEPS) / _COLOUR_STEPS


def affine(how: Augment, size: int, drawn: np.ndarray) -> np.ndarray:
    """All geometric steps as one matrix [B, 3, 3]: where a pixel (x, y, 1) of the crop goes."""
    matrix = np.tile(np.eye(3), (len(drawn), 1, 1))
    for name, (step, _) in GEOMETRIC.items():
        if getattr(how, name) != _OFF.get(name, 0):
            matrix = step(getattr(how, name), size, *_numbers(drawn, name)) @ matrix
    centre = (size - 1) / 2
    return _affine(1, 0, centre, 0, 1, centre) @ matrix @ _affine(1, 0, -centre, 0, 1, -centre)


def colour(how: Augment, drawn: np.ndarray) -> np.ndarray:
    """All photometric steps as one matrix [B, 4, 4] on (r, g, b, 1), levels 0..255."""
    matrix = np.tile(np.eye(4), (len(drawn), 1, 1))
    for name, (step, _) in PHOTOMETRIC.items():
        if getattr(how, name):
            matrix = step(getattr(how, name), *_numbers(drawn, name)) @ matrix
    return matrix


def apply(crop: np.ndarray, affine: np.ndarray, colour: np.ndarray, fill: str | int = "reflect") -> np.ndarray:
    """One warp (bilinear), one colour matrix, each left out where it is the identity: then no byte changes."""
    if not np.array_equal(affine, np.eye(3)):
        border = {"borderMode": cv2.BORDER_REFLECT_101} if fill == "reflect" else {"borderValue": (fill,) * 3}
        crop = cv2.warpAffine(crop, affine[:2], crop.shape[1::-1], flags=cv2.INTER_LINEAR, **border)
    if not np.array_equal(colour, np.eye(4)):
        crop = cv2.transform(crop, colour[:3])
    return crop


# -- the same by keras.ops, in float32 whatever the precision of the network -------------------------------------------


def apply_on_device(crops: Any, sources: Any, colours: Any, fill: str | int = "reflect") -> Any:
    """`apply` to a batch: uint8 [B, S, S, 3] → the same shape, by the matrices [B, 2, 3] and [B, 3, 4] of `for_device`.

    Equal to `apply` but for a few bytes in 100,000 that are rounded the other way. OpenCV before 5 takes pixels from
    places rounded to 1/32: within a grey level on smooth pictures, up to 7 levels beside hard edges.
    """
    x, y = (_places(sources[:, axis], crops.shape[1]) for axis in (0, 1))
    levels = ops.round(_warped(crops, x, y, fill))
    # a sum of products, not a matrix product, whose factors a GPU may round to ten bits (TF32)
    levels = sum(levels[..., c, None] * colours[:, None, None, :, c] for c in range(3)) + colours[:, None, None, :, 3]
    return ops.cast(ops.clip(ops.floor(levels + 0.5), 0, 255), "uint8")


def _places(row: Any, size: int) -> Any:
    """One coordinate [B, S, S] of where every pixel is taken from, by a row [B, 3] of the matrix."""
    steps = ops.arange(size, dtype="float32")
    by_x, by_y, offset = (row[:, i, None, None] for i in range(3))
    return by_x * steps + by_y * steps[:, None] + offset


def _warped(crops: Any, x: Any, y: Any, fill: str | int) -> Any:
    """Levels at any places; `keras.ops.image.affine_transform` would repeat the edge, and XLA cannot compile it."""
    size = crops.shape[1]
    if fill == "reflect":
        return _interpolated(crops, _mirrored(x, size - 1), _mirrored(y, size - 1))
    framed = ops.pad(crops, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=fill)
    return _interpolated(framed, ops.clip(x, -1, size) + 1, ops.clip(y, -1, size) + 1)  # outside: on the frame


def _mirrored(place: Any, last: int) -> Any:
    """Mirrored at 0 and `last` as often as it takes to lie between them (OpenCV's BORDER_REFLECT_101)."""
    return last - ops.abs(ops.mod(place, 2 * last) - last)


def _interpolated(crops: Any, x: Any, y: Any) -> Any:
    """Bilinear: float32 [B, S, S, 3] at places [B, S, S] that lie on the crops."""
    side = crops.shape[1]
    crops = ops.cast(crops, "float32")  # TensorFlow gathers no bytes on a GPU
    left, top = (ops.minimum(ops.floor(place), side - 2) for place in (x, y))
    right, down = (x - left)[..., None], (y - top)[..., None]
    pixels, corner = ops.reshape(crops, (-1, side * side, 3)), ops.cast(top * side + left, "int32")

    def at(offset: int) -> Any:
        return ops.vectorized_map(lambda one: ops.take(one[0], one[1], axis=0), (pixels, corner + offset))

    above, below = (at(row) + right * (at(row + 1) - at(row)) for row in (0, side))
    return above + down * (below - above)


# -- geometric steps: (strength, size in pixels, numbers [B] in 0..1 …) → [B, 3, 3], from the centre of the crop -----


def _flip(probability: float, size: int, number: np.ndarray) -> np.ndarray:
    return _affine(np.where(number < probability, -1.0, 1.0), 0, 0, 0, 1, 0)


def _rotation(degrees: float, size: int, number: np.ndarray) -> np.ndarray:
    angle = np.deg2rad(_between(-degrees, degrees, number))
    return _affine(np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0)


def _shear(degrees: float, size: int, number: np.ndarray) -> np.ndarray:
    return _affine(1, np.tan(np.deg2rad(_between(-degrees, degrees, number))), 0, 0, 1, 0)


def _zoom(share: float, size: int, number: np.ndarray) -> np.ndarray:
    factor = _between(1 - share, 1 + share, number)
    return _affine(factor, 0, 0, 0, factor, 0)


def _shift(share: float, size: int, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    return _affine(1, 0, _between(-share, share, across) * size, 0, 1, _between(-share, share, down) * size)


def _crop(area: float, size: int, *numbers: np.ndarray) -> np.ndarray:
    """A window of `area` to all of the crop, sides 3:4 to 4:3 but within it, stretched (Szegedy et al. 2014)."""
    kept = _between(area, 1, numbers[0])
    ratio = np.exp(_between(np.log(3 / 4), np.log(4 / 3), numbers[1]))
    window = np.minimum(np.sqrt([kept * ratio, kept / ratio]), 1)
    x, y = _between(-1, 1, np.stack(numbers[2:])) * (1 - window) / 2 * size  # of its middle
    across, down = 1 / window
    return _affine(across, 0, -x * across, 0, down, -y * down)


def _affine(a: Number, b: Number, x: Number, c: Number, d: Number, y: Number) -> np.ndarray:
    """[[a b x] [c d y] [0 0 1]], of one or B numbers each: [1 or B, 3, 3]."""
    return np.stack(np.broadcast_arrays(a, b, x, c, d, y, 0.0, 0.0, 1.0), axis=-1).reshape(-1, 3, 3)


def _between(low: float, high: float, number: np.ndarray) -> np.ndarray:
    return low + (high - low) * number


# -- photometric steps: (strength, numbers [B] in 0..1) → [B, 4, 4] ---------------------------------------------------


def _brightness(share: float, number: np.ndarray) -> np.ndarray:
    return _coloured(_each(_between(1 - share, 1 + share, number)) * np.eye(3))


def _contrast(share: float, number: np.ndarray) -> np.ndarray:
    """Around mid-grey; torchvision takes the picture's own mean, which no fixed matrix can."""
    factor = _each(_between(1 - share, 1 + share, number))
    return _coloured(factor * np.eye(3), offset=(1 - factor[:, 0]) * _MID_GREY)


def _saturation(share: float, number: np.ndarray) -> np.ndarray:
    factor = _each(_between(1 - share, 1 + share, number))
    return _coloured(factor * np.eye(3) + (1 - factor) * _GREYED)


def _hue(share: float, number: np.ndarray) -> np.ndarray:
    """A rotation of I and Q in YIQ by a share of the circle; an approximation of a shift of hue in HSV."""
    angle = 2 * np.pi * _between(-share, share, number)
    turn = np.tile(np.eye(3), (len(number), 1, 1))
    turn[:, 1, 1] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 2, 1] = np.sin(angle)
    turn[:, 1, 2] = -turn[:, 2, 1]
    return _coloured(_FROM_YIQ @ turn @ _YIQ)


def _grey(probability: float, number: np.ndarray) -> np.ndarray:
    return _coloured(np.where(_each(number) < probability, _GREYED, np.eye(3)))


def _each(number: np.ndarray) -> np.ndarray:
    """[B] → [B, 1, 1], a number for each matrix."""
    return number[:, None, None]


def _coloured(rgb: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
    """[B, 3, 3] and what is added, [B, 1], as [B, 4, 4]."""
    matrix = np.tile(np.eye(4), (len(rgb), 1, 1))
    matrix[:, :3, :3], matrix[:, :3, 3] = rgb, offset
    return matrix


# Each with how many numbers it takes.
GEOMETRIC: dict[str, tuple[Callable[..., np.ndarray], int]] = {
    "flip": (_flip, 1),
    "rotation": (_rotation, 1),
    "shear": (_shear, 1),
    "zoom": (_zoom, 1),
    "shift": (_shift, 2),
    "crop": (_crop, 4),
}
PHOTOMETRIC: dict[str, tuple[Callable[..., np.ndarray], int]] = {
    "brightness": (_brightness, 1),
    "contrast": (_contrast, 1),
    "saturation": (_saturation, 1),
    "hue": (_hue, 1),
    "grey": (_grey, 1),
}
_OFF = {"crop": 1.0}
_COUNTS = {name: count for name, (_, count) in (GEOMETRIC | PHOTOMETRIC).items()}
_FIRST = dict(zip(_COUNTS, accumulate(_COUNTS.values(), initial=0), strict=False))


def _numbers(drawn: np.ndarray, name: str) -> np.ndarray:
    """A step's own columns [count, B] of `draws`: the same whatever other steps there are."""
    return drawn[:, _FIRST[name] : _FIRST[name] + _COUNTS[name]].T
