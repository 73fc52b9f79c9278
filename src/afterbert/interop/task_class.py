"""A family's class that answers a task with labels, and our trained head as such a class's folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from afterbert.interop.weights import Weight, lines
from afterbert.models import Summary
from afterbert.nn.task_head import TaskHead, TaskHeadModule

#: What is answered: a class or number for a row, one for each piece, where a span starts and ends, one of several rows.
TaskKind = Literal["sequence", "token", "span", "choice"]
KINDS: tuple[TaskKind, ...] = ("sequence", "token", "span", "choice")

#: Hugging Face's words for what the answers for a row are.
Problem = Literal["single_label_classification", "multi_label_classification", "regression"]

# Before the last layer of BERT and its descendants, where every piece is answered for.
NOTHING = TaskHead(has_dense=False, starts_from=None)


@dataclass(frozen=True)
class TaskClass:
    """A class of a family that answers tasks, and the names of its layers."""

    name: str
    head: TaskHead
    """What it computes, and where a head of ours for this family begins."""
    last: str
    """What they call the last layer."""
    dense: str = ""
    norm: str = ""
    summaries: Mapping[Summary, Mapping[str, Any]] = field(default_factory=lambda: {"first": {}})
    """Of kinds that answer for rows: what may speak for a row, and what config.json must say then."""

    def weights(self, head: TaskHeadModule) -> list[Weight]:
        """Returns lines for `task_head.NAME`. A bias that only the class has is written as zeros."""
        held = {f"task_head.{name}": tuple(one.shape) for name, one in head.state_dict().items()}
        called = {"dense": self.dense, "norm": self.norm, "last": self.last}
        table = [line for part, name in called.items() for line in lines(f"task_head.{part}", name, held)]
        if self.head.last_bias and not head.config.last_bias:
            table.append(Weight(None, (f"{self.last}.bias",), shape=(head.last.out_features,)))
        return table

    def fits(self, head: TaskHead) -> bool:
        """Returns whether the class computes exactly what a head of this form does."""
        same = replace(head, last_bias=self.head.last_bias or head.last_bias, starts_from=self.head.starts_from)
        return same == self.head

    @property
    def layers(self) -> tuple[str, ...]:
        """Names its layers, as their tensors' names begin."""
        return tuple(f"{name}." for name in (self.dense, self.norm, self.last) if name)


@dataclass(frozen=True)
class Answering:
    """A trained head, ready to be written as one of a family's classes."""

    kind: TaskKind
    head: TaskHeadModule
    labels: tuple[str, ...]
    """What each answer is called; for a number one name."""
    problem: Problem = "single_label_classification"
    """What the answers for a row are: logits of classes of which one is right, or any number; or a number."""
    summary: Summary = "first"
    """What speaks for a row."""

    @property
    def num_outputs(self) -> int:
        return self.head.last.out_features

    def settings(self) -> dict[str, Any]:
        """Gives what config.json says of labels."""
        if self.kind == "choice":
            return {}
        names = self.labels or ("start", "end")
        found: dict[str, Any] = {
            "id2label": {str(number): name for number, name in enumerate(names)},
            "label2id": {name: number for number, name in enumerate(names)},
        }
        if self.kind == "sequence":
            found["problem_type"] = self.problem
        return found
