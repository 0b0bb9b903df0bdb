"""The ways in which a command ends without its result: all are told in a line, never as a traceback."""

import difflib
from collections.abc import Iterable


class RequestError(ValueError):
    """What was asked for cannot be done as asked (exit status 2): the message says what was expected and what to do."""


class EmptySplitError(RequestError):
    """A split without rows cannot be judged."""


class ChangedError(RequestError):
    """The data are no longer those that a run, or a search, began with."""


class NotThereError(RequestError):
    """A dataset, or a part of it, does not lie where it was said to."""


class WorkError(RuntimeError):
    """The request was right, the work failed (exit status 1)."""


def unknown(what: str, name: str, known: Iterable[str]) -> RequestError:
    """The error for a name that is none of `known`: it suggests the nearest, or lists them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    return RequestError(f"unknown {what} {name!r}; {hint}")
