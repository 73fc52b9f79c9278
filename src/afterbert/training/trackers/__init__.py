"""Where a run's figures are also written while it goes, for the tools people watch runs with. One tool a file."""

from abc import ABC, abstractmethod
from pathlib import Path

from afterbert.training.observers import Observer


class Tracker(ABC):
    """A tool as a frozen config. `metrics.jsonl` and the report have all that it is told."""

    @abstractmethod
    def check(self) -> None:
        """Raises UserError if its library is not installed; called before anything is made."""

    @abstractmethod
    def observer(self, folder: Path) -> Observer:
        """Returns an observer that reports the run in this folder to the tool."""
