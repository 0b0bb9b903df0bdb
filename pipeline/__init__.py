"""Data path, training and evaluation: `from pipeline import load_experiment, train, evaluate, export, Predictor`.

These names import TensorFlow when they are first used, not before.
"""

import importlib
import os
from typing import Any

# oneDNN's kernels, which TensorFlow takes by itself on some processors only. On two cores without AVX-512 a training
# step of ResNet50 (32 pictures, 64²) took 0.93 s with them and 2.34 s without, MobileNetV2's (96²) 0.31 and 0.38 s. It
# must be said before TensorFlow is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

_PUBLIC = {
    "load_experiment": "training.loading",
    "train": "training.train",
    "evaluate": "evaluation.evaluate",
    "export": "exporting.export",
    "Predictor": "inference.predict",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"pipeline.{_PUBLIC[name]}"), name)
