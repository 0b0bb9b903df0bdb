"""Datasets: one file each, `load(root, **options) -> manifest`, and what they have in common.

A dataset's file has TARGETS (what it can teach) and SPLIT (how its rows are divided unless an experiment says
otherwise), or a function `targets` or `split` of `(root, **options)` where that depends on the files; FLAT where a
picture is known by its file's name alone, in whatever folder; `load`; and a docstring that says where the data come
from and under which licence. It imports pandas only where it reads: naming a dataset stays cheap.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pipeline.config import Data, Experiment, Split, Target, catalog
from pipeline.utils import sharing
from pipeline.utils.errors import RequestError, unknown

if TYPE_CHECKING:
    import pandas as pd


def find(name: str) -> ModuleType:
    """The module of a dataset by its name. Raises RequestError for a name that is none."""
    known = catalog.names("datasets")
    if name not in known:
        raise unknown("dataset", name, known)
    return importlib.import_module(f"pipeline.datasets.{name}")


def resolve(experiment: Experiment) -> Experiment:
    """The experiment with every stage's split, and the targets, filled in where it left them to the dataset."""
    stages = tuple(
        replace(stage, data=replace(stage.data, split=stage.data.split or own_split(stage.data)))
        for stage in experiment.stages
    )
    data = stages[-1].data
    wanted = tuple(_with_classes(target, data) for target in experiment.targets)
    if wanted and data.classes:  # class columns that are named are to be learned, whatever else is
        named = {target.name for target in wanted}
        wanted += tuple(one for one in offered(data) if one.name in data.classes and one.name not in named)
    return replace(experiment, stages=stages, targets=wanted or offered(data))


def moved(experiment: Experiment, root: str | None) -> Experiment:
    """The experiment with its last stage's data, wherever they are used, at another place; None: where they were.

    Raises RequestError for a place that is not there.
    """
    if root is not None and not Path(root).exists():
        raise RequestError(f"--root {root}: there is nothing; expected the place of the run's data")
    last = experiment.stages[-1].data
    there = replace(last, root=last.root if root is None else root)
    stages = (replace(stage, data=there) if stage.data == last else stage for stage in experiment.stages)
    return replace(experiment, stages=tuple(stages))


def _with_classes(target: Target, data: Data) -> Target:
    """The target with the classes that the dataset declares for its name, where it left them open."""
    if target.kind != "classes" or target.classes:
        return target
    declared = {one.name: one.classes for one in offered(data) if getattr(one, "classes", ())}
    if target.name not in declared:
        raise RequestError(
            f"dataset {data.name} declares no classes for {target.name}, only for {', '.join(declared) or 'nothing'}: "
            f"list the classes of {target.name} in the experiment"
        )
    return replace(target, classes=declared[target.name])


def strange_labels(target: Target, data: Data, rows: pd.DataFrame) -> tuple[str, bool]:
    """What is to be said of labels that are none of the target's classes ("" where there are none), and whether the
    dataset has other classes by that name: most labels are none of them, and some of them no row has."""
    from pipeline.data import cells

    classes, labels = getattr(target, "classes", ()), rows[target.name].dropna()
    strange = labels[~labels.isin(classes)]
    if not classes or strange.empty:
        return "", False
    said = (
        f"{len(strange)} of {len(labels)} {target.name} labels of {data.name} are none of the classes "
        f"{cells.joined(classes)}, the first is {cells.shown(strange.iloc[0])!r}"
    )
    return said, 2 * len(strange) > len(labels) and not set(classes) <= set(labels)


def offered(data: Data) -> tuple[Target, ...]:
    """What a dataset can teach."""
    return _declared(data, "targets")


def own_split(data: Data) -> Split:
    """How a dataset is divided unless an experiment says otherwise."""
    return _declared(data, "split")


def load(data: Data) -> pd.DataFrame:
    """The manifest: one row an image, with `split` given to every row.

    Columns: path, split (train, val, test), fold, subject (NA where unknown), the labels (NA where unknown), a face box
    `x y w h` in pixels (NaN: the whole picture), and landmarks if the faces are to be aligned. Raises RequestError for
    a root that does not hold the dataset, and for faces that are to be aligned and cannot be (`landmarks.check`).
    """
    return sharing.shared(f"manifest of {data.name}", data, lambda: _divided(data)).copy()


def _divided(data: Data) -> pd.DataFrame:
    from pipeline.data import landmarks, manifests, splits

    rows = _listed(data)
    found = [name for name in manifests.LANDMARKS if name in rows]
    if data.aligned and not set(manifests.EYES) <= set(found):
        raise RequestError(
            f"dataset {data.name} has no landmarks to align by: `python -m pipeline clean {data.name}` finds them, and "
            "writes a manifest to train on with --dataset csv"
        )
    if found:
        landmarks.check(rows, _source(data), data.aligned)
    rows = rows if data.aligned else rows.drop(columns=found)
    # What is missing is left out last: which split a row is in does not depend on what else is there.
    return manifests.there(splits.assign(rows, data.split or own_split(data)), _source(data))


def read(data: Data) -> pd.DataFrame:
    """The manifest before it is divided, as the dataset's files have it, or as `clean` left it, where the root is the
    manifest that it wrote."""
    from pipeline.data import manifests

    return manifests.there(_listed(data), _source(data))


def _listed(data: Data) -> pd.DataFrame:
    """The rows that were chosen, those without a picture among them."""
    from pipeline.data import manifests, splits

    rows = _cleaned(data) if _is_table(data) else find(data.name).load(data.root, **_options(data))
    if getattr(find(data.name), "FLAT", False):
        rows[manifests.NAME] = [Path(path).name for path in rows["path"]]
    return splits.limit(manifests.listed(rows, _source(data)), data.limit)


def _source(data: Data) -> str:
    return f"dataset {data.name}"


def _is_table(data: Data) -> bool:
    return data.name != "csv" and data.root is not None and data.root.lower().endswith((".csv", ".parquet", ".pq"))


def _cleaned(data: Data) -> pd.DataFrame:
    if _options(data):
        raise RequestError(
            f"dataset {data.name}: {', '.join(data.options)} say how its folder is read, but {data.root} is a table"
        )
    return find("csv").load(data.root)


def _declared(data: Data, what: str) -> Any:
    """A dataset's constant TARGETS or SPLIT, or what its function of that name in lower case says of these files."""
    module = find(data.name)
    constant = getattr(module, what.upper(), None)
    try:
        return constant if constant is not None else getattr(module, what)(data.root, **_options(data))
    except RequestError:
        raise
    except ValueError as error:  # names and classes from files, which the configuration refuses
        raise RequestError(f"dataset {data.name}: {error}") from error


def _options(data: Data) -> dict[str, object]:
    taken = set(inspect.signature(find(data.name).load).parameters)
    for name in data.options:
        if name not in taken:
            raise RequestError(f"dataset {data.name} has no option {name!r}: leave it out")
    return data.options
