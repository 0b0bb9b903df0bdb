"""What an experiment is: plain frozen dataclasses, standard library only.

A value that cannot be right is refused here, so that a Python file, a JSON file and the command line get the same
answer. What a target *does* is found by its kind under `pipeline/targets/`; this file only says what it is.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import Literal

MEAN = "mean"  # what metrics over several targets are named by, as a target's are by its name
NO_EXTRA_KEYS = {"extra": "forbid"}  # read by pydantic when an experiment comes from JSON


def _check(holds: bool, name: str, expected: str, received: object) -> None:
    if not holds:
        raise ValueError(f"{name} must be {expected}, not {received!r}")


def _check_target(name: str, weight: float) -> None:
    """A target names columns, layers and signatures."""
    _check(
        re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII) is not None and name not in ("image", "head", MEAN),
        "target name",
        f"letters, digits and _ . - (map the column to such a name), and neither image nor head nor {MEAN}",
        name,
    )
    _check(0 < weight < math.inf, f"weight of {name}", "above 0", weight)


def _check_classes(name: str, classes: tuple[str, ...]) -> None:
    _check(len(set(classes)) == len(classes) >= 2, f"classes of {name}", "two or more different names", classes)


def _check_share(name: str, value: float) -> None:
    _check(0.0 <= value < 1.0, name, "at least 0 and below 1", value)


# -- the network ------------------------------------------------------------------------------------------------------


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
            _check(getattr(self, name) >= 1, f"convolution {name}", "at least 1", getattr(self, name))


@dataclass(frozen=True)
class Head:
    """What stands between the trunk's feature map and a target's last layer.

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
        _check(all(n >= 1 for n in self.units), "head units", "at least 1 each", self.units)
        _check(len(self.dropout) in (0, len(self.units)), "head dropout", "one rate for each of units", self.dropout)
        _check(
            isinstance(self.activation, str) or len(self.activation) == len(self.units),
            "head activation",
            "one for all of units, or one for each",
            self.activation,
        )
        for rate in self.dropout:
            _check_share("head dropout", rate)
        _check(0 <= self.l2 < math.inf, "head l2", "at least 0", self.l2)


@dataclass(frozen=True)
class Model:
    """A trunk by its file's name under `models/`, and the head that all targets share.

    weights: `none`, `imagenet`, a file (.weights.h5, .h5, .keras, .safetensors), a run, or `auto`: imagenet where
    published for the network, none otherwise and on the drawn sample. batch_norm_momentum is that of an unfrozen trunk:
    Keras' 0.99 and MobileNetV2's 0.999 lag for many epochs when an epoch is a few hundred steps. channel_statistics:
    each channel is first brought from the mean and standard deviation of the stage's training pictures to ImageNet's,
    which a trunk that normalises by those then takes to 0 and 1.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    name: str
    weights: str = "auto"
    image_size: int = 96
    head: Head = Head()
    batch_norm_momentum: float = 0.9
    channel_statistics: bool = False

    def __post_init__(self) -> None:
        _check(8 <= self.image_size <= 2048, "image_size", "from 8 to 2048 pixels", self.image_size)
        _check_share("batch_norm_momentum", self.batch_norm_momentum)


# -- what is predicted ------------------------------------------------------------------------------------------------
# Every target may have a `head` of its own in the place of the model's, and a `view` of the picture: in colour, or in
# grey, which is made within the network, so that an export has it. The trunk is then called once for each view.


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
        _check_target(self.name, self.weight)


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
        _check_target(self.name, self.weight)
        _check(len(set(self.classes)) == 2, f"classes of {self.name}", "two different names", self.classes)
        _check_share(f"label_smoothing of {self.name}", self.label_smoothing)


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
        _check_target(self.name, self.weight)
        if self.classes:
            _check_classes(self.name, self.classes)
        _check(
            len(self.class_weights) in (0, len(self.classes)),
            f"class_weights of {self.name}",
            f"{len(self.classes)} factors, one per class",
            self.class_weights,
        )
        _check(
            all(w >= 0 for w in self.class_weights) and (not self.class_weights or any(self.class_weights)),
            f"class_weights of {self.name}",
            "at least 0, and not all 0",
            self.class_weights,
        )
        _check_share(f"label_smoothing of {self.name}", self.label_smoothing)


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
        _check_target(self.name, self.weight)
        _check_steps(self)
        for name in ("sigma", "mean_weight", "variance_weight"):
            _check(getattr(self, name) >= 0, f"{name} of {self.name}", "at least 0", getattr(self, name))


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
        _check_target(self.name, self.weight)
        _check_steps(self)


def _check_steps(target: Expectation | Ordinal) -> None:
    """Ordered classes, or a range of a unit: not both."""
    _check(target.low < target.high, f"low and high of {target.name}", "rising", (target.low, target.high))
    if target.classes:
        _check_classes(target.name, target.classes)
        given = (target.low, target.high, target.unit)
        _check(given == (0, 100, "years"), f"low, high and unit of {target.name}", "left out beside classes", given)


# Without a kind, JSON is read as the first that fits: what is more particular stands last.
Target = Regression | Binary | Classes | Expectation | Ordinal


# -- the data ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OfficialSplit:
    """The lists of the dataset's authors; where they set no validation rows aside, `val` of the training groups."""

    __pydantic_config__ = NO_EXTRA_KEYS
    val: float = 0.1
    kind: Literal["official"] = "official"

    def __post_init__(self) -> None:
        _check_share("split val", self.val)


