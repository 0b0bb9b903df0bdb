"""Where a run stands after each epoch: what `--resume` needs to go on as if nothing had happened.

Order of pictures, augmentation and dropout come from (seed, epoch), so no random state has to be kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline import runs
from pipeline.errors import RequestError
from pipeline.runs import Run

Row = dict[str, Any]  # of history.csv
FILE = "checkpoints/last.npz"
_ARRAYS = ("weights", "optimizer", "kept")


@dataclass
class Progress:
    """How far a run has come.

    stage: number of the stage at work; epoch: how many of its epochs are done; best: the row of its best epoch so far;
    waited: epochs since then. history: all rows of all stages. notes: seconds and sizes of each stage, by name.
    weights and optimizer: as they were after the last epoch; kept: the network's weights in the best epoch.
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

    def begin(self, stage: int) -> None:
        """Turn to a stage; nothing of it is done yet unless it is the one at work."""
        if stage != self.stage:
            self.stage, self.epoch, self.best, self.waited = stage, 0, None, 0
            self.weights, self.optimizer, self.kept = [], [], []


def write(run: Run, progress: Progress) -> None:
    """Keep where the run stands, whole or not at all."""
    told = {name: value for name, value in vars(progress).items() if name not in _ARRAYS}
    written = [name for name in _ARRAYS if name != "kept" or progress.kept is not progress.weights]
    arrays = {f"{name}/{i}": array for name in written for i, array in enumerate(getattr(progress, name))}
    (run.path / FILE).parent.mkdir(exist_ok=True)
    with runs.written(run.path / FILE) as temporary, temporary.open("wb") as file:
        np.savez(file, told=np.array(json.dumps(told)), **arrays)


def read(run: Run) -> Progress:
    """Where the run stands; at its beginning, when it was stopped before its first epoch was done.

    Raises RequestError for a file that is damaged.
    """
    path = run.path / FILE
    if not path.exists():
        return Progress()
    try:
        with np.load(path) as held:
            told = json.loads(str(held["told"]))
            arrays = {name: _numbered(held, name) for name in _ARRAYS}
    except (OSError, ValueError, KeyError) as error:
        raise RequestError(f"{path} cannot be read ({error}): the run cannot be resumed, start it anew") from error
    arrays["kept"] = arrays["kept"] or arrays["weights"]  # the last epoch is the best: once is enough
    return Progress(**told, **arrays)


def _numbered(held: np.lib.npyio.NpzFile, name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}/") for key in held.files)
    return [held[f"{name}/{i}"] for i in range(count)]
