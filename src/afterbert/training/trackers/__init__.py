"""Where a run's figures are also written while it goes, for the tools people watch runs with. One tool a file."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from afterbert.training.observers import Observer

_NO_FIGURES = {"kind", "step", "seconds", "epoch"}


class Tracker(ABC):
    """A tool as a frozen config. `metrics.jsonl` and the report have all that it is told."""

    @abstractmethod
    def check(self) -> None:
        """Raises UserError if its library is not installed; called before anything is made."""

    @abstractmethod
    def observer(self, folder: Path) -> Observer:
        """Returns an observer that reports the run in this folder to the tool."""


class FigureObserver(Observer, ABC):
    """Writes the figures of every record as curves."""

    def on_step(self, record: Mapping[str, Any]) -> None:
        self.write("training", record)

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        self.write("held out", record)

    @abstractmethod
    def write(self, where: str, record: Mapping[str, Any]) -> None:
        """Writes one record under this heading."""


def figures_of(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yields all figures of a record of the log, those inside others too, by name.

    >>> dict(figures_of({"step": 3, "loss": 2.5, "parts": {"masked": 2.0}, "figures": {"accuracy": None}}))
    {'loss': 2.5, 'masked': 2.0}
    """
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from figures_of(value)
        elif isinstance(value, int | float) and name not in _NO_FIGURES:
            yield name, value
