"""Event files for TensorBoard, which shows the curves of all runs below the folder that it is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert.base.extras import from_extra
from afterbert.training.observers import Observer
from afterbert.training.trackers import FigureObserver, Tracker, figures_of


@dataclass(frozen=True)
class TensorBoard(Tracker):
    """Writes to `tensorboard/` in the run's folder (extra `track`). Steps that a resumed run makes again replace those
    that were written before it was stopped."""

    def check(self) -> None:
        from_extra("tensorboard", "track", needed_by="training.track: tensorboard")

    def observer(self, folder: Path) -> Observer:
        return _Events(folder / "tensorboard")


class _Events(FigureObserver):
    def __init__(self, folder: Path):
        self._folder = folder
        self._writer: Any = None

    def write(self, where: str, record: Mapping[str, Any]) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # asks for tensorboard when it is imported

            self._writer = SummaryWriter(str(self._folder), purge_step=record["step"])
        for name, value in figures_of(record):
            self._writer.add_scalar(f"{where}/{name}", value, record["step"])
        self._writer.flush()  # or a killed run would lack what its log has
