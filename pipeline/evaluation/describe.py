"""What is in a dataset, on one page: labels, ages, sizes, pictures, what was dropped and why, duplicates, leaks."""

from __future__ import annotations

import base64
import io
import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console
from rich.table import Table

from pipeline import datasets
from pipeline.config import Data
from pipeline.data import manifests, order, splits
from pipeline.data.pictures import decode
from pipeline.utils import files

SPLITS = manifests.SPLITS
SHOWN = 8  # pictures of each class
THUMBNAIL = 96  # pixels
MOST_CLASSES = 20  # of a column, for it to be shown class by class
_BESIDE = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}  # a legend that hides no bar
_PAGE = Path(__file__).with_name("page.html")


@dataclass
class Summary:
    """What `describe` found: `facts` for data.json, the table that pictures and figures are taken from, and by split
    which of its rows leak (as `splits.leaks` answers)."""

    facts: dict[str, Any]
    rows: pd.DataFrame = field(repr=False)
    leaks: dict[str, pd.DataFrame] = field(repr=False)


class _Notes(logging.Handler):
    """What readers say while they read: rows dropped (with how many, where they say so), labels that are unknown."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.notes.append({"rows": getattr(record, "dropped", None), "text": record.getMessage()})


def describe(data: Data) -> Summary:
    """Read a dataset with all its pictures, and sum it up.

    Raises RequestError for a root that does not hold the dataset.
    """
    handler, logger = _Notes(), logging.getLogger("pipeline")
    logger.addHandler(handler)
    try:
        rows = datasets.load(data)
    finally:
        logger.removeHandler(handler)
    rows = rows.join(manifests.inspect(rows["path"]))
    parts = {split: rows[rows["split"] == split] for split in SPLITS}
    leaks = {split: splits.leaks(parts[split], parts["train"]) for split in ("test", "val")}
    dropped = [note for note in handler.notes if note["rows"]]
    facts = {
        "dataset": data.name,
        "root": data.root,
        "split": _said_of(data),
        "limit": data.limit,
        "rows": len(rows) + sum(note["rows"] for note in dropped),
        "kept": len(rows),
        "dropped": [{"rows": note["rows"], "reason": note["text"]} for note in dropped],
        "notes": [note["text"] for note in handler.notes if not note["rows"]],
        "unreadable": int(rows["file_phash"].isna().sum()),
        "splits": _counts(rows["split"]),
        "subjects": int(rows["subject"].nunique()),
        "folds": _folds(rows),
        "labels": {name: _by_split(rows, name) for name in _class_columns(rows)},
        "age": _ages(rows),
        "sizes": _sizes(rows),
        "duplicates": _duplicates(rows),
        "leak": {split: {way: int(found[way].sum()) for way in found} for split, found in leaks.items()},
    }
    return Summary(facts, rows, leaks)


def text(summary: Summary) -> str:
    """The facts as tables for the terminal."""
    facts, out = summary.facts, io.StringIO()
    console = Console(file=out, width=100, highlight=False, markup=False)
    console.print(f"{facts['dataset']}: {_kept(facts)}, split {facts['split']}")
    for note in (*(f"dropped: {d['reason']}" for d in facts["dropped"]), *facts["notes"]):
        console.print(f"  {note}", soft_wrap=True)
    for title, table in _tables(facts).items():
        shown = Table(title=title, title_justify="left")
        for name in table.reset_index().columns:
            shown.add_column(str(name), justify="left" if name == table.index.name else "right")
        for row in table.reset_index().itertuples(index=False):
            shown.add_row(*map(str, row))
        console.print(shown)
    console.print(leak_sentences(facts), soft_wrap=True)
    console.print("problems.csv names the rows that leak, have a copy, or cannot be read", soft_wrap=True)
    return out.getvalue()


def _kept(facts: dict[str, Any]) -> str:
    if facts["limit"] is None:
        return f"{facts['kept']} of {facts['rows']} rows kept"
    return f"{facts['kept']} rows, limit {facts['limit']}"  # what was dropped is of all rows, not of those


def leak_sentences(facts: dict[str, Any]) -> str:
    """The leak audit in words."""
    lines = []
    for split, found in facts["leak"].items():
        count = facts["splits"][split]
        if not count:
            lines.append(f"LEAK AUDIT, {split}: no rows")
            continue
        parts = ", ".join(f"{found[way]} ({found[way] / count:.1%}) by {way.replace('_', ' ')}" for way in found)
        verdict = "LEAKS: training has seen" if any(found.values()) else "training has seen"
        lines.append(f"LEAK AUDIT, {split}, {count} rows: {verdict} {parts}")
    return "\n".join(lines)


def write(summary: Summary, out: Path) -> Path:
    """Write data.json, problems.csv (the rows that leak, have a copy, or cannot be read) and data.html, which holds all
    its pictures, into a folder; answers the page's path.
    """
    files.write_json(out / "data.json", summary.facts)
    files.write_csv(out / "problems.csv", problems(summary))
    template = jinja2.Template(_PAGE.read_text(encoding="utf-8"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = template.render(
        facts=summary.facts,
        kept=_kept(summary.facts),
        tables={title: table.reset_index() for title, table in _tables(summary.facts).items()},
        leaks=leak_sentences(summary.facts).splitlines(),
        figures=[_embedded(figure) for figure in _figures(summary)],
        pictures=_pictures(summary.rows),
    )
    files.write_text(out / "data.html", page)
    return out / "data.html"


# -- facts ------------------------------------------------------------------------------------------------------------


def _said_of(data: Data) -> str:
    split = data.split or datasets.own_split(data)
    fields = (f"{k} {v}" for k, v in vars(split).items() if k != "kind" and v is not None)
    return f"{split.kind} ({', '.join(fields)})"


def _counts(values: pd.Series) -> dict[str, int]:
    return {split: int((values == split).sum()) for split in SPLITS}


def _class_columns(rows: pd.DataFrame) -> list[str]:
    """Columns with few values, each of several rows: labels, not names or numbers."""
    known = {
        "path",
        "split",
        "fold",
        "subject",
        "age",
        "file_sha256",
        "file_width",
        "file_height",
        "file_phash",
        *manifests.BOX,
    }
    texts = [name for name in rows if name not in known and not pd.api.types.is_numeric_dtype(rows[name])]
    return [name for name in texts if 1 <= rows[name].nunique() <= MOST_CLASSES]


def _by_split(rows: pd.DataFrame, name: str) -> dict[str, dict[str, int]]:
    """Counts of each class, in its own order, by split; what is unknown comes last. A class of that name is told
    apart from it."""
    values, is_known = rows[name].astype(object), rows[name].notna()
    classes = sorted(set(values[is_known]), key=lambda value: order.natural(str(value)))
    names = {value: f"{value} (a class)" if value == "unknown" else str(value) for value in classes}
    counts = {names[value]: _counts(rows["split"][values == value]) for value in classes}
    return counts if is_known.all() else counts | {"unknown": _counts(rows["split"][~is_known])}


def _folds(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Rows and subjects of each fold, and how many of these subjects are in another fold too."""
    folds_of = rows.groupby("subject")["fold"].nunique()
    return {
        str(fold): {
            "rows": len(part),
            "subjects": int(part["subject"].nunique()),
            "shared": int((folds_of[part["subject"].dropna().unique()] > 1).sum()),
        }
        for fold, part in rows.groupby("fold")
    }


