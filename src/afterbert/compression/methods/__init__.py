"""Ways to make a model smaller. One file each; the file's name is what `--with` takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.compression.subject import NO_ROWS, Form, Subject
from afterbert.downstream.example import Example
from afterbert.downstream.posing.formatting import Formatter
from afterbert.training.observers import Observer
from afterbert.training.step import to_tensors

#: What a method makes less of. nonzero: numbers that are not 0; bytes: of the weights on disk; flops: per token.
Saving = Literal["parameters", "nonzero", "bytes", "flops"]
EVERYTHING: frozenset[Saving] = frozenset(("parameters", "nonzero", "bytes", "flops"))

_CALIBRATION_ROWS = 512


@dataclass(frozen=True)
class Setting:
    """The data and settings that a method may use while it works."""

    folder: Path
    """An empty folder for whatever it must keep on disk."""
    task: str | None = None
    """The name of the task's head; None if no rows are at hand."""
    rows: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    """The labelled rows by split; methods learn from `train` only."""
    noise: Noise = field(default_factory=lambda: Noise(0))
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    teacher: Subject | None = None
    """The model as it was before all methods."""
    observers: Sequence[Observer] = ()
    """Who is told how training goes."""
    advance: Callable[[float, float, str], None] = lambda done, total, phase: None
    """Is told how far other long work is: what is done, of how much, and what it is."""

    def learned_from(self) -> Sequence[Example]:
        """Returns the training rows. Raises UserError if there are none."""
        if not self.rows.get("train"):
            raise UserError(NO_ROWS)
        return self.rows["train"]

    def batches(self, subject: Subject, *, most: int | None = _CALIBRATION_ROWS) -> Iterator[dict[str, Tensor]]:
        """Yields training rows as batches of the task, at most `most` rows, chosen by the noise; None: all. Raises
        UserError if there are none."""
        rows, tuned = self.learned_from(), subject.tuned
        assert self.task is not None and tuned is not None
        order = self.noise.of("calibration").order(len(rows))[:most]
        chosen = [rows[number] for number in sorted(order.tolist())]
        vocabulary = tuned.model.tokenizer.vocabulary
        formatter = Formatter(tuned.model.tokenizer, min(tuned.length, tuned.model.longest))
        prepared = tuned.heads[self.task].prepare(tuned.tasks[self.task], chosen, formatter)
        has_segments = tuned.model.architecture.has_segments
        for units in torch.arange(len(prepared)).split(32):
            batch = prepared.batch(units.numpy(), pad=vocabulary.pad or 0, has_segments=has_segments, name=self.task)
            yield to_tensors(batch.arrays, self.device)


def is_piece(arrays: Mapping[str, Tensor]) -> Tensor:
    """Returns bool [B, T]: what is no padding in a batch."""
    last = arrays["last"][:, None]
    return torch.arange(arrays["input_ids"].shape[1], device=last.device) <= last


class Method(ABC):
    """A way to make a model smaller, as a frozen config. The model comes in and a new one goes out.

    A contract test runs over all methods: what one says that it saves is less afterwards and the rest is not more; with
    strength zero it changes nothing.
    """

    exact: ClassVar[bool] = False
    """Whether answers on the training rows stay as they were."""
    must_be_faster: ClassVar[bool] = False
    """Whether it is kept only where it is faster on this machine than the model as it was."""
    trains: ClassVar[bool] = False
    """Whether it makes the model better again, not smaller."""

    at_zero: ClassVar[str | None] = None
    """The settings of strength zero, at which nothing changes, as `--with` takes them; None for a method without any.
    """

    @property
    @abstractmethod
    def saves(self) -> frozenset[Saving]:
        """What there is less of afterwards."""

    def check(self, form: Form) -> Form:
        """Gives what will be left of a model of this form, as far as it can be told before any work. Raises UserError
        if the method does not fit: most need weights that they can change or train."""
        form.need_weights(name_of(self))
        return form

    @abstractmethod
    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        """Makes the smaller model."""

    def control(self) -> Method | None:
        """Returns the control of this method, which removes as much by chance; None if nothing was chosen."""
        return None
