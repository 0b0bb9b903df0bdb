"""What each kind of target does: one file a kind, found by the `kind` of its specification in `config`."""

from __future__ import annotations

import importlib

from pipeline.config import Target
from pipeline.targets._kind import Kind


def of(target: Target) -> Kind:
    """The behaviour of a target."""
    return importlib.import_module(f"pipeline.targets.{target.kind}").Behaviour(target)
