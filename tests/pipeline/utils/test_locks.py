"""One process at a time, where the file system has locks."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.utils import locks


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[], int]:
    """Opens a folder: each time as another process would."""
    return lambda: os.open(tmp_path, os.O_RDONLY)


@pytest.mark.parametrize(("first", "second"), [(False, False), (False, True), (True, False), (True, True)])
def test_only_shared_locks_go_together(first: bool, second: bool, opened: Callable[[], int]) -> None:
    assert locks.take(opened(), shared=first)
    assert locks.take(opened(), shared=second) is (first and second)


def test_a_lock_ends_with_its_file(opened: Callable[[], int]) -> None:
    one = opened()
    assert locks.take(one)
    os.close(one)
    assert locks.take(opened())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_there_are_no_locks_nobody_has_one(
    number: int, opened: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.fcntl, "flock", none)
    assert locks.take(opened())
