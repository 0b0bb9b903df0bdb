"""Rows that show one clear face, and why the others went.

Metadata first, for they cost nothing; then a face detector looks at every picture that is left, on all cores or on a
Dask cluster. What it found is kept as it comes, so a stopped cleaning goes on where it was, and one with other rules
looks at nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from dask.system import CPU_COUNT
from matplotlib.figure import Figure

from pipeline import datasets
from pipeline.config import Cleaning
from pipeline.data import manifests
from pipeline.utils import files
from pipeline.utils.errors import RequestError, WorkError
from pipeline.utils.progress import track
from pipeline.utils.startup import import_tensorflow

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

CHUNK = 32  # pictures that a worker looks at before it reports


def clean(rules: Cleaning, out: Path, scheduler: str | None = None, processes: int | None = None) -> Path:
    """Write manifest.csv (the rows that stay, with face box, landmarks and confidence), rejected.csv (the others, with
    their reason), clean.json (counts) and figures/ into `out`; answers the manifest's path.

    The manifest trains with `--dataset csv`. scheduler: the address of a running Dask scheduler, whose workers see the
    same files; else `processes` workers are started here (None: one a core). The rows are the same however many work.

    Raises RequestError for a dataset that is not there, a label it does not have, or a scheduler that does not answer;
    WorkError when no row stays.
    """
    rows = datasets.load(rules.data)
    rows["path"] = [str(Path(path).absolute()) for path in rows["path"]]  # workers may have another working folder
    reason = _by_metadata(rows, rules)
    looked_at = _look(rows[reason == ""], rules, out, scheduler, processes)
    reason.update(_by_face(looked_at, rules))
    rows = rows.drop(columns=[name for name in looked_at if name in rows]).join(looked_at.drop(columns="unreadable"))
    reason.update(_by_count(rows[reason == ""], rules))
    return _write(rows, reason, rules, out)


def _by_metadata(rows: pd.DataFrame, rules: Cleaning) -> pd.Series:
    """Why a row goes before its picture is looked at; "" where it stays. The first rule that it breaks is named."""
    breaks: dict[str, pd.Series] = {}
    if rules.face_score_above is not None and "face_score" in rows:
        breaks[f"face score not above {rules.face_score_above:g}"] = ~(rows["face_score"] > rules.face_score_above)
    if rules.second_face_below is not None and "second_face_score" in rows:
        second = rows["second_face_score"]
        breaks[f"second face's score not below {rules.second_face_below:g}"] = second >= rules.second_face_below
    for name in ("age",) * (rules.age_range is not None) + rules.known:
        if name not in rows:
            raise RequestError(f"{rules.data.name} has no {name}; its columns are {', '.join(rows.columns)}")
    if rules.age_range is not None:
        low, high = rules.age_range
        breaks[f"age not from {low:g} to {high:g}"] = ~rows["age"].between(low, high)
    for name in rules.known:
        breaks[f"{name} unknown"] = rows[name].isna()
    return _first(breaks, rows.index)


def _by_face(found: pd.DataFrame, rules: Cleaning) -> pd.Series:
    """Why a row goes after its picture was looked at."""
    small = found[["w", "h"]].min(axis=1)
    breaks = {"no face": found["faces"] == 0, "more than one face": found["faces"] > 1}
    breaks[f"face smaller than {rules.smallest:g} pixels"] = small < rules.smallest
    breaks[f"blurred: sharpness below {rules.sharpness:g}"] = found["sharpness"] < rules.sharpness
    return found["unreadable"].where(found["unreadable"].notna(), _first(breaks, found.index))


def _by_count(rows: pd.DataFrame, rules: Cleaning) -> pd.Series:
    """Why a row goes after all others were judged."""
    if not rules.min_per_age or "age" not in rows:
        return pd.Series("", index=rows.index)
    years = np.floor(rows["age"])
    rare = years.groupby(years).transform("size") < rules.min_per_age
    return _first({f"fewer than {rules.min_per_age} pictures of that age": rare}, rows.index)


def _first(breaks: dict[str, pd.Series], index: pd.Index) -> pd.Series:
    if not breaks:
        return pd.Series("", index=index)
    return pd.Series(np.select(list(breaks.values()), list(breaks), ""), index=index)


# -- looking ----------------------------------------------------------------------------------------------------------


def _look(rows: pd.DataFrame, rules: Cleaning, out: Path, scheduler: str | None, processes: int | None) -> pd.DataFrame:
    """What `looking.look` finds, by the rows' index; what an earlier run has found is taken from its files."""
    folder = out / "detected"
    folder.mkdir(parents=True, exist_ok=True)
    regions = _regions(rows, rules.data.margin)
    keys = pd.Series(
        [_key(*row, rules.confidence) for row in zip(rows["path"], regions, strict=True)], rows.index, dtype="str"
    )
    tables = [pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    left = np.flatnonzero(~keys.isin(set().union(*(table["key"] for table in tables))))
    if len(left) < len(rows):
        log.info(f"goes on: {len(rows) - len(left)} of {len(rows)} pictures were looked at before")
    if len(left):
        log.info(f"looks at {len(left)} pictures; stopped, the same command goes on where it was")
        with _workers(scheduler, processes) as client:
            chunks = [left[i : i + CHUNK] for i in range(0, len(left), CHUNK)]
            tasks = [
                (keys.iloc[c].tolist(), rows["path"].iloc[c].tolist(), regions[c], rules.confidence) for c in chunks
            ]
            for table in track(_done(client, tasks), "looking for faces", len(tasks)):
                tables.append(table)
                passing = table["unreadable"].str.startswith(manifests.UNREACHED, na=False)
                with files.written(folder / f"{table['key'].iloc[0]}.parquet") as temporary:
                    table[~passing].to_parquet(temporary, index=False)  # the next cleaning tries the others again
    found = pd.concat(tables or [pd.DataFrame(columns=list(manifests.FOUND), dtype=object)])
    return found.drop_duplicates("key").set_index("key").reindex(keys).set_index(keys.index)


def _done(client: Client, tasks: list[tuple]) -> Iterator[pd.DataFrame]:
    """Each task's table as it comes."""
    from distributed import as_completed

    futures = client.map(_in_worker, tasks, pure=False)
    for future in as_completed(futures):
        if future.status == "error":
            raise WorkError(f"a worker failed: {future.exception()!r:.300}")
        yield future.result()
        future.release()


def _in_worker(task: tuple) -> pd.DataFrame:
    os.environ |= {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}  # mtcnn knows no other; on the CPU
    import_tensorflow()
    from pipeline.faces.looking import look

    return look(*task)


@contextmanager
def _workers(scheduler: str | None, processes: int | None) -> Iterator[Client]:
    """A Dask cluster that was started elsewhere, or one of this machine's own processes."""
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # only now, since its import sets a level of its own
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout="20s")
        except (OSError, ValueError) as error:
            raise RequestError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error!s:.100})") from error
        with client:
            yield client
        return
    with _deaf_to_interrupts():
        local = LocalCluster(
            n_workers=processes or CPU_COUNT,
            threads_per_worker=1,
            dashboard_address=None,
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        )
    with local, Client(local) as client:
        yield client


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that are started here do not hear Ctrl-C: it is for their parent, which ends them quietly."""
    if threading.current_thread() is not threading.main_thread():  # where Python lets nobody set signals
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _key(path: str, region: np.ndarray, confidence: float) -> str:
    """What was looked at: another picture under the same name, or another region, is looked at anew."""
    stat = Path(path).stat()
    said = json.dumps([path, stat.st_size, stat.st_mtime_ns, region.tolist(), confidence])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _regions(rows: pd.DataFrame, margin: float) -> np.ndarray:
    """float [N, 4]: the box that the dataset gives, with the margin around it; NaN where it gives none."""
    x, y, w, h = rows[list(manifests.BOX)].to_numpy(float).T
    rim = margin * np.maximum(w, h)
    return np.stack([x - rim, y - rim, w + 2 * rim, h + 2 * rim], axis=1)


# -- what is written --------------------------------------------------------------------------------------------------


def _write(rows: pd.DataFrame, reason: pd.Series, rules: Cleaning, out: Path) -> Path:
    stays = reason == ""
    counts = reason[~stays].value_counts().to_dict()
    log.info(
        f"{stays.sum()} of {len(rows)} rows stay; rejected: " + ", ".join(f"{n} {why}" for why, n in counts.items())
    )
    files.write_csv(out / "rejected.csv", rows[~stays].assign(reason=reason[~stays]))
    files.write_json(
        out / "clean.json", {"rows": len(rows), "kept": int(stays.sum()), "rejected": counts, "rules": asdict(rules)}
    )
    (out / "figures").mkdir(exist_ok=True)
    files.write_figure(out / "figures" / "kept_and_rejected.png", reasons_figure(int(stays.sum()), counts))
    shown = [
        name for name in ("age", "face_score", "confidence", "sharpness") if name in rows and rows[name].notna().any()
    ]
    if shown:
        files.write_figure(out / "figures" / "boxes.png", boxes_figure(rows, stays, shown))
    if not stays.any():
        raise WorkError(f"no row is left; {out / 'rejected.csv'} says why")
    files.write_csv(out / "manifest.csv", rows[stays])
    return out / "manifest.csv"


def reasons_figure(kept: int, rejected: dict[str, int]) -> Figure:
    """How many rows stay, and how many go for each reason."""
    counts = {"kept": kept} | rejected
    figure, axis = plt.subplots(figsize=(7, 0.9 + 0.35 * len(counts)), layout="constrained")
    bars = axis.barh(list(counts), list(counts.values()), color=["seagreen"] + ["indianred"] * len(rejected))
    axis.bar_label(bars, padding=3)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set_xlabel("rows")
    return figure


def boxes_figure(rows: pd.DataFrame, stays: pd.Series, columns: list[str]) -> Figure:
    """Box plots of some columns, of the rows that stay and of those that go."""
    figure, axes = plt.subplots(1, len(columns), figsize=(2.8 * len(columns), 3.6), squeeze=False, layout="constrained")
    for axis, name in zip(axes.flat, columns, strict=True):
        values = rows[name].where(np.isfinite(rows[name].astype(float)))
        parts = {"kept": values[stays].dropna(), "rejected": values[~stays].dropna()}
        axis.boxplot(
            list(parts.values()), tick_labels=[f"{part}\n{len(v)} known" for part, v in parts.items()], widths=0.6
        )
        axis.set_title(name.replace("_", " "))
        axis.grid(axis="y", alpha=0.3)
    return figure
