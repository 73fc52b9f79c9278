"""A finished run as measures see it: what its folder holds, and what it answered to labelled tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from afterbert.base.runs import Metrics
from afterbert.base.sealed import read_sealed
from afterbert.base.small_files import read_json_object
from afterbert.downstream.figures.results import read_split
from afterbert.recipes.recipe import Resolved, resolve

_LEARNED_NOTHING = ("chance", "random weights", "most frequent word")


@dataclass(frozen=True)
class Measurement:
    """A value, and where it is a share of things asked, what it is made of: `scores` [M] of `counts` [M] for each
    held-out row, in an order that is the same for all runs that were asked the same, of the same `keys` [M] if rows
    have such. floor: what a model gets that learned nothing, by chance or from random weights."""

    value: float
    scores: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    keys: tuple[str, ...] = ()
    floor: float | None = None

    @staticmethod
    def of(figure: Mapping[str, Any]) -> "Measurement":
        """From a figure of evaluation.json, with its rows and what stands beside it."""
        rows = figure.get("rows", ())
        beside = [figure.get("beside", {}).get(name) for name in _LEARNED_NOTHING]
        floor = max((one for one in beside if one is not None), default=None)
        right, asked = (tuple(float(row[n]) for row in rows) for n in (0, 1))
        return Measurement(figure["value"], right, asked, floor=floor)


@dataclass(frozen=True)
class TaskAnswers:
    """What was answered to the rows that judge a task: its test rows where they are labelled, else dev."""

    folder: Path
    name: str
    split: str
    metric: str
    """The main one."""
    value: float

    @staticmethod
    def read(folder: Path, name: str) -> "TaskAnswers":
        """From the folder of a fine-tuning, or of what else answered the task. Raises UserError for a broken file."""
        splits = _results(folder)["tasks"][name]["splits"]
        split = next(split for split in ("test", "dev") if split in splits)
        metric, spread = next(iter(splits[split]["metrics"].items()))
        return TaskAnswers(folder, name, split, metric, float(spread["mean"]))

    @cached_property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The labelled rows with `prediction` and `label`; none where several models answered in turn."""
        places = [self.folder, *sorted(self.folder.glob("seed-*"))]  # the name may hold signs of a pattern
        files = (place / "predictions" / f"{self.name}.{self.split}.jsonl" for place in places)
        found = next((file for file in files if file.is_file()), None)
        return [row for row in (read_split(found) if found else ()) if row["label"] is not None]

    @property
    def sizes(self) -> Mapping[str, int]:
        """Task -> its training rows, where one fine-tuning learned several."""
        stages = _results(self.folder).get("mix", {}).values()
        return {name: one["rows"] for stage in stages for name, one in stage["planned"]["sources"].items()}


def _results(folder: Path) -> Mapping[str, Any]:
    return read_sealed(folder / "results.json", remedy="delete the folder to have it made again")


@dataclass(frozen=True)
class FinishedRun:
    """folder: of the pre-training, None for an arm without; tasks: name -> the folder of what it answered, a seed
    each; members: the runs that answered together, where it is an ensemble of these."""

    folder: Path | None
    tasks: Mapping[str, Path] = field(default_factory=dict)
    members: Sequence["FinishedRun"] = ()

    @cached_property
    def evaluation(self) -> Mapping[str, Any]:
        """evaluation.json; empty if nothing was pre-trained."""
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
        """data.json, the text it was trained on; empty if nothing was pre-trained."""
        return {} if self.folder is None else read_json_object(self.folder / "data.json")

    def figure(self, *words: str) -> Mapping[str, Any] | None:
        """Returns the figure without training whose name holds all these words."""
        for one in self.evaluation.get("without_training", ()):
            if all(word in one["name"] for word in words):
                return one
        return None
