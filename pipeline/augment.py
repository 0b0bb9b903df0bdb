"""Training only: canvas → another canvas, by one warp and one colour matrix.

Each geometric step answers an affine matrix, each photometric step a colour matrix; they are multiplied, and applied
once each. A new step is a function that answers a matrix, and a field of `config.Augment` that says how strong it is.
Random numbers come from (seed, epoch, row), so the pictures are the same whatever the threads.

Clipping to 0..255 comes once, at the end, where a chain of transforms would clip after each.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.config import Augment

cv2.setNumThreads(0)  # batches are augmented in parallel; OpenCV's own threads would fight over the same cores

LUMA = np.array([0.299, 0.587, 0.114])
_YIQ = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_MID_GREY = 127.5

Draw = np.random.Generator


def augment(canvas: np.ndarray, how: Augment, seed: tuple[int, int, int]) -> np.ndarray:
    """uint8 RGB [S, S, 3] → the same shape, changed as (seed, epoch, row) draws it. No strength at all: unchanged."""
    rng = np.random.default_rng(seed)
    return apply(canvas, affine(how, canvas.shape[0], rng), colour(how, rng), how.fill)


def affine(how: Augment, size: int, rng: Draw) -> np.ndarray:
    """All geometric steps as one matrix [3, 3]: where a pixel (x, y, 1) of the canvas goes."""
    matrix = np.eye(3)
    for name, step in GEOMETRIC.items():
        if getattr(how, name) != _OFF.get(name, 0):
            matrix = step(getattr(how, name), size, rng) @ matrix
    centre = _shifted((size - 1) / 2, (size - 1) / 2)
    return centre @ matrix @ np.linalg.inv(centre)


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
    return _coloured(factor * np.eye(3) + (1 - factor) * np.tile(LUMA, (3, 1)))


def _hue(share: float, rng: Draw) -> np.ndarray:
    """A rotation of I and Q in YIQ by a share of the circle; an approximation of a shift of hue in HSV."""
    angle = 2 * np.pi * rng.uniform(-share, share)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return _coloured(np.linalg.inv(_YIQ) @ turn @ _YIQ)


def _grey(probability: float, rng: Draw) -> np.ndarray:
    return _coloured(np.tile(LUMA, (3, 1)) if rng.random() < probability else np.eye(3))


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
