"""A file's name is its registration: what can be named on the command line, found without importing it."""

from __future__ import annotations

import ast
from pathlib import Path

from models import list_models

HERE = Path(__file__).parents[1]
FOLDERS = {
    "models": HERE.parent / "models",
    "datasets": HERE / "datasets",
    "experiments": HERE / "experiments",
    "targets": HERE / "targets",
    "searches": HERE.parent / "tuning" / "spaces",
}


def names(what: str) -> list[str]:
    """The names of one kind of thing, a key of FOLDERS; an experiment's name holds its folder (`cz4042/tuned`)."""
    if what == "models":
        return list_models()
    folder = FOLDERS[what]
    files = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.py"))
    return sorted(name.as_posix() for name in files if not name.name.startswith("_"))


def summary(what: str, name: str) -> str:
    """The first line of a file's docstring."""
    source = (FOLDERS[what] / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
