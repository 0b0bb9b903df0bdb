"""Networks and their weights. Knows Keras, and nothing of datasets or experiments."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np

_FOLDER = Path(__file__).parent
_NOT_BACKBONES = ("heads", "views")


def list_models() -> list[str]:
    """Names that `build_backbone` takes: one file each in this folder."""
    files = (path.stem for path in _FOLDER.glob("*.py"))
    return sorted(name for name in files if not name.startswith("_") and name not in _NOT_BACKBONES)


@cache
def facts(name: str) -> dict[str, object]:
    """What a network's file says of it, read without Keras.

    `parameters` of the backbone, as timm counts (without batch norm's moving statistics); `input`: its size in pixels;
    `imagenet`: where weights are published (`keras.applications` or a repository of the Hugging Face hub) or None;
    `reports` that use it. Raises ValueError for an unknown name.
    """
    if name not in list_models():
        raise ValueError(f"unknown model {name!r}; there are: {', '.join(list_models())}")
    body = ast.parse((_FOLDER / f"{name}.py").read_text(encoding="utf-8")).body
    assigned = {ast.unparse(part.targets[0]): part.value for part in body if isinstance(part, ast.Assign)}
    return ast.literal_eval(assigned["FACTS"])


def build_backbone(
    name: str, image_size: int = 224, weights: str | Path | Mapping[str, np.ndarray] | None = None
) -> keras.Model:
    """A network without its classifier: float pictures [N, S, S, 3], RGB in 0..255 → feature map [N, h, w, C].

    The backbone carries its own normalisation. weights: None (random); "imagenet" (downloaded, where published for the
    network); the path of a `.weights.h5`, `.h5`, `.keras` or `.safetensors` file of the same network, or of a run; or a
    mapping of timm's or torchvision's tensor names to arrays in PyTorch's layout. A classifier in them is left aside.

    Raises ValueError for an unknown name, a size that the network does not take, weights that are not published, or a
    file that does not fit (it names the layers and shapes that differ), FileNotFoundError for one that is not there,
    and ConnectionError when the published weights cannot be downloaded.
    """
    published = facts(name)["imagenet"]
    build = importlib.import_module(f"models.{name}").build
    backbone = build(image_size)  # before any download: a size that the network does not take is said at once
    if weights is None or (isinstance(weights, str) and weights == "none"):
        return backbone
    from models import _weights  # here: listing models must not import Keras

    if weights != "imagenet":
        _weights.load(backbone, weights)
        return backbone
    if published is None:
        raise ValueError(f"no ImageNet weights are published for {name}: use weights none, or {_weights.TAKEN}")
    try:
        if published == "keras.applications":
            return build(image_size, weights="imagenet")
        from huggingface_hub import hf_hub_download

        path = hf_hub_download(published, "model.safetensors")
    except Exception as error:  # Keras wraps every failed download in a bare Exception
        raise ConnectionError(
            f"the ImageNet weights of {name} could not be downloaded from {published}: connect to the network, or use "
            f"weights none, or the path of {_weights.TAKEN} ({(str(error).splitlines() or [type(error).__name__])[0]})"
        ) from error
    _weights.load(backbone, path)
    return backbone
