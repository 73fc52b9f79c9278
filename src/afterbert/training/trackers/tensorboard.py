"""Event files for TensorBoard, which shows the curves of all runs below the folder that it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert.base.extras import from_extra
from afterbert.training.observers import Observer
from afterbert.training.trackers import Tracker

_NO_FIGURES = {"kind", "step", "seconds", "epoch"}


@dataclass(frozen=True)
class TensorBoard(Tracker):
    """Writes to `tensorboard/` in the run's folder (extra `track`). Steps that a resumed run makes again replace those
    that were written before it was stopped."""

    def check(self) -> None:
        from_extra("tensorboard", "track", needed_by="training.track: tensorboard")

    def observer(self, folder: Path) -> Observer:
        return _Events(folder / "tensorboard")


class _Events(Observer):
    def __init__(self, folder: Path):
        self._folder = folder
        self._writer: Any = None

    def on_step(self, record: Mapping[str, Any]) -> None:
        self._write("training", record)

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        self._write("held out", record)

    def _write(self, where: str, record: Mapping[str, Any]) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # asks for tensorboard when it is imported

            self._writer = SummaryWriter(str(self._folder), purge_step=record["step"])
        for name, value in _numbers(record):
            self._writer.add_scalar(f"{where}/{name}", value, record["step"])
        self._writer.flush()  # or a killed run would lack what its log has


def _numbers(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """All figures of a record, those inside others too, by name.

    >>> dict(_numbers({"step": 3, "loss": 2.5, "parts": {"masked": 2.0}, "figures": {"accuracy": None}}))
    {'loss': 2.5, 'masked': 2.0}
    """
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _numbers(value)
        elif isinstance(value, int | float) and name not in _NO_FIGURES:
            yield name, value
