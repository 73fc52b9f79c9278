"""SIGTERM and Ctrl-C: the first asks the loop to stop at the next step, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SAME_WISH = 0.5  # seconds in which a launcher passes on, as its own kind of signal, what the terminal has sent


class Interrupted(BaseException):
    """Breaks off work that may be broken off. Not an Exception: nobody catches it by accident."""


class Interrupts:
    """While entered, handles both signals. `signum` is the first one received, or None.

    Outside the main thread, where Python allows no handlers, it stays None.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._since = 0.0
        self._may_break = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def breaking(self) -> Iterator[None]:
        """Makes a signal (also one already received) raise Interrupted where it strikes, inside the block. For work
        without lasting effects."""
        self._may_break = True
        try:
            if self.signum is not None:
                raise Interrupted
            yield
        finally:
            self._may_break = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.signum is not None:
            if number != self.signum and now - self._since < _SAME_WISH:
                return
            os._exit(128 + number)
        self.signum, self._since = number, now
        if self._may_break:
            raise Interrupted
