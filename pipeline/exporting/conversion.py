"""A run's network with its decoding, and how it becomes a file of another runtime: LiteRT and ONNX."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline import targets
from pipeline.config import Experiment
from pipeline.data.crop import middle
from pipeline.exporting import flatbuffer
from pipeline.exporting.rounding import round_weights
from pipeline.training.network import leaves, load_network
from pipeline.training.runs import Run
from pipeline.utils.errors import WorkError

FILES = {"litert": "model.tflite", "onnx": "model.onnx"}
# ONNX Runtime's static int8 is not offered: of MobileNetV2 (drawn faces, age by expectation, 300 calibration pictures,
# weights not rounded beforehand) it moved ages by 3.9 to 4.7 years on average, whichever its calibration; LiteRT's did
# by 0.5.
QUANTIZED = {"litert": ("float16", "int8"), "onnx": ("float16",)}
CALIBRATION = 300  # training pictures
_SMALL = 1024  # numbers; what is smaller stays float32 in a float16 ONNX file


class Answering(keras.Model):
    """Crops uint8 [N, S, S, 3], of the whole square about a face → {target: years [N] or probabilities [N, C]}.

    What every export carries: the cut to the middle that the run was trained on (`Data.centre`), the network with its
    normalisation, and the decoding.
    """

    def __init__(self, network: keras.Model, experiment: Experiment) -> None:
        super().__init__()
        self.network = network
        self._centre = experiment.stages[-1].data.centre
        self._kinds = [targets.of(target) for target in experiment.targets]
        self(np.zeros((1, *network.inputs[0].shape[1:]), np.uint8))  # Keras exports no model that was never called

    def call(self, crops: tf.Tensor) -> dict[str, Any]:
        outputs = self.network({"image": tf.cast(middle(crops, self._centre), tf.float32)}, training=False)
        return {kind.name: kind.decode(outputs[kind.name]) for kind in self._kinds}


def load(run: Run) -> Answering:
    """The run's model in float32, whatever precision it was trained in. Raises RequestError as `load_network`."""
    network = load_network(run)
    for layer in network._flatten_layers():
        layer.dtype_policy = "float32"
    for layer in leaves(network):
        if isinstance(layer, keras.layers.Normalization):  # its constants are tensors, which tf2onnx takes for inputs
            layer.mean, layer.variance = np.array(layer.mean), np.array(layer.variance)
    return Answering(network, run.experiment)


def convert(run: Run, path: Path, format: str, quantize: str | None, samples: np.ndarray | None = None) -> None:
    """Write a run's model as one file. samples: training crops uint8 [M, S, S, 3], which int8 goes by.

    Raises WorkError with the converter's reason for a network that the format cannot hold.
    """
    model, size = load(run), run.experiment.model.image_size
    if quantize == "int8":
        round_weights(model.network, middle(tf.constant(samples), run.experiment.stages[-1].data.centre).numpy())
    signature = [keras.InputSpec(shape=(None, size, size, 3), dtype="uint8", name="images")]
    options = _litert_options(quantize, samples) if format == "litert" else {}
    if format == "onnx":
        _teach_onnx()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy's and the converters' old names
            model.export(path, format=format, verbose=False, input_signature=signature, **options)
        if (format, quantize) in _AFTERWARDS:
            _AFTERWARDS[format, quantize](path)
    except Exception as error:  # converters raise whatever they run into
        raise WorkError(f"{run.experiment.model.name} cannot be written as {format}: {_first_line(error)}") from error


def _litert_options(quantize: str | None, samples: np.ndarray | None) -> dict[str, Any]:
    """What Keras hands on to TFLiteConverter. Only LiteRT's own operations: a bare runtime has no others."""
    own = tf.lite.OpsSet.TFLITE_BUILTINS
    if quantize is None:
        return {"target_spec": {"supported_ops": [own]}}
    smaller = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if quantize == "float16":
        return smaller | {"target_spec": {"supported_ops": [own], "supported_types": [tf.float16]}}

    def calibration() -> Iterator[dict[str, np.ndarray]]:
        for crop in samples:
            yield {"images": crop[None]}

    # What has no int8 form (some steps of the decoding) stays float. `_AFTERWARDS` is for what follows.
    whole = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, own]}
    return smaller | {"representative_dataset": calibration, "target_spec": whole, "_experimental_calibrate_only": True}


def _teach_onnx() -> None:
    """Tell tf2onnx of TensorFlow's Erfc, which GELU is made of: 1 − erf(x)."""
    import onnx
    from tf2onnx.handler import tf_op
    from tf2onnx.utils import make_name

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what it logs, it also raises

    @tf_op("Erfc")
    class _Erfc:
        @classmethod
        def version_9(cls, context: Any, node: Any, **_: Any) -> None:
            kind = onnx.helper.tensor_dtype_to_np_dtype(context.get_dtype(node.input[0]))
            one = context.make_const(make_name("one"), np.ones((), kind))
            erf = context.make_node("Erf", list(node.input))
            shape, dtype = context.get_shape(node.output[0]), context.get_dtype(node.output[0])
            context.remove_node(node.name)
            context.make_node(
                "Sub", [one.output[0], erf.output[0]], outputs=node.output, shapes=[shape], dtypes=[dtype]
            )


def _halved(path: Path) -> None:
    """Keep an ONNX file's weights in float16; sums stay float32, as in LiteRT's float16."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    casts = []
    for weight in list(graph.initializer):
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _SMALL:
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}/float16"))
        casts.append(onnx.helper.make_node("Cast", [weight.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, path)


_AFTERWARDS = {("litert", "int8"): flatbuffer.to_int8, ("onnx", "float16"): _halved}


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{lines[0] if lines else type(error).__name__:.300}"
