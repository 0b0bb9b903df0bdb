"""The command line, and nothing else."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.commandline import (
    EXPERIMENT_OPTIONS,
    STAGE_OPTIONS,
    Parser,
    add_experiment_options,
    configure,
    count,
    exit_status,
    option,
    overridden,
    with_short_options,
)
from pipeline.config import Cleaning, Data, Experiment, RandomSplit, catalog
from pipeline.reports.protocols import PROTOCOLS, under
from pipeline.utils.errors import EmptySplitError, NotThereError, RequestError, WorkError
from pipeline.utils.startup import import_tensorflow

if TYPE_CHECKING:
    from pipeline.training.runs import Run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers the exit status: 0 done, 1 the work failed, 2 the request was wrong."""
    return exit_status(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> object:
    chosen, rest = _parser().parse_known_args(arguments)
    with_fields = chosen.command in ("train", "evaluate", "data", "clean")
    if rest and not with_fields:
        raise RequestError(f"unknown argument {rest[0]!r}; see `python -m pipeline {chosen.command} --help`")
    return chosen.run(chosen, rest) if with_fields else chosen.run(chosen)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m pipeline", description="Train, judge and ship models that read faces.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_train(commands)

    command = _add(commands, "evaluate", _evaluate, "judge a run on a split")
    command.add_argument("run_path", metavar="RUN")
    command.add_argument("--dataset", metavar="NAME", help="another dataset than the run's own")
    command.add_argument("--root", metavar="DIR", help="where it lies")
    command.add_argument("--split", choices=("val", "test"), default="test")
    command.add_argument(
        "--views",
        type=int,
        choices=(1, 2, 10),
        default=1,
        help="average the answers to so many views of each picture: 2 with its mirror image, 10 corners, centre and "
        "their mirror images",
    )
    command.add_argument("--audit", action="store_true", help="also judge leaking rows, and all others, by themselves")
    command.add_argument("--fields", action="store_true", help="show how else --dataset can be read, and stop")

    command = _add(commands, "compare", _compare, "runs side by side, and what is certain of their differences")
    command.add_argument("run_paths", metavar="RUN", nargs="+", help="two or more, judged on the same test rows")
    command.epilog = "Writes comparison.csv and comparison.md into a new folder runs/compare/<time>."

    command = _add(commands, "predict", _predict, "answers for pictures of faces")
    command.add_argument("model", metavar="RUN|SAVED_MODEL")
    command.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="pictures, folders, patterns, videos, camera:0, or - for a list on standard input",
    )
    command.add_argument("--out", metavar="FILE", default="predictions.csv", help=".csv, .jsonl or .parquet")
    command.add_argument("--faces", choices=("detect", "whole"), default="detect", help="whole: each picture is a face")
    command.add_argument("--draw", metavar="DIR", help="also draw boxes and answers on the pictures, into this folder")
    command.add_argument("--every", type=count, default=1, metavar="N", help="of a video, look at every N-th frame")

    command = _add(commands, "export", _export, "write a run's model for elsewhere")
    command.add_argument("run_path", metavar="RUN")
    command.add_argument("--format", default="saved_model", help="saved_model, litert or onnx")
    command.add_argument("--quantize", metavar="float16|int8", help="a smaller file; int8 is offered for litert")
    command.add_argument("--root", metavar="DIR", help="where the run's data lie now")

    command = _add(commands, "serve", _serve, "a page and an HTTP API that answer for pictures")
    command.add_argument("model", metavar="RUN|SAVED_MODEL")
    command.add_argument("--port", type=count, default=7860, metavar="N")
    command.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="0.0.0.0: for other machines too")

    command = _add_data(commands, "data", _data, "look at a dataset: counts, ages, pictures, duplicates, leaks")
    command.add_argument("--by", choices=("subject", "image"), help="divide at random: persons kept together, or not")

    command = _add_data(commands, "clean", _clean, "keep the rows that show one clear face, and say why others went")
    command.add_argument("--scheduler", metavar="ADDRESS", help="of a running Dask cluster, such as tcp://host:8786")
    command.add_argument("--processes", type=count, metavar="N", help="workers on this machine (one a core)")

    command = _add(commands, "reproduce", _reproduce, "a report's tables again: reported, ours, ours done honestly")
    command.add_argument("report", metavar="REPORT|all", help="cz4042, cm50265, group91, unimib or ai6126")
    command.add_argument("--quick", action="store_true", help="in small, on the drawn faces: shows that all of it runs")
    named = {"action": "append", "default": [], "type": _named}
    command.add_argument("--root", metavar="DATASET=DIR", help="where a dataset lies; repeats", **named)
    command.add_argument("--weights", metavar="NETWORK=FILE", help="in place of ImageNet's download; repeats", **named)
    command.add_argument("--runs", metavar="DIR", default="runs", help="where runs are looked for and written")

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
    add_experiment_options(command)
    command.add_argument("--devices", choices=("one", "all"), default="one", help="all: they share each batch")
    command.add_argument("--protocol", choices=PROTOCOLS, default="report", help="honest: its honest twin (README)")
    command.add_argument("--folds", metavar="all|K", help="test each fold, or fold K, of a dataset that has folds")
    command.add_argument("--seeds", type=count, metavar="N", help="train N times, from N seeds, and sum them up")


