"""The weights that did best on dev, kept on disk, so that a resumed run still has them; and stopping when
nothing improves."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from afterbert.base.sealed import read_sealed, write_sealed
from afterbert.interop.untrusted_files import digests_as_metadata, read_weights
from afterbert.interop.weight_file import write_weights
from afterbert.training.checkpoints.snapshot import restore_weights, weights
from afterbert.training.observers import Enough, Observer


class Best:
    """The weights of the highest figure so far."""

    def __init__(self, folder: Path):
        self._weights, self._note = folder / "best.safetensors", folder / "best.json"

    @property
    def step(self) -> int:
        """The step that did best, -1 before any."""
        return int(self._read()["step"])

    def evaluations_since(self, step: int) -> int:
        """Returns how many evaluations after that one, and up to `step`, were no better."""
        return sum(worse <= step for worse in self._read()["worse"])

    def see(self, module: nn.Module, step: int, figure: float) -> None:
        """Keeps the weights where `figure` is the highest so far."""
        so_far = self._read()
        if figure > so_far["figure"]:
            kept = {name: tensor.contiguous() for name, tensor in weights(module).items()}
            write_weights(self._weights, kept, digests_as_metadata(kept, None))
            write_sealed(self._note, {"step": step, "figure": figure, "worse": []})
        elif step > so_far["step"]:
            # A resumed run sees evaluations again, that of the best step too; steps are counted, not visits.
            write_sealed(self._note, {**so_far, "worse": sorted({*so_far["worse"], step})})

    def restore(self, module: nn.Module) -> None:
        """Puts the best weights back, where any were kept."""
        if self._weights.exists():
            restore_weights(module, read_weights(self._weights))

    def forget(self) -> None:
        """Removes the files."""
        self._weights.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _read(self) -> dict:
        if not self._note.exists():
            return {"step": -1, "figure": -math.inf, "worse": []}
        return read_sealed(self._note, remedy="start this run anew")


class Patience(Observer):
    """Ends a run after so many evaluations in a row that were no better than the best."""

    def __init__(self, best: Best, evaluations: int):
        self._best, self._evaluations = best, evaluations

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        if self._best.evaluations_since(record["step"]) >= self._evaluations:
            raise Enough(f"no better since step {self._best.step}")
