"""A finished run as measures see it: what its folder holds, and what was fine-tuned from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from afterbert.base.runs import Metrics
from afterbert.base.sealed import read_sealed
from afterbert.base.small_files import read_json_object
from afterbert.recipes.recipe import Resolved, resolve


@dataclass(frozen=True)
class Measurement:
    """A value, and where it is a share of things asked, what it is made of: `scores` [M] of `counts` [M] for each
    held-out row, in an order that is the same for all runs that were asked the same."""

    value: float
    scores: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()


@dataclass(frozen=True)
class FinishedRun:
    """folder: of the pre-training, None for an arm without; tasks: name -> its folder of fine-tuning, a seed each."""

    folder: Path | None
    tasks: Mapping[str, Path] = field(default_factory=dict)

    @cached_property
    def evaluation(self) -> Mapping[str, Any]:
        """evaluation.json; empty where nothing was pre-trained."""
        if self.folder is None:
            return {}
        return read_sealed(self.folder / "evaluation.json", remedy="restore it from a copy", allows_nan=True)

    @cached_property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        """The lines of the metrics about steps."""
        if self.folder is None:
            return ()
        return [one for one in Metrics(self.folder / "metrics.jsonl").read() if one["kind"] == "step"]

    @cached_property
    def evaluations(self) -> Sequence[Mapping[str, Any]]:
        """The lines of the metrics about held-out text."""
        if self.folder is None:
            return ()
        return [one for one in Metrics(self.folder / "metrics.jsonl").read() if one["kind"] == "evaluation"]

    @cached_property
    def resolved(self) -> Resolved | None:
        """Its recipe."""
        return None if self.folder is None else resolve(str(self.folder / "recipe.yaml"))

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """data.json, the text it was trained on; empty where nothing was pre-trained."""
        return {} if self.folder is None else read_json_object(self.folder / "data.json")

    def figure(self, *words: str) -> Mapping[str, Any] | None:
        """The figure without training whose name holds all these words."""
        for one in self.evaluation.get("without_training", ()):
            if all(word in one["name"] for word in words):
                return one
        return None
