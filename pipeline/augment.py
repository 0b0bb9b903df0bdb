"""Training only: canvas → another canvas, by one warp and one colour matrix.

Each geometric step answers an affine matrix, each photometric step a colour matrix; they are multiplied, and applied
once each. A new step is a function that answers a matrix, and a field of `config.Augment` that says how strong it is.
Random numbers come from (seed, epoch, row), so the pictures are the same whatever the threads.

Clipping to 0..255 comes once, at the end, where a chain of transforms would clip after each.

The matrices are applied by OpenCV on the CPU (`apply`), or by keras.ops within the training step, where the network
runs (`apply_on_device`): the same pictures, but for a grey level here and there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

Draw = np.random.Generator
Seed = tuple[int, int, int]  # of the experiment, epoch, row


def augment(canvas: np.ndarray, how: Augment, seed: Seed) -> np.ndarray:
    """uint8 RGB [S, S, 3] → the same shape, changed as (seed, epoch, row) draws it. No strength at all: unchanged."""
    return apply(canvas, *matrices(how, canvas.shape[0], seed), how.fill)


def for_device(how: Augment, size: int, seeds: Sequence[Seed]) -> tuple[np.ndarray, np.ndarray]:
    """What `apply_on_device` takes, one of each for every seed: float32 [B, 2, 3] and [B, 3, 4].

    The first says where a pixel (x, y, 1) of the answer is taken from: the inverse of `affine`.
    """
    warps, colours = map(np.stack, zip(*(matrices(how, size, seed) for seed in seeds), strict=True))
    return np.linalg.inv(warps)[:, :2].astype(np.float32), colours[:, :3].astype(np.float32)


def matrices(how: Augment, size: int, seed: Seed) -> tuple[np.ndarray, np.ndarray]:
    """What (seed, epoch, row) draws: the `affine` and the `colour` matrix, this as exact as OpenCV takes it."""
    rng = np.random.default_rng(seed)
    return affine(how, size, rng), np.round(colour(how, rng) * _COLOUR_STEPS) / _COLOUR_STEPS


def affine(how: Augment, size: int, rng: Draw) -> np.ndarray:
    """All geometric steps as one matrix [3, 3]: where a pixel (x, y, 1) of the canvas goes."""
    matrix = np.eye(3)
    for name, step in GEOMETRIC.items():
        if getattr(how, name) != _OFF.get(name, 0):
            matrix = step(getattr(how, name), size, rng) @ matrix
    centre = (size - 1) / 2
    return _shifted(centre, centre) @ matrix @ _shifted(-centre, -centre)


def colour(how: Augment, rng: Draw) -> np.ndarray:
    """All photometric steps as one matrix [4, 4] on (r, g, b, 1), levels 0..255."""
    matrix = np.eye(4)
    for name, step in PHOTOMETRIC.items():
        if getattr(how, name):
            matrix = step(getattr(how, name), rng) @ matrix
    return matrix


def apply(canvas: np.ndarray, affine: np.ndarray, colour: np.ndarray, fill: str | int = "reflect") -> np.ndarray:
    """One warp (bilinear), one colour matrix, each left out where it is the identity: then no byte changes."""
    if not np.array_equal(affine, np.eye(3)):
        border = {"borderMode": cv2.BORDER_REFLECT_101} if fill == "reflect" else {"borderValue": (fill,) * 3}
        canvas = cv2.warpAffine(canvas, affine[:2], canvas.shape[1::-1], flags=cv2.INTER_LINEAR, **border)
    if not np.array_equal(colour, np.eye(4)):
        canvas = cv2.transform(canvas, colour[:3])
    return canvas


# -- the same by keras.ops, in float32 whatever the precision of the network -------------------------------------------


def apply_on_device(canvases: Any, sources: Any, colours: Any, fill: str | int = "reflect") -> Any:
    """`apply` to a batch: uint8 [B, S, S, 3] → the same shape, by the matrices [B, 2, 3] and [B, 3, 4] of `for_device`.

    Equal to `apply` but for a few bytes in 100,000 that are rounded the other way. OpenCV before 5 takes pixels from
    places rounded to 1/32: within a grey level on smooth pictures, up to 7 levels beside hard edges.
    """
    x, y = (_places(sources[:, axis], canvases.shape[1]) for axis in (0, 1))
    levels = ops.round(_warped(canvases, x, y, fill))
    # a sum of products, not a matrix product, whose factors a GPU may round to ten bits (TF32)
    levels = sum(levels[..., c, None] * colours[:, None, None, :, c] for c in range(3)) + colours[:, None, None, :, 3]
    return ops.cast(ops.clip(ops.floor(levels + 0.5), 0, 255), "uint8")


def _places(row: Any, size: int) -> Any:
    """One coordinate [B, S, S] of where every pixel is taken from, by a row [B, 3] of the matrix."""
    steps = ops.arange(size, dtype="float32")
    by_x, by_y, offset = (row[:, i, None, None] for i in range(3))
    return by_x * steps + by_y * steps[:, None] + offset


def _warped(canvases: Any, x: Any, y: Any, fill: str | int) -> Any:
    """Levels at any places; `keras.ops.image.affine_transform` would repeat the edge, and XLA cannot compile it."""
    size = canvases.shape[1]
    if fill == "reflect":
        return _interpolated(canvases, _mirrored(x, size - 1), _mirrored(y, size - 1))
    framed = ops.pad(canvases, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=fill)
    return _interpolated(framed, ops.clip(x, -1, size) + 1, ops.clip(y, -1, size) + 1)  # outside: on the frame


def _mirrored(place: Any, last: int) -> Any:
    """Mirrored at 0 and `last` as often as it takes to lie between them (OpenCV's BORDER_REFLECT_101)."""
    return last - ops.abs(ops.mod(place, 2 * last) - last)


def _interpolated(canvases: Any, x: Any, y: Any) -> Any:
    """Bilinear: float32 [B, S, S, 3] at places [B, S, S] that lie on the canvases."""
    side = canvases.shape[1]
    canvases = ops.cast(canvases, "float32")  # TensorFlow gathers no bytes on a GPU
    left, top = (ops.minimum(ops.floor(place), side - 2) for place in (x, y))
    right, down = (x - left)[..., None], (y - top)[..., None]
    pixels, corner = ops.reshape(canvases, (-1, side * side, 3)), ops.cast(top * side + left, "int32")

    def at(offset: int) -> Any:
        return ops.vectorized_map(lambda one: ops.take(one[0], one[1], axis=0), (pixels, corner + offset))

    above, below = (at(row) + right * (at(row + 1) - at(row)) for row in (0, side))
    return above + down * (below - above)


# -- geometric steps: (strength, size in pixels, rng) → [3, 3], coordinates from the centre of the canvas -------------


def _flip(probability: float, size: int, rng: Draw) -> np.ndarray:
    return np.diag([-1.0 if rng.random() < probability else 1.0, 1.0, 1.0])


def _rotation(degrees: float, size: int, rng: Draw) -> np.ndarray:
    angle = np.deg2rad(rng.uniform(-degrees, degrees))
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])


