"""Where the runs of a study are carried out: one engine a file. A run is a command that may be given any number of
times: it goes on where it was stopped, and does nothing where its folder is finished."""

import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from afterbert.base.errors import UserError
from afterbert.workflows.observer import WorkObserver

Commands = Sequence[Sequence[str]]
Look = Callable[[], None]

LOOK_EVERY = 2.0  # seconds


@dataclass(frozen=True)
class Engine(ABC):
    """jobs: at most so many runs at once; None leaves it to the engine."""

    jobs: Annotated[int, Field(gt=0)] | None = None

    @abstractmethod
    def __call__(self, commands: Commands, *, folder: Path, observer: WorkObserver, look: Look) -> bool:
        """Carries out commands, each the words after `afterbert`, in any order. folder: the study's, for whatever the
        engine writes; look: called every few seconds meanwhile. Gives whether all are done: False where they wait in
        a queue now. Raises UserError if one fails."""


def carried_out(words: Sequence[str], threads: int | None = None, folder: Path | None = None) -> str:
    """Runs one command with this many threads, in a folder where one is given, and returns its last line. Raises
    UserError with that line when it fails."""
    more = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "afterbert", *words]
    told: Any = {"cwd": folder, "env": os.environ | more, "text": True}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **told)
    return last_line(words, done.returncode, done.stdout)


def last_line(words: Sequence[str], status: int, output: str) -> str:
    """Returns the last line of what a command said. Raises UserError with that line when it failed, KeyboardInterrupt
    when a signal stopped it: then all of the study stops, and the same call goes on."""
    if status in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        raise KeyboardInterrupt
    said = [line for line in output.splitlines() if line.strip()] or [
        "it said nothing" if status else "nothing was left to do"
    ]
    if status:
        raise UserError(f"afterbert {' '.join(words)} ended with {status}: {said[-1]}")
    return said[-1]
