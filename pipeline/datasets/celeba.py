"""CelebA (Liu, Luo, Wang & Tang, ICCV 2015): 202,599 aligned faces of 10,177 people, with gender and 39 attributes.

From https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, for non-commercial research only. The root holds
`img_align_celeba/000001.jpg` (178×218; also doubly nested), `list_attr_celeba` and `list_eval_partition` (the authors'
`.txt`, also in their folders Anno and Eval, or `.csv` from data-science sites) and `identity_CelebA.txt`. The official
partition: 162,770, 19,867 and 19,962. There is no age. Or `source="tfds"`: the root is the data folder of
tensorflow-datasets with a prepared `celeb_a`; its pictures are written as files to `celeb_a_pictures/` there, once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.config import Binary, OfficialSplit
from pipeline.utils.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

TARGETS = (Binary("gender"),)
SPLIT = OfficialSplit()

_PLACES = ("Img", "Eval", "Anno", ".")  # the authors hand out three folders; what lies in the root comes first
_PARTITION = {"0": "train", "1": "val", "2": "test"}
_YES_NO = {"1": "yes", "-1": "no"}
_TFDS_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_TFDS_FOLDER, _MANIFEST = "celeb_a_pictures", "manifest.csv"
_COUNT = 202_599  # pictures

log = logging.getLogger(__name__)


def load(root: str | None, source: Literal["files", "tfds"] = "files") -> pd.DataFrame:
    """path, split, subject (NA without identities), gender, and 39 attributes, each "no" or "yes".

    source: the authors' files, or tensorflow-datasets (nothing is downloaded). The columns are the same.
    """
    from pipeline.data import manifests

    folder = manifests.require(root, "celeba")
    return _from_tfds(folder) if source == "tfds" else _from_files(folder)


# -- the authors' files, and copies of them ---------------------------------------------------------------------------


def _from_files(folder: Path) -> pd.DataFrame:
    import pandas as pd

    entries = {path.name.lower(): path for place in _PLACES for path in sorted((folder / place).glob("*"))}
    lists = [
        _entry(folder, entries, f"{name}.txt", f"{name}.csv") for name in ("list_attr_celeba", "list_eval_partition")
    ]
    pictures = _entry(folder, entries, "img_align_celeba")
    pictures = pictures / pictures.name if (pictures / pictures.name).is_dir() else pictures
    attributes, partition = _in_both(_attributes(lists[0]), _partition(lists[1]), lists)
    rows = pd.DataFrame(
        {
            "path": [str(pictures / name) for name in attributes.index],
            "split": partition.map(_PARTITION),
            "subject": _persons(entries, attributes.index),
        },
        index=attributes.index,
    )
    return rows.join(_labels(attributes)).reset_index(drop=True)


def _entry(folder: Path, entries: dict[str, Path], *names: str) -> Path:
    """The first of `names` that is there, in any case. Raises RequestError when none is."""
    from pipeline.data import manifests

    found = next((entries[name] for name in names if name in entries), None)
    if found is None:
        raise manifests.missing(folder, "celeba", " or ".join(names))
    return found


def _attributes(path: Path) -> pd.DataFrame:
    """The list of attributes: a row of "1" and "-1" for each picture."""
    from pipeline.data import cells

    table = cells.read_csv(path, ["image_id", "Male"]) if path.suffix.lower() == ".csv" else _attribute_list(path)
    good = table.drop(columns="image_id").isin(list(_YES_NO)).all(axis="columns")
    return _sound(table, good, path, "1 or -1 for every attribute")


def _attribute_list(path: Path) -> pd.DataFrame:
    """The authors' form: the count, the attributes' names, then `name ±1 …`."""
    from pipeline.data import cells

    lines = cells.read_list(path, ["line"], separator="\n")["line"]
    if len(lines) < 3 or not lines[0].isdecimal() or "Male" not in lines[1].split():
        raise RequestError(
            f"{path}: expected a count on line 1, the attributes' names (Male among them) on line 2, then rows of "
            f"`000001.jpg ±1 …`; it has {len(lines)} lines, the first is {lines[0][:40]!r}"
        )
    table = cells.read_list(path, ["image_id", *lines[1].split()], skip=2)
    if len(table) != int(lines[0]):
        log.warning(f"{path}: line 1 says {lines[0]} pictures, {len(table)} whole rows follow: it may be cut short")
    return table


def _partition(path: Path) -> pd.Series:
    """The official partition: "0", "1" or "2" for each picture."""
    from pipeline.data import cells

    names = ["image_id", "partition"]
    table = cells.read_csv(path, names) if path.suffix.lower() == ".csv" else cells.read_list(path, names)
    return _sound(table, table["partition"].isin(list(_PARTITION)), path, "a partition 0, 1 or 2")["partition"]


def _sound(table: pd.DataFrame, good: pd.Series, path: Path, expected: str) -> pd.DataFrame:
    """The good rows by their picture's name; the others, and a picture's second row, are a counted warning."""
    from pipeline.data import cells

    good = good & table["image_id"].notna() & ~table["image_id"].duplicated()
    if not good.any():
        raise RequestError(f"{path}: none of its {len(table)} rows has a picture and {expected}")
    if not good.all():
        log.warning(
            f"{path}: {(~good).sum()} of {len(table)} rows do not have a picture of their own and {expected}; the "
            f"first is that of {cells.shown(table['image_id'][~good].iloc[0])!r}"
        )
    return table[good].set_index("image_id")


def _in_both(attributes: pd.DataFrame, partition: pd.Series, lists: list[Path]) -> tuple[pd.DataFrame, pd.Series]:
    """The pictures that both lists have; the others are a counted warning."""
    from pipeline.data import cells

    both = attributes.index.intersection(partition.index, sort=False)
    either = attributes.index.union(partition.index, sort=False)
    names = " and ".join(map(str, lists))
    if both.empty:
        raise RequestError(f"{names} have no picture in common: they are not lists of the same pictures")
    if len(both) < len(either):
        alone = either.difference(both)
        said = (
            f"{len(alone)} pictures are only in one of {names} and are left out, the first is {cells.shown(alone[0])}"
        )
        cells.warn_of_dropped(len(alone), said)
    return attributes.loc[both], partition.loc[both]


def _persons(entries: dict[str, Path], pictures: pd.Index) -> pd.Series | None:
    """Who is in each picture; None where nobody says so."""
    path = entries.get("identity_celeba.txt") or entries.get("identity_celeba.csv")
    if path is None:
        log.warning("celeba: there is no identity_CelebA.txt, so nobody knows whose faces are in two splits")
        return None
    table = _identities(path)
    found = table.drop_duplicates("image_id").set_index("image_id")["person"].reindex(pictures)
    if found.isna().any():
        log.warning(f"{path}: {found.isna().sum()} of {len(found)} pictures have no person there, whose is unknown")
    return found


def _identities(path: Path) -> pd.DataFrame:
    """image_id and person, from the authors' list, or from CSV with a header or without one."""
    from pipeline.data import cells

    names = ["image_id", "person"]
    table = cells.read_csv(path, []) if path.suffix.lower() == ".csv" else None
    if table is None or len(table.columns) < 2:
        return cells.read_list(path, names)
    first = table.columns[:2].tolist()
    table = table[first].set_axis(names, axis="columns")
    if first[0].lower().endswith(".jpg"):  # no header but a picture
        table.loc[len(table)] = first
    return table


