"""Several runs at once on this machine, by processes that each have their share of the cores."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from afterbert.base.errors import UserError
from afterbert.study.engines import LOOK_EVERY, Commands, Engine, Look, last_line
from afterbert.workflows.observer import WorkObserver


class Here(Engine):
    """One run for each core where `jobs` is None: models of a study are small, and threads serve them badly."""

    def __call__(self, commands: Commands, *, folder: Path, observer: WorkObserver, look: Look) -> bool:
        cores = os.cpu_count() or 1
        jobs = self.jobs or cores
        idle: SimpleQueue[_Worker] = SimpleQueue()

        def carried_out(words: Sequence[str]) -> str:
            worker = idle.get()
            try:
                return worker(words)
            finally:
                idle.put(worker)

        with ExitStack() as workers, ThreadPoolExecutor(min(jobs, len(commands))) as pool:
            for _ in range(min(jobs, len(commands))):
                idle.put(workers.enter_context(_Worker(max(1, cores // jobs))))
            waiting = {pool.submit(carried_out, words) for words in commands}
            number = count(1)
            try:
                while waiting:
                    done, waiting = wait(waiting, timeout=LOOK_EVERY, return_when=FIRST_COMPLETED)
                    look()
                    for one in done:
                        observer.on_line(f"{next(number)} of {len(commands)}: {one.result()}")
            finally:
                pool.shutdown(cancel_futures=True)
        return True


class _Worker:
    """A process that carries out commands one after another, see `cli.worker`; it ends with the `with` block."""

    def __init__(self, threads: int):
        command = [sys.executable, "-m", "afterbert.cli.worker"]
        told = os.environ | {"OMP_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            command, env=told, text=True, encoding="utf-8", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def __call__(self, words: Sequence[str]) -> str:
        """Its last line. Raises UserError where it failed, or the process is gone."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(list(words)) + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise UserError(
                f"the process of `afterbert {' '.join(words)}` is gone (it ended with {self._process.wait()}; -9 is a "
                "kill, as when memory runs out); give the command again, with fewer --jobs"
            )
        return last_line(words, *json.loads(answer))
