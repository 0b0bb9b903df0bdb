"""What the command lines share: options that stand for an experiment's fields, and how a command ends."""

from __future__ import annotations

import argparse
import logging
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from pipeline.config import Data, Experiment, Stage
from pipeline.utils.errors import RequestError, WorkError

if TYPE_CHECKING:
    from pipeline.config.parsing import Fields

# Short options, and the field of the last stage (or of the experiment) that each stands for.
STAGE_OPTIONS = {"dataset": str, "root": str, "epochs": int, "batch_size": int, "learning_rate": float, "limit": int}
EXPERIMENT_OPTIONS = {"weights": str, "image_size": int, "seed": int}


class _Once(logging.Filter):
    """Lets a warning through once: data are read by training and again by evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        new = record.levelno < logging.WARNING or text not in self.seen
        self.seen.add(text)
        return new


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message}; see `{self.prog} --help`")


def exit_status(work: Callable[[], object]) -> int:
    """Do a command's work and print what it answers; answers the exit status: 0 done, 1 the work failed, 2 the request
    was wrong. What went wrong is one line on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger().handlers[0].addFilter(_Once())
    for library in ("absl", "tensorflow", "matplotlib", "jax"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        print(work())
    except RequestError as error:
        return _failed(error, 2)
    except (WorkError, ConnectionError, OSError, MemoryError) as error:
        return _failed(error, 1)
    except KeyboardInterrupt:
        return _failed("interrupted", 1)
    except Exception as error:  # a defect of ours: one line for the user, the rest for whoever mends it
        with tempfile.NamedTemporaryFile("w", prefix="facet-", suffix=".log", delete=False) as details:
            traceback.print_exc(file=details)
        return _failed(f"{type(error).__name__}: {error!s:.200}; please report this, with {details.name}", 1)
    return 0


def _failed(error: object, status: int) -> int:
    print(f"facet: {error}", file=sys.stderr)
    return status


def add_experiment_options(command: argparse.ArgumentParser) -> None:
    """The short options, --runs, --track and --fields."""
    for name, kind in STAGE_OPTIONS.items():
        command.add_argument(
            option(name),
            action="append",
            default=[],
            type=_of_stage(kind),
            metavar=f"[STAGE=]{kind.__name__.upper()}",
            help="of the last stage, or of the one named (train=3)" + "; of all on its dataset" * (name == "root"),
        )
    texts = {
        "weights": "none, imagenet, a file (.weights.h5, .h5, .keras, .safetensors) or a run",
        "image_size": "pixels",
        "seed": "of everything random",
    }
    for name, kind in EXPERIMENT_OPTIONS.items():
        command.add_argument(option(name), type=kind, help=texts[name])
    command.add_argument("--runs", metavar="DIR", default="runs", help="where runs are written")
    command.add_argument("--track", choices=("wandb", "tensorboard"), help="follow the run there too")
    command.add_argument("--fields", action="store_true", help="show every other field that can be set, and stop")
    command.epilog = "Every other field has its long name, such as --stages.0.optimizer.name sgd: see --fields."


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1")
    return int(text)


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _of_stage(kind: type) -> object:
    """VALUE or STAGE=VALUE → (stage or None, value)."""

    def parse(text: str) -> tuple[str | None, object]:
        named = re.fullmatch(r"(\w+)=(.*)", text)  # a stage's name is a word, so a path may hold a =
        return (named[1], kind(named[2])) if named else (None, kind(text))

    parse.__name__ = kind.__name__
    return parse


def configure(
    experiment: Experiment, chosen: argparse.Namespace, rest: Sequence[str], short: Sequence[str], command: str
) -> Experiment:
    """The experiment with short options, then long ones, put in. Imports neither TensorFlow nor pandas.

    short: the command's other options, to suggest where one is misspelt.
    """
    from pipeline import datasets

    try:
        experiment = with_short_options(experiment, chosen)
    except ValueError as error:
        raise RequestError(str(error)) from error
    known = [option(name) for name in (*STAGE_OPTIONS, *EXPERIMENT_OPTIONS, "runs", "track")]
    return overridden(
        experiment, chosen, rest, lambda it: _taught(datasets.resolve(it), chosen), [*known, *short], command
    )


def overridden(
    value: Fields, chosen: argparse.Namespace, rest: Sequence[str], settle: Callable, short: Sequence[str], command: str
) -> Fields:
    """The value with long options put in. What says which data to read comes first: `settle` goes by it, to fill in
    what depends on the data (targets, splits), whose fields can be set then."""
    from pipeline.config import parsing

    first, then = parsing.split_known(value, rest)
    value = settle(parsing.override(value, first))
    return parsing.override(value, ["--help"] if chosen.fields else then, short, command)


def _taught(experiment: Experiment, chosen: argparse.Namespace) -> Experiment:
    """Without the targets that another dataset, named by --dataset, cannot teach, as long as it can teach one."""
    from pipeline import datasets

    if not chosen.dataset:
        return experiment
    offered = {target.name for stage in experiment.stages for target in datasets.offered(stage.data)}
    left = tuple(target for target in experiment.targets if target.name in offered)
    dropped = [target.name for target in experiment.targets if target.name not in offered]
    if dropped and left:
        logging.warning(f"{experiment.stages[-1].data.name} has no {', '.join(dropped)}: left out of the targets")
    return replace(experiment, targets=left or experiment.targets)


def with_short_options(experiment: Experiment, chosen: argparse.Namespace) -> Experiment:
    stages = {stage.name: stage for stage in experiment.stages}
    for field in STAGE_OPTIONS:
        for name, value in sorted(getattr(chosen, field), key=lambda given: given[0] is not None):  # named ones last
            for stage in _meant(name, field, stages):
                stages[stage] = _with(stages[stage], field, value)
    model = experiment.model
    given = {name: getattr(chosen, name) for name in ("weights", "image_size") if getattr(chosen, name) is not None}
    seed = experiment.seed if chosen.seed is None else chosen.seed
    return replace(experiment, stages=tuple(stages.values()), model=replace(model, **given), seed=seed)


def _meant(name: str | None, field: str, stages: dict[str, Stage]) -> list[str]:
    """The stages that an option is for: the one that is named, else the last; of a root, also all on its dataset."""
    if name is None:
        last = list(stages.values())[-1]
        return [
            one.name for one in stages.values() if one is last or (field == "root" and one.data.name == last.data.name)
        ]
    known = {stage: [stage] for stage in stages}
    for stage in stages.values() if field == "root" else ():
        if stage.data.name not in stages:
            known.setdefault(stage.data.name, []).append(stage.name)
    if name not in known:
        raise RequestError(f"{option(field)}: no stage {name!r}; there are: {', '.join(known)}")
    return known[name]


def _with(stage: Stage, option: str, value: object) -> Stage:
    if option == "dataset":  # where another lies, and how many of its rows are wanted, says nothing of this one
        return stage if stage.data.name == value else replace(stage, data=Data(str(value)))
    if option in ("root", "limit"):
        return replace(stage, data=replace(stage.data, **{option: value}))
    if option == "learning_rate":
        return replace(stage, optimizer=replace(stage.optimizer, learning_rate=value))
    return replace(stage, **{option: value})
