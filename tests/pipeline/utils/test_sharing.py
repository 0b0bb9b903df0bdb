"""One training after another in a process shares what it may, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline import datasets
from pipeline.config import Cache, Data
from pipeline.data import inputs
from pipeline.utils import sharing


@pytest.fixture
def sharing_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_kept", None)  # given back at the end
    sharing.begin()


@pytest.fixture
def data(tiny) -> Data:
    return tiny.stages[-1].data


def test_nothing_is_shared_unless_asked_for() -> None:
    made = iter("ab")
    assert [sharing.shared("letter", 1, lambda: next(made)) for _ in range(2)] == ["a", "b"]


def test_the_last_of_each_sort_is_kept(sharing_process: None) -> None:
    made = iter("abcd")
    asked = [("letter", 1), ("letter", 1), ("other", 1), ("letter", 2), ("letter", 1)]
    assert [sharing.shared(*one, lambda: next(made)) for one in asked] == ["a", "a", "b", "c", "d"]


def test_a_shared_manifest_is_each_trainings_own(sharing_process: None, data: Data) -> None:
    first = datasets.load(data)
    whole = first.copy()
    first["split"] = "test"
    pd.testing.assert_frame_equal(datasets.load(data), whole)
    assert len(datasets.load(replace(data, limit=5))) == 5


def test_crops_are_shared_for_the_same_rows_alone(sharing_process: None, data: Data) -> None:
    rows = datasets.load(data).head(8)
    held = inputs.make_crops(rows, 16, 0.4, Cache(), "train")
    assert inputs.make_crops(rows.copy(), 16, 0.4, Cache(), "train") is held
    fewer = inputs.make_crops(rows.head(4), 16, 0.4, Cache(), "train")
    np.testing.assert_array_equal(fewer.first(4), held.first(4))
    assert len(inputs.make_crops(rows, 24, 0.4, Cache(), "train").first(1)[0]) == 24
