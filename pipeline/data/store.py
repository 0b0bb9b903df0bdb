"""Where many small arrays of one shape are kept: in memory, or in a file that vanishes with the process."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Sequence

import numpy as np

from pipeline.config import Cache


def room_for(shape: tuple[int, ...], kind: type, cache: Cache) -> tuple[np.ndarray | OnDisk | None, str]:
    """A store of shape[0] arrays where there is room for them, else None; and `memory`, `disk` or `nowhere`."""
    from distributed.system import MEMORY_LIMIT  # of a container or a Slurm job, where it is less than the machine has

    needed = math.prod(shape) * np.dtype(kind).itemsize
    if needed <= cache.memory * MEMORY_LIMIT:
        return np.empty(shape, kind), "memory"
    if needed <= cache.disk * shutil.disk_usage(tempfile.gettempdir()).free:
        return OnDisk(shape, kind), "disk"
    return None, "nowhere"


class OnDisk:
    """Arrays [N, …] in a file: read by `store[numbers]`, written by `store[first:end] = arrays`, from any thread.

    Not a memory map, whose pages would count as this process's memory until the system wants them back.
    """

    def __init__(self, shape: tuple[int, ...], kind: type) -> None:
        self.shape, self.dtype = shape, np.dtype(kind)
        self._size = math.prod(shape[1:]) * self.dtype.itemsize
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the store is

    def __getitem__(self, numbers: Sequence[int]) -> np.ndarray:
        found = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        for one, number in zip(found, numbers, strict=True):
            os.preadv(self._file.fileno(), [one], int(number) * self._size)
        return found

    def __setitem__(self, numbers: slice, values: np.ndarray) -> None:
        written = np.ascontiguousarray(values, self.dtype)
        os.pwrite(self._file.fileno(), written, numbers.start * self._size)
