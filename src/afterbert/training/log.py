"""What a run tells the world: metrics, status and observers, always the same to each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from afterbert.base.runs import RunFolder, State
from afterbert.training.observers import Observer


class RunLog:
    """Writes `metrics.jsonl` and `status.json` and calls the observers. Without a run, as in all processes but
    one, it says nothing."""

    def __init__(self, run: RunFolder | None, observers: Sequence[Observer]):
        self._run, self._observers = run, observers if run is not None else ()

    def status(self, state: State, *, step: int, total_steps: int | None) -> None:
        """Writes where the run stands. Raises OSError if the run folder is gone."""
        if self._run is not None:
            self._run.report(state=state, step=step, total_steps=total_steps)

    def started(self, *, step: int, total_steps: int) -> None:
        for observer in self._observers:
            observer.on_start(step=step, total_steps=total_steps)

    def step(self, record: Mapping[str, Any]) -> None:
        self._append(record)
        for observer in self._observers:
            observer.on_step(record)

    def evaluation(self, record: Mapping[str, Any]) -> None:
        self._append(record)
        for observer in self._observers:
            observer.on_evaluation(record)

    def checkpoint(self, *, step: int, path: Path) -> None:
        for observer in self._observers:
            observer.on_checkpoint(step=step, path=path)

    def note(self, text: str, *, step: int, kind: str = "note", **facts: Any) -> None:
        """Notes something unusual; `kind` and `facts` let a report find it."""
        self._append({"kind": kind, "step": step, "text": text, **facts})
        for observer in self._observers:
            observer.on_note(text)

    def _append(self, record: Mapping[str, Any]) -> None:
        if self._run is not None:
            self._run.metrics.append(record)
