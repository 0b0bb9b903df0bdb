"""Swin V2 against timm's answers, and the properties of its windows."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from models.swinv2_tiny import WindowAttention, build
from tests.golden.name_seeded import image_batch

GOLDEN = Path(__file__).parents[1] / "golden"
TIMM = "swinv2_cr_tiny_224"


def random_attention(size: int, window: int, shift: int, dtype: str = "float32") -> WindowAttention:
    """Attention of 2 heads on [N, size, size, 8], the same random weights at every call."""
    attention = WindowAttention(2, window, shift, dtype=dtype)
    attention.build((None, size, size, 8))
    rng = np.random.default_rng(0)
    attention.set_weights([rng.normal(0, 0.5, w.shape) for w in attention.weights])
    return attention


@pytest.mark.parametrize("size", [-32, 0, 16, 100, 250])
def test_a_size_that_windows_do_not_fill_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=rf"multiples of 32\), and not {size}"):
        build(size)


def test_cells_attend_within_their_shifted_window_and_never_around_the_edge() -> None:
    attention = random_attention(6, window=3, shift=1)
    x = np.random.default_rng(1).normal(size=(1, 6, 6, 8)).astype("float32")
    changed = np.repeat(x, 36, axis=0)
    changed[np.arange(36), np.arange(36) // 6, np.arange(36) % 6] += 1  # picture i differs from x in cell i
    moved = np.abs(np.asarray(attention(changed)) - np.asarray(attention(x)))
    reached = moved.max(-1).reshape(36, 36) > 1e-5
    piece = np.array([0, 1, 1, 1, 2, 2])  # rows, and columns, that share a window
    piece = (3 * piece[:, None] + piece[None, :]).reshape(36)
    assert np.array_equal(reached, piece[:, None] == piece[None, :])


def test_a_map_of_one_window_is_not_shifted() -> None:
    shifts = {layer.name: layer.shift for layer in build(64).layers if isinstance(layer, WindowAttention)}
    assert {name for name, shift in shifts.items() if shift} == {
        f"stages.{i}.blocks.{j}.attn" for i, j in ((0, 1), (1, 1), (2, 1), (2, 3), (2, 5))
    }


def test_the_offset_of_two_cells_decides_their_bias() -> None:
    bias = keras.ops.convert_to_numpy(random_attention(3, window=3, shift=0)._bias(training=False))[0]
    cells = [(row, column) for row in range(3) for column in range(3)]
    by_offset: dict[tuple[int, int], set[float]] = {}
    for i, (r, c) in enumerate(cells):
        for j, (s, d) in enumerate(cells):
            by_offset.setdefault((r - s, c - d), set()).add(float(bias[0, i, j]))
    assert len(by_offset) == 25
    assert all(len(values) == 1 for values in by_offset.values())
    assert len(set.union(*by_offset.values())) == 25


def test_dropout_works_in_training_alone() -> None:
    attention = random_attention(4, window=2, shift=1)
    x = np.random.default_rng(1).normal(size=(1, 4, 4, 8)).astype("float32")
    still = np.asarray(attention(x))
    assert np.array_equal(still, attention(x, training=False))
    assert not np.allclose(still, attention(x, training=True))
    attention.rate = 0.0
    assert np.allclose(still, attention(x, training=True))


def test_half_precision_answers_as_single_does_with_the_largest_scale() -> None:
    x = np.random.default_rng(1).normal(0, 30, (2, 6, 6, 8)).astype("float32")
    single, half = (random_attention(6, 3, 1, dtype) for dtype in ("float32", "mixed_float16"))
    for attention in (single, half):
        attention.logit_scale.assign([9.0, 9.0])  # cut at ln 100
    difference = np.asarray(single(x)) - np.asarray(half(x), "float32")
    assert np.linalg.norm(difference) < 0.02 * np.linalg.norm(single(x))


@pytest.mark.slow
def test_a_saved_backbone_answers_the_same(tmp_path: Path) -> None:
    backbone = build(64)
    rng = np.random.default_rng(0)
    backbone.set_weights([rng.normal(0, 0.1, w.shape) for w in backbone.weights])
    backbone.save(tmp_path / "backbone.keras")
    again = keras.saving.load_model(tmp_path / "backbone.keras")
    pictures = image_batch(size=64).astype("float32")
    assert [w.path for w in again.weights] == [w.path for w in backbone.weights]
    assert np.array_equal(again.predict(pictures, verbose=0), backbone.predict(pictures, verbose=0))
