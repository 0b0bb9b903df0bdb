"""TensorFlow's import, which takes seconds and would fill the screen."""

from __future__ import annotations

import importlib.util
import os
import tempfile

from pipeline.utils import interrupts
from pipeline.utils.errors import RequestError


def import_tensorflow() -> None:
    """Import TensorFlow without its start-up notes, which its C++ writes before it can be told not to. It takes of a
    GPU's memory what it needs, so that others (two trials of a search) find room; none where Keras runs on JAX.

    Raises RequestError where Keras is to run on a JAX that is not there.
    """
    if os.environ.get("KERAS_BACKEND") == "jax" and importlib.util.find_spec("jax") is None:
        raise RequestError(
            "KERAS_BACKEND=jax: JAX is not installed; `.venv/bin/pip install jax` (on a GPU: jax[cuda12])"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    screen = os.dup(2)
    with interrupts.deferred(), tempfile.TemporaryFile() as notes:  # Ctrl-C amid C++ code is lost, or breaks it
        os.dup2(notes.fileno(), 2)
        try:
            import tensorflow

            tensorflow.config.list_physical_devices()
            if os.environ.get("KERAS_BACKEND") == "jax":
                tensorflow.config.set_visible_devices([], "GPU")
        finally:
            os.dup2(screen, 2)
            os.close(screen)
