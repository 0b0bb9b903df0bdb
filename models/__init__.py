"""Networks and their weights. Knows Keras, and nothing of datasets or experiments."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

_NOT_TRUNKS = ("heads",)


def list_models() -> list[str]:
    """Names that `build_trunk` takes: one file each in this folder."""
    files = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(name for name in files if not name.startswith("_") and name not in _NOT_TRUNKS)


def build_trunk(name: str, image_size: int = 224, weights: str | None = None) -> keras.Model:
    """A network without its classifier: float pictures [N, S, S, 3], RGB in 0..255 → feature map [N, h, w, C].

    The trunk carries its own normalisation. weights: None (random), "imagenet" (downloaded by Keras, where it is
    published for the network), or the path of a `.weights.h5` file of the same network without its top.

    Raises ValueError for an unknown name, weights that are not published, or a file that does not fit, and
    FileNotFoundError for one that is not there; ConnectionError when the published weights cannot be downloaded.
    """
    if name not in list_models():
        raise ValueError(f"unknown model {name!r}; there are: {', '.join(list_models())}")
    if weights == "imagenet":
        return _build_published(name, image_size)
    trunk = _builder(name)(image_size)
    if weights is not None:
        from models import _weights  # here and above: listing models must not import Keras

        _weights.load(trunk, weights)
    return trunk


def is_published(name: str) -> bool:
    """Whether ImageNet weights exist for the network: its `build` then takes `weights`."""
    return "weights" in inspect.signature(_builder(name)).parameters


def _builder(name: str) -> Callable[..., keras.Model]:
    return importlib.import_module(f"models.{name}").build


def _build_published(name: str, image_size: int) -> keras.Model:
    if not is_published(name):
        raise ValueError(f"no ImageNet weights are published for {name}: use weights none, or a file")
    try:
        return _builder(name)(image_size, weights="imagenet")
    except Exception as error:  # Keras wraps every failed download in a bare Exception
        raise ConnectionError(
            f"the ImageNet weights of {name} could not be downloaded: connect to the network, or use weights none, "
            f"or the path of a .weights.h5 file ({str(error).splitlines()[0]})"
        ) from error
