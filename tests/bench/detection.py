"""`python -m tests.bench.detection --faces DIR`: pictures/s and recall of `pipeline.faces` beside mtcnn's plain loop.

Pictures of 1024×1024 hold one to three faces pasted in at 80 to 400 pixels; their places are known.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import matplotlib.cbook
import numpy as np

from tests.bench.measuring import Contenders, Row, Setting

SIDE = 1024
Box = tuple[float, float, float, float]  # x, y, width, height
Found = dict[str, list[Box]]  # boxes by file name


def main() -> None:
    """Measure in turn, print speeds, recalls, false faces and the pasted faces that each missed."""
    options = argparse.ArgumentParser(prog="python -m tests.bench.detection", description=__doc__)
    options.add_argument("--faces", type=Path, help="folder of JPEGs of one face each; matplotlib's photograph without")
    options.add_argument("--count", type=int, default=100)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Found] = {}
        contenders = detection(Path(folder), chosen.faces, chosen.count, found)
        speeds = [[measure() for measure in contenders.values()] for _ in range(chosen.rounds)]
        pasted = json.loads((Path(folder) / "pasted.json").read_text())
    for name, speed in zip(contenders, zip(*speeds, strict=True), strict=True):
        print(f"{name}: {statistics.median(speed):.2f} pictures/s; {judged(pasted, found[name])}")
    print(f"ratio: {statistics.median(ours / plain for ours, plain in speeds):.2f}")


def rows(setting: Setting) -> list[Row]:
    """Finding faces."""
    folder, count = setting.folder / "detection", setting.of(100, 8)
    name = f"finding faces, {SIDE}²"
    return [Row(name, lambda: detection(folder, None, count), "pictures/s", rounds=setting.of(3, 1))]


def detection(folder: Path, faces: Path | None, count: int, found: dict[str, Found] | None = None) -> Contenders:
    """Measurements of pictures/s over `count` pictures drawn into `folder`; `found` takes each contender's boxes."""
    folder.mkdir(exist_ok=True)
    draw(folder, faces, count)
    paths = sorted(folder.glob("*.jpg"))
    found = {} if found is None else found
    names = "two processes of one thread", "one MTCNN, detect_faces(picture)"

    def ours() -> float:
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            list(pool.map(warm, [0.5] * 2))
            return speed(lambda: pool.map(ours_in, chunks(paths, 4)), names[0])

    def speed(work: Callable[[], Iterator[Found]], name: str) -> float:
        began = time.perf_counter()
        parts = list(work())
        taken = time.perf_counter() - began
        found[name] = {path: boxes for part in parts for path, boxes in part.items()}
        return count / taken

    def plain() -> float:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            pool.submit(plain_in, paths[:1]).result()
            return speed(lambda: pool.map(plain_in, [paths]), names[1])

    return dict(zip(names, (ours, plain), strict=True))


def chunks(paths: list[Path], size: int) -> list[list[Path]]:
    """The paths in groups of `size`, the last one shorter."""
    return [paths[start : start + size] for start in range(0, len(paths), size)]


@cache
def detector() -> Any:
    """One `Detector` of one thread in this process."""
    from pipeline.faces.detector import Detector

    return Detector(threads=1)


def warm(pause: float) -> None:
    """Make this process's detector and try it; the pause lets the other process take its turn."""
    detector()([np.zeros((SIDE, SIDE, 3), np.uint8), hopper()])
    time.sleep(pause)


def ours_in(paths: list[Path]) -> Found:
    """What `Detector` finds in a chunk."""
    faces = detector()([read(path) for path in paths])
    return {path.name: [face.box for face in found] for path, found in zip(paths, faces, strict=True)}


@cache
def mtcnn() -> Any:
    """The library's own detector with its defaults."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from mtcnn import MTCNN

    return MTCNN()


def plain_in(paths: list[Path]) -> Found:
    """The plain loop."""
    return {path.name: [face["box"] for face in mtcnn().detect_faces(read(path))] for path in paths}


def read(path: Path) -> np.ndarray:
    """RGB."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def hopper() -> np.ndarray:
    """The face in matplotlib's sample photograph, with a margin."""
    return read(Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))[60:380, 100:420]


def draw(folder: Path, faces: Path | None, count: int) -> None:
    """`count` JPEGs and pasted.json with the boxes in each; the same for the same folder of faces."""
    dice = np.random.default_rng(0)
    sources = sorted(faces.rglob("*.jpg")) if faces else []
    pasted: Found = {}
    for index in range(count):
        picture, name = background(dice), f"{index:04}.jpg"
        pasted[name] = boxes = apart(dice, int(dice.integers(1, 4)))
        for left, top, side, _ in boxes:
            face = read(sources[dice.integers(len(sources))]) if sources else hopper()
            picture[top : top + side, left : left + side] = cv2.resize(
                face, (side, side), interpolation=cv2.INTER_CUBIC
            )
        cv2.imwrite(str(folder / name), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    (folder / "pasted.json").write_text(json.dumps(pasted))


def background(dice: np.random.Generator) -> np.ndarray:
    """Clouds of colour with some grain."""
    clouds = cv2.resize(dice.uniform(30, 225, (12, 12, 3)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.clip(clouds + dice.normal(0, 6, (SIDE, SIDE, 1)), 0, 255).astype(np.uint8)


def apart(dice: np.random.Generator, count: int) -> list[tuple[int, int, int, int]]:
    """Places of `count` squares of 80 to 400 pixels that do not touch."""
    boxes: list[tuple[int, int, int, int]] = []
    while len(boxes) < count:
        side = int(dice.integers(80, 401))
        left, top = (int(dice.integers(0, SIDE - side)) for _ in range(2))
        box = left, top, side, side
        boxes += [box] * all(overlap(box, other) == 0 for other in boxes)
    return boxes


def judged(pasted: Found, found: Found) -> str:
    """Recall, false faces and misses in words."""
    misses = [(name, box) for name, boxes in pasted.items() for box in boxes if not is_among(box, found[name])]
    count = sum(map(len, pasted.values()))
    false = [
        (name, box) for name, boxes in found.items() for box in boxes if not any(same(p, box) for p in pasted[name])
    ]
    return "\n  ".join([
        f"{count - len(misses)} of {count} faces (recall {1 - len(misses) / count:.3f}), {len(false)} false",
        *(f"missed in {name} at {box}" for name, box in misses),
        *(f"false in {name} at {[round(side) for side in box]}" for name, box in false),
    ])  # fmt: skip


def is_among(pasted: Box, found: list[Box]) -> bool:
    """Whether one of the boxes found is the pasted face."""
    return any(same(pasted, box) for box in found)


def same(pasted: Box, box: Box) -> bool:
    """Centre within the pasted square and a fair overlap: a face fills about two fifths of FairFace's square."""
    x, y = box[0] + box[2] / 2 - pasted[0], box[1] + box[3] / 2 - pasted[1]
    return 0 <= x <= pasted[2] and 0 <= y <= pasted[3] and overlap(pasted, box) > 0.15


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width, height = (max(0.0, min(a[i] + a[i + 2], b[i] + b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


if __name__ == "__main__":
    main()
