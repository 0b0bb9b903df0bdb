"""What a network learns. What a target does is found by its kind under `pipeline/targets/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.config.checks import NO_EXTRA_KEYS, check, check_classes, check_share, check_target
from pipeline.config.model import Head, View


@dataclass(frozen=True)
class Regression:
    """A number: the column `name` of the manifest, in `unit`.

    With `standardize` the network answers in standard deviations around the mean of the training labels, a fixed last
    layer turns that into the unit, and the loss is counted in standard deviations, so that weights compare across
    targets. Without it the loss is in the unit (squared for mse), as the reports have it.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    name: str
    loss: Literal["mae", "mse", "huber"] = "mae"
    weight: float = 1.0
    unit: str = "years"
    standardize: bool = True
    head: Head | None = None
    view: View = "colour"
    kind: Literal["regression"] = "regression"

    def __post_init__(self) -> None:
        check_target(self.name, self.weight)


@dataclass(frozen=True)
class Binary:
    """One of two classes; the second is the positive one (gender: female 0, male 1). Binary cross-entropy."""

    __pydantic_config__ = NO_EXTRA_KEYS
    name: str
    classes: tuple[str, str] = ("female", "male")
    weight: float = 1.0
    label_smoothing: float = 0.0
    head: Head | None = None
    view: View = "colour"
    kind: Literal["binary"] = "binary"

    def __post_init__(self) -> None:
        check_target(self.name, self.weight)
        check(len(set(self.classes)) == 2, f"classes of {self.name}", "two different names", self.classes)
        check_share(f"label_smoothing of {self.name}", self.label_smoothing)


@dataclass(frozen=True)
class Classes:
    """One of several classes, by cross-entropy with PyTorch's label smoothing (ε spread evenly over all classes).

    Where `classes` are left empty, they are those that the last stage's dataset declares for the name.
    `ordered` adds the metric `one_off`. class_weights: one factor per class; the loss is then the weighted mean that
    PyTorch takes, in which a common factor cancels. balanced: training fills them in by the counts of its labels (of
    the last stage), w = N / (K · n) for n of N in one of K classes, 0 for a class without any.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    name: str
    classes: tuple[str, ...]
    ordered: bool = False
    weight: float = 1.0
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()
    balanced: bool = False
    head: Head | None = None
    view: View = "colour"
    kind: Literal["classes"] = "classes"

    def __post_init__(self) -> None:
        check_target(self.name, self.weight)
        if self.classes:
            check_classes(self.name, self.classes)
        check(
            len(self.class_weights) in (0, len(self.classes)),
            f"class_weights of {self.name}",
            f"{len(self.classes)} factors, one per class",
            self.class_weights,
        )
        check(
            all(w >= 0 for w in self.class_weights) and (not self.class_weights or any(self.class_weights)),
            f"class_weights of {self.name}",
            "at least 0, and not all 0",
            self.class_weights,
        )
        check_share(f"label_smoothing of {self.name}", self.label_smoothing)


@dataclass(frozen=True)
class Expectation:
    """A number by a softmax over whole steps of its unit, low to high (DEX, Rothe et al. 2015), or ordered classes.

    A number is answered as the expected value; classes by their probabilities, of which the likeliest is said. A label
    outside the range counts as its nearest end in the loss, and as it is in the metrics. The cross-entropy is taken
    with the label rounded to its step, or, with a `sigma` in steps, with a normal distribution around the label
    (label distribution learning). To it are added mean_weight · (m − y)² / 2 and variance_weight · v, of the mean m and
    the variance v that the softmax has (mean-variance loss, Pan et al. 2018; 0.2 and 0.05 there).
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    name: str
    classes: tuple[str, ...] = ()
    low: int = 0
    high: int = 100
    sigma: float = 0.0
    mean_weight: float = 0.0
    variance_weight: float = 0.0
    weight: float = 1.0
    unit: str = "years"
    head: Head | None = None
    view: View = "colour"
    kind: Literal["expectation"] = "expectation"

    def __post_init__(self) -> None:
        check_target(self.name, self.weight)
        _check_steps(self)
        for name in ("sigma", "mean_weight", "variance_weight"):
            check(getattr(self, name) >= 0, f"{name} of {self.name}", "at least 0", getattr(self, name))


@dataclass(frozen=True)
class Ordinal:
    """A number in whole steps of its unit, low to high, or ordered classes, by asking of each step whether it is above.

    method: `coral`, one weight vector and a bias for each question (Cao, Mirjalili & Raschka 2020), or `corn`, a unit
    for each question, which learns from the rows that are above the step before (Shi, Cao & Raschka 2021). What is said
    is the number of steps that are passed with a probability above a half, as in both papers: the median. A label is
    rounded to its step; outside the range it counts as its nearest end in the loss, and as it is in the metrics.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    name: str
    classes: tuple[str, ...] = ()
    method: Literal["coral", "corn"] = "coral"
    low: int = 0
    high: int = 100
    weight: float = 1.0
    unit: str = "years"
    head: Head | None = None
    view: View = "colour"
    kind: Literal["ordinal"] = "ordinal"

    def __post_init__(self) -> None:
        check_target(self.name, self.weight)
        _check_steps(self)


def _check_steps(target: Expectation | Ordinal) -> None:
    """Ordered classes, or a range of a unit: not both."""
    check(target.low < target.high, f"low and high of {target.name}", "rising", (target.low, target.high))
    if target.classes:
        check_classes(target.name, target.classes)
        given = (target.low, target.high, target.unit)
        check(given == (0, 100, "years"), f"low, high and unit of {target.name}", "left out beside classes", given)


Target = Regression | Binary | Classes | Expectation | Ordinal
