"""How much of a picture lies about its face: what `predict` must leave about a face that it has found itself."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.config import Experiment
from pipeline.data import splits
from pipeline.data.crop import UNREADABLE
from pipeline.data.pictures import decode
from pipeline.faces.detector import LONGEST, Detector

MEASURED = 50  # pictures


def about_faces(experiment: Experiment, table: pd.DataFrame) -> float:
    """The margin about a face in the pictures of a run, as a share of the longer side of its box.

    Where training cut the pictures to face boxes, `Data.margin`. Pictures that were taken whole have a margin of their
    own: the median of what MTCNN finds in some of them (by hash), if it finds a face in most.
    """
    data, rows = experiment.stages[-1].data, table[table["split"] == "train"].reset_index(drop=True)
    if rows["x"].notna().any():
        return data.margin
    rows = splits.limit(rows, MEASURED)
    found = [margin for path in rows["path"] if (margin := _about_face(path)) is not None]
    return round(max(float(np.median(found)), 0.0), 3) if 2 * len(found) > len(rows) else data.margin


def _about_face(path: str) -> float | None:
    """Of the largest face of a picture; None without one. A picture that is no square is squeezed into one: its margin
    is that with which a face is as large on the crop."""
    try:
        picture, _ = decode(Path(path).read_bytes(), size=LONGEST)
    except UNREADABLE:
        return None
    sides = [max(face.box[2:]) for face in _detector()([picture])[0] if face.is_sure]
    return (math.sqrt(picture.shape[0] * picture.shape[1]) / max(sides) - 1) / 2 if sides else None


@cache
def _detector() -> Detector:
    return Detector()
