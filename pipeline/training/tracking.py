"""Following a run elsewhere: Weights & Biases or TensorBoard. Both packages are optional; nothing else imports them."""

from __future__ import annotations

import json
import netrc
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.training.runs import Run
from pipeline.utils.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd


class Tracker:
    """Follows nothing. `begin` comes first, `epoch` after each row of history.csv, `end` when figures are drawn."""

    def begin(self, run: Run) -> None:
        """A run starts, or goes on."""

    def epoch(self, step: int, row: dict[str, Any]) -> None:
        """step counts the epochs of all stages from 1."""

    def end(self, run: Run) -> None:
        """The run is judged: its figures (examples with their answers among them) and results are there."""


class WandB(Tracker):
    """One W&B run for one of ours, in its directory; offline unless there is an account. A resumed run keeps its id.

    group: what W&B shows it together with, such as the other trials of a search.
    """

    def __init__(self, group: str | None = None) -> None:
        self.wandb, self.group = _imported("wandb"), group

    def begin(self, run: Run) -> None:
        note = run.path / "wandb" / "id"
        note.parent.mkdir(exist_ok=True)
        if not note.exists():
            note.write_text(uuid.uuid4().hex[:8])
        mode = wandb_mode()
        self.session = self.wandb.init(
            project="facet",
            name=f"{run.path.parent.name} {run.path.name}",
            group=self.group,
            id=note.read_text(),
            resume="allow",
            dir=str(run.path),
            mode=mode,
            config=_configuration(run),
        )

    def epoch(self, step: int, row: dict[str, Any]) -> None:
        self.session.log(row, step=step)

    def end(self, run: Run) -> None:
        self.session.log({path.stem: self.wandb.Image(str(path)) for path in _figures(run)})
        self.session.summary.update(_results(run))
        self.session.finish()


def overview(folder: Path, table: pd.DataFrame, figures: dict[str, Path], summary: dict[str, Any]) -> None:
    """One more W&B run of the group named like a folder, which shows the group's table and figures."""
    wandb = _imported("wandb")
    session = wandb.init(
        project="facet", name=f"search {folder.name}", group=folder.name, dir=folder, mode=wandb_mode()
    )
    session.log({name: wandb.Image(str(path)) for name, path in figures.items()})
    session.log({"trials": wandb.Table(dataframe=table.astype(object).where(table.notna(), None))})
    session.summary.update(summary)
    session.finish()


class TensorBoard(Tracker):
    """Event files in the run's `tensorboard/`."""

    def __init__(self) -> None:
        _imported("tensorboard")
        import tensorflow as tf

        self.tf, self.step = tf, 0

    def begin(self, run: Run) -> None:
        self.writer = self.tf.summary.create_file_writer(str(run.path / "tensorboard"))
        with self.writer.as_default(step=0):
            self.tf.summary.text("configuration", f"```\n{json.dumps(_configuration(run), indent=1)}\n```")

    def epoch(self, step: int, row: dict[str, Any]) -> None:
        self.step = step
        with self.writer.as_default(step=step):
            for name, value in row.items():
                if isinstance(value, (int, float)):
                    self.tf.summary.scalar(name, value)

    def end(self, run: Run) -> None:
        with self.writer.as_default(step=self.step):
            for path in _figures(run):
                self.tf.summary.image(path.stem, self.tf.io.decode_png(path.read_bytes(), 3)[None])
            self.tf.summary.text("results", f"```\n{json.dumps(_results(run), indent=1)}\n```")
        self.writer.close()


def tracker(name: str | None, group: str | None = None) -> Tracker:
    """The tracker of a name, or one that follows nothing; W&B shows the runs of a group together.

    Raises RequestError for a package that is not installed.
    """
    return WandB(group) if name == "wandb" else {None: Tracker, "tensorboard": TensorBoard}[name]()


def wandb_mode() -> str:
    """`online` with an account, unless WANDB_MODE says otherwise."""
    return os.environ.get("WANDB_MODE") or ("online" if _has_account() else "offline")


def _has_account() -> bool:
    """A key in the environment or in ~/.netrc, which is where `wandb login` puts it."""
    try:
        return "WANDB_API_KEY" in os.environ or netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _imported(package: str) -> Any:
    try:
        return __import__(package)
    except ImportError as error:
        raise RequestError(
            f"--track {package}: the package {package} is not installed; pip install {package}"
        ) from error


def _configuration(run: Run) -> dict[str, Any]:
    return json.loads(run.file("experiment.json").read_text(encoding="utf-8"))


def _results(run: Run) -> dict[str, Any]:
    path = run.path / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _figures(run: Run) -> list[Path]:
    return sorted((run.path / "figures").glob("*.png"))
