"""FairFace (Karkkainen & Joo, WACV 2021): 97,698 faces with an age group, gender and race.

From https://github.com/joojs/fairface, CC BY 4.0. The root holds `fairface_label_train.csv`,
`fairface_label_val.csv` (file, age, gender, race, service_test) and the pictures they list (`train/1.jpg`).
The official val list is the test split; validation is a tenth of the training list. There are no identities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.config import Binary, Classes, OfficialSplit

if TYPE_CHECKING:
    import pandas as pd

AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
TARGETS = (Classes("age_group", AGES, ordered=True), Binary("gender"))
SPLIT = OfficialSplit(val=0.1)

_SPREADSHEET = {"3-9": ("03-Sep", "3-Sep", "9-Mar", "09-Mar"), "10-19": ("Oct-19", "19-Oct")}
_DATES = {date.lower(): age for age, dates in _SPREADSHEET.items() for date in dates}


def load(root: str | None) -> pd.DataFrame:
    """path, split, age_group, gender, race; age groups that a spreadsheet turned into dates are read right."""
    import pandas as pd

    from pipeline.data import cells, manifests

    lists = {"train": "fairface_label_train.csv", "test": "fairface_label_val.csv"}
    folder = manifests.require(root, "fairface", *lists.values())
    parts = []
    for split, name in lists.items():
        table = cells.read_csv(folder / name, ["file", "age", "gender", "race"])
        table = table.assign(**{label: cells.present(table[label]) for label in ("age", "gender", "race")})
        table = _whole(table, name)
        table = manifests.once(table, ["file"], name)
        ages = table["age"]
        ages = ages.str.lower().map(_DATES).fillna(ages)
        parts.append(
            pd.DataFrame(
                {
                    "path": [str(folder / file) for file in table["file"]],
                    "split": split,
                    "age_group": cells.known(ages, AGES, name),
                    "gender": cells.known(table["gender"].str.lower(), ("female", "male"), name),
                    "race": table["race"],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _whole(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows that have a file and both labels, as all have in a list that is not cut."""
    from pipeline.data import cells

    whole = table.dropna(subset=["file", "age", "gender"])
    if len(whole) < len(table):
        cut = len(table) - len(whole)
        cells.warn_of_dropped(cut, f"{name}: {cut} rows lack their file, age or gender and are left out")
    return whole
