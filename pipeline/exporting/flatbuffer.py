"""LiteRT files as they lie on disk: which operations become int8, and equal vectors written once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize

from pipeline.exporting import rounding


def to_int8(path: Path) -> None:
    """Bring a LiteRT file that knows the ranges of its numbers to int8: all but the operations at its
    `rounding.ends`."""
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
    graph = model.subgraphs[0]
    makers = {tensor: i for i, step in enumerate(graph.operators) for tensor in step.outputs}
    before = [[makers[tensor] for tensor in step.inputs if tensor in makers] for step in graph.operators]

    def held(step: Any) -> dict[int, int]:
        buffers = {graph.tensors[tensor].buffer for tensor in step.inputs if tensor >= 0}
        contents = {buffer: model.buffers[buffer].data for buffer in buffers}
        return {buffer: len(content) for buffer, content in contents.items() if content is not None}

    return rounding.ends(before, [held(step) for step in graph.operators])


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
