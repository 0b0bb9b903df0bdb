"""A search space: one file under `tuning/spaces/`, or a Python file of one's own.

Such a file has a docstring (what is searched, and why), and

    EXPERIMENT   what the search starts from: an Experiment, or as `train` takes it, a name, a JSON file, a model; or
                 several of these names: which of them a trial starts from is then a setting too, `experiment`
    sample       (hp, experiment) -> experiment: what a trial trains; `hp` is keras-tuner's HyperParameters

and may have

    ALGORITHM    grid, random (unless it says so), hyperband or bayesian
    OBJECTIVE    a column of history.csv, taken at the epoch that the run keeps (val_loss)
    TRIALS       how many there are where neither --trials nor --minutes is given (grid: all there are)
    GROUPS       grid: settings searched one group after the other, each from the best of the one before
    REPORTED     {column: values}, what a report has for its trials, in their order; TITLES names its tables
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pipeline.config import Experiment, catalog, parsing
from pipeline.training.loading import load_experiment
from pipeline.utils.errors import RequestError, unknown

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

ALGORITHMS = ("grid", "random", "hyperband", "bayesian")
# of the table of trials (`record.Folder.table`), beside the settings and the objective
COLUMNS = ("trial", "status", "val_loss", "epoch", "epochs", "after", "seconds", "reason", "run")


@dataclass(frozen=True)
class Space:
    """What a space's file says; `source` is its name or its path, by which it is found again."""

    source: str
    experiment: str | tuple[str, ...] | Experiment
    sample: Callable[[HyperParameters, Experiment], Experiment]
    algorithm: str = "random"
    objective: str = "val_loss"
    trials: int | None = None
    groups: tuple[tuple[str, ...], ...] = ()
    titles: tuple[str, ...] = ()
    reported: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What its searches are filed under."""
        return Path(self.source).stem


def load_space(source: str) -> Space:
    """The space of a name under `tuning/spaces/`, or of a file.

    Raises RequestError for a name that is none, a file that is no space, or constants of another kind.
    """
    module = _module(source)
    given = {one.name: getattr(module, one.name.upper()) for one in fields(Space) if hasattr(module, one.name.upper())}
    missing = [what for what in ("EXPERIMENT", "sample") if not hasattr(module, what)]
    if missing:
        raise RequestError(f"space {source} has no {' and no '.join(missing)}: see tuning/space.py for what it needs")
    for name, (fits, what) in _CONSTANTS.items():
        if name in given and not fits(given[name]):
            raise RequestError(f"space {source}: {name.upper()} must be {what}, not {given[name]!r:.80}")
    space = Space(source, sample=module.sample, **given)
    if space.algorithm not in ALGORITHMS:
        raise unknown("algorithm", str(space.algorithm), ALGORITHMS)
    return space


def digest(source: str) -> str:
    """A hash of the text of a space's file: what `sample` does with its settings is written there alone."""
    path = Path(source) if source.endswith(".py") else catalog.FOLDERS["searches"] / f"{source}.py"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _are_names(value: object) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(one, str) for one in value)


def _are_columns(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(one, tuple | list) for one in value.values())


_CONSTANTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "experiment": (
        lambda value: isinstance(value, str | Experiment) or (_are_names(value) and len(value) > 0),
        "an Experiment, a name as `train` takes it, or several names",
    ),
    "objective": (lambda value: isinstance(value, str), "a column of history.csv"),
    "trials": (lambda value: value is None or (type(value) is int and value > 0), "a number of trials, at least 1"),
    "groups": (
        lambda value: isinstance(value, tuple | list) and all(map(_are_names, value)),
        'tuples of settings\' names, such as (("rate",), ("units", "dropout"))',
    ),
    "titles": (_are_names, "several titles"),
    "reported": (_are_columns, '{column: values}, such as {"val_loss": (1.5, 2.5)}'),
}


def _module(source: str) -> ModuleType:
    if source in catalog.names("searches"):
        return importlib.import_module(f"tuning.spaces.{source}")
    path = Path(source)
    if path.suffix != ".py":
        raise unknown("search", source, catalog.names("searches"))
    found = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except Exception as error:  # whatever somebody's file may raise
        raise RequestError(f"space {source} cannot be read: {type(error).__name__}: {error}") from error
    return module


def change(value: Any, changes: Mapping[str, object]) -> Any:
    """An experiment with fields changed, each by its dotted name: {"stages.-1.optimizer.learning_rate": 1e-3}.

    A number stands for an item of a tuple. Fields of one dataclass change together, so that those which must fit each
    other (units and dropout) may. Raises RequestError for a name that is no field, ValueError for a value that the
    configuration refuses.
    """
    return _change(value, changes, "")


def _change(value: Any, changes: Mapping[str, object], prefix: str) -> Any:
    below: dict[str, dict[str, object]] = {}
    for name, new in changes.items():
        first, _, rest = name.partition(".")
        below.setdefault(first, {})[rest] = new
    old = dict(_items(value))
    for first in below:
        if first not in old and not (isinstance(value, tuple) and f"{len(value) + _number(first)}" in old):
            raise unknown("field", f"{prefix}{first}", (f"{prefix}{name}" for name in old))
    if isinstance(value, tuple):
        items = list(value)
        for first, news in below.items():
            items[int(first)] = _new(items[int(first)], news, f"{prefix}{first}.")
        return tuple(items)
    return replace(value, **{first: _new(old[first], news, f"{prefix}{first}.") for first, news in below.items()})


