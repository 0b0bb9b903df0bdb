"""Stages, what trains in them and how, and the experiment that they make up."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from pipeline.config.checks import NO_EXTRA_KEYS, check
from pipeline.config.data import Data
from pipeline.config.model import Model
from pipeline.config.targets import Target


@dataclass(frozen=True)
class Augment:
    """How far a training crop may be changed; every strength is drawn evenly from ± its value (0: off).

    flip and grey are probabilities; rotation and shear are degrees; zoom, shift, brightness, contrast and saturation
    are shares (0.1: from 0.9 to 1.1); hue is a share of the circle, as a rotation in YIQ (an approximation of an HSV
    shift); crop is the smallest share of the area that a random crop takes (its sides 3:4 to 4:3, cut to the
    picture's). fill: what lies outside the picture,
    mirrored or one grey level 0..255.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    flip: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    shear: float = 0.0
    crop: float = 1.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    fill: Literal["reflect"] | int = "reflect"

    def __post_init__(self) -> None:
        for name in ("flip", "grey", "brightness", "contrast", "saturation"):
            check(0 <= getattr(self, name) <= 1, f"augment {name}", "from 0 to 1", getattr(self, name))
        for name, limit in (("rotation", 180), ("shear", 60), ("zoom", 0.9), ("shift", 0.9), ("hue", 0.5)):
            check(0 <= getattr(self, name) <= limit, f"augment {name}", f"from 0 to {limit}", getattr(self, name))
        check(0 < self.crop <= 1, "augment crop", "above 0 and at most 1", self.crop)
        check(self.fill == "reflect" or 0 <= self.fill <= 255, "augment fill", "reflect or 0 to 255", self.fill)


@dataclass(frozen=True)
class Schedule:
    """The learning rate at step s of n, p = s / n, e = s / steps per epoch.

    constant: rate. exponential: rate · decay^e (decay: the factor per epoch). cosine: rate · (1 + cos πp) / 2.
    With `warmup` epochs the rate first rises in a line from 0, and p and e count from the end of the warm-up.
    plateau: rate · decay^k, where k grows by one whenever `patience` epochs on end have not lowered the validation loss
    (the training loss, where there is no validation); it has no warm-up.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    name: Literal["constant", "exponential", "cosine", "plateau"] = "constant"
    warmup: float = 0.0
    decay: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        check(self.warmup >= 0, "schedule warmup", "at least 0 epochs", self.warmup)
        falls = self.decay is not None and 0 < self.decay <= 1
        waits = self.patience is not None and self.patience >= 1
        if self.name in ("exponential", "plateau"):
            check(falls, "schedule decay", "above 0 and at most 1", self.decay)
        else:
            check(self.decay is None, "schedule decay", "given for exponential and plateau alone", self.decay)
        if self.name == "plateau":
            check(waits, "schedule patience", "at least 1 epoch", self.patience)
            check(self.warmup == 0, "schedule warmup", "0 with plateau", self.warmup)
        else:
            check(self.patience is None, "schedule patience", "given for plateau alone", self.patience)


@dataclass(frozen=True)
class Optimizer:
    """Keras' Adam, AdamW and SGD; momentum is SGD's (0.9 unless given).

    weight_decay is decoupled from the gradient (Loshchilov & Hutter 2019) and spares biases and normalisation: at every
    step, before the update, w ← w − rate · weight_decay · w, with the rate of that step. With 0, adamw is adam.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    name: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float | None = None
    schedule: Schedule = Schedule()

    def __post_init__(self) -> None:
        check(0 < self.learning_rate < math.inf, "learning_rate", "above 0", self.learning_rate)
        check(0 <= self.weight_decay < math.inf, "weight_decay", "at least 0", self.weight_decay)
        if self.name == "sgd":
            check(self.momentum is None or 0 <= self.momentum < 1, "momentum", "at least 0 and below 1", self.momentum)
        else:
            check(self.momentum is None, "momentum", f"left out: {self.name} has none", self.momentum)


@dataclass(frozen=True)
class Stage:
    """Data, what of the network trains, and for how long.

    train: `head`, `all`, or names of layers: a name takes in all layers that begin with it (`layer4`, `block_16`; a
    number is taken whole, so `block_1` leaves out block_16), `from:NAME` the first of them, all after it, and the head.
    keep: the epoch that is handed on: `val_loss`, another column of history.csv such as `val_gender_accuracy`, or
    `last`.
    early_stopping: stop after so many epochs in a row without a better `keep`.

    views: a frozen backbone is run once on so many augmented views of each picture, the first epochs' own, and later
    epochs meet them again in turn; 0: in every epoch, on new ones. Without augmentation it is run once in any case.

    augment_val: validation pictures are augmented too, anew in each epoch. It mirrors what Keras' ImageDataGenerator
    with a validation_split does; a number found so is not that of the pictures.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    name: str
    data: Data = Data()
    train: str | tuple[str, ...] = "all"
    epochs: int = 10
    batch_size: int = 32
    optimizer: Optimizer = Optimizer()
    augment: Augment = Augment()
    keep: str = "val_loss"
    early_stopping: int | None = None
    views: int = 0
    augment_val: bool = False

    def __post_init__(self) -> None:
        check(self.epochs >= 1, "epochs", "at least 1", self.epochs)
        check(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)
        check(
            self.views == 0 or (self.views > 0 and self.augment != Augment()),
            "views",
            "0, or above 0 with an augmentation that makes views differ",
            self.views,
        )
        check(
            self.early_stopping is None or (self.early_stopping >= 1 and self.keep != "last"),
            "early_stopping",
            "at least 1 epoch, beside a `keep` that says what is better (not last)",
            self.early_stopping,
        )
        check(
            self.keep == "last" or self.keep.startswith("val_"),
            "keep",
            "`last` or a column of history.csv that begins with val_",
            self.keep,
        )


@dataclass(frozen=True)
class Cache:
    """Where crops are kept: in memory up to a share of RAM, else on disk up to a share of what is free there, else
    they are made again each time."""

    __pydantic_config__ = NO_EXTRA_KEYS
    memory: float = 0.25
    disk: float = 0.5

    def __post_init__(self) -> None:
        check(0 <= self.memory <= 1, "cache memory", "from 0 to 1", self.memory)
        check(0 <= self.disk <= 1, "cache disk", "from 0 to 1", self.disk)


@dataclass(frozen=True)
class Experiment:
    """A model, what it predicts, and the stages that hand their weights on.

    targets: empty means every target that the last stage's dataset declares. precision and xla `auto`: mixed_bfloat16
    and on for a GPU, float32 and off for a CPU. augment_on: where training pictures are changed, by OpenCV on the `cpu`
    or within the training step on the `device` (the same pictures, but for a grey level here and there); `auto`: on the
    device if that is a GPU.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    model: Model
    stages: tuple[Stage, ...]
    targets: tuple[Target, ...] = ()
    name: str = ""
    seed: int = 0
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    xla: Literal["auto", "on", "off"] = "auto"
    augment_on: Literal["auto", "cpu", "device"] = "auto"
    cache: Cache = Cache()

    def __post_init__(self) -> None:
        check(len(self.stages) >= 1, "stages", "one or more", self.stages)
        for what, names in (("stages", [s.name for s in self.stages]), ("targets", [t.name for t in self.targets])):
            check(len(set(names)) == len(names), f"names of {what}", "all different", names)
        parts = self.name.split("/")
        check(
            not self.name or all(re.fullmatch(r"[\w.-]*\w[\w.-]*", part) for part in parts),
            "name",
            "words of letters, digits and _ . - parted by / (it becomes a folder)",
            self.name,
        )
        check(0 <= self.seed < 2**32, "seed", "from 0 to 2**32 - 1", self.seed)
