"""Data path, training and evaluation: `from pipeline import load_experiment, train, evaluate, export, Predictor`.

These names import TensorFlow when they are first used, not before. Three of them are also the names of the files that
hold them: here they always are the functions.
"""

import importlib
import os
import sys
import types

# oneDNN's kernels, which TensorFlow takes by itself on some processors only. On two cores without AVX-512 a training
# step of ResNet50 (32 pictures, 64²) took 0.93 s with them and 2.34 s without, MobileNetV2's (96²) 0.31 and 0.38 s. It
# must be said before TensorFlow is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

_PUBLIC = {
    "load_experiment": "loading",
    "train": "train",
    "evaluate": "evaluate",
    "export": "export",
    "Predictor": "predict",
}
__all__ = list(_PUBLIC)


def _lazy(name: str, module: str) -> property:
    """Importing the file `train` makes Python set the attribute `train` to that module: a property outlives that."""
    return property(lambda _: getattr(importlib.import_module(f"pipeline.{module}"), name), lambda _, value: None)


class _Package(types.ModuleType):
    locals().update({name: _lazy(name, module) for name, module in _PUBLIC.items()})


sys.modules[__name__].__class__ = _Package
