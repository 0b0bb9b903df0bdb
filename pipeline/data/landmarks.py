"""Whether listed landmarks can be those of the faces: left and right, eyes and mouth, pixels of the upright picture.

What most rows have is a mistake of the table; what few have is a turned face, or a bad detection, and kept.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.data.manifests import BOX, EYES, LANDMARKS, POINTS
from pipeline.utils.errors import RequestError

# How far outside the face box a point may lie, as a share of the box's side. Detectors put points of half-profiles just
# outside; other units, another picture's pixels or columns in another order put them much further away.
TOLERANCE = 0.5

log = logging.getLogger(__name__)


class _Mistake(NamedTuple):
    """Something that landmarks may have wrong: in how many rows, of how many that tell, and what to do about it."""

    said: str
    wrong: int
    count: int
    mend: str

    @property
    def is_of_most(self) -> bool:
        return 2 * self.wrong > self.count


def check(rows: pd.DataFrame, source: str, aligned: bool) -> None:
    """Check the landmarks for sense, and whether faces can be aligned by them.

    Raises RequestError, where the faces are to be `aligned`, when most landmarks can be none, or no row has both a face
    box and eyes. Of fewer rows, and where the landmarks are not used, a counted warning tells.
    """
    points = rows.reindex(columns=list(LANDMARKS)).to_numpy(float).reshape(len(rows), -1, 2)
    for mistake in (_upside_down(points), *_mirrored(points), _outside(points, rows[list(BOX)].to_numpy(float))):
        said = f"{source}: in {mistake.wrong} of {mistake.count} rows with landmarks {mistake.said}"
        if mistake.is_of_most and aligned:
            raise RequestError(f"{said}; {mistake.mend}")
        if mistake.is_of_most:
            log.warning(f"{said}; without --aligned they are not used")
        elif mistake.wrong and aligned:
            log.warning(f"{said}; these faces are aligned as they are")
    if aligned:
        _check_complete(rows, source)


def _check_complete(rows: pd.DataFrame, source: str) -> None:
    has_box, has_eyes = (rows[list(names)].notna().all(axis="columns") for names in (BOX, EYES))
    turned = has_box & has_eyes
    if not turned.any():
        lacking = "the face box x y w h" if not has_box.any() else "eyes" if not has_eyes.any() else "both"
        raise RequestError(
            f"{source}: aligning needs the face box x y w h and eyes, but none of {len(rows)} rows has {lacking}: "
            "`python -m pipeline clean` finds them, and writes a manifest to train on with --dataset csv"
        )
    if not turned.all():
        log.warning(
            f"{source}: {(~turned).sum()} of {len(rows)} rows lack the face box ({(~has_box).sum()}) or eyes "
            f"({(~has_eyes).sum()}) and are not aligned"
        )


def _upside_down(points: np.ndarray) -> _Mistake:
    """Eyes below the mouth: y counted from the bottom, or pictures upside down. points: [rows, 5, xy]."""
    eyes, mouth = points[:, :2].mean(axis=1), points[:, 3:].mean(axis=1)
    below, count = _count(eyes[:, 1] > mouth[:, 1], eyes, mouth)
    mend = "expected pixels of the upright picture, y from its top: turn the pictures, or correct the columns"
    return _Mistake("the eyes are below the mouth", below, count, mend)


def _mirrored(points: np.ndarray) -> list[_Mistake]:
    """Left and right exchanged, of the eyes and of the mouth, whichever way a face is turned, as far as the nose or
    mouth tells it: a face without them counts as upright."""
    eyes, nose, mouth = points[:, :2].mean(axis=1), points[:, 2], points[:, 3:].mean(axis=1)
    down = np.where(np.isnan(mouth), nose, mouth) - eyes
    down = np.where(np.isnan(down).any(axis=1, keepdims=True), (0.0, 1.0), down)
    found = []
    for place in (0, 3):
        left, right = points[:, place], points[:, place + 1]
        across = right - left
        is_mirrored = across[:, 0] * down[:, 1] < across[:, 1] * down[:, 0]
        found.append((POINTS[place], POINTS[place + 1], *_count(is_mirrored, left, right)))
    pairs = [
        pair for left, right, wrong, count in found if 2 * wrong > count for pair in ((left, right), (right, left))
    ]
    mend = (
        "they look like the person's left and right, expected are those seen in the picture: exchange the columns "
        f"(`train`: --stages.0.data.columns {' '.join(f'{a}_{axis} {b}_{axis}' for a, b in pairs for axis in 'xy')}; "
        "`data`: --columns …)"
    )
    return [_Mistake(f"{left} is right of {right}", wrong, count, mend) for left, right, wrong, count in found]


def _outside(points: np.ndarray, boxes: np.ndarray) -> _Mistake:
    """Points that are not where the box is, or shares of it in place of pixels. boxes: x y w h [rows, 4]."""
    corner, side = boxes[:, None, :2], boxes[:, None, 2:]
    outside = ((points < corner - TOLERANCE * side) | (points > corner + (1 + TOLERANCE) * side)).any(axis=(1, 2))
    one_point = np.abs(points[:, 1] - points[:, 0]).max(axis=1) < 1
    known = ~np.isnan(points).all(axis=(1, 2))
    mend = "are they in pixels of the upright picture, as the box is?"
    said = "points are far outside the face box, or both eyes are in one pixel"
    return _Mistake(said, int((known & (outside | one_point)).sum()), int(known.sum()), mend)


def _count(wrong: np.ndarray, *points: np.ndarray) -> tuple[int, int]:
    """How many rows are wrong, of how many that have all the points."""
    known = ~np.isnan(np.hstack(points)).any(axis=1)
    return int((wrong & known).sum()), int(known.sum())
