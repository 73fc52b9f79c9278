"""Who watches a run: progress bars, trackers, tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Enough(Exception):
    """Raised by `on_evaluation` to end a run early and in good order; its text says why. What was learned is saved,
    and a resumed run is over."""


class Observer:
    """Called by the trainer in its own thread; every method may be left as it is. Records are those of `metrics.jsonl`.

    An observer must not touch the module or the generators. What it raises ends the run (but see Enough).
    """

    def on_start(self, *, step: int, total_steps: int) -> None:
        """Is called when the length is known and training begins or goes on at `step`."""

    def on_step(self, record: Mapping[str, Any]) -> None:
        """Is called when a step was logged (every `log_every`)."""

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        """Is called when an evaluation was made."""

    def on_checkpoint(self, *, step: int, path: Path) -> None:
        """Is called when a checkpoint is whole on disk."""

    def on_note(self, text: str) -> None:
        """Is called with something the user may want to know: what "auto" chose, was repaired, was left out."""
