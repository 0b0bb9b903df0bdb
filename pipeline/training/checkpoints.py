"""Where a run stands after each epoch: what `--resume` needs to go on as if nothing had happened.

Order of pictures, augmentation and dropout come from (seed, epoch), so no random state has to be kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from pipeline.training.runs import Run
from pipeline.utils import files
from pipeline.utils.errors import RequestError

Row = dict[str, Any]  # of history.csv
FILE = "checkpoints/last.npz"
_ARRAYS = ("weights", "optimizer", "kept")


@dataclass
class Progress:
    """How far a run has come.

    stage: number of the stage at work; epoch: how many of its epochs are done; best: the row of its best epoch so far;
    waited: epochs since then. history: all rows of all stages. notes: seconds and sizes of each stage, by name.
    weights and optimizer: as they were after the last epoch; kept: the network's weights in the best epoch; frozen:
    which of the weights, by number, the stage does not move; places: where the network puts standardised answers
    (`network.places`).
    """

    stage: int = 0
    epoch: int = 0
    best: Row | None = None
    waited: int = 0
    history: list[Row] = field(default_factory=list)
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    weights: list[np.ndarray] = field(default_factory=list)
    optimizer: list[np.ndarray] = field(default_factory=list)
    kept: list[np.ndarray] = field(default_factory=list)
    frozen: list[int] = field(default_factory=list)
    places: dict[str, tuple[float, float]] = field(default_factory=dict)

    def begin(self, stage: int) -> None:
        """Turn to a stage; nothing of it is done yet unless it is the one at work."""
        if stage != self.stage:
            self.stage, self.epoch, self.best, self.waited = stage, 0, None, 0
            self.weights, self.optimizer, self.kept = [], [], []


def write(run: Run, progress: Progress) -> None:
    """Keep where the run stands, whole or not at all; what the stage does not move, once."""
    last, constant = run.path / FILE, _constant(run, progress)
    last.parent.mkdir(exist_ok=True)
    if progress.frozen and (progress.epoch == 1 or not constant.exists()):
        _save(constant, {str(i): progress.weights[i] for i in progress.frozen})
    moved = sorted({*range(len(progress.weights))} - {*progress.frozen})
    arrays = {f"optimizer/{i}": array for i, array in enumerate(progress.optimizer)}
    arrays |= {f"weights/{i}": progress.weights[i] for i in moved}
    if progress.kept is not progress.weights:
        arrays |= {f"kept/{i}": progress.kept[i] for i in moved}
    told = {name: value for name, value in vars(progress).items() if name not in _ARRAYS}
    _save(last, arrays | {"told": np.array(json.dumps(told))})
    for path in set(last.parent.glob("frozen-*.npz")) - {constant}:
        path.unlink()  # of a stage that is over


def read(run: Run) -> Progress:
    """Where the run stands; at its beginning, when it was stopped before its first epoch was done.

    Raises RequestError for a file that is damaged.
    """
    path = run.path / FILE
    if not path.exists():
        return Progress()
    try:
        arrays = _load(path)
        progress = Progress(**json.loads(str(arrays.pop("told"))))
        if progress.frozen:
            path = _constant(run, progress)
        constant = _load(path) if progress.frozen else {}
        progress.optimizer = _numbered(arrays, "optimizer", {})
        progress.weights = _numbered(arrays, "weights", constant)
        # the last epoch is the best: once is enough
        is_kept_apart = any(name.startswith("kept/") for name in arrays)
        progress.kept = _numbered(arrays, "kept", constant) if is_kept_apart else progress.weights
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise RequestError(f"{path} cannot be read ({error}): the run cannot be resumed, start it anew") from error
    return progress


def _constant(run: Run, progress: Progress) -> Path:
    return (run.path / FILE).with_name(f"frozen-{progress.stage}.npz")


def _save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with files.written(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as held:
        return dict(held)


def _numbered(arrays: Mapping[str, np.ndarray], name: str, others: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The arrays `name/0`, `name/1`, …, of which some are among `others`, as `0`, `1`, …"""
    found = {key.removeprefix(f"{name}/"): array for key, array in arrays.items() if key.startswith(f"{name}/")}
    found |= others
    return [found[str(i)] for i in range(len(found))]
