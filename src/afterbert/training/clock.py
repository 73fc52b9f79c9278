"""What the time of a run goes to. Logs, limits and a budget in time read it; nothing that touches the weights does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Lap:
    """The length of time that something took; known when it is over."""

    seconds: float = 0.0


class Clock:
    """The clock of one process, which may go on with what former ones began.

    last_save: how long it took.
    """

    def __init__(self) -> None:
        self._begun = self._saved = self._logged = time.monotonic()
        self._before, self._tokens = 0.0, 0
        self.last_save = Lap()

    @property
    def here(self) -> float:
        """Seconds since this process began."""
        return time.monotonic() - self._begun

    @property
    def total(self) -> float:
        """Seconds of all processes that ran one after another."""
        return self._before + self.here

    @property
    def since_save(self) -> float:
        """Seconds since the last checkpoint, or since the beginning."""
        return time.monotonic() - self._saved

    def resumed(self, *, seconds: float) -> None:
        """Adds the time that earlier processes took."""
        self._before = seconds

    def trains(self, *, tokens: int) -> None:
        """Notes that training begins, or goes on where it was; this many tokens had been read then."""
        self._logged, self._tokens = time.monotonic(), tokens

    @contextmanager
    def apart(self) -> Iterator[Lap]:
        """Leaves the time inside the block out of the training speed."""
        lap, begun = Lap(), time.monotonic()
        try:
            yield lap
        finally:
            lap.seconds = time.monotonic() - begun
            self._logged += lap.seconds

    @contextmanager
    def saves(self) -> Iterator[None]:
        """Counts the time inside the block as making a checkpoint."""
        with self.apart() as lap:
            yield
        self._saved, self.last_save = time.monotonic(), lap

    def speed(self, *, tokens: int) -> float:
        """Tokens a second of training since the last call, where so many have been read in all."""
        now = time.monotonic()
        found = (tokens - self._tokens) / max(now - self._logged, 1e-9)
        self._logged, self._tokens = now, tokens
        return found