def _configured(chosen: argparse.Namespace, rest: Sequence[str]) -> Experiment:
    from pipeline.training import loading

    if chosen.experiment is None:
        raise RequestError("train what? expected EXPERIMENT or --resume RUN; see `python -m pipeline train --help`")
    others = ("--resume", "--devices", "--protocol", "--folds", "--seeds")
    experiment = configure(loading.load_experiment(chosen.experiment), chosen, rest, others, "python -m pipeline train")
    return under(chosen.protocol, experiment)


def _train(chosen: argparse.Namespace, rest: Sequence[str]) -> Path:
    resumed = _opened(chosen.resume) if chosen.resume else None
    experiment = _more_epochs(resumed, chosen, rest) if resumed else _configured(chosen, rest)
    if chosen.folds or chosen.seeds:
        return _train_several(experiment, chosen)
    import_tensorflow()
    from pipeline import evaluate, export, train
    from pipeline.evaluation.report import table
    from pipeline.training import parallel
    from pipeline.training.runs import judged_split
    from pipeline.training.tracking import tracker

    follower = tracker(chosen.track)
    run = train(experiment, chosen.runs, resumed, follower, chosen.devices)
    if not parallel.leads():
        return run.path  # of several processes the first goes on alone
    try:
        try:
            print(table(evaluate(run, judged_split(run.experiment))), file=sys.stderr)
        except EmptySplitError as error:
            logging.warning("%s", error)
        export(run)  # after the judgement, which its model card tells of
    except KeyboardInterrupt:
        logging.info(f"{run.path} is trained: `evaluate` and `export` do what is left")
        raise
    follower.end(run)
    return run.path


def _train_several(experiment: Experiment, chosen: argparse.Namespace) -> Path:
    """Over folds or seeds; runs that are there already are not made again."""
    if chosen.resume or chosen.track or (chosen.folds and chosen.seeds):
        raise RequestError(
            "--folds and --seeds go with neither --resume (the same command goes on where it was stopped), --track nor "
            "each other: leave one out"
        )
    import_tensorflow()
    from pipeline.reports import repeats
    from pipeline.training import parallel

    if chosen.devices == "all" and parallel.started_together() > 1:
        raise RequestError("--folds and --seeds train run after run, and processes meet for one: start them without")
    what = "folds" if chosen.folds else "seeds"
    if chosen.folds:
        experiments = repeats.over_folds(experiment, chosen.folds)
    else:
        experiments = repeats.over_seeds(experiment, chosen.seeds)
    folder = repeats.repeat(experiments, what, chosen.runs, chosen.devices)
    print((folder / f"{what}.md").read_text(encoding="utf-8"), file=sys.stderr)
    return folder


def _reproduce(chosen: argparse.Namespace) -> Path:
    from pipeline.reports.reproduce import reproduce

    return reproduce(chosen.report, chosen.quick, dict(chosen.root), dict(chosen.weights), chosen.runs)


def _named(text: str) -> tuple[str, str]:
    """NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise ValueError(text)
    return name, value


_named.__name__ = "NAME=VALUE"  # what argparse calls it in an error


def _more_epochs(run: Run, chosen: argparse.Namespace, rest: Sequence[str]) -> Experiment:
    """A run's experiment, perhaps with more epochs, its data perhaps elsewhere; nothing else of it may change."""
    fixed = (name for name in (*STAGE_OPTIONS, *EXPERIMENT_OPTIONS) if name not in ("epochs", "root"))
    others = [*(option(name) for name in fixed if getattr(chosen, name) not in (None, [])), *rest]
    others += ["--protocol"] * (chosen.protocol != "report")
    if others:
        raise RequestError(f"{others[0]}: a resumed run keeps its configuration; only --epochs and --root may be given")
    if chosen.experiment not in (None, run.experiment.name):
        raise RequestError(f"{chosen.resume} is a run of {run.experiment.name}, not of {chosen.experiment}")
    experiment = with_short_options(run.experiment, chosen)
    for before, now in zip(run.experiment.stages, experiment.stages, strict=True):
        if now.epochs < before.epochs:
            raise RequestError(f"--epochs {now.epochs}: the run has {before.epochs}; --epochs is their number in all")
    return experiment


