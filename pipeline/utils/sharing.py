"""What one training after another in a process asks for alike, made once: the trials of a search share their data."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar

Asked, Made = TypeVar("Asked"), TypeVar("Made")

_kept: dict[str, tuple[Any, Any]] | None = None


def begin() -> None:
    """From now on this process keeps what was made last of each sort."""
    global _kept
    _kept = {}


def shared(
    sort: str, asked: Asked, make: Callable[[], Made], is_same: Callable[[Asked, Asked], bool] = operator.eq
) -> Made:
    """What `make` answers, or, in a process that shares, what it answered when the same of that sort was asked last."""
    if _kept is None:
        return make()
    if sort in _kept and not is_same(_kept[sort][0], asked):
        del _kept[sort]  # its memory first
    if sort not in _kept:
        _kept[sort] = asked, make()
    return _kept[sort][1]
