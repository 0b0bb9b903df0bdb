"""Checkpoint files → weights of a trunk."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras


def load(trunk: keras.Model, path: str | Path) -> None:
    """Fill `trunk` from a `.weights.h5` file that keras.Model.save_weights wrote of the same network without top."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path}: expected none, imagenet, or the path of a .weights.h5 file")
    if not path.name.endswith(".weights.h5"):
        raise ValueError(f"weights file {path} has another ending than .weights.h5, which is what is read here")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one warning a layer, when the error below says it all
            trunk.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"weights file {path} does not fit {trunk.name}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("Layer")), lines[0] if lines else type(error).__name__)
