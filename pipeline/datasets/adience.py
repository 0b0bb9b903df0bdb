"""Adience (Eidinger, Enbar & Hassner, 2014): 19,370 faces of 168 Flickr accounts, with an age group and gender.

From https://talhassner.github.io/home/projects/Adience/Adience-data.html, for research only, on request. The root holds
`fold_0_data.txt` to `fold_4_data.txt` (or `fold_frontal_0_data.txt` …) and the unpacked `aligned/` or `faces/`
(816×816). An account is a subject, and none is in two folds: one fold is tested, validation is cut from the others by
account. The validation lists that Levi & Hassner published were cut at random and leak; they are not used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.config import Binary, Classes, FoldSplit
from pipeline.utils.errors import NotThereError

if TYPE_CHECKING:
    import pandas as pd

AGES = ("0-2", "4-6", "8-12", "15-20", "25-32", "38-43", "48-53", "60-100")
TARGETS = (Classes("age_group", AGES, ordered=True), Binary("gender"))
SPLIT = FoldSplit(fold=0, val=0.1)

FOLDS = 5
_LISTS = {"all": "fold_{}_data.txt", "frontal": "fold_frontal_{}_data.txt"}
_PICTURES = {"aligned": "landmark_aligned_face", "faces": "coarse_tilt_aligned_face"}
_COLUMNS = ("user_id", "original_image", "face_id", "age", "gender")
_STRICT = {"(25,23)": "25-32"} | {f"({age.replace('-', ',')})": age for age in AGES}
_ODD = {
    "0-2": ("2", "3"),
    "8-12": ("13", "(8,23)"),
    "15-20": ("22",),
    "25-32": ("23", "29", "32", "34", "35", "(27,32)"),
    "38-43": ("36", "42", "45", "(38,42)", "(38,48)"),
    "48-53": ("46", "55", "56"),
    "60-100": ("57", "58"),
}
_MAPPED = _STRICT | {odd: age for age, odds in _ODD.items() for odd in odds}


def load(
    root: str | None,
    view: Literal["all", "frontal"] = "all",
    pictures: Literal["aligned", "faces"] = "aligned",
    ages: Literal["mapped", "strict"] = "mapped",
) -> pd.DataFrame:
    """path, fold, subject (the account), age_group, gender; a face that is listed twice is one row.

    view: all lists, or those of nearly frontal faces. pictures: aligned by landmarks, or only turned upright. ages:
    `mapped` takes single years and odd ranges to the group that they lie in, `strict` leaves them unknown.
    """
    import pandas as pd

    from pipeline.data import manifests

    names = [_LISTS[view].format(fold) for fold in range(FOLDS)]
    folder = manifests.require(root, "adience", *names)
    (other,) = _PICTURES.keys() - {pictures}
    if (folder / other).is_dir() and not (folder / pictures).is_dir():
        raise NotThereError(
            f"{folder} holds {other}/ and no {pictures}/{manifests.packed(folder)}: to use {other}/, add --pictures "
            f"{other} (`train`: --stages.0.data.pictures {other})"
        )
    lists = [_read(folder / name).assign(fold=fold) for fold, name in enumerate(names)]
    faces = manifests.once(pd.concat(lists), ["user_id", "face_id", "original_image"], "adience")
    return pd.DataFrame(
        {
            "path": [str(folder / pictures / _file(face, pictures)) for face in faces.itertuples()],
            "fold": faces["fold"],
            "subject": faces["user_id"],
            "age_group": _age_groups(faces["age"], ages),
            "gender": faces["gender"].map({"f": "female", "m": "male"}),  # "u" and "" are unknown
        }
    )


def _read(path: Path) -> pd.DataFrame:
    from pipeline.data import cells

    return cells.has_columns(cells.read_list(path, separator="\t"), _COLUMNS, path)


def _file(face: object, pictures: str) -> str:
    return f"{face.user_id}/{_PICTURES[pictures]}.{face.face_id}.{face.original_image}"


def _age_groups(ages: pd.Series, how: str) -> pd.Series:
    from pipeline.data import cells

    known = _MAPPED if how == "mapped" else _STRICT
    compact = ages.str.replace(" ", "")
    groups = compact.map(known)
    never_seen = compact[~compact.isin([*_MAPPED, "None", ""])]
    cells.known(never_seen, AGES, "adience, ages")  # counts what no version of the lists had
    return groups
