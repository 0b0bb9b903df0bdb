"""Which rows are read, how they are divided, and which of them `clean` keeps."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from pipeline.config.checks import NO_EXTRA_KEYS, check, check_share


@dataclass(frozen=True)
class OfficialSplit:
    """The lists of the dataset's authors; where they set no validation rows aside, `val` of the training groups."""

    __pydantic_config__ = NO_EXTRA_KEYS
    val: float = 0.1
    kind: Literal["official"] = "official"

    def __post_init__(self) -> None:
        check_share("split val", self.val)


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
        check_share("split test", self.test)
        check_share("split val", self.val)
        check(self.test + self.val < 1, "split test + val", "below 1", self.test + self.val)


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
        check_share("split val", self.val)


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
        check(self.limit is None or self.limit >= 1, "limit", "at least 1 row", self.limit)
        check(0 <= self.margin <= 4, "margin", "from 0 to 4", self.margin)
        check(all(0 < share <= 1 for share in self.centre), "centre", "above 0 and at most 1", self.centre)

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
        check(0 <= self.confidence <= 1, "confidence", "from 0 to 1", self.confidence)
        for name in ("smallest", "sharpness", "min_per_age"):
            check(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))
        low, high = self.age_range or (0, 0)
        check(low <= high, "age_range", "the youngest, then the oldest", self.age_range)