def _new(old: object, news: Mapping[str, object], prefix: str) -> object:
    return news[""] if "" in news else _change(old, news, prefix)


def _items(value: object) -> Iterator[tuple[str, object]]:
    """The parts of a dataclass or a tuple, by name; anything else has none."""
    if isinstance(value, tuple):
        yield from ((str(number), item) for number, item in enumerate(value))
    elif is_dataclass(value):
        yield from ((one.name, getattr(value, one.name)) for one in fields(value))


def _number(text: str) -> int:
    """A number below 0, as counted from a tuple's end; 0 for anything else."""
    return int(text) if text.startswith("-") and text[1:].isdecimal() else 0


def starting_points(space: Space) -> dict[str, Experiment]:
    """What a space's trials start from, by name."""
    if isinstance(space.experiment, Experiment):
        return {space.experiment.name: space.experiment}
    names = (space.experiment,) if isinstance(space.experiment, str) else space.experiment
    return {name: load_experiment(name) for name in names}


def sampled(space: Space, hp: HyperParameters, starts: Mapping[str, Experiment]) -> Experiment:
    """What the space makes of a starting point with these values. Raises RequestError where it cannot."""
    name = hp.Choice("experiment", list(starts)) if len(starts) > 1 else next(iter(starts))
    try:
        made = space.sample(hp, starts[name])
    except Exception as error:  # whatever somebody's file may raise
        what = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        values = ", ".join(f"{name} {value}" for name, value in hp.values.items())
        raise RequestError(f"space {space.source} with {values or 'no settings'}: {what}{error}") from error
    if not isinstance(made, Experiment):
        raise RequestError(f"space {space.source}: sample must answer an Experiment, not {type(made).__name__}")
    return parsing.from_json(parsing.to_json(made), f"space {space.source}")  # checks what dataclasses do not, types


def examples(space: Space, settings: HyperParameters, starts: Mapping[str, Experiment]) -> dict[str, Experiment]:
    """What the space makes of each starting point with the defaults of all settings."""
    return {name: sampled(space, _with_defaults(settings, {"experiment": name}), starts) for name in starts}


def explored(space: Space, starts: Mapping[str, Experiment]) -> tuple[HyperParameters, int]:
    """All settings of a space, each with what it may be, and the most epochs that they give to the last stage.

    Every value of a setting (both ends of a range) is tried beside the defaults of the others, so that what the
    configuration refuses is said before anything is trained. Raises RequestError for that, for a space without
    settings, and for a setting that Hyperband or the table of trials has no place for.
    """
    import keras_tuner

    known = keras_tuner.HyperParameters()
    epochs = [sampled(space, known, starts).stages[-1].epochs]
    seen: set[str] = set()
    while new := [one for one in known.space if _key(one) not in seen]:
        seen |= {_key(one) for one in new}
        for one in new:
            made = [_tried(space, known, one, value, starts).stages[-1].epochs for value in _ends(one)]
            if space.algorithm == "hyperband" and one.name != "experiment" and len(set(made)) > 1:
                raise RequestError(
                    f"space {space.source}: setting {one.name!r} changes the epochs of the last stage, of which "
                    "Hyperband itself says how many; leave it out, or give --algorithm random"
                )
            epochs += made
    _check_settings(space, known, starts)
    return known, max(epochs)


def _tried(
    space: Space, known: HyperParameters, setting: Any, value: object, starts: Mapping[str, Experiment]
) -> Experiment:
    """What is made with a value of a setting and the defaults of the others; settings that this brings become known."""
    hp = _with_defaults(known, {c.name: c.values[0] for c in setting.conditions} | {setting.name: value})
    made = sampled(space, hp, starts)
    known.merge(hp.space, overwrite=False)
    return made


def _check_settings(space: Space, known: HyperParameters, starts: Mapping[str, Experiment]) -> None:
    if not known.space:
        raise RequestError(f"space {space.source}: sample asks `hp` for nothing, so there is nothing to search")
    columns = {*COLUMNS, space.objective, *(["experiment"] if len(starts) == 1 else [])}
    if taken := next((one.name for one in known.space if one.name in columns), None):
        raise RequestError(
            f"space {space.source}: the table of trials has a column {taken!r} of its own; call the setting otherwise, "
            "as 'number of epochs' in place of 'epochs'"
        )
    strange = {name for group in space.groups for name in group} ^ {one.name for one in known.space}
    if space.groups and strange:
        raise RequestError(f"space {space.source}: GROUPS and settings differ by {', '.join(sorted(strange))}")


def _with_defaults(known: HyperParameters, values: Mapping[str, object]) -> HyperParameters:
    """All settings with these values, and their defaults where none is given."""
    hp = known.copy()
    hp.values = dict(values)
    for setting in hp.space:
        if hp.is_active(setting):
            hp.values.setdefault(setting.name, setting.default)
    return hp


def _key(setting: Any) -> str:
    return repr((setting.name, [condition.get_config() for condition in setting.conditions]))


def _ends(setting: Any) -> list[Any]:
    """Every value of a choice, both ends of a range."""
    if hasattr(setting, "min_value"):
        return [setting.min_value, setting.max_value]
    return list(setting.values)