def _shear(degrees: float, size: int, rng: Draw) -> np.ndarray:
    return np.array([[1.0, np.tan(np.deg2rad(rng.uniform(-degrees, degrees))), 0], [0, 1, 0], [0, 0, 1]])


def _zoom(share: float, size: int, rng: Draw) -> np.ndarray:
    factor = rng.uniform(1 - share, 1 + share)
    return np.diag([factor, factor, 1.0])


def _shift(share: float, size: int, rng: Draw) -> np.ndarray:
    return _shifted(*rng.uniform(-share, share, 2) * size)


def _crop(area: float, size: int, rng: Draw) -> np.ndarray:
    """A window of `area` to all of the canvas, sides 3:4 to 4:3 but within it, stretched (Szegedy et al. 2014)."""
    kept, ratio = rng.uniform(area, 1), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    window = np.minimum(np.sqrt([kept * ratio, kept / ratio]), 1)
    middle = rng.uniform(-1, 1, 2) * (1 - window) / 2 * size
    return np.diag([*(1 / window), 1.0]) @ _shifted(*-middle)


def _shifted(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


# -- photometric steps: (strength, rng) → [4, 4] ---------------------------------------------------------------------


def _brightness(share: float, rng: Draw) -> np.ndarray:
    return _coloured(np.eye(3) * rng.uniform(1 - share, 1 + share))


def _contrast(share: float, rng: Draw) -> np.ndarray:
    """Around mid-grey; torchvision takes the picture's own mean, which no fixed matrix can."""
    factor = rng.uniform(1 - share, 1 + share)
    return _coloured(np.eye(3) * factor, offset=(1 - factor) * _MID_GREY)


def _saturation(share: float, rng: Draw) -> np.ndarray:
    factor = rng.uniform(1 - share, 1 + share)
    return _coloured(factor * np.eye(3) + (1 - factor) * _GREYED)


def _hue(share: float, rng: Draw) -> np.ndarray:
    """A rotation of I and Q in YIQ by a share of the circle; an approximation of a shift of hue in HSV."""
    angle = 2 * np.pi * rng.uniform(-share, share)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return _coloured(_FROM_YIQ @ turn @ _YIQ)


def _grey(probability: float, rng: Draw) -> np.ndarray:
    return _coloured(_GREYED if rng.random() < probability else np.eye(3))


def _coloured(rgb: np.ndarray, offset: float = 0.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rgb, offset
    return matrix


GEOMETRIC: dict[str, Callable[[float, int, Draw], np.ndarray]] = {
    "flip": _flip,
    "rotation": _rotation,
    "shear": _shear,
    "zoom": _zoom,
    "shift": _shift,
    "crop": _crop,
}
PHOTOMETRIC: dict[str, Callable[[float, Draw], np.ndarray]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
    "grey": _grey,
}
_OFF = {"crop": 1.0}
