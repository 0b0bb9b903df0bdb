"""What a worker process of `clean` does: picture files → one row each, with what the face detector found in them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pipeline.data import manifests
from pipeline.data.crop import UNREADABLE, reason
from pipeline.data.pictures import OUTSIDE, decode
from pipeline.faces.detector import LONGEST, Detector, Face

FACE = 112  # pixels at which the sharpness of a face is measured


def look(keys: Sequence[str], paths: Sequence[str], regions: np.ndarray, confidence: float) -> pd.DataFrame:
    """One row a picture, columns manifests.FOUND: key, faces (how many), and of the most confident one its box x y w h,
    confidence, LANDMARKS (pixels of the upright picture) and sharpness; unreadable is the reason why a picture could
    not be read.

    regions: float [N, 4], x y w h in which to look, NaN for the whole picture. confidence: from which a detection
    counts.
    """
    detector = _detector()
    read_ones = [_read(path, region) for path, region in zip(paths, regions, strict=True)]
    good = [i for i, one in enumerate(read_ones) if not isinstance(one, str)]
    found = dict(zip(good, detector([read_ones[i][0] for i in good]), strict=True))
    rows = [
        {"unreadable": one} if isinstance(one, str) else _row(found[i], *one, confidence)
        for i, one in enumerate(read_ones)
    ]
    table = pd.DataFrame(rows).assign(key=keys).reindex(columns=list(manifests.FOUND))
    return table.astype({"unreadable": "string"})


@cache
def _detector() -> Detector:
    return Detector(threads=1)  # the workers share the cores


def _read(path: str, region: np.ndarray) -> tuple[np.ndarray, float, np.ndarray] | str:
    """The pixels to look at, their scale (below 1 where the file was decoded at a fraction), and where they begin in
    the upright picture (x, y); or the reason why there are none."""
    try:
        picture, (scale, _) = decode(Path(path).read_bytes(), size=LONGEST)
    except UNREADABLE as error:
        return reason(error)
    if np.isnan(region).any():
        return picture, scale, np.zeros(2)
    x, y = np.clip(np.round(region[:2] * scale), 0, None).astype(int)
    right, low = np.clip(np.round((region[:2] + region[2:]) * scale), 0, None).astype(int)
    cut = picture[y:low, x:right]
    return (np.ascontiguousarray(cut), scale, np.array([x, y]) / scale) if min(cut.shape) else OUTSIDE


def _row(
    found: Sequence[Face], picture: np.ndarray, scale: float, origin: np.ndarray, least: float
) -> dict[str, float]:
    faces = [face for face in found if face.confidence >= least]
    if not faces:
        return {"faces": 0}
    best = faces[0]
    points = (np.array(best.landmarks) / scale + origin).ravel()
    place = np.array(best.box) / scale + [*origin, 0, 0]
    return {
        "faces": len(faces),
        **dict(zip(manifests.BOX, place, strict=True)),
        "confidence": best.confidence,
        "sharpness": _sharpness(picture, best.box),
        **dict(zip(manifests.LANDMARKS, points, strict=True)),
    }


def _sharpness(picture: np.ndarray, box: tuple[float, float, float, float]) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000) of a face at one size, so that sizes compare, over the
    variance of its grey levels: a dark face is not a blurred one."""
    x, y, w, h = (round(part) for part in box)
    x, y = min(x, picture.shape[1] - 1), min(y, picture.shape[0] - 1)  # a sliver at the border is still a pixel
    face = cv2.cvtColor(picture[y : y + max(h, 1), x : x + max(w, 1)], cv2.COLOR_RGB2GRAY)
    face = cv2.resize(face, (FACE, FACE), interpolation=cv2.INTER_AREA).astype(float)
    return float(cv2.Laplacian(face, cv2.CV_64F).var() / max(face.var(), 1.0))
