"""IMDB-WIKI (Rothe, Timofte & Van Gool, 2015): 523,051 pictures of celebrities with an age and gender.

From https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/, for academic research only. The root holds `imdb_crop/` or
`imdb/`, `wiki_crop/` or `wiki/` (or is one of them), each with its `imdb.mat` or `wiki.mat` and the pictures that it
lists. Labels were read off web pages and many are wrong: `python -m pipeline clean imdb_wiki` rejects what is doubtful.
A person (IMDB's nm number, Wikipedia's page) is a subject.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.config import Binary, Cleaning, RandomSplit, Regression
from pipeline.utils.errors import NotThereError, RequestError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

TARGETS = (Regression("age"), Binary("gender"))
SPLIT = RandomSplit(test=0.1, val=0.1)
CLEANING = Cleaning(  # Group 91's; the common stricter ones: face_score_above 1, second_face_below -inf, ages 0 to 100
    face_score_above=0.0, second_face_below=8.0, age_range=(0, 130), min_per_age=10
)

PARTS = ("imdb", "wiki")
_FIELDS = ("dob", "photo_taken", "full_path", "gender", "face_location", "face_score", "second_face_score")
_YEAR_ZERO = 366  # days: MATLAB counts from year 0, Python from year 1
_UNIX = 719_163  # 1970-01-01 as Python counts
_LAST = 3_652_059  # 9999-12-31 as Python counts

log = logging.getLogger(__name__)


def load(
    root: str | None, part: Literal["imdb", "wiki", "both"] | None = None, cropped: bool | None = None
) -> pd.DataFrame:
    """path, subject, age, gender, face_score (−inf: no face was found), second_face_score (NaN: no second face).

    part: one of the two, or both; None takes what is there. cropped: the pictures cut to the face with a margin, or
    whole ones with their face box (x y w h); None takes the cut ones where they are.
    """
    import pandas as pd

    from pipeline.data import manifests

    folder = manifests.require(root, "imdb_wiki")
    wanted = PARTS if part in (None, "both") else (part,)
    found = {name: _folder(folder, name, cropped) for name in wanted}
    missing = [name for name, place in found.items() if place is None]
    if missing and (part is not None or len(missing) == len(wanted)):
        forms = {None: f"{missing[0]}_crop or {missing[0]}", True: f"{missing[0]}_crop", False: missing[0]}[cropped]
        raise NotThereError(f"{folder} holds no folder {forms} with {missing[0]}.mat: expected the unpacked archive")
    places = {name: place for name, place in found.items() if place is not None}
    log.info("imdb_wiki: reads %s", " and ".join(map(str, places.values())))
    return pd.concat([_read(place, name) for name, place in places.items()], ignore_index=True)


def _folder(root: Path, part: str, cropped: bool | None) -> Path | None:
    """Where a part's list and pictures lie."""
    names = [f"{part}_crop"] * (cropped is not False) + [part] * (cropped is not True)
    places = [place for name in names for place in (root / name / name, root / name, root) if place.name == name]
    places = [place for place in places if place.is_dir()]
    listed = [place for place in places if (place / f"{part}.mat").is_file()]
    if places and not listed:
        raise RequestError(f"{places[0]} holds no {part}.mat, the list of its pictures: unpack the archive again")
    return listed[0] if listed else None


def _read(folder: Path, part: str) -> pd.DataFrame:
    import pandas as pd

    from pipeline.data import cells

    path = folder / f"{part}.mat"
    listed = _fields(path, part)
    names = [str(name[0]) if len(name) else "" for name in listed["full_path"]]
    rows = pd.DataFrame(
        {
            "path": [f"{folder}/{name}" for name in names],
            "subject": [f"{part} {_person(name)}" for name in names],
            "age": cells.years(ages(listed["dob"], listed["photo_taken"]), str(path)),
            "gender": pd.Series(listed["gender"].astype(float)).map({0.0: "female", 1.0: "male"}),
            "face_score": listed["face_score"].astype(float),
            "second_face_score": listed["second_face_score"].astype(float),
        }
    )
    return rows if folder.name.endswith("_crop") else rows.join(_boxes(listed))


def ages(births: np.ndarray, years: np.ndarray) -> pd.Series:
    """Age in whole years at the middle of the year of the photograph.

    births: MATLAB's serial dates (days, one-based at year 0); years: the photograph's. Who was born from July on has
    not had a birthday then. NaN where a date is none.
    """
    import numpy as np
    import pandas as pd

    births = births.astype(float)
    usable = np.isfinite(births) & (births - _YEAR_ZERO <= _LAST)
    days = np.maximum(np.where(usable, births, 0).astype(np.int64) - _YEAR_ZERO, 1) - _UNIX
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)  # since 1970-01
    year, month = 1970 + months // 12, months % 12 + 1
    return pd.Series(np.where(usable, years.astype(float) - year - (month >= 7), np.nan))


def _person(name: str) -> str:
    """`08/nm0000008_rm1_1924-4-3_1999.jpg` → nm0000008; `17/10000217_1981-05-05_2009.jpg` → 10000217."""
    return name.rpartition("/")[2].partition("_")[0]


def _boxes(listed: dict[str, np.ndarray]) -> pd.DataFrame:
    """x y w h from MATLAB's one-based corners; none where no face was found."""
    import numpy as np
    import pandas as pd

    corners = np.array([np.ravel(one)[:4] for one in listed["face_location"]], float)
    corners[~np.isfinite(listed["face_score"].astype(float))] = np.nan
    return pd.DataFrame(
        np.column_stack([corners[:, :2] - 1, corners[:, 2:] - corners[:, :2]]), columns=["x", "y", "w", "h"]
    )


def _fields(path: Path, part: str) -> dict[str, np.ndarray]:
    """The struct's fields, each [rows]. Raises RequestError for a file that is not this dataset's."""
    struct = _struct(path, part)
    missing = [name for name in _FIELDS if name not in (struct.dtype.names or ())]
    if missing or struct.size != 1:
        raise RequestError(f"{path}: the struct {part} lacks {', '.join(missing) or 'its only row'}; download it again")
    fields = {name: struct[name].item().ravel() for name in _FIELDS}
    lengths = {name: len(values) for name, values in fields.items()}
    if len(set(lengths.values())) != 1:
        raise RequestError(f"{path}: its fields should be of one length, but are {lengths}; download it again")
    return fields


def _struct(path: Path, part: str) -> Any:
    from scipy.io import loadmat, whosmat

    try:
        found = loadmat(path, variable_names=[part])
        names = [name for name, *_ in whosmat(path)]
    except Exception as error:  # scipy's reader raises whatever damaged bytes lead it into
        raise RequestError(f"{path} is no readable MATLAB file ({error!s:.80}): download it again") from error
    if part not in found:
        raise RequestError(
            f"{path} holds no struct {part!r} but {', '.join(names) or 'nothing'}: is it the other list?"
        )
    return found[part]
