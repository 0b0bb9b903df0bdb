"""Drawn faces of any number and size, as JPEG files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import pandas as pd

from pipeline.data import manifests
from pipeline.datasets import sample

FACES = 200  # drawing takes long; what is asked for beyond that are the same faces, a shade brighter each time
SHADE = 1


def drawn(folder: Path, count: int, side: int) -> pd.DataFrame:
    """A manifest of `count` different pictures of side×side, written into a folder of their own the first time."""
    faces = sample.load(folder / "faces", count=FACES)
    rows = faces.iloc[[i % FACES for i in range(count)]].reset_index(drop=True)
    sources, target = rows["path"], folder_of(folder, count, side)
    rows["path"] = [str(target / f"{i:05}.jpg") for i in range(count)]
    if not target.exists():
        target.mkdir()
        with ThreadPoolExecutor() as pool:
            list(pool.map(_write, sources, rows["path"], [i // FACES for i in range(count)], [side] * count))
    return manifests.there(manifests.listed(rows, "bench"), "bench")


def folder_of(folder: Path, count: int, side: int) -> Path:
    """Where these pictures lie, and nothing else."""
    return folder / f"{count}-of-{side}"


def _write(source: str, target: str, shade: int, side: int) -> None:
    picture = cv2.resize(cv2.imread(source), (side, side), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(target, cv2.add(picture, (SHADE * shade,) * 4))
