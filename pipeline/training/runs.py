"""A run: one execution of an experiment, and its directory. What is written is complete or not there."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import Data, Experiment, RandomSplit, parsing
from pipeline.utils import files, locks
from pipeline.utils.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

RUNS = Path("runs")


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
        run = Run(files.dated(folder))
    except OSError as error:
        raise RequestError(
            f"no run can be written to {folder}: {error.strerror}; name another place by --runs"
        ) from error
    files.write_text(run.path / "experiment.json", parsing.to_json(experiment))
    log.info("run %s", run.path)
    return run


def name_of(experiment: Experiment) -> str:
    """What its runs are found under."""
    return experiment.name or experiment.model.name


def reopen(run: Run, experiment: Experiment) -> None:
    """Clear away what a killed process left half-written, and note the configuration it goes on with. Until it is
    done again, the run is not finished."""
    (run.path / "environment.json").unlink(missing_ok=True)
    for leftover in run.path.rglob(f"{files.TEMPORARY}*"):
        shutil.rmtree(leftover)
    files.write_text(run.path / "experiment.json", parsing.to_json(experiment))


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
    files.write_csv(path, together.drop_duplicates([name for name in together if name != "reason"]))
