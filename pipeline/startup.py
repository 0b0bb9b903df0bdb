"""TensorFlow's import, which takes seconds and would fill the screen."""

from __future__ import annotations

import os
import tempfile


def import_tensorflow() -> None:
    """Import TensorFlow without its start-up notes, which its C++ writes before it can be told not to."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    screen = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            import tensorflow

            tensorflow.config.list_physical_devices()
        finally:
            os.dup2(screen, 2)
            os.close(screen)