def _labels(attributes: pd.DataFrame) -> pd.DataFrame:
    """gender, then the other attributes by name, from "1" and "-1"."""
    others = sorted(attributes.columns.drop("Male"), key=str.lower)
    named = {name.lower(): attributes[name].map(_YES_NO) for name in others}
    return attributes[[]].assign(gender=attributes["Male"].map({"1": "male", "-1": "female"}), **named)


# -- tensorflow-datasets ----------------------------------------------------------------------------------------------


def _from_tfds(folder: Path) -> pd.DataFrame:
    """The rows of a prepared `celeb_a`; the manifest beside its pictures tells that all of them are written.

    To write them again (from another version of celeb_a), delete their folder.
    """
    from pipeline.data import cells

    pictures = folder / _TFDS_FOLDER
    if not (pictures / _MANIFEST).is_file():
        try:
            _write_pictures(folder, pictures)
        except OSError as error:
            raise RequestError(f"the pictures of celeb_a cannot be written as files to {pictures}: {error}") from error
    rows = cells.read_csv(pictures / _MANIFEST, ["path", "split", "subject", "gender"])
    return rows.assign(path=[str(pictures / name) for name in rows["path"]])


def _write_pictures(folder: Path, pictures: Path) -> None:
    """Every picture as the JPEG file that it was (about 1.4 GB), then the manifest of them.

    Pictures that are there already stay: a run that was stopped goes on, and two at once do the same.
    """
    import pandas as pd

    from pipeline.utils.progress import track

    log.info("celeba: writes the pictures of tensorflow-datasets' celeb_a to %s, once", pictures)
    rows, attributes = [], []
    for split, example in track(_examples(folder), "writing pictures", _COUNT):
        name = f"{example['tfds_id'].decode()}.jpg"
        if not (pictures / name).exists():
            _write(pictures / name, example["image"])
        rows.append((name, split, example["identity"]["Identity_No"]))
        attributes.append({name: "1" if yes else "-1" for name, yes in example["attributes"].items()})
    table = pd.DataFrame(rows, columns=["path", "split", "subject"]).join(_labels(pd.DataFrame(attributes)))
    _write(pictures / _MANIFEST, table.to_csv(index=False).encode())


def _examples(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """split and example of a prepared celeb_a, its image as JPEG bytes. Raises RequestError where none is prepared."""
    import tensorflow_datasets as tfds

    options = {
        "decoders": {"image": tfds.decode.SkipDecoding()},
        "read_config": tfds.ReadConfig(add_tfds_id=True),  # a name for each example, whatever the order of reading
    }
    try:
        builder = tfds.builder("celeb_a", data_dir=folder)
        for split, theirs in _TFDS_SPLITS.items():
            for example in tfds.as_numpy(builder.as_dataset(split=theirs, **options)):
                yield split, example
    except Exception as error:  # whatever TensorFlow and the parsers of its files run into
        prepare = f"tensorflow_datasets.builder('celeb_a', data_dir='{folder}').download_and_prepare()"
        raise RequestError(
            f"{folder} holds no celeb_a that tensorflow-datasets can read; prepare it in Python: {prepare}; "
            f"it says: {str(error).partition(chr(10))[0]}"
        ) from error


def _write(path: Path, content: bytes) -> None:
    """All of the file or nothing: who looks at it while it is written sees no half."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(content)
    os.replace(part, path)
