"""The command line, and nothing else."""

from __future__ import annotations

import argparse
import logging
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pipeline import catalog
from pipeline.config import Cleaning, Data, Experiment, RandomSplit, Stage
from pipeline.errors import EmptySplitError, NotThereError, RequestError, WorkError
from pipeline.startup import import_tensorflow

if TYPE_CHECKING:
    from pipeline.parsing import Fields
    from pipeline.runs import Run

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


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message}; see `{self.prog} --help`")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers the exit status: 0 done, 1 the work failed, 2 the request was wrong."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger().handlers[0].addFilter(_Once())
    for library in ("absl", "tensorflow", "matplotlib", "jax"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        chosen, rest = _parser().parse_known_args(arguments)
        with_fields = chosen.command in ("train", "data", "clean")
        if rest and not with_fields:
            raise RequestError(f"unknown argument {rest[0]!r}; see `python -m pipeline {chosen.command} --help`")
        print(chosen.run(chosen, rest) if with_fields else chosen.run(chosen))
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


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m pipeline", description="Train, judge and ship models that read faces.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_train(commands)

    command = _add(commands, "evaluate", _evaluate, "judge a run on a split")
    command.add_argument("run_path", metavar="RUN")
    command.add_argument("--dataset", metavar="NAME", help="another dataset than the run's own")
    command.add_argument("--root", metavar="DIR", help="where it lies")
    command.add_argument("--split", choices=("val", "test"), default="test")
    command.add_argument("--audit", action="store_true", help="also judge leaking rows, and all others, by themselves")

    command = _add(commands, "predict", _predict, "answers for pictures of faces")
    command.add_argument("model", metavar="RUN|SAVED_MODEL")
    command.add_argument("inputs", metavar="INPUT", nargs="+", help="picture files and folders")
    command.add_argument("--out", metavar="FILE", default="predictions.csv", help=".csv, .jsonl or .parquet")
    command.add_argument("--faces", choices=("whole",), default="whole", help="whole: every picture is one face")

    command = _add(commands, "export", _export, "write a run's model for elsewhere")
    command.add_argument("run_path", metavar="RUN")
    command.add_argument("--format", default="saved_model", help="saved_model")

    command = _add_data(commands, "data", _data, "look at a dataset: counts, ages, pictures, duplicates, leaks")
    command.add_argument("--by", choices=("subject", "image"), help="divide at random: persons kept together, or not")

    command = _add_data(commands, "clean", _clean, "keep the rows that show one clear face, and say why others went")
    command.add_argument("--scheduler", metavar="ADDRESS", help="of a running Dask cluster, such as tcp://host:8786")
    command.add_argument("--processes", type=_count, metavar="N", help="workers on this machine (one a core)")

    command = _add(commands, "list", _list, "what can be named")
    command.add_argument("what", choices=catalog.FOLDERS)
    return parser


def _add(commands: argparse._SubParsersAction, name: str, run: object, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    command.set_defaults(run=run)
    return command


def _add_data(commands: argparse._SubParsersAction, name: str, run: object, text: str) -> argparse.ArgumentParser:
    command = _add(commands, name, run, text)
    command.add_argument("dataset", metavar="DATASET", help="a name of `list datasets`")
    command.add_argument("--root", metavar="DIR", help="where it lies, as its authors hand it out")
    command.add_argument("--out", metavar="DIR", help="where to write (runs/data/<name>)")
    command.add_argument("--limit", type=int, metavar="ROWS", help="at most so many, chosen by hash")
    command.add_argument("--fields", action="store_true", help="show every other field that can be set, and stop")
    return command


def _add_train(commands: argparse._SubParsersAction) -> None:
    command = _add(commands, "train", _train, "train an experiment, judge it on its test split, export it")
    command.add_argument(
        "experiment", metavar="EXPERIMENT", nargs="?", help="a name of `list experiments`, a JSON file, or a model"
    )
    command.add_argument("--resume", metavar="RUN", help="go on with a run; --epochs then says how many in all")
    for name, kind in STAGE_OPTIONS.items():
        command.add_argument(
            _option(name),
            action="append",
            default=[],
            type=_of_stage(kind),
            metavar=f"[STAGE=]{kind.__name__.upper()}",
            help="of the last stage, or of the one named (train=3)",
        )
    texts = {"weights": "none, imagenet, or a .weights.h5 file", "image_size": "pixels", "seed": "of everything random"}
    for name, kind in EXPERIMENT_OPTIONS.items():
        command.add_argument(_option(name), type=kind, help=texts[name])
    command.add_argument("--runs", metavar="DIR", default="runs", help="where runs are written")
    command.add_argument("--devices", choices=("one", "all"), default="one", help="all: they share each batch")
    command.add_argument("--track", choices=("wandb", "tensorboard"), help="follow the run there too")
    command.add_argument("--fields", action="store_true", help="show every other field that can be set, and stop")
    command.epilog = "Every other field has its long name, such as --stages.0.optimizer.name sgd: see --fields."


def _count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(text)
    return int(text)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _of_stage(kind: type) -> object:
    """VALUE or STAGE=VALUE → (stage or None, value)."""

    def parse(text: str) -> tuple[str | None, object]:
        named = re.fullmatch(r"(\w+)=(.*)", text)  # a stage's name is a word, so a path may hold a =
        return (named[1], kind(named[2])) if named else (None, kind(text))

    parse.__name__ = kind.__name__
    return parse


def _train(chosen: argparse.Namespace, rest: Sequence[str]) -> Path:
    resumed = _opened(chosen.resume) if chosen.resume else None
    experiment = _more_epochs(resumed, chosen, rest) if resumed else configure(chosen, rest)
    import_tensorflow()
    from pipeline import evaluate, export, parallel, train
    from pipeline.report import table
    from pipeline.tracking import tracker

    follower = tracker(chosen.track)
    run = train(experiment, chosen.runs, resumed, follower, chosen.devices)
    if not parallel.leads():
        return run.path  # of several processes the first goes on alone
    export(run)
    try:
        print(table(evaluate(run)), file=sys.stderr)
    except EmptySplitError as error:
        logging.warning("%s", error)
    follower.end(run)
    return run.path


def _more_epochs(run: Run, chosen: argparse.Namespace, rest: Sequence[str]) -> Experiment:
    """A run's experiment, perhaps with more epochs; nothing else of it may change."""
    fixed = (name for name in (*STAGE_OPTIONS, *EXPERIMENT_OPTIONS) if name != "epochs")
    others = [*(_option(name) for name in fixed if getattr(chosen, name) not in (None, [])), *rest]
    if others:
        raise RequestError(f"{others[0]}: a resumed run keeps its configuration; only --epochs may be given")
    if chosen.experiment not in (None, run.experiment.name):
        raise RequestError(f"{chosen.resume} is a run of {run.experiment.name}, not of {chosen.experiment}")
    experiment = _with_short_options(run.experiment, chosen)
    for before, now in zip(run.experiment.stages, experiment.stages, strict=True):
        if now.epochs < before.epochs:
            raise RequestError(f"--epochs {now.epochs}: the run has {before.epochs}; --epochs is their number in all")
    return experiment


def configure(chosen: argparse.Namespace, rest: Sequence[str]) -> Experiment:
    """The experiment with short options, then long ones, put in. Imports neither TensorFlow nor pandas."""
    from pipeline import datasets, loading

    if chosen.experiment is None:
        raise RequestError("train what? expected EXPERIMENT or --resume RUN; see `python -m pipeline train --help`")
    experiment = loading.load_experiment(chosen.experiment)
    try:
        experiment = _with_short_options(experiment, chosen)
    except ValueError as error:
        raise RequestError(str(error)) from error
    short = [_option(name) for name in (*STAGE_OPTIONS, *EXPERIMENT_OPTIONS, "runs", "resume", "track", "devices")]
    return _overridden(experiment, chosen, rest, lambda it: _taught(datasets.resolve(it), chosen), short, "train")


def _overridden(
    value: Fields, chosen: argparse.Namespace, rest: Sequence[str], settle: Callable, short: Sequence[str], command: str
) -> Fields:
    """The value with long options put in. What says which data to read comes first: `settle` goes by it, to fill in
    what depends on the data (targets, splits), whose fields can be set then."""
    from pipeline import parsing

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


def _with_short_options(experiment: Experiment, chosen: argparse.Namespace) -> Experiment:
    stages = {stage.name: stage for stage in experiment.stages}
    for option in STAGE_OPTIONS:
        for name, value in getattr(chosen, option):
            name = name or experiment.stages[-1].name
            if name not in stages:
                raise RequestError(f"{_option(option)}: no stage {name!r}; there are: {', '.join(stages)}")
            stages[name] = _with(stages[name], option, value)
    model = experiment.model
    given = {name: getattr(chosen, name) for name in ("weights", "image_size") if getattr(chosen, name) is not None}
    seed = experiment.seed if chosen.seed is None else chosen.seed
    return replace(experiment, stages=tuple(stages.values()), model=replace(model, **given), seed=seed)


def _with(stage: Stage, option: str, value: object) -> Stage:
    if option == "dataset":
        return replace(stage, data=Data(str(value), root=stage.data.root, limit=stage.data.limit))
    if option in ("root", "limit"):
        return replace(stage, data=replace(stage.data, **{option: value}))
    if option == "learning_rate":
        return replace(stage, optimizer=replace(stage.optimizer, learning_rate=value))
    return replace(stage, **{option: value})


def _evaluate(chosen: argparse.Namespace) -> Path:
    run = _opened(chosen.run_path)
    import_tensorflow()
    from pipeline import evaluate
    from pipeline.evaluate import results_name
    from pipeline.report import table

    results = evaluate(run, chosen.split, chosen.dataset, chosen.root, chosen.audit)
    print(table(results), file=sys.stderr)
    return run.path / results_name(chosen.split, chosen.dataset)


def _predict(chosen: argparse.Namespace) -> Path:
    import_tensorflow()
    from pipeline.predict import Predictor, check_out, picture_files, save

    out = check_out(Path(chosen.out))
    table = Predictor(chosen.model)(picture_files(chosen.inputs))
    save(table, out)
    failed = int((table["reason"] != "").sum())
    if failed == len(table):
        raise WorkError(f"none of the {failed} pictures could be read; {out} says why")
    if failed:
        logging.warning(f"{failed} of {len(table)} pictures could not be read; {out} says why")
    return out


def _export(chosen: argparse.Namespace) -> Path:
    run = _opened(chosen.run_path)
    import_tensorflow()
    from pipeline import export

    return export(run, chosen.format)


def _data(chosen: argparse.Namespace, rest: Sequence[str]) -> Path:
    from pipeline import datasets, describe

    def divided(data: Data) -> Data:
        at_random = RandomSplit(test=0.2, val=0.1, by=chosen.by) if chosen.by else None
        return replace(data, split=at_random or datasets.own_split(data))

    data = _chosen_data(chosen)
    try:
        data = _overridden(data, chosen, rest, divided, ["--by", "--out"], "data DATASET")
        summary = describe.describe(data)
    except NotThereError:
        print(datasets.find(data.name).__doc__)  # where it is to be had, and how it lies on disk
        raise
    print(describe.text(summary))
    return describe.write(summary, _out(chosen))


def _clean(chosen: argparse.Namespace, rest: Sequence[str]) -> Path:
    from pipeline import datasets
    from pipeline.clean import clean

    def divided(rules: Cleaning) -> Cleaning:
        return replace(rules, data=replace(rules.data, split=datasets.own_split(rules.data)))

    data = _chosen_data(chosen)
    rules = replace(getattr(datasets.find(data.name), "CLEANING", Cleaning()), data=data)
    rules = _overridden(rules, chosen, rest, divided, ["--scheduler", "--out"], "clean DATASET")
    return clean(rules, _out(chosen), chosen.scheduler, chosen.processes)


def _chosen_data(chosen: argparse.Namespace) -> Data:
    try:
        return Data(chosen.dataset, root=chosen.root, limit=chosen.limit)
    except ValueError as error:
        raise RequestError(str(error)) from error


def _out(chosen: argparse.Namespace) -> Path:
    path = Path(chosen.out or f"runs/data/{chosen.dataset}")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"--out {path} cannot be written: {error.strerror}") from error
    return path


def _list(chosen: argparse.Namespace) -> str:
    if chosen.what == "models":
        from pipeline.report import models_table

        return models_table().rstrip()
    names = catalog.names(chosen.what)
    width = max(map(len, names), default=0)
    return "\n".join(f"{name:<{width}}  {catalog.summary(chosen.what, name)}" for name in names)


def _opened(path: str) -> Run:
    from pipeline.runs import open_run

    return open_run(path)


if __name__ == "__main__":
    sys.exit(main())
