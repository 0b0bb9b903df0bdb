"""What values of a configuration must hold, wherever they come from."""

from __future__ import annotations

import math
import re

MEAN = "mean"  # what metrics over several targets are named by, as a target's are by its name
NO_EXTRA_KEYS = {"extra": "forbid"}  # read by pydantic when an experiment comes from JSON


def check(holds: bool, name: str, expected: str, received: object) -> None:
    if not holds:
        raise ValueError(f"{name} must be {expected}, not {received!r}")


def check_target(name: str, weight: float) -> None:
    """A target names columns, layers and signatures."""
    check(
        re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII) is not None and name not in ("image", "head", MEAN),
        "target name",
        f"letters, digits and _ . - (map the column to such a name), and neither image nor head nor {MEAN}",
        name,
    )
    check(0 < weight < math.inf, f"weight of {name}", "above 0", weight)


def check_classes(name: str, classes: tuple[str, ...]) -> None:
    check(len(set(classes)) == len(classes) >= 2, f"classes of {name}", "two or more different names", classes)


def check_share(name: str, value: float) -> None:
    check(0.0 <= value < 1.0, name, "at least 0 and below 1", value)
