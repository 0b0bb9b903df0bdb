"""Each backbone beside the network of the same name in keras.applications or keras-hub: forward and training steps."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

import keras
import numpy as np

from models import build_backbone, list_models
from tests.bench.measuring import Contenders, Row, Setting, pace

BATCH = 8
LEFT_OUT = ("regnety_128gf",)  # training takes 10 GB
IN_QUICK = ("mobilenetv2",)
STEPS = ("forward", "training step")
LEAST = 0.5  # seconds of steps in a measurement
APPLICATIONS = {
    "mobilenetv2": "MobileNetV2",
    "mobilenetv3": "MobileNetV3Large",
    "efficientnet_b0": "EfficientNetB0",
    "resnet50": "ResNet50",
    "resnet50_v15": "ResNet50",
    "resnet152_v15": "ResNet152",
}
# Taken instead where keras-hub is installed (240 MB with what it asks for, so nobody has to): the stride is in the 3×3
# as in ours. The ResNets of keras.applications have it in the first 1×1, which is less work.
HUB = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet50_v15": ("bottleneck", (3, 4, 6, 3)),
    "resnet152_v15": ("bottleneck", (3, 8, 36, 3)),
}


def rows(setting: Setting) -> list[Row]:
    """Two rows a backbone, which take the same two networks."""
    size = setting.of(224, 96)
    names = [name for name in list_models() if name not in LEFT_OUT and (name in IN_QUICK or not setting.quick)]
    return [
        Row(f"backbone {name} {size}², {what}", lambda name=name, what=what: contenders(name, size, what))
        for name in names
        for what in setting.of(STEPS, STEPS[:1])  # a network takes ten seconds to be made ready for training
    ]


def contenders(name: str, size: int, what: str) -> Contenders:
    """Ours, and theirs where there is one, once what they do is compiled."""
    pictures = np.random.default_rng(0).uniform(0, 255, (BATCH, size, size, 3)).astype(np.float32)
    answers = np.zeros((BATCH, 1), np.float32)

    def step(network: keras.Model) -> object:
        return network.predict_on_batch(pictures) if what == STEPS[0] else network.train_on_batch(pictures, answers)

    found = networks(name, size)
    for network in found.values():
        step(network)
    return {said: lambda network=network: pace(lambda: step(network), BATCH, LEAST) for said, network in found.items()}


@lru_cache(maxsize=1)  # the two rows of a backbone follow each other; all backbones at once would fill the memory
def networks(name: str, size: int) -> dict[str, keras.Model]:
    """Ours and its counterpart, each with the same top, ready to train."""
    return {said: topped(backbone) for said, backbone in backbones(name, (size, size, 3)).items()}


def backbones(name: str, shape: tuple[int, int, int]) -> dict[str, keras.Model]:
    """Ours and its counterpart, by what they are called."""
    found = {name: build_backbone(name, shape[0])}
    if name in HUB and find_spec("keras_hub"):
        found["keras-hub ResNetBackbone"] = hub_resnet(*HUB[name], shape)
    elif name in APPLICATIONS:
        build = getattr(keras.applications, APPLICATIONS[name])
        found[f"keras.applications {APPLICATIONS[name]}"] = build(include_top=False, weights=None, input_shape=shape)
    return found


def topped(backbone: keras.Model) -> keras.Model:
    """The backbone with a mean and one number after it, compiled as `train` compiles on a CPU: without XLA."""
    features = keras.layers.GlobalAveragePooling2D()(backbone.output)
    network = keras.Model(backbone.input, keras.layers.Dense(1)(features))
    network.compile("adam", "mse", jit_compile=False)
    return network


def hub_resnet(block: str, depths: tuple[int, ...], shape: tuple[int, int, int]) -> keras.Model:
    """keras-hub's, of the size that timm has."""
    from keras_hub.models import ResNetBackbone  # not among the tests' packages

    return ResNetBackbone([64], [7], [64, 128, 256, 512], depths, [1, 2, 2, 2], f"{block}_block", image_shape=shape)
