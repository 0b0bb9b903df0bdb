"""The network: its backbone and its heads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pipeline.config.checks import NO_EXTRA_KEYS, check, check_share

Activation = Literal["relu", "gelu", "linear"]
View = Literal["colour", "grey"]


@dataclass(frozen=True)
class Convolution:
    """A convolution (ReLU), then max pooling by `pool` (1: none), then batch norm if asked for."""

    __pydantic_config__ = NO_EXTRA_KEYS
    filters: int
    kernel: int = 3
    pool: int = 1
    batch_norm: bool = False

    def __post_init__(self) -> None:
        for name in ("filters", "kernel", "pool"):
            check(getattr(self, name) >= 1, f"convolution {name}", "at least 1", getattr(self, name))


@dataclass(frozen=True)
class Head:
    """What stands between the backbone's feature map and a target's last layer.

    Convolutions, pooling over height and width, then dense layers, each followed by batch norm and dropout if asked
    for. With `batch_norm` the pooled features are normalised too. `dropout` has one rate for each of `units`, and
    `activation` may have one name for each (linear: none).
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    convolutions: tuple[Convolution, ...] = ()
    pool: Literal["average", "max", "flatten"] = "average"
    units: tuple[int, ...] = ()
    activation: Activation | tuple[Activation, ...] = "relu"
    batch_norm: bool = False
    dropout: tuple[float, ...] = ()
    l2: float = 0.0

    def __post_init__(self) -> None:
        check(all(n >= 1 for n in self.units), "head units", "at least 1 each", self.units)
        check(len(self.dropout) in (0, len(self.units)), "head dropout", "one rate for each of units", self.dropout)
        check(
            isinstance(self.activation, str) or len(self.activation) == len(self.units),
            "head activation",
            "one for all of units, or one for each",
            self.activation,
        )
        for rate in self.dropout:
            check_share("head dropout", rate)
        check(0 <= self.l2 < math.inf, "head l2", "at least 0", self.l2)


@dataclass(frozen=True)
class Model:
    """A backbone by its file's name under `models/`, and the head that all targets share.

    weights: `none`, `imagenet`, a file (.weights.h5, .h5, .keras, .safetensors), a run, or `auto`: imagenet where
    published for the network, none otherwise and on the drawn sample. batch_norm_momentum is that of an unfrozen
    backbone: Keras' 0.99 and MobileNetV2's 0.999 lag for many epochs when an epoch is a few hundred steps.
    channel_statistics: each channel is first brought from the mean and standard deviation of the stage's training
    pictures to ImageNet's, which a backbone that normalises by those then takes to 0 and 1.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    name: str
    weights: str = "auto"
    image_size: int = 96
    head: Head = Head()
    batch_norm_momentum: float = 0.9
    channel_statistics: bool = False

    def __post_init__(self) -> None:
        check(8 <= self.image_size <= 2048, "image_size", "from 8 to 2048 pixels", self.image_size)
        check_share("batch_norm_momentum", self.batch_norm_momentum)