@dataclass(frozen=True)
class RandomSplit:
    """Shares of the groups by hash: the same on every machine, and unchanged when other rows are added.

    by: `subject` keeps a person (or, where none is known, byte-identical pictures) in one split; `image` mirrors
    reports that did not, and leaks. stratify: a column within each of whose values the shares are cut (Group 91 did so
    within every age); they are then met to a group, but adding rows may move others.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    test: float = 0.1
    val: float = 0.1
    by: Literal["subject", "image"] = "subject"
    stratify: str | None = None
    kind: Literal["random"] = "random"

    def __post_init__(self) -> None:
        _check_share("split test", self.test)
        _check_share("split val", self.val)
        _check(self.test + self.val < 1, "split test + val", "below 1", self.test + self.val)


@dataclass(frozen=True)
class FoldSplit:
    """The rows of one of the authors' folds are the test; `val` of the other folds' rows are cut off by subject.

    Where every person is a fold (FG-NET), this is leave one person out.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    fold: int = 0
    val: float = 0.1
    kind: Literal["folds"] = "folds"

    def __post_init__(self) -> None:
        _check_share("split val", self.val)


Split = OfficialSplit | RandomSplit | FoldSplit


@dataclass(frozen=True)
class Data:
    """A dataset by its file's name under `pipeline/datasets/`, where it lies, and how it is read.

    root: the folder as its authors hand it out (the file itself for `csv`). split: None is the dataset's own.
    limit: at most so many rows, chosen by hash. margin: around a face box, as a share of its longer side (0.4 in Rothe
    et al. 2015, "DEX"); rows without a box use the whole picture. aligned: turn the picture until the eyes are level,
    where the manifest has landmarks (`clean` finds them). centre: how much of a picture's height and width is used,
    around its middle (or around the middle of the square about its face).

    The others belong to the datasets named (None: as that dataset has it). columns (csv): manifest column → column of
    the file. classes (csv): further class columns to learn. split_lists (utkface): CSV files of published train and
    test rows. view, pictures, ages (adience): which lists, which pictures, and whether odd ages are mapped to the eight
    groups. part, cropped (imdb_wiki): what is there, unless one is asked for. source (celeba): the authors' files, or
    tensorflow-datasets. judged (fashion): the test list, or in its place the validation list, which has labels.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    name: str = "sample"
    root: str | None = None
    split: Split | None = None
    limit: int | None = None
    margin: float = 0.4
    aligned: bool = False
    centre: tuple[float, float] = (1.0, 1.0)
    columns: dict[str, str] | None = None
    classes: tuple[str, ...] | None = None
    split_lists: tuple[str, str] | None = None
    view: Literal["all", "frontal"] | None = None
    pictures: Literal["aligned", "faces"] | None = None
    ages: Literal["mapped", "strict"] | None = None
    part: Literal["imdb", "wiki", "both"] | None = None
    cropped: bool | None = None
    source: Literal["files", "tfds"] | None = None
    judged: Literal["test", "val"] | None = None

    def __post_init__(self) -> None:
        _check(self.limit is None or self.limit >= 1, "limit", "at least 1 row", self.limit)
        _check(0 <= self.margin <= 4, "margin", "from 0 to 4", self.margin)
        _check(all(0 < share <= 1 for share in self.centre), "centre", "above 0 and at most 1", self.centre)

    @property
    def options(self) -> dict[str, object]:
        """What only some datasets take, as keyword arguments of their `load`."""
        general = ("name", "root", "split", "limit", "margin", "aligned", "centre")
        chosen = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in general}
        return {name: value for name, value in chosen.items() if value is not None}


@dataclass(frozen=True)
class Cleaning:
    """Which rows `clean` keeps of some data; None asks for nothing.

    face_score_above, second_face_below: of the columns face_score and second_face_score, where the dataset has them (a
    second score that is unknown is no second face; -inf allows none). age_range: youngest and oldest; a row of unknown
    age goes too. known: labels that must be known. confidence: from which a detection counts as a face, 0..1. smallest:
    pixels of the face's shorter side. sharpness: least variance of the Laplacian of the face at 112 pixels, over the
    variance of its grey levels (of 300 FairFace pictures, the two that are out of focus lie below 0.004). min_per_age:
    an age in whole years with fewer rows left goes.
    """

    __pydantic_config__ = NO_EXTRA_KEYS
    data: Data = Data()
    face_score_above: float | None = None
    second_face_below: float | None = None
    age_range: tuple[float, float] | None = None
    known: tuple[str, ...] = ()
    confidence: float = 0.9
    smallest: float = 24.0
    sharpness: float = 0.004
    min_per_age: int = 0

    def __post_init__(self) -> None:
        _check(0 <= self.confidence <= 1, "confidence", "from 0 to 1", self.confidence)
        for name in ("smallest", "sharpness", "min_per_age"):
            _check(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))
        low, high = self.age_range or (0, 0)
        _check(low <= high, "age_range", "the youngest, then the oldest", self.age_range)


@dataclass(frozen=True)
class Augment:
    """How far a training canvas may be changed; every strength is drawn evenly from ± its value (0: off).

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
            _check(0 <= getattr(self, name) <= 1, f"augment {name}", "from 0 to 1", getattr(self, name))
        for name, limit in (("rotation", 180), ("shear", 60), ("zoom", 0.9), ("shift", 0.9), ("hue", 0.5)):
            _check(0 <= getattr(self, name) <= limit, f"augment {name}", f"from 0 to {limit}", getattr(self, name))
        _check(0 < self.crop <= 1, "augment crop", "above 0 and at most 1", self.crop)
        _check(self.fill == "reflect" or 0 <= self.fill <= 255, "augment fill", "reflect or 0 to 255", self.fill)


