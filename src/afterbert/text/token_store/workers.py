"""Work in several processes whose results come back in order, and a clean end when one of them, or the
parent, is stopped."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, TypeVar, cast

from afterbert.base.errors import UserError
from afterbert.base.runs import explain_exit

Task = TypeVar("Task")
Result = TypeVar("Result")

# How many results may wait for an earlier one, for each process: bounds the memory.
_AHEAD = 4


class WorkerLost(UserError):
    """A worker process ended before its work; what was finished is kept."""


def in_order(work: Callable[[Task], Result], tasks: Iterable[Task], *, processes: int) -> Iterator[Result]:
    """Yields `work(task)` for every task, in the order of the tasks; in this process when `processes` is 1.

    work and tasks are pickled; tasks are taken from their iterable as late as possible. An exception in a
    worker is raised here. Raises WorkerLost when a worker was killed.
    """
    if processes <= 1:
        yield from map(work, tasks)
        return
    workers = [_Worker(work) for _ in range(processes)]
    try:
        yield from _results(workers, enumerate(tasks))
    finally:
        for worker in workers:
            worker.end()


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Makes SIGTERM raise SystemExit(143) inside the block, so that everything is put away; a second one ends the
    process at once.

    Only the main thread may set signal handlers; in others this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _results(workers: list[_Worker], tasks: Iterator[tuple[int, Any]]) -> Iterator[Any]:
    done: dict[int, Any] = {}
    next_number = sent = 0
    idle, busy, all_sent = list(workers), {}, False
    while True:
        while idle and not all_sent and sent < next_number + _AHEAD * len(workers):
            number, task = next(tasks, (sent, None))
            all_sent = task is None
            if not all_sent:
                worker = idle.pop()
                worker.send(number, task)
                busy[worker.connection] = worker
                sent += 1
        if not busy:
            return
        for connection in wait(list(busy)):
            worker = busy.pop(cast("Connection[Any, Any]", connection))
            done[worker.number] = worker.receive()
            idle.append(worker)
        while next_number in done:
            yield done.pop(next_number)
            next_number += 1


class _Worker:
    """One process and the pipe to it. It ends when the pipe does, so also when this process is killed."""

    def __init__(self, work: Callable[[Any], Any]):
        spawning = multiprocessing.get_context("spawn")
        self.connection, theirs = spawning.Pipe()
        self.number = -1
        self._process = spawning.Process(target=_serve, args=(theirs, work), daemon=True)
        self._process.start()
        theirs.close()

    def send(self, number: int, task: Any) -> None:
        self.number = number
        try:
            self.connection.send(task)
        except BrokenPipeError:
            self._explain()

    def receive(self) -> Any:
        try:
            found, error, trace = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._explain()
        if error is not None:
            raise error from (None if isinstance(error, UserError) else RuntimeError(trace))
        return found

    def end(self) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.join()

    def _explain(self) -> None:
        self._process.join(timeout=5)
        code = self._process.exitcode
        said = explain_exit(code).removesuffix("; try a smaller batch or model") if code is not None else "ended"
        raise WorkerLost(f"a worker process was {said}; start again, it goes on from here, or use 1 process") from None


def _serve(connection: Connection, work: Callable[[Any], Any]) -> None:
    os.environ["TOKENIZERS_PARALLELISM"], os.environ["RAYON_NUM_THREADS"] = "false", "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    try:
        while True:
            task = connection.recv()
            answer: tuple[Any, Exception | None, str]
            try:
                answer = (work(task), None, "")
            except Exception as error:  # whatever it is belongs to the parent
                answer = (None, error, traceback.format_exc())
            connection.send(answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
