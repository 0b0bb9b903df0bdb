"""Ctrl-C where it is safe: between batches.

Python raises KeyboardInterrupt wherever it happens to be. In a callback of TensorFlow's or JAX's C++ code it is lost,
so that training goes on, or breaks that code (`SystemError: bad argument to internal function`); both were seen.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Ctrl-C waits until the function that is answered is called, or the block is left: these raise KeyboardInterrupt.
    A second Ctrl-C raises it at once.

    Where Ctrl-C is ignored (a shell's `&`), or is not Python's own to handle, or not this thread's, nothing is changed.
    """
    usual, pressed = signal.getsignal(signal.SIGINT), threading.Event()

    def note(*_: object) -> None:
        signal.signal(signal.SIGINT, usual)
        pressed.set()

    def heed() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    if usual is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield heed
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield heed
    finally:
        signal.signal(signal.SIGINT, usual)
    heed()
