"""Backbone + heads = network: what it is built of, what of it trains, and how weights pass from one to the next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module

import keras
import numpy as np

from models import build_backbone, heads, views
from pipeline import targets
from pipeline.config import Head, Model, Target
from pipeline.training.runs import Run
from pipeline.utils.errors import RequestError

HEAD, ALL, FROM = "head", "all", "from:"


def build_network(
    model: Model,
    wanted: Sequence[Target],
    labels: Mapping[str, np.ndarray],
    train: str | tuple[str, ...] = ALL,
    statistics: tuple[Sequence[float], Sequence[float]] | None = None,
) -> keras.Model:
    """{"image": [N, S, S, 3], RGB 0..255} → {target: output}, with what `train` names trainable and nothing else.

    labels: each target's known training labels, which place a standardised output. What is frozen runs in inference
    mode (batch norm, dropout, stochastic depth). statistics: mean and standard deviation of the channels [3] in levels
    0..255, if pictures are to be standardised by them.

    Raises RequestError for weights that cannot be had, or a name in `train` that is no layer's.
    """
    backbone = _backbone(model)
    names = _spelled_out(train, backbone, wanted)
    for layer in leaves(backbone):
        _train(layer, _is_named(layer, names))
    image = keras.Input((model.image_size, model.image_size, 3), name="image")
    pictures = {"colour": image, "grey": views.Greyscale(dtype="float32", name="grey")(image)}
    if statistics:
        layer = views.standardised(*statistics)
        pictures = {view: layer(picture) for view, picture in pictures.items()}
    try:
        shown = {view: backbone(pictures[view]) for view in sorted({target.view for target in wanted})}
        outputs = _outputs(shown, model.head, wanted, labels)
    except ValueError as error:
        raise RequestError(
            f"{model.name} at {model.image_size} pixels cannot be built, perhaps too small for its layers "
            f"and its head: take a larger --image-size ({str(error).splitlines()[0][:120]})"
        ) from error
    network = keras.Model({"image": image}, outputs, name="facet")
    for layer in network.layers:
        if layer is not backbone:
            _train(layer, HEAD in names or ALL in names or _belongs_to(layer, wanted) in names)
    return network


def _train(layer: keras.Layer, is_trained: bool) -> None:
    layer.trainable = is_trained
    if not is_trained and hasattr(layer, "rate"):
        layer.rate = 0.0  # Keras would let dropout and stochastic depth work on in a frozen layer


def load_network(run: Run) -> keras.Model:
    """A run's model.keras. Raises RequestError for a file that is damaged, or holds code (Lambda layers).

    It answers logits also where the run is an older one, whose last layers answered probabilities.
    """
    import_module(f"models.{run.experiment.model.name}")  # its layers must be known to Keras
    try:
        network = keras.saving.load_model(run.model, compile=False)
    except Exception as error:  # zip, HDF5 and Keras each raise their own
        raise RequestError(f"{run.model} cannot be loaded: {str(error).splitlines()[0]}") from error
    for name in network.output:
        if isinstance(layer := network.get_layer(name), keras.layers.Dense):
            layer.activation = keras.activations.linear
    return network


def leaves(model: keras.Model) -> Iterator[keras.Layer]:
    """All layers, those inside a nested model (the backbone) too."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer


def reseed(model: keras.Model, seed: tuple[int, ...]) -> None:
    """Set the random state of every layer that draws (dropout), so that an epoch draws the same wherever it starts."""
    rng = np.random.default_rng(seed)
    for layer in leaves(model):
        if hasattr(layer, "seed_generator"):
            layer.seed_generator.state.assign(rng.integers(0, 2**32, 2, dtype=np.uint32))


def hand_over(source: keras.Model, network: keras.Model) -> list[str]:
    """Copy the weights of every layer that both have, by name, and where standardised answers are put, which belongs to
    them. Answers the names of layers that got none."""
    have = {layer.name: layer for layer in leaves(source)}
    missing = []
    for layer in leaves(network):
        ours = layer.get_weights()
        theirs = have[layer.name].get_weights() if layer.name in have else []
        if [w.shape for w in ours] == [w.shape for w in theirs]:
            layer.set_weights(theirs)
        elif ours:
            missing.append(layer.name)
    place(network, {name: at for name, at in places(source).items() if f"{name}_standardized" not in missing})
    return missing


