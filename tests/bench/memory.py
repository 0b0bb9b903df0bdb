"""A long manifest: what the process holds through an epoch, and how soon the epoch begins."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import pandas as pd
from distributed.system import MEMORY_LIMIT

from pipeline.config import Cache
from pipeline.data import inputs
from tests.bench.loading import BATCH, HOW
from tests.bench.measuring import Contenders, Row, Setting, in_child
from tests.bench.pictures import drawn
from tests.bench.training import encoded

SIZE, PICTURES = 96, 200
MIB, GIB = 2**20, 2**30


def rows(setting: Setting) -> list[Row]:
    """Two figures of one epoch, which runs in a process of its own. Nobody else stands beside them."""
    count = setting.of(300_000, 10_000)
    limit = GIB * count // 300_000

    @cache
    def measured() -> tuple[float, float]:
        return in_child(epoch, drawn(setting.folder, PICTURES, SIZE), count, limit)

    def figure(which: int) -> Contenders:
        return {"train's stream": lambda: measured()[which]}

    what = f"{count:,} rows, {limit / MIB:,.0f} MiB for crops"
    return [
        Row(f"memory, peak of an epoch, {what}", lambda: figure(0), "MiB", rounds=1),
        Row(f"memory, first batch of an epoch, {what}", lambda: figure(1), "s", rounds=1),
    ]


def epoch(manifest: pd.DataFrame, count: int, limit: int) -> tuple[float, float]:
    """Peak of the process in MiB from its start through one epoch, and seconds from the epoch's start to a batch."""
    manifest = manifest.iloc[[i % len(manifest) for i in range(count)]].reset_index(drop=True)
    cache = Cache(memory=limit / MEMORY_LIMIT, disk=0.0)
    crops = inputs.make_crops(manifest, SIZE, 0.4, cache, "bench")
    labels = encoded(crops.rows)
    began = time.perf_counter()
    batches = iter(inputs.training(crops, *labels, BATCH, HOW, 0, 0))
    next(batches)
    first = time.perf_counter() - began
    for _ in batches:
        pass
    return peak(), first


def peak() -> float:
    """The most that this process has held, in MiB. `getrusage` would answer that of the parent where it held more."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024
