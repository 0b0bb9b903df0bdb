"""Checkpoints → weights of a backbone."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

import models
from models import _blocks, heads, swinv2_tiny  # noqa: F401  Keras must know their layers before it loads a network

TAKEN = "a .weights.h5, .h5 of Keras 2, .keras or .safetensors file, or a run"
_NO_PART_OF_A_BACKBONE = re.compile(r"(fc|head)\.|.*\.num_batches_tracked$")
_TORCH_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# others' names of modules, and timm's
_TORCH_MODULES = (
    (r"^module\.", ""),  # PyTorch's, of a network that was trained on several devices
    # torchvision's, of a RegNet
    (r"^stem\.0\.", "stem.conv."),
    (r"^stem\.1\.", "stem.bn."),
    (r"^trunk_output\.block(\d)\.block\d-(\d+)\.", lambda found: f"s{found[1]}.b{int(found[2]) + 1}."),
    (r"\.proj\.0\.", ".downsample.conv."),
    (r"\.proj\.1\.", ".downsample.bn."),
    (r"\.f\.([abc])\.0\.", lambda found: f".conv{'abc'.index(found[1]) + 1}.conv."),
    (r"\.f\.([abc])\.1\.", lambda found: f".conv{'abc'.index(found[1]) + 1}.bn."),
    (r"\.f\.se\.", ".se."),
)


def load(backbone: keras.Model, source: str | Path | Mapping[str, np.ndarray]) -> None:
    """Fill `backbone` from a file that holds the same network, with or without a top.

    source: a `.weights.h5` that keras.Model.save_weights wrote of it without top; an HDF5 file in the layout of Keras 2
    (keras.applications' `..._no_top.h5`, or with a top); a `.keras` of it, or of a network that has it as a layer (a
    run's model.keras); a run's folder; a `.safetensors` of timm or torchvision, or a mapping of their tensor names to
    arrays (kernels OIHW and [out, in]). Pickles are not read: they can hold code.

    Raises FileNotFoundError, or ValueError that names the layers and shapes that differ.
    """
    if isinstance(source, Mapping):
        _fill_from_torch(backbone, source, "mapping")
        return
    path = Path(source)
    if path.is_dir():
        path = path / "model.keras"
    if not path.is_file():
        raise FileNotFoundError(f"no weights {path}: expected none, imagenet, or the path of {TAKEN}")
    constants = _constants(backbone)
    _fill_from_file(backbone, path)
    if not all(np.allclose(new, old) for new, old in zip(_constants(backbone), constants, strict=True)):
        raise ValueError(
            f"weights file {path} does not fit {backbone.name}: it is of a network that normalises its images by "
            "other constants than ImageNet's"
        )


def _constants(backbone: keras.Model) -> list[np.ndarray]:
    """What the network normalises by, where its weights hold that (EfficientNet's do)."""
    layers = (layer for layer in backbone.layers if isinstance(layer, keras.layers.Normalization))
    return [np.array(weight) for layer in layers for weight in layer.get_weights()]


def _fill_from_file(backbone: keras.Model, path: Path) -> None:
    try:
        if h5py.is_hdf5(path) and (layers := _keras_2_layers(path)):  # by what it is: such files have many names
            return _fill_from_keras_2(backbone, path, layers)
        if path.suffix == ".safetensors":
            return _fill_from_torch(backbone, _safetensors(path), f"weights file {path}")
        if path.suffix == ".keras":
            return _fill_from_keras(backbone, path)
        if path.name.endswith(".weights.h5"):
            return _fill_from_hdf5(backbone, path)
    except OSError as error:
        raise ValueError(f"weights file {path} cannot be read: {_first_line(error)}") from error
    raise ValueError(f"weights file {path} is of another kind than what is read here: {TAKEN}")


def _fill_from_torch(backbone: keras.Model, tensors: Mapping[str, np.ndarray], what: str) -> None:
    given = {_timm_name(name): np.asarray(values) for name, values in tensors.items()}
    variables = dict(_variables(backbone))
    ours = {_torch_name(path): path for path in variables}
    _check_fit(
        {name: _torch_shape(variables[path].shape) for name, path in ours.items()},
        {
            name: values.shape
            for name, values in given.items()
            if name in ours or not _NO_PART_OF_A_BACKBONE.match(name)
        },
        f"{what} does not fit {backbone.name}",
    )
    for name, path in ours.items():
        if not np.isfinite(given[name]).all():
            raise ValueError(f"{what}: {name} holds numbers that are none (NaN or infinity), it may be damaged")
        variables[path].assign(_keras_layout(given[name]))


def _fill_from_keras(backbone: keras.Model, path: Path) -> None:
    try:
        saved = keras.saving.load_model(path, compile=False)
    except Exception as error:  # zip, HDF5 and Keras each raise their own
        raise ValueError(f"weights file {path} cannot be read, it may be damaged: {_first_line(error)}") from error
    if saved.name != backbone.name and saved.name in models.list_models():
        raise ValueError(f"weights file {path} does not fit {backbone.name}: it is of {saved.name}")
    parts = {model.name: model for model in (saved, *saved.layers) if isinstance(model, keras.Model)}
    given = {_steady(name): variable for name, variable in _variables(parts.get(backbone.name, saved))}
    variables = dict(_variables(backbone))
    _check_fit(_shapes(variables), _shapes(given), f"weights file {path} does not fit {backbone.name}")
    for name, variable in variables.items():
        variable.assign(given[name])


def _fill_from_keras_2(backbone: keras.Model, path: Path, layers: dict[str, list[np.ndarray]]) -> None:
    """By the names of layers or, where Keras 2 had others (MobileNetV3's), by their order, as Keras itself does.

    The weights of a layer go by their order. What follows the backbone's last layer is a top.
    """
    ours = {layer.name: sorted(layer.weights, key=lambda one: not one.trainable) for layer in backbone.layers}
    ours = {name: variables for name, variables in ours.items() if variables}
    ordered = dict(zip(ours, layers.values(), strict=False))
    if not ours.keys() <= layers.keys() and _shapes(_numbered(ordered)) == _shapes(_numbered(ours)):
        layers = ordered
    last = max((i for i, name in enumerate(layers) if name in ours), default=len(layers))
    layers = dict(list(layers.items())[: last + 1])
    names = {f"{name}/{i}": f"{name}/{one.name}" for name, held in ours.items() for i, one in enumerate(held)}
    variables, given = ({names.get(at, at): one for at, one in _numbered(held).items()} for held in (ours, layers))
    _check_fit(_shapes(variables), _shapes(given), f"weights file {path} does not fit {backbone.name}")
    for name, variable in variables.items():
        variable.assign(given[name])


def _shapes(weights: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in weights.items()}


def _numbered(layers: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Layers' weights by the layer's name and their number in it."""
    return {f"{name}/{i}": one for name, held in layers.items() for i, one in enumerate(held)}


def _keras_2_layers(path: Path) -> dict[str, list[np.ndarray]]:
    """Those with weights, in their order, of an HDF5 file of weights or of a whole network; none of another layout."""
    try:
        with h5py.File(path) as file:
            group = file.get("model_weights", file)
            named = {name: group[name] for name in _listed(group, "layer_names")}
            held = {name: [one[weight][()] for weight in _listed(one, "weight_names")] for name, one in named.items()}
    except (KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:  # HDF5's own are of many kinds
        raise ValueError(f"weights file {path} cannot be read, it may be damaged: {_first_line(error)}") from error
    return {name: weights for name, weights in held.items() if weights}


def _listed(group: h5py.Group, name: str) -> list[str]:
    """The names in an attribute, which Keras divides into `name0`, `name1` and so on where they are many."""
    parts = itertools.takewhile(group.attrs.__contains__, (f"{name}{i}" for i in itertools.count()))
    held = [group.attrs[part] for part in ([name] if name in group.attrs else parts)]
    return [one.decode() if isinstance(one, bytes) else str(one) for part in held for one in part]


def _fill_from_hdf5(backbone: keras.Model, path: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one warning a layer, when the error below says it all
            backbone.load_weights(path)
    except (ValueError, KeyError, RuntimeError) as error:
        layers = _misfits(backbone, path)
        found = _first_line(error) + (f"; in {_some(layers)}" if layers else "")
        raise ValueError(f"weights file {path} does not fit {backbone.name}: {found}") from error


def _misfits(backbone: keras.Model, path: Path) -> list[str]:
    """The layers that a file does not fit, which Keras lists where it is told to go on; none where it cannot."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            backbone.load_weights(path, skip_mismatch=True)
        except (ValueError, KeyError, RuntimeError):
            return []
    listed = [str(one.message).partition("List of objects that could not be loaded:")[2] for one in said]
    return re.findall(r"<\w+ name=([^,]+), built", "".join(listed))


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (SafetensorError, TypeError, KeyError) as error:  # the latter two: a type that NumPy lacks
        raise ValueError(f"weights file {path} cannot be read: {_first_line(error)}") from error


def _variables(model: keras.Model) -> Iterator[tuple[str, keras.Variable]]:
    """Every weight of the model, named by its layer and its place in it: `layer1.0.conv1/kernel`."""
    for layer in model.layers:
        for variable in layer.weights:
            yield variable.path[max(variable.path.find(layer.name), 0) :], variable


def _steady(name: str) -> str:
    """Keras numbers EfficientNet's layer of constants by how many were before it in the process."""
    return re.sub(r"^normalization(_\d+)?/", "constants/", name)


def _torch_name(path: str) -> str:
    *layers, variable = path.split("/")
    return ".".join([*layers, _TORCH_NAMES.get(variable, variable)])


def _timm_name(name: str) -> str:
    for theirs, ours in _TORCH_MODULES:
        name = re.sub(theirs, ours, name)
    return name


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape[::-1]


def _keras_layout(values: np.ndarray) -> np.ndarray:
    """Kernels OIHW → HWIO and [out, in] → [in, out]; all else as it is."""
    return values.transpose(2, 3, 1, 0) if values.ndim == 4 else values.T


def _check_fit(expected: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]], complaint: str) -> None:
    missing = [name for name in expected if name not in given]
    extra = [name for name in given if name not in expected]
    other = [
        f"{name} is {list(given[name])}, expected {list(shape)}"
        for name, shape in expected.items()
        if name in given and tuple(given[name]) != tuple(shape)
    ]
    found = [("without", missing), ("with the wrong shape", other), ("with the unknown", extra)]
    if said := [f"{what} {_some(names)}" for what, names in found if names]:
        raise ValueError(f"{complaint}: {'; '.join(said)}")


def _some(names: list[str], most: int = 3) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    shapes = (line for line in lines if re.search(r"^Layer|expected .*shape|mismatch|must match", line))
    line = next(shapes, lines[0].rstrip(":") if lines else type(error).__name__)
    return line.partition(" Target variable: ")[0].rstrip(".")  # whose values follow
