"""Arrays come back from a store as they went in, wherever it keeps them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.config import Cache
from pipeline.data.store import room_for

PICTURES = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize(("cache", "where"), [(Cache(), "memory"), (Cache(memory=0.0), "disk")])
@pytest.mark.parametrize("values", [PICTURES, PICTURES.astype(np.float32)])
def test_what_is_put_in_comes_back_in_any_order(cache: Cache, where: str, values: np.ndarray) -> None:
    store, kept = room_for(values.shape, values.dtype, cache)
    assert kept == where
    for first, end in ((3, 5), (0, 1), (9, 10)):
        store[first:end] = values[first:end]
    assert np.array_equal(store[np.array([9, 4, 0, 3])], values[[9, 4, 0, 3]])


def test_where_there_is_no_room_nothing_is_kept() -> None:
    assert room_for((10, 4), np.uint8, Cache(memory=0.0, disk=0.0)) == (None, "nowhere")
