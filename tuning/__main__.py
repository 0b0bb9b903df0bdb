"""The command line of searches, and nothing else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.cli.commandline import Parser, add_experiment_options, configure, count, exit_status
from pipeline.config import Experiment
from pipeline.reports.protocols import quick
from pipeline.utils.startup import import_tensorflow
from tuning.space import ALGORITHMS, Space, load_space, starting_points
from tuning.supervision import Trainer

OPTIONS = ("--experiment", "--algorithm", "--objective", "--trials", "--minutes", "--workers", "--quick", "--resume")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one search; answers the exit status: 0 done, 1 the work failed, 2 the request was wrong."""
    return exit_status(lambda: _search(*_parser().parse_known_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m tuning",
        description="Find better settings within a budget of time or trials.",
        allow_abbrev=False,
    )
    parser.add_argument("space", metavar="SEARCH", help="a name of `list searches`, or a Python file like one of them")
    parser.add_argument("--trials", type=count, metavar="N", help="so many trials, at most")
    parser.add_argument("--minutes", type=_minutes, metavar="N", help="so long in all; what is best by then wins")
    parser.add_argument("--experiment", metavar="EXPERIMENT", help="start from this one, not the space's own")
    parser.add_argument("--algorithm", choices=ALGORITHMS, help="not the space's own")
    parser.add_argument("--objective", metavar="COLUMN", help="of history.csv; not the space's own")
    parser.add_argument("--workers", type=count, metavar="N", help="so many trials at the same time on this machine")
    parser.add_argument("--quick", action="store_true", help="in small, on the drawn faces: shows that all of it runs")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with this search, perhaps for more trials")
    add_experiment_options(parser)
    return parser


def _minutes(text: str) -> float:
    if not 0 < float(text) < float("inf"):
        raise ValueError(text)
    return float(text)


def _search(chosen: argparse.Namespace, rest: Sequence[str]) -> Path:
    given = {name: getattr(chosen, name) for name in ("algorithm", "objective", "experiment") if getattr(chosen, name)}
    space = replace(load_space(chosen.space), **given)
    starts = {name: quick(one) if chosen.quick else one for name, one in starting_points(space).items()}
    starts = {name: configure(one, chosen, rest, OPTIONS, "python -m tuning SEARCH") for name, one in starts.items()}
    with Trainer() as trainer:  # its process gets ready while this one does
        import_tensorflow()
        return _searched(chosen, space, starts, trainer)


def _searched(chosen: argparse.Namespace, space: Space, starts: Mapping[str, Experiment], trainer: Trainer) -> Path:
    """Search in this process, by workers on this machine, or as what keras-tuner's variables say."""
    from tuning import distributed
    from tuning.search import Request, alone, of_chief, search

    place, workers = distributed.role(), chosen.workers or 1
    runs, resume = Path(chosen.runs), chosen.resume
    chief = f"{place.address}:{place.port}" if place else ""
    request = Request(space, starts, chosen.trials, chosen.minutes, workers, runs, resume, chosen.track, chief)
    if place is None and workers == 1:
        return search(request, trainer, alone(trainer)).path
    if place is not None and not place.leads:
        return distributed.follow(place, lambda: of_chief(request), trainer).path
    at = place or distributed.loopback()
    started = distributed.local_workers(chosen.workers or 0, at)
    with distributed.served(at) as servicer:
        return search(request, trainer, distributed.lead(servicer, started, trainer)).path


if __name__ == "__main__":
    sys.exit(main())
