"""A run: one execution of an experiment, and its directory. What is written is complete or not there."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import locks, parsing
from pipeline.config import Data, Experiment, RandomSplit
from pipeline.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

RUNS = Path("runs")
_TEMPORARY = ".unfinished-"


@dataclass(frozen=True)
class Run:
    """The directory of a run; its files are those of the contract in the README."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def experiment(self) -> Experiment:
        """The configuration as it was run, nothing left open."""
        return parsing.read_json(self.file("experiment.json"))

    @property
    def model(self) -> Path:
        """The network with the weights of the kept epoch of the last stage."""
        return self.file("model.keras")

    @property
    def saved_model(self) -> Path:
        """The exported model's folder."""
        return self.file("saved_model")

    @property
    def labels(self) -> dict[str, Any]:
        """What labels.json says, which is the same beside every export; nothing where there is none."""
        found = (*self.path.glob("saved_model/assets.extra/labels.json"), *self.path.glob("*/labels.json"))
        return next(filter(None, map(_told, found)), {})

    @property
    def is_finished(self) -> bool:
        """Whether training went to its end: environment.json is what it writes last."""
        return (self.path / "environment.json").exists()

    @property
    def environment(self) -> dict[str, Any]:
        """What environment.json says; nothing of a run that is not finished."""
        return _told(self.path / "environment.json") if self.is_finished else {}

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch."""
        import pandas as pd

        return pd.read_csv(self.file("history.csv"))

    def file(self, name: str) -> Path:
        """A file that must be there. Raises RequestError that says what is missing."""
        path = self.path / name
        if not path.exists():
            raise RequestError(f"run {self.path} has no {name}: it did not get that far, or its files were removed")
        return path


def _told(path: Path) -> dict[str, Any]:
    """What a JSON file says; nothing where it is damaged."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        log.warning(f"{path} is damaged and not heeded: what wrote it can write it anew")
        return {}


def other_data(run: Run, dataset: str, root: str | None) -> Data:
    """Another dataset than the run's own, its pictures cut as the run's are; to face boxes as `predict` cuts."""
    data = run.experiment.stages[-1].data
    margin = run.labels.get("margin", data.margin)  # whole pictures have a margin of their own
    return Data(dataset, root=root, margin=margin, aligned=data.aligned, centre=data.centre)


def create(experiment: Experiment, runs: str | Path = RUNS) -> Run:
    """A new directory `runs/<experiment>/<YYYYmmdd-HHMMSS>` with its experiment.json."""
    folder = Path(runs) / name_of(experiment)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        run = Run(dated(folder))
    except OSError as error:
        raise RequestError(
            f"no run can be written to {folder}: {error.strerror}; name another place by --runs"
        ) from error
    write_text(run.path / "experiment.json", parsing.to_json(experiment))
    log.info("run %s", run.path)
    return run


def name_of(experiment: Experiment) -> str:
    """What its runs are found under."""
    return experiment.name or experiment.model.name


def reopen(run: Run, experiment: Experiment) -> None:
    """Clear away what a killed process left half-written, and note the configuration it goes on with. Until it is
    done again, the run is not finished."""
    (run.path / "environment.json").unlink(missing_ok=True)
    for leftover in run.path.rglob(f"{_TEMPORARY}*"):
        shutil.rmtree(leftover)
    write_text(run.path / "experiment.json", parsing.to_json(experiment))


def forget_results(run: Run) -> None:
    """Remove what was said of the run's model, which is about to be replaced, and what answers in its place; name what
    else was exported of it."""
    shutil.rmtree(run.path / "saved_model", ignore_errors=True)
    for pattern in ("results*.json", "predictions*.csv", "prediction.*"):
        for path in run.path.glob(pattern):
            path.unlink()
    if exported := sorted(path.parent.name for path in run.path.glob("*/labels.json")):
        log.warning(f"{', '.join(exported)} in {run.path}: of the model before it was trained further; export anew")


def find(experiment: Experiment, runs: str | Path = RUNS) -> Run | None:
    """The newest run of this very configuration (one with nothing left open), a finished one if there is any."""
    folder = Path(runs) / name_of(experiment)
    found = [Run(path.parent) for path in folder.glob("*/experiment.json") if _is_of(path, _asked(experiment))]
    return max(found, key=lambda run: (run.is_finished, run.path.name), default=None)


def _is_of(path: Path, asked: Experiment) -> bool:
    try:
        return _asked(parsing.read_json(path)) == asked
    except RequestError:  # a configuration of an older version
        return False


def _asked(experiment: Experiment) -> Experiment:
    """The experiment without the class weights that training fills in."""
    targets = (replace(t, class_weights=()) if getattr(t, "balanced", False) else t for t in experiment.targets)
    return replace(experiment, targets=tuple(targets))