def _ages(rows: pd.DataFrame) -> dict[str, Any] | None:
    if "age" not in rows or rows["age"].isna().all():
        return None
    decades = (rows["age"] // 10 * 10).dropna().astype(int)
    return {
        "known": int(rows["age"].notna().sum()),
        "mean": round(float(rows["age"].mean()), 2),
        "median": float(rows["age"].median()),
        "least": float(rows["age"].min()),
        "most": float(rows["age"].max()),
        "decades": {
            f"{d} to {d + 9}": _counts(rows["split"][decades.index[decades == d]]) for d in sorted(set(decades))
        },
    }


def _sizes(rows: pd.DataFrame) -> dict[str, int]:
    """How many pictures have each of the most frequent sizes; the others in one count."""
    sizes = Counter(f"{w}×{h}" for w, h in zip(rows["file_width"], rows["file_height"], strict=True) if not pd.isna(w))
    common = dict(sizes.most_common(8))
    return common | ({f"{len(sizes) - 8} other sizes": sizes.total() - sum(common.values())} if len(sizes) > 8 else {})


def _duplicates(rows: pd.DataFrame) -> dict[str, int]:
    """Files whose bytes, or nearly whose pixels, another file has too: faces of one picture are no copies."""
    rows = rows.drop_duplicates("path")
    same = rows["file_sha256"].notna() & rows["file_sha256"].duplicated(keep=False)
    return {
        "rows": int(same.sum()),
        "groups": int(rows["file_sha256"][same].nunique()),
        "near": splits.with_near(rows["file_phash"]),
    }


def _tables(facts: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Everything that is a table, by its title."""
    tables = {"splits": pd.DataFrame({"rows": facts["splits"]}).rename_axis("split")}
    for name, classes in facts["labels"].items():
        tables[name] = pd.DataFrame(classes).T.rename_axis(name)
    if facts["age"]:
        age = facts["age"]
        spread = f"{age['least']:g} to {age['most']:g}"
        title = f"age: {age['known']} known, mean {age['mean']}, median {age['median']:g}, {spread}"
        tables[title] = pd.DataFrame(age["decades"]).T.rename_axis("years")
    if 1 < len(facts["folds"]) <= MOST_CLASSES:
        tables["folds"] = pd.DataFrame(facts["folds"]).T.rename_axis("fold")
    tables["sizes"] = pd.DataFrame({"pictures": facts["sizes"]}).rename_axis("pixels")
    found = facts["duplicates"]
    counts = {
        "unreadable": facts["unreadable"],
        "same bytes as another": found["rows"],
        "nearly another": found["near"],
    }
    tables["pictures"] = pd.DataFrame({"rows": counts}).rename_axis("what")
    return tables


def problems(summary: Summary) -> pd.DataFrame:
    """path, split, subject, problem, of every row that has one: unreadable, the first row with the same bytes, and by
    what it leaks from training."""
    rows = summary.rows
    found = [rows[rows["file_phash"].isna()].assign(problem="unreadable")]
    first = rows.groupby("file_sha256")["path"].transform("first")
    found.append(rows.assign(problem="same bytes as " + first)[first.notna() & (first != rows["path"])])
    for leaks in summary.leaks.values():
        judged = rows.loc[leaks.index]
        found += [judged[leaks[way]].assign(problem=f"leaks by {way.replace('_', ' ')}") for way in leaks]
    return pd.concat(found)[["path", "split", "subject", "problem"]]


# -- the page ---------------------------------------------------------------------------------------------------------


def _figures(summary: Summary) -> list[Figure]:
    rows, figures = summary.rows, []
    if summary.facts["age"]:
        figures.append(ages_figure(rows))
    figures += [classes_figure(name, counts) for name, counts in summary.facts["labels"].items()]
    return figures


def ages_figure(rows: pd.DataFrame) -> Figure:
    """Histogram of ages in years, by split."""
    figure, axis = plt.subplots(figsize=(6, 2.8), layout="constrained")
    parts = {split: rows["age"][rows["split"] == split].dropna() for split in SPLITS}
    bins = np.arange(0, rows["age"].max() + 2)
    axis.hist(list(parts.values()), bins=bins, stacked=True, label=list(parts))
    axis.set(xlabel="age (years)", ylabel="rows", title="age")
    axis.legend(**_BESIDE)
    return figure


def classes_figure(name: str, counts: dict[str, dict[str, int]]) -> Figure:
    """Rows of each class, by split."""
    table = pd.DataFrame(counts).T
    figure, axis = plt.subplots(figsize=(6, 1.1 + 0.28 * len(table)), layout="constrained")
    table.plot.barh(stacked=True, ax=axis, width=0.8, title=name)
    axis.invert_yaxis()
    axis.set_xlabel("rows")
    axis.legend(**_BESIDE)
    return figure


def _pictures(rows: pd.DataFrame) -> dict[str, dict[str, list[str]]]:
    """Some pictures of every class, and of every decade of age, embedded."""
    readable = rows[rows["file_phash"].notna()]
    columns = {name: readable[name] for name in _class_columns(rows)}
    if "age" in rows:
        columns["age"] = (readable["age"] // 10 * 10).map(lambda d: f"{d:.0f} to {d + 9:.0f}", na_action="ignore")
    return {
        name: {
            str(value): [_thumbnail(path) for path in readable["path"][values == value].head(SHOWN)]
            for value in sorted(values.dropna().unique(), key=lambda value: order.natural(str(value)))
        }
        for name, values in columns.items()
    }


def _thumbnail(path: str) -> str:
    small = Image.fromarray(decode(Path(path).read_bytes(), size=THUMBNAIL)[0])
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _embedded(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    plt.close(figure)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
