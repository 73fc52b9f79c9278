"""The weights that did best on dev, kept on disk, so that a resumed run still has them; and stopping when
nothing improves."""

from __future__ import annotations

import json
import math
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import nn

from afterbert.base.runs import write_atomically


class Enough(Exception):
    """Raised out of an evaluation to end training early; not an error."""


class Best:
    """patience: evaluations without improvement after which training ends; None: never."""

    def __init__(self, folder: Path, *, patience: int | None):
        self._weights, self._note = folder / "best.safetensors", folder / "best.json"
        self._patience = patience

    @property
    def step(self) -> int:
        """The step that did best, -1 before any."""
        return int(self._read()["step"])

    def see(self, module: nn.Module, step: int, figure: float) -> None:
        """Keeps the weights where `figure` is the highest so far. Raises Enough where patience is at its
        end."""
        so_far = self._read()
        if figure > so_far["figure"]:
            save_file(
                {name: tensor.contiguous() for name, tensor in module.state_dict().items()}, self._weights
            )
            write_atomically(self._note, json.dumps({"step": step, "figure": figure, "worse": []}))
            return
        # A resumed run sees an evaluation again; steps are counted, not visits.
        worse = sorted({*so_far["worse"], step})
        write_atomically(self._note, json.dumps({**so_far, "worse": worse}))
        if self._patience is not None and len(worse) >= self._patience:
            raise Enough

    def restore(self, module: nn.Module) -> None:
        """Puts the best weights back, where any were kept."""
        if self._weights.exists():
            module.load_state_dict(load_file(self._weights))

    def forget(self) -> None:
        """Removes the files."""
        self._weights.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _read(self) -> dict:
        if not self._note.exists():
            return {"step": -1, "figure": -math.inf, "worse": []}
        return json.loads(self._note.read_text())