def open_run(path: str | Path) -> Run:
    """The run in a directory. Raises RequestError when there is none."""
    if not Path(path).is_dir():
        raise RequestError(f"no run {path}: expected the directory of a run, such as runs/mobilenetv2/20260131-120000")
    run = Run(Path(path))
    run.file("experiment.json")
    return run


@contextmanager
def held(run: Run) -> Iterator[None]:
    """Within it no other process trains the run. Raises RequestError where another one does."""
    folder = os.open(run.path, os.O_RDONLY)
    try:
        if not locks.take(folder):
            raise RequestError(f"{run.path} is being trained by another process: wait for its end")
        yield
    finally:
        os.close(folder)


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, which takes its place when the block ends without an error."""
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=path.parent)) / path.name
    try:
        yield temporary
        if path.is_dir() and not temporary.is_dir():
            raise RequestError(f"{path} is a folder: a file of that name cannot be written")
        if path.is_dir():
            path.rename(temporary.with_name("old"))
        os.replace(temporary, path)
    except OSError as error:
        if error.filename or error.strerror is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk does not say of what
    finally:
        shutil.rmtree(temporary.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write JSON; NaN and infinity become null, which every reader understands."""
    write_text(path, json.dumps(_without_nan(value), indent=1, allow_nan=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table, whole or not at all."""
    with written(path) as temporary:
        table.to_csv(temporary, index=False)


_TABLES = {
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".jsonl": lambda table, path: table.to_json(path, orient="records", lines=True),
    ".parquet": lambda table, path: table.to_parquet(path, index=False),
}


def make_folder(path: Path, option: str) -> Path:
    """A folder of a user's choice, made where it is not there. Raises RequestError, by the option, if it cannot be, or
    nothing can be written there."""
    if path.exists() and not path.is_dir():
        raise RequestError(f"{option} {path}: expected a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise RequestError(f"{option} {path}: nothing can be written there: {error.strerror}") from error
    return path


def check_table(path: Path) -> Path:
    """The path of a user's choice, if a table can be written there; its folder is made.

    Raises RequestError for another ending, a folder, or a place that cannot be written.
    """
    if path.suffix not in _TABLES or path.is_dir():
        raise RequestError(f"--out {path}: expected a file whose name ends in {', '.join(_TABLES)}")
    make_folder(path.parent, "--out")
    return path


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table in the format of the path's ending (`check_table`)."""
    with written(check_table(path)) as temporary:
        _TABLES[path.suffix](table, temporary)


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, whole or not at all, and let go of it."""
    import matplotlib.pyplot as plt

    with written(path) as temporary:
        figure.savefig(temporary, dpi=130, bbox_inches="tight")
    plt.close(figure)


def judged_split(experiment: Experiment) -> str:
    """`test`, or `val` for a split that sets no test rows aside."""
    split = experiment.stages[-1].data.split
    return "val" if isinstance(split, RandomSplit) and not split.test else "test"


def suffix(split: str, dataset: str | None = None, views: int = 1) -> str:
    """What the names of an evaluation's files end in; nothing for the test split of the run's own data."""
    of_split = "" if split == "test" and dataset is None else f"-{split}"
    return of_split + (f"-{dataset}" if dataset is not None else "") + (f"-views{views}" if views > 1 else "")


def results_name(split: str, dataset: str | None = None, views: int = 1) -> str:
    """The file of an evaluation's results in its run."""
    return f"results{suffix(split, dataset, views)}.json"


def read_predictions(path: Path) -> pd.DataFrame:
    """What `evaluate` wrote of each row, all as text; an empty cell is unknown, and "None" may be a class."""
    import pandas as pd

    return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])


def is_judged_on(run: Run, data: Data) -> bool:
    """Whether the results on another dataset's test rows are there, and are of these rows: divided as `data` says."""
    path = run.path / results_name("test", data.name)
    return path.exists() and json.loads(path.read_text(encoding="utf-8")).get("data") == told(data)


def told(data: Data) -> dict[str, object]:
    """What results.json says of the rows that were judged, wherever their files lie."""
    return json.loads(json.dumps(asdict(replace(data, root=None))))


def add_rejected(run: Run, rejected: pd.DataFrame) -> None:
    """Add rows whose picture could not be read (path, box, reason) to the run's rejected.csv, each once."""
    import pandas as pd

    path = run.path / "rejected.csv"
    before = [pd.read_csv(path)] if path.exists() else []
    together = pd.concat([*before, rejected], ignore_index=True)
    write_csv(path, together.drop_duplicates([name for name in together if name != "reason"]))


def dated(folder: Path) -> Path:
    """A new directory named by the time; two in the same second get two names."""
    while True:
        path = folder / time.strftime("%Y%m%d-%H%M%S")
        try:
            path.mkdir()
            return path
        except FileExistsError:
            time.sleep(0.1)


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
