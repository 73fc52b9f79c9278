"""Several processes that train one model: torch.distributed, met under a launcher.

Few numbers and words travel by gloo, whatever the gradients travel by, and through the store where the processes
met. Who waits at the store may wait for hours (while process 0 prepares text, say), as long as the awaited process
gives signs of life; who waits for numbers gives up after the timeout.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from afterbert.base.errors import UserError
from afterbert.training.distribution.answering import AnsweringStore, SignsOfLife
from afterbert.training.distribution.launch import Launch
from afterbert.training.distribution.processes import Processes, ProcessLost

T = TypeVar("T")

TIMEOUT = "AFTERBERT_PROCESS_TIMEOUT"
_TIMEOUT_SECONDS = 600.0  # one step, however unequal the processes' speed
_TRIALS = 3  # to connect, where the first connection breaks
_ROLL_CALL_SECONDS = 3.0  # in which those who live will have met the same error
_OFTEN, _SELDOM = 0.002, 0.1  # seconds between two looks at the store


def timeout_from(environment: os._Environ | dict[str, str] = os.environ) -> float:
    """Seconds to wait for numbers of another process. Raises UserError."""
    written = environment.get(TIMEOUT, str(_TIMEOUT_SECONDS))
    try:
        seconds = float(written)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UserError(f"{TIMEOUT} is {written!r}; write a number of seconds above 0")
    return seconds


class Distributed(Processes):
    """Made by `joined`. timeout: seconds without a sign of life after which another process counts as lost."""

    def __init__(self, store: dist.Store, *, rank: int, size: int, timeout: float):
        self.rank, self.size, self._timeout = rank, size, timeout
        self._store = AnsweringStore(dist.PrefixStore("afterbert", store), timeout=timeout)
        self._calls = 0
        apart = store.clone()  # type: ignore[attr-defined]  # it is absent from the stub only
        self._life = SignsOfLife(dist.PrefixStore("afterbert", apart), rank=rank, timeout=timeout)

    def total(self, numbers: Sequence[float]) -> list[float]:
        return self._reduced(numbers, dist.ReduceOp.SUM)

    def most(self, number: float) -> float:
        return self._reduced([number], dist.ReduceOp.MAX)[0]

    def gathered(self, value: Any) -> list[Any]:
        name = self._next()
        with self._reachable():
            self._store.set(f"{name}/{self.rank}", json.dumps(value))
        return [json.loads(self._read(f"{name}/{rank}", rank)) for rank in range(self.size)]

    def on_rank_zero(self, action: Callable[[], T]) -> T:
        name = self._next()
        if not self.leads:
            said = json.loads(self._read(name, 0))
            if "lines" in said:
                raise _error_named(said["kind"])(*said["lines"])
            return said["value"]
        try:
            value = action()
        except UserError as error:
            with self._reachable():
                self._store.set(name, json.dumps({"kind": type(error).__name__, "lines": error.lines}))
            raise
        with self._reachable():
            self._store.set(name, json.dumps({"value": value}))
        return value

    def lost(self, error: BaseException) -> ProcessLost | None:
        if isinstance(error, ProcessLost):
            return error
        if not isinstance(error, dist.DistError) and "gloo" not in str(error).lower():
            return None
        try:
            silent = self._roll_call()
            reasons = [self._reason(rank) for rank in silent]
        except RuntimeError:  # process 0, or its launcher, held the store
            silent, reasons = [0], [""]
        if not silent:
            return ProcessLost(f"the processes lost each other ({error})")
        named = ", ".join(
            f"process {rank} of {self.size} " + (f"ended ({why})" if why else "no longer answers")
            for rank, why in zip(silent, reasons)
        )
        return ProcessLost(f"{named}; look there for the cause (often the system kills for want of memory)")

    def speaks(self, lines: Sequence[str]) -> bool:
        """Returns whether this process tells the user about an error: it does unless a lower one has the same words."""
        said = json.dumps(list(lines))
        try:
            self._store.set(f"said/{self.rank}", said)
            until = time.monotonic() + _ROLL_CALL_SECONDS
            while self.rank and time.monotonic() < until:
                for rank in range(self.rank):
                    name = f"said/{rank}"
                    if self._store.check([name]) and self._store.get(name) == said:
                        return False
                time.sleep(_SELDOM)
        except RuntimeError:
            pass  # the store went with process 0
        return True

    def leave(self, why: str) -> None:
        """Tells the others, who may be waiting, that this process ends early."""
        with suppress(RuntimeError):  # nobody may be left to tell
            self._store.set(f"gone/{self.rank}", why or "ended")

    def part(self) -> None:
        """Ends the work of this process; it is the last call. Process 0, which may hold the store, waits a little until
        the others have gone."""
        self._life.end()
        with suppress(RuntimeError):
            self._store.set(f"left/{self.rank}", "")
            others = [f"left/{rank}" for rank in range(1, self.size)]
            until = time.monotonic() + _ROLL_CALL_SECONDS
            while self.leads and not self._store.check(others) and time.monotonic() < until:
                time.sleep(_OFTEN)

    def _next(self) -> str:
        self._calls += 1
        return f"call/{self._calls}"

    def _reduced(self, numbers: Sequence[float], how: dist.ReduceOp.RedOpType) -> list[float]:
        tensor = torch.tensor(list(numbers), dtype=torch.float64)
        if len(tensor):
            dist.all_reduce(tensor, how)
        return tensor.tolist()

    def _read(self, name: str, rank: int) -> str:
        """What process `rank` set, however long that takes; looks now and then, so that signals are seen."""
        pause = _OFTEN
        silence = self._life.watch(self._store, rank)
        with self._reachable():
            while not self._store.check([name]):
                if self._store.check([f"gone/{rank}"]):
                    raise ProcessLost(f"process {rank} of {self.size} ended ({self._reason(rank)})")
                if silence():
                    raise ProcessLost(
                        f"process {rank} of {self.size} has given no sign of life for {self._timeout:g} s; look "
                        "whether it was stopped there"
                    )
                time.sleep(pause)
                pause = min(2 * pause, _SELDOM)
            return self._store.get(name)

    def _roll_call(self) -> list[int]:
        """The processes that do not answer, or said that they end."""
        self._store.set(f"here/{self.rank}", "")
        missing = [rank for rank in range(self.size) if rank != self.rank]
        until = time.monotonic() + _ROLL_CALL_SECONDS
        while missing and time.monotonic() < until:
            missing = [rank for rank in missing if not self._store.check([f"here/{rank}"])]
            time.sleep(_SELDOM)
        return missing

    def _reason(self, rank: int) -> str:
        name = f"gone/{rank}"
        return self._store.get(name) if self._store.check([name]) else ""

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except dist.DistError as error:
            raise ProcessLost(
                f"process 0 of {self.size}, or its launcher, no longer answers ({str(error).splitlines()[0]})"
            ) from error


@contextmanager
def joined(launch: Launch, *, device: torch.device, timeout: float) -> Iterator[Distributed]:
    """Keeps all processes of the launch together inside the block; `timeout` is in seconds.

    Raises UserError if they do not meet. A UserError that leaves is told by one process: in the others it has no lines.
    """
    place = f"{launch.address}:{launch.port}"
    try:
        store, _, _ = next(
            dist.rendezvous(f"tcp://{place}", launch.rank, launch.size, timeout=timedelta(seconds=timeout))
        )
        store = dist.PrefixStore(f"attempt-{launch.attempt}", store)  # the launcher's outlives its processes
        _connect(store, launch, device=device, timeout=timeout)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"process {launch.rank} of {launch.size} did not meet the others at {place} within {timeout:g} s "
            f"({str(error).splitlines()[0]}); start all of them, and let that address be reached"
        ) from error
    processes = Distributed(store, rank=launch.rank, size=launch.size, timeout=timeout)
    try:
        yield processes
    except UserError as error:
        processes.leave(error.lines[0] if error.lines else "")
        speaks = processes.speaks(error.lines)
        processes.part()
        if not speaks:
            raise UserError() from error
        first = "" if launch.rank == 0 else f"process {launch.rank} of {launch.size}: "
        raise UserError(*(first + line for line in error.lines)) from error
    except BaseException as error:
        processes.leave(f"{type(error).__name__}: {error}")
        raise
    processes.part()
    dist.destroy_process_group()


def _connect(store: dist.Store, launch: Launch, *, device: torch.device, timeout: float) -> None:
    """Makes the process group, and shows by a first sum that it carries. Where one process could not connect, all
    begin again together: a connection that fails once does not end a run of many machines. Raises RuntimeError."""
    backend, waits = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timedelta(seconds=timeout)
    for trial in range(_TRIALS):
        place = dist.PrefixStore(f"trial-{trial}", store)
        met = partial(dist.init_process_group, backend, store=place, rank=launch.rank, world_size=launch.size)
        said = _all_did("met", partial(met, timeout=waits), place, launch)
        said = said or _all_did("added", lambda: dist.all_reduce(torch.zeros(1)), place, launch)
        if not said:
            return
        if dist.is_initialized():
            dist.destroy_process_group()
    raise RuntimeError(said)


def _all_did(name: str, action: Callable[[], object], store: dist.Store, launch: Launch) -> str:
    """Acts, and returns what the first process said that could not; nothing where all could."""
    said = ""
    try:
        action()
    except RuntimeError as error:
        said = str(error) or type(error).__name__
    store.set(f"{name}/{launch.rank}", said)
    return next(filter(None, [store.get(f"{name}/{rank}").decode() for rank in range(launch.size)]), "")


def _error_named(name: str) -> type[UserError]:
    """The class of an error that another process raised."""
    found: list[type[UserError]] = [UserError]
    for kind in found:
        found += kind.__subclasses__()
    return next((kind for kind in found if kind.__name__ == name), UserError)