def _evaluate(chosen: argparse.Namespace, rest: Sequence[str]) -> Path:
    from pipeline.training.runs import other_data, results_name

    run = _opened(chosen.run_path)
    data = other_data(run, chosen.dataset, chosen.root) if chosen.dataset else None
    if rest or chosen.fields:
        if data is None:
            raise RequestError(f"{[*rest, '--fields'][0]}: unknown, but for how a --dataset is read; give that too")
        short = ["--split", "--views", "--audit"]
        data = overridden(data, chosen, rest, _divided, short, "python -m pipeline evaluate RUN")
    import_tensorflow()
    from pipeline import evaluate
    from pipeline.evaluation.report import table

    results = evaluate(run, chosen.split, data, chosen.root, chosen.audit, chosen.views)
    name = data.name if data else None
    plain = run.path / results_name(chosen.split, name)
    beside = json.loads(plain.read_text(encoding="utf-8")) if chosen.views > 1 and plain.is_file() else None
    print(table(results, beside), file=sys.stderr)
    return run.path / results_name(chosen.split, name, chosen.views)


def _compare(chosen: argparse.Namespace) -> Path:
    from pipeline.evaluation import compare, report

    compared = compare.compare(chosen.run_paths)
    print(report.comparison(compared), file=sys.stderr)
    return compare.write(compared)


def _predict(chosen: argparse.Namespace) -> Path:
    from pipeline.utils.files import check_table, make_folder

    out = check_table(Path(chosen.out))
    draw = make_folder(Path(chosen.draw), "--draw") if chosen.draw else None
    import_tensorflow()
    from pipeline.inference.predict import predict

    table = predict(chosen.model, chosen.inputs, out, chosen.faces, draw, chosen.every)
    failed = int((table["reason"] != "").sum())
    if failed == len(table):
        raise WorkError(f"no answer for any of {failed} pictures; {out} says why")
    if failed:
        looked_at = len(table[["path", "frame"]].drop_duplicates())
        logging.warning(f"no answer for {failed} of {looked_at} pictures; {out} says why")
    return out


def _export(chosen: argparse.Namespace) -> Path:
    run = _opened(chosen.run_path)
    import_tensorflow()
    from pipeline import export

    return export(run, chosen.format, chosen.quantize, chosen.root)


def _serve(chosen: argparse.Namespace) -> str:
    import_tensorflow()
    from pipeline.inference.serve import serve

    serve(chosen.model, chosen.host, chosen.port)
    return chosen.model


def _data(chosen: argparse.Namespace, rest: Sequence[str]) -> Path:
    from pipeline import datasets
    from pipeline.evaluation import describe

    data = _chosen_data(chosen)
    if chosen.by:
        data = replace(data, split=RandomSplit(test=0.2, val=0.1, by=chosen.by))
    try:
        data = overridden(data, chosen, rest, _divided, ["--by", "--out"], "python -m pipeline data DATASET")
        summary = describe.describe(data)
    except NotThereError:
        print(datasets.find(data.name).__doc__)  # where it is to be had, and how it lies on disk
        raise
    print(describe.text(summary))
    return describe.write(summary, _out(chosen))


def _clean(chosen: argparse.Namespace, rest: Sequence[str]) -> Path:
    from pipeline import datasets
    from pipeline.faces.clean import clean

    def divided(rules: Cleaning) -> Cleaning:
        return replace(rules, data=_divided(rules.data))

    data = _chosen_data(chosen)
    rules = replace(getattr(datasets.find(data.name), "CLEANING", Cleaning()), data=data)
    rules = overridden(rules, chosen, rest, divided, ["--scheduler", "--out"], "python -m pipeline clean DATASET")
    return clean(rules, _out(chosen), chosen.scheduler, chosen.processes)


def _divided(data: Data) -> Data:
    """The data with their own split, whose fields can be set then, unless they have one."""
    from pipeline import datasets

    return replace(data, split=data.split or datasets.own_split(data))


def _chosen_data(chosen: argparse.Namespace) -> Data:
    try:
        return Data(chosen.dataset, root=chosen.root, limit=chosen.limit)
    except ValueError as error:
        raise RequestError(str(error)) from error


def _out(chosen: argparse.Namespace) -> Path:
    from pipeline.utils.files import make_folder

    return make_folder(Path(chosen.out or f"runs/data/{chosen.dataset}"), "--out")


def _list(chosen: argparse.Namespace) -> str:
    if chosen.what == "models":
        from pipeline.evaluation.report import models_table

        return models_table().rstrip()
    names = catalog.names(chosen.what)
    width = max(map(len, names), default=0)
    return "\n".join(f"{name:<{width}}  {catalog.summary(chosen.what, name)}" for name in names)


def _opened(path: str) -> Run:
    """The run in a directory that is about to be written to."""
    from pipeline.training.runs import open_run
    from pipeline.utils.files import make_folder

    run = open_run(path)
    make_folder(run.path, "run")
    return run