# -- how it is trained ------------------------------------------------------------------------------------------------


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
        _check(self.warmup >= 0, "schedule warmup", "at least 0 epochs", self.warmup)
        falls = self.decay is not None and 0 < self.decay <= 1
        waits = self.patience is not None and self.patience >= 1
        if self.name in ("exponential", "plateau"):
            _check(falls, "schedule decay", "above 0 and at most 1", self.decay)
        else:
            _check(self.decay is None, "schedule decay", "given for exponential and plateau alone", self.decay)
        if self.name == "plateau":
            _check(waits, "schedule patience", "at least 1 epoch", self.patience)
            _check(self.warmup == 0, "schedule warmup", "0 with plateau", self.warmup)
        else:
            _check(self.patience is None, "schedule patience", "given for plateau alone", self.patience)


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
        _check(0 < self.learning_rate < math.inf, "learning_rate", "above 0", self.learning_rate)
        _check(0 <= self.weight_decay < math.inf, "weight_decay", "at least 0", self.weight_decay)
        if self.name == "sgd":
            _check(self.momentum is None or 0 <= self.momentum < 1, "momentum", "at least 0 and below 1", self.momentum)
        else:
            _check(self.momentum is None, "momentum", f"left out: {self.name} has none", self.momentum)


@dataclass(frozen=True)
class Stage:
    """Data, what of the network trains, and for how long.

    train: `head`, `all`, or names of layers: a name takes in all layers that begin with it (`layer4`, `block_16`; a
    number is taken whole, so `block_1` leaves out block_16), `from:NAME` the first of them, all after it, and the head.
    keep: the epoch that is handed on: `val_loss`, another column of history.csv such as `val_gender_accuracy`, or
    `last`.
    early_stopping: stop after so many epochs in a row without a better `keep`.

    views: a frozen trunk is run once on so many augmented views of each picture, the first epochs' own, and later
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
        _check(self.epochs >= 1, "epochs", "at least 1", self.epochs)
        _check(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)
        _check(
            self.views == 0 or (self.views > 0 and self.augment != Augment()),
            "views",
            "0, or above 0 with an augmentation that makes views differ",
            self.views,
        )
        _check(
            self.early_stopping is None or (self.early_stopping >= 1 and self.keep != "last"),
            "early_stopping",
            "at least 1 epoch, beside a `keep` that says what is better (not last)",
            self.early_stopping,
        )
        _check(
            self.keep == "last" or self.keep.startswith("val_"),
            "keep",
            "`last` or a column of history.csv that begins with val_",
            self.keep,
        )


@dataclass(frozen=True)
class Cache:
    """Where canvases are kept: in memory up to a share of RAM, else on disk up to a share of what is free there, else
    they are made again each time."""

    __pydantic_config__ = NO_EXTRA_KEYS
    memory: float = 0.25
    disk: float = 0.5

    def __post_init__(self) -> None:
        _check(0 <= self.memory <= 1, "cache memory", "from 0 to 1", self.memory)
        _check(0 <= self.disk <= 1, "cache disk", "from 0 to 1", self.disk)


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
        _check(len(self.stages) >= 1, "stages", "one or more", self.stages)
        for what, names in (("stages", [s.name for s in self.stages]), ("targets", [t.name for t in self.targets])):
            _check(len(set(names)) == len(names), f"names of {what}", "all different", names)
        parts = self.name.split("/")
        _check(
            not self.name or all(re.fullmatch(r"[\w.-]*\w[\w.-]*", part) for part in parts),
            "name",
            "words of letters, digits and _ . - parted by / (it becomes a folder)",
            self.name,
        )
        _check(0 <= self.seed < 2**32, "seed", "from 0 to 2**32 - 1", self.seed)
