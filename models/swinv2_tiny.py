"""Swin Transformer V2, tiny (Liu et al. 2021, arXiv:2111.09883), as Christoph Reich reads it.

It answers as timm's swinv2_cr_tiny_224 does. The layers bear timm's names, with a dot where timm nests.
"""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import layers, ops

from models._blocks import imagenet_normalised

FACTS = {"parameters": 27_563_124, "input": "224 (multiples of 32)", "imagenet": None, "reports": "group91"}

_PATCH, _WIDTH = 4, 96  # side of a patch in pixels, channels of the first stage
_DEPTHS, _HEADS = (2, 2, 6, 2), (3, 6, 12, 24)  # of the four stages
_STRIDE = 32  # of the last stage, in pixels; also what the side of the picture is divided by for that of a window


def build(image_size: int) -> keras.Model:
    """RGB in 0..255, [N, S, S, 3] → [N, S/32, S/32, 768], its mean over the map timm's pooled feature.

    S is a multiple of 32, or ValueError: the maps of the stages are then 8, 4, 2 and 1 windows of S/32 cells wide (at
    32 pixels, of one cell that attends to itself). No weight depends on S.
    """
    if image_size < _STRIDE or image_size % _STRIDE:
        raise ValueError(f"swinv2_tiny takes pictures of 32, 64, 96, … pixels (multiples of 32), and not {image_size}")
    picture = keras.Input((image_size, image_size, 3), name="picture")
    x = layers.Conv2D(_WIDTH, _PATCH, _PATCH, name="patch_embed.proj")(imagenet_normalised(picture))
    x = _norm("patch_embed.norm")(x)
    for i, (depth, heads) in enumerate(zip(_DEPTHS, _HEADS, strict=True)):
        if i:
            x = _merge_patches(x, f"stages.{i}.downsample")
        for j in range(depth):
            x = _block(x, f"stages.{i}.blocks.{j}", heads, window=image_size // _STRIDE, shifted=j % 2 == 1)
    x = _norm(f"stages.{i}.blocks.{j}.norm3")(x)
    return keras.Model(picture, x, name="swinv2_tiny")


def _norm(name: str, scale: float = 1.0) -> layers.LayerNormalization:
    initial = keras.initializers.Constant(scale)
    return layers.LayerNormalization(epsilon=1e-5, gamma_initializer=initial, name=name)


def _merge_patches(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """[N, H, W, C] → [N, H/2, W/2, 2C]: the four cells of a square side by side, column by column."""
    _, height, width, channels = x.shape
    x = layers.Reshape((height // 2, 2, width // 2, 2, channels), name=f"{name}.split")(x)
    x = layers.Permute((1, 3, 4, 2, 5), name=f"{name}.order")(x)
    x = layers.Reshape((height // 2, width // 2, 4 * channels), name=f"{name}.join")(x)
    x = _norm(f"{name}.norm")(x)
    return layers.Dense(2 * channels, use_bias=False, name=f"{name}.reduction")(x)


def _block(x: keras.KerasTensor, name: str, heads: int, window: int, shifted: bool) -> keras.KerasTensor:
    """Attention and two dense layers, each normalised before it is added. A map of one window is not shifted.

    The scale of both starts near zero, so that a block of a new network hands on what it gets; timm's starts at zero,
    where nothing before it would learn from the first step.
    """
    height, channels = x.shape[1], x.shape[-1]
    shift = window // 2 if shifted and height > window else 0
    y = WindowAttention(heads, window, shift, name=f"{name}.attn")(x)
    y = _norm(f"{name}.norm1", scale=1e-4)(y)
    x = layers.Add(name=f"{name}.add1")([x, y])
    y = layers.Dense(4 * channels, activation="gelu", name=f"{name}.mlp.fc1")(x)
    y = layers.Dense(channels, name=f"{name}.mlp.fc2")(y)
    y = _norm(f"{name}.norm2", scale=1e-4)(y)
    return layers.Add(name=f"{name}.add2")([x, y])


@keras.saving.register_keras_serializable("facet")
class WindowAttention(layers.Layer):
    """Scaled cosine attention among the cells of each window, [N, H, W, C] → the same (arXiv:2111.09883, section 3).

    window and shift are in cells: the map is cut into squares of `window` × `window` after it moved by `shift` up and
    left, around the edge. Two cells that met only by going around the edge attend little to each other.

    A small network turns the offset of two cells, log-spaced, into a bias for each head. `rate` is its dropout in
    training, timm's 0.125; it falls on the (2·window − 1)² different offsets, timm's on all pairs of cells.
    """

    def __init__(self, heads: int, window: int, shift: int = 0, rate: float = 0.125, **options: object) -> None:
        super().__init__(**options)
        self.heads, self.window, self.shift, self.rate = heads, window, shift, rate
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, shape: tuple[int | None, ...]) -> None:
        _, height, width, channels = shape
        self._offsets, self._pairs = _log_offsets(self.window)
        self._beyond_edge = _beyond_edge(height, width, self.window, self.shift)
        self.qkv = layers.Dense(3 * channels, name="qkv", dtype=self.dtype_policy)
        self.proj = layers.Dense(channels, name="proj", dtype=self.dtype_policy)
        # Logits and their bias keep the weights' precision, float32 in mixed precision: scales reach 100.
        self.fc1 = layers.Dense(384, activation="relu", name="meta_mlp.fc1", dtype=self.variable_dtype)
        self.fc2 = layers.Dense(self.heads, name="meta_mlp.fc2", dtype=self.variable_dtype)
        for layer, inputs in ((self.qkv, channels), (self.proj, channels), (self.fc1, 2), (self.fc2, 384)):
            layer.build((None, inputs))
        ten = keras.initializers.Constant(math.log(10))
        self.logit_scale = self.add_weight((self.heads,), ten, name="logit_scale", autocast=False)

    def call(self, x: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        if self.shift:
            x = _rolled(x, self.shift)
        query, key, value = self._windows(self.qkv(x))
        weights = ops.softmax(self._logits(query, key) + self._bias(training))
        x = self.proj(self._map(ops.matmul(ops.cast(weights, value.dtype), value), x.shape))
        return _rolled(x, -self.shift) if self.shift else x

    def _windows(self, qkv: keras.KerasTensor) -> list[keras.KerasTensor]:
        """[N, H, W, 3C] → query, key and value, each [N, windows, heads, cells, C/heads]."""
        height, width, channels = *qkv.shape[1:3], qkv.shape[3] // 3
        side = self.window
        x = ops.reshape(qkv, (-1, height // side, side, width // side, side, 3 * channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))  # twice, for TensorFlow is slow at one transposition of eight axes
        x = ops.reshape(x, (-1, height * width // side**2, side**2, 3, self.heads, channels // self.heads))
        return ops.unstack(ops.transpose(x, (3, 0, 1, 4, 2, 5)), 3)

    def _map(self, x: keras.KerasTensor, shape: tuple[int | None, ...]) -> keras.KerasTensor:
        """[N, windows, heads, cells, C/heads] → [N, H, W, C], the shape given."""
        _, height, width, channels = shape
        side = self.window
        x = ops.transpose(x, (0, 1, 3, 2, 4))  # twice, for LiteRT transposes six axes at most
        x = ops.reshape(x, (-1, height // side, width // side, side, side, channels))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, height, width, channels))

    def _logits(self, query: keras.KerasTensor, key: keras.KerasTensor) -> keras.KerasTensor:
        """Cosines of queries and keys times each head's scale of at most 100, [N, windows, heads, cells, cells]."""
        root = ops.exp(ops.minimum(self.logit_scale, math.log(100)) / 2)  # of the scale: both sides are so long
        query, key = (self._of_length(root, ops.cast(x, self.variable_dtype)) for x in (query, key))
        return ops.matmul(query, ops.swapaxes(key, -1, -2))

    @staticmethod
    def _of_length(length: keras.KerasTensor, x: keras.KerasTensor) -> keras.KerasTensor:
        """Vectors of a length for each head. A zero vector stays, and its gradient is finite.

        The factor is whole before it meets x: of a vector times its own norm alone LiteRT's converter makes one
        operation, which takes four axes at most when it calibrates int8, and in older runtimes.
        """
        factor = ops.rsqrt(ops.maximum(ops.sum(ops.square(x), -1, keepdims=True), 1e-24))
        return x * (factor * ops.reshape(length, (-1, 1, 1)))

    def _bias(self, training: bool) -> keras.KerasTensor:
        """What is added to the logits, [windows or 1, heads, cells, cells]: by offset, and −100 beyond the edge."""
        hidden = self.fc1(ops.cast(self._offsets, self.variable_dtype))
        if training and self.rate > 0:
            hidden = keras.random.dropout(hidden, self.rate, seed=self.seed_generator)
        bias = ops.take(ops.transpose(self.fc2(hidden)), self._pairs, axis=1)[None]
        return bias + ops.cast(-100 * self._beyond_edge, bias.dtype) if self.shift else bias

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape

    def get_config(self) -> dict[str, object]:
        own = {"heads": self.heads, "window": self.window, "shift": self.shift, "rate": self.rate}
        return {**super().get_config(), **own}


def _rolled(x: keras.KerasTensor, by: int) -> keras.KerasTensor:
    """A map moved by so many cells up and left, around the edge; by parts, for LiteRT has no `roll`."""
    x = ops.concatenate([x[:, by:], x[:, :by]], axis=1)
    return ops.concatenate([x[:, :, by:], x[:, :, :by]], axis=2)


def _log_offsets(side: int) -> tuple[np.ndarray, np.ndarray]:
    """All offsets (rows, columns) of two cells of a window as sign · ln(1 + |cells|), [(2·side − 1)², 2], and which of
    them each pair of cells has, [side², side²]: that of the first from the second."""
    steps = np.arange(1 - side, side)
    spaced = np.sign(steps) * np.log1p(np.abs(steps))
    offsets = np.stack(np.meshgrid(spaced, spaced, indexing="ij"), -1).reshape(-1, 2)
    row, column = np.divmod(np.arange(side * side), side)
    rows, columns = (x[:, None] - x[None, :] + side - 1 for x in (row, column))
    return offsets.astype("float32"), (rows * len(steps) + columns).astype("int32")


def _beyond_edge(height: int, width: int, side: int, shift: int) -> np.ndarray:
    """Whether the edge of the map lies between two cells of a window after the shift, 0 or 1,
    [windows, 1, side², side²]."""
    around = [np.arange(length) >= length - shift for length in (height, width)]
    part = 2 * around[0][:, None] + around[1][None, :]
    part = part.reshape(height // side, side, width // side, side).transpose(0, 2, 1, 3).reshape(-1, 1, side * side)
    return (part[..., :, None] != part[..., None, :]).astype("int8")