def places(network: keras.Model) -> dict[str, tuple[float, float]]:
    """By name of a target whose answers are standardised: the spread and the mean that its layer puts them to."""
    answering = (network.get_layer(name) for name in network.output)
    return {one.name: (one.scale, one.offset) for one in answering if isinstance(one, keras.layers.Rescaling)}


def place(network: keras.Model, found: Mapping[str, tuple[float, float]]) -> None:
    """Put standardised answers where another network, whose weights these are, has them."""
    for name in found.keys() & places(network).keys():
        layer = network.get_layer(name)
        layer.scale, layer.offset = found[name]


def _backbone(model: Model) -> keras.Model:
    weights = None if model.weights == "none" else model.weights
    try:
        backbone = build_backbone(model.name, model.image_size, weights)
    except (ValueError, FileNotFoundError) as error:
        raise RequestError(str(error)) from error
    for layer in leaves(backbone):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = model.batch_norm_momentum
    return backbone


def _outputs(
    shown: Mapping[str, keras.KerasTensor], shared: Head, wanted: Sequence[Target], labels: Mapping[str, np.ndarray]
) -> dict[str, keras.KerasTensor]:
    """Each target's last layer, on its view's shared head or on a branch of its own. shown: {view: feature map}."""
    tops = {}
    for view, features in shown.items():
        pooled = {}  # once for all heads: what they read of a frozen backbone is then one vector
        looking = [target for target in wanted if target.view == view]
        if any(target.head is None for target in looking):
            common = _headed(features, shared, HEAD if len(shown) == 1 else f"{HEAD}_{view}", pooled)
        for target in looking:
            tops[target.name] = common if target.head is None else _headed(features, target.head, target.name, pooled)
    return {target.name: targets.of(target).output(tops[target.name], labels[target.name]) for target in wanted}


def _headed(
    features: keras.KerasTensor, head: Head, name: str, pooled: dict[str, keras.KerasTensor]
) -> keras.KerasTensor:
    if head.convolutions:
        x = heads.convolutions(features, [asdict(block) for block in head.convolutions], name)
        x = heads.pooled(x, head.pool, f"{name}_pool")
    else:
        if head.pool not in pooled:
            pooled[head.pool] = heads.pooled(features, head.pool, f"{name}_pool_{head.pool}")
        x = pooled[head.pool]
    if head.batch_norm:
        x = keras.layers.BatchNormalization(name=f"{name}_pool_norm")(x)
    return heads.dense(x, head.units, name, head.activation, head.batch_norm, head.dropout, head.l2)


def _is_named(layer: keras.Layer, names: Sequence[str]) -> bool:
    return ALL in names or any(_begins(layer.name, name) for name in names)


def _belongs_to(layer: keras.Layer, wanted: Sequence[Target]) -> str | None:
    """The target whose last layer or branch a layer outside the backbone is, by the longest name."""
    names = (target.name for target in wanted if re.match(re.escape(target.name) + r"(_|$)", layer.name))
    return max(names, key=len, default=None)


def _begins(layer: str, name: str) -> bool:
    """Whether a layer's name begins with `name`, whose last number is taken whole: block_1 does not begin block_16."""
    return re.match(re.escape(name) + (r"(?!\d)" if name[-1:].isdigit() else ""), layer) is not None


def _spelled_out(train: str | tuple[str, ...], backbone: keras.Model, wanted: Sequence[Target]) -> list[str]:
    """What trains, with the layers that `from:NAME` means. Raises RequestError for a name that is no layer's."""
    layers = [layer.name for layer in leaves(backbone)]
    names = []
    for given in (train,) if isinstance(train, str) else train:
        name = given.removeprefix(FROM)
        found = [i for i, layer in enumerate(layers) if _begins(layer, name)]
        if not found and given not in (HEAD, ALL, *(target.name for target in wanted)):
            raise RequestError(
                f"train {given!r} is no layer of {backbone.name}: expected head, all, from:LAYER, or the beginning of "
                f"layer names such as {', '.join(layers[1:4])}"
            )
        names += [*layers[found[0] :], HEAD] if given.startswith(FROM) else [given]
    return names
