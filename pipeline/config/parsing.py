"""Text → Experiment: JSON files, and `--any.field value` on the command line. Checking is pydantic's and tyro's."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TypeVar

import pydantic
import tyro

from pipeline.config import Experiment
from pipeline.utils.errors import RequestError, unknown

Fields = TypeVar("Fields")


def to_json(experiment: Experiment) -> str:
    """The whole configuration, every field of it; `from_json` answers an equal experiment."""
    return json.dumps(dataclasses.asdict(experiment), indent=1) + "\n"


def from_json(text: str, source: str) -> Experiment:
    """The experiment that `to_json` wrote, or one written by hand. `source` names it in errors.

    Raises RequestError for text that is no JSON, an unknown key, a value of the wrong type or out of range.
    """
    try:
        return _reader().validate_json(text, strict=False)
    except pydantic.ValidationError as error:
        raise RequestError(f"{source}: {_first_problem(error)}") from error


@cache
def _reader() -> pydantic.TypeAdapter:
    """What checks JSON; making it takes a tenth of a second."""
    return pydantic.TypeAdapter(Experiment)


def read_json(path: Path) -> Experiment:
    """The experiment of a JSON file."""
    try:
        return from_json(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"cannot read the configuration {path}: {error}") from error


def _first_problem(error: pydantic.ValidationError) -> str:
    """One problem in a line. A target that fits no kind is reported by every kind: skip those it does not claim."""
    problems = error.errors()
    others = {p["loc"][:3] for p in problems if p["type"] == "literal_error" and p["loc"][-1] == "kind"}
    problem = next((p for p in problems if p["loc"][:3] not in others), problems[0])
    field = ".".join(str(part) for part in problem["loc"]) or "the file"
    extra = "" if problem["type"] == "value_error" else f", received {str(problem['input'])[:80]!r}"
    return f"{field}: {problem['msg']}{extra}"


def split_known(value: Fields, arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments that set a field which this dataclass has, and all others, each option with its values."""
    known, groups = set(_fields(value)), [[]]
    for argument in arguments:
        if argument.startswith("--"):
            groups.append([])
        groups[-1].append(argument)
    ours = [group for group in groups if group and _field_name(group[0]) in known]
    others = [group for group in groups if group and _field_name(group[0]) not in known]
    return list(chain(*ours)), list(chain(*others))


def override(
    value: Fields, arguments: Sequence[str], short: Sequence[str] = (), command: str = "python -m pipeline train"
) -> Fields:
    """An experiment, or another dataclass, with fields replaced, as in `--stages.0.optimizer.name sgd`.

    Raises RequestError for an option that is no field (and suggests the nearest, one of `short` perhaps), or a value
    that does not fit.
    """
    known = list(_fields(value))
    for argument in arguments:
        if argument.startswith("--") and _field_name(argument) not in known and argument != "--help":
            fields = (f"--{field.replace('_', '-')}" for field in known)
            raise unknown("option", argument.partition("=")[0], [*short, *fields])
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                tyro.conf.AvoidSubcommands[type(value)],
                prog=command,
                default=value,
                args=list(arguments),
            )
    except SystemExit as stop:
        if not stop.code:  # --help was asked for and printed
            raise
        raise RequestError(_plain(said.getvalue())) from None


def _field_name(option: str) -> str:
    return option.partition("=")[0].removeprefix("--").replace("-", "_")


def _fields(value: object, prefix: str = "") -> Iterator[str]:
    """Dotted names of all fields below a dataclass, tuples of dataclasses by index."""
    if dataclasses.is_dataclass(value):
        items = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    else:
        items = [(str(i), item) for i, item in enumerate(value)]
    for name, item in items:
        nested = isinstance(item, tuple) and item and dataclasses.is_dataclass(item[0])
        if dataclasses.is_dataclass(item) or nested:
            yield from _fields(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _plain(box: str) -> str:
    """The first paragraph of the framed message that tyro prints, in one line."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", box)  # colours, on a terminal
    lines = [re.sub(r"^[│╭╰]\s?|\s*[│╮╯]$", "", line) for line in plain.splitlines()[1:]]
    end = next((i for i, line in enumerate(lines) if set(line.strip()) <= {"─"}), len(lines))
    return " ".join(line.strip() for line in lines[:end])
