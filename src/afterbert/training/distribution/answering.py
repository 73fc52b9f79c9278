"""A store between processes that may fall silent: whoever asks it gets an answer or an error, and never waits for good.

PyTorch's TCPStore gives up on a connection that breaks, but waits without end for a process that holds its connections
and answers nothing (SIGSTOP, a machine that swaps).
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch.distributed as dist

_SIGNS = 16  # of life, in the time after which a process that gives none is lost


class AnsweringStore:
    """Asks `store` from a thread of its own. timeout: seconds to wait for one answer; after the first that did not
    come, every call fails at once. Raises dist.DistStoreError."""

    def __init__(self, store: dist.Store, *, timeout: float):
        self._store, self._timeout = store, timeout
        self._asked: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._silent = False
        threading.Thread(target=self._work, name="store", daemon=True).start()

    def set(self, name: str, value: str) -> None:
        """Puts `value` under this name."""
        self._ask(self._store.set, name, value)

    def get(self, name: str) -> str:
        """Gives what stands under this name; ask `check` first."""
        return self._ask(self._store.get, name).decode()

    def check(self, names: Sequence[str]) -> bool:
        """Tells whether something stands under all these names."""
        return self._ask(self._store.check, list(names))

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if not self._silent:
            self._asked.put((function, arguments))
            try:
                answer = self._answers.get(timeout=self._timeout)
            except queue.Empty:
                self._silent = True
            else:
                if isinstance(answer, BaseException):
                    raise answer
                return answer
        raise dist.DistStoreError(f"no answer within {self._timeout:g} s")

    def _work(self) -> None:
        while True:
            function, arguments = self._asked.get()
            try:
                self._answers.put(function(*arguments))
            except RuntimeError as error:
                self._answers.put(error)


class SignsOfLife:
    """Counts up in the store from a thread, so that others see that this process runs, however long it works.

    store: a connection of its own, so that no other call holds it up. timeout: seconds without a sign after which a
    process counts as lost.
    """

    def __init__(self, store: dist.Store, *, rank: int, timeout: float):
        self._store, self._rank, self._timeout = store, rank, timeout
        self._ended = threading.Event()
        threading.Thread(target=self._give, name="signs-of-life", daemon=True).start()

    def end(self) -> None:
        """Gives no more signs."""
        self._ended.set()

    def watch(self, store: AnsweringStore, rank: int) -> Callable[[], bool]:
        """Begins to watch a process; the function tells whether it has been silent for too long by now."""
        seen, since = "", time.monotonic()

        def is_silent() -> bool:
            nonlocal seen, since
            silent = time.monotonic() - since
            if silent > self._timeout / _SIGNS and store.check([f"alive/{rank}"]):
                now = store.get(f"alive/{rank}")
                if now != seen:
                    seen, since = now, time.monotonic()
                    return False
            return silent > self._timeout

        return is_silent

    def _give(self) -> None:
        count = 0
        with suppress(RuntimeError):  # the store went with process 0
            while not self._ended.wait(self._timeout / _SIGNS):
                count += 1
                self._store.set(f"alive/{self._rank}", str(count))
