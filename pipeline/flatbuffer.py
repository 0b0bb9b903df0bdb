"""LiteRT files as they lie on disk: which operations become int8, and equal vectors written once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize

from pipeline import rounding


def to_int8(path: Path) -> None:
    """Bring a LiteRT file that knows the ranges of its numbers to int8: all but its ends, the operations that with all
    before them, or all after them, hold at most `rounding.ENDS` of the weights."""
    model = _read(path.read_bytes())
    graph = model.subgraphs[0]
    ends = _ends(model)
    inner = {tensor for i, step in enumerate(graph.operators) if i not in ends for tensor in step.inputs}
    kept = [tensor for i in ends for tensor in graph.operators[i].outputs]
    for tensor in kept:
        if tensor not in inner:
            graph.tensors[tensor].quantization = None  # what has no range is not rounded between two ends either
    names = [graph.tensors[tensor].name.decode() for tensor in kept]
    path.write_bytes(_written(_read(mlir_quantize(_written(model), denylisted_nodes=names))))


def _read(content: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


def _ends(model: Any) -> list[int]:
    """The operations at the ends of each way from the picture to an answer: networks have several of both."""
    graph = model.subgraphs[0]

    def held(step: Any) -> set[int]:
        buffers = {graph.tensors[tensor].buffer for tensor in step.inputs if tensor >= 0}
        return {buffer for buffer in buffers if model.buffers[buffer].data is not None}

    def size(buffers: set[int]) -> int:
        return sum(len(model.buffers[buffer].data) for buffer in buffers)

    weights = [held(step) for step in graph.operators]
    makers = {tensor: i for i, step in enumerate(graph.operators) for tensor in step.outputs}
    before = [[makers[tensor] for tensor in step.inputs if tensor in makers] for step in graph.operators]
    after: list[list[int]] = [[] for _ in before]
    for i, sources in enumerate(before):
        for source in sources:
            after[source].append(i)

    order = range(len(weights))
    upstream, downstream = _gathered(order, before, weights), _gathered(reversed(order), after, weights)
    most = rounding.ENDS * size(set().union(*weights))
    return [i for i in order if min(size(upstream[i]), size(downstream[i])) <= most]


def _gathered(
    order: Iterable[int], neighbours: Sequence[Sequence[int]], held: Sequence[set[int]]
) -> dict[int, set[int]]:
    """What each holds together with all that lie before it in this order, by way of its neighbours."""
    found: dict[int, set[int]] = {}
    for i in order:
        found[i] = held[i].union(*(found[neighbour] for neighbour in neighbours[i]))
    return found


class _Builder(flatbuffers.Builder):
    """Writes equal vectors once. The zero points of an int8 file, a 0 of eight bytes for each channel of weights and
    biases, are a tenth of MobileNetV2's."""

    def __init__(self) -> None:
        super().__init__(2**20)
        self.places: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        key = x.dtype.str, x.tobytes()
        if key not in self.places:
            self.places[key] = super().CreateNumpyVector(x)
        return self.places[key]


def _written(model: Any) -> bytes:
    builder = _Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
