"""The smaller model learns its task from the model as it was.

Sources: see `objectives.parts.distillation`, and for further rows `parts.replaced_words`. The control is the same
student, as long, without a teacher.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.numbers import CountFromZero, NotNegative, Positive
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.compression.methods import Method, Setting
from afterbert.compression.methods._training import TrainingMethod
from afterbert.compression.parts.replaced_words import Candidates, further_rows
from afterbert.compression.subject import Form, Subject
from afterbert.downstream.finetuning.batches import TaskPlan
from afterbert.downstream.finetuning.objective import TaskObjective
from afterbert.downstream.finetuning.saving import Loaded
from afterbert.interop.loading import load_model
from afterbert.interop.revocabulary import with_vocabulary
from afterbert.models import Architecture
from afterbert.objectives import Batch, Objective
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.distillation import DistillationModule, Losses, Matching, with_counts
from afterbert.objectives.parts.wrapping import WrappingModule, WrappingObjective
from afterbert.pretext.pairings import Plan
from afterbert.probes.masked_model import MaskedModel
from afterbert.text.pieces.vocabulary_change import replaced
from afterbert.training.step import to_tensors

_AT_ONCE = 32  # rows
_AUGMENTED = ("sentence_classification", "pair_classification", "regression")


@dataclass(frozen=True)
class Distil(TrainingMethod):
    """Learns what the teacher says."""

    temperature: Positive = 1.0
    """By which logits are divided before they are compared."""
    soft: NotNegative = 1.0
    """Weight of the teacher's distribution."""
    hard: NotNegative = 0.0
    """Weight of the labels."""
    hidden: NotNegative = 0.0
    """Weight of TinyBERT's hidden states."""
    attention: NotNegative = 0.0
    """Weight of TinyBERT's attention scores."""
    relations: NotNegative = 0.0
    """Weight of MiniLM's attention and value relations."""
    patient: NotNegative = 0.0
    """Weight of patient distillation's first pieces."""
    patient_layers: Matching = "skip"
    """Which of the teacher's layers these are of: every k-th, or those below its last one."""
    beside: str = ""
    """Further teachers, with + between them: models fine-tuned on the same task, whose chances are averaged with the
    first's."""
    augment: CountFromZero = 0
    """How many copies of each training row are learned too, with other words in place of some (TinyBERT; 20 in the
    paper). Only the teacher says what they are; a round goes through them as well."""
    augment_by: str = ""
    """A masked language model, such as the original before it was fine-tuned, which then names other words for those of
    one piece; left out: they are those near in the original's table of pieces."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.losses()
        if self.augment and self.hard:
            raise UserError("rows that augment makes have no label, which hard needs; leave one of the two out")
        if self.augment_by and not self.augment:
            raise UserError("augment_by has no effect without augment; say how many copies, such as augment=20")

    def losses(self) -> Losses:
        """Returns the weights of what is compared. Raises UserError where all are 0."""
        return Losses(**{one.name: getattr(self, one.name) for one in fields(Losses) if hasattr(self, one.name)})

    def check(self, form: Form) -> Form:
        form = super().check(form)
        if form.lost_heads and (self.attention or self.relations):
            raise UserError(
                "distil: attention and relations are compared head by head, and a method before it takes heads away; "
                "leave one of the two out"
            )
        if self.augment and form.task not in _AUGMENTED:
            raise UserError(f"augment makes rows for {', '.join(_AUGMENTED)}, not for {form.task}; leave it out")
        for name in filter(None, self.beside.split("+")):
            _beside(name, form.first)
        if self.augment_by:
            MaskedModel.of(load_model(self.augment_by))
        return form

    def control(self) -> Method | None:
        rounds = self.epochs if self.steps is not None else self.epochs * (1 + self.augment)
        return replace(cast(Any, super().control()), epochs=rounds)

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        if self.augment and (self.epochs or self.steps is not None):
            rows, model = setting.learned_from(), in_pieces_of(subject, cast(Subject, setting.teacher)).model
            namer = MaskedModel.of(load_model(self.augment_by), device=setting.device) if self.augment_by else None
            copies = further_rows(rows, self.augment, Candidates(model, namer), setting.noise.of("augment"))
            more = [*rows]
            for number, row in enumerate(copies, start=1):
                more.append(row)
                setting.advance(number, len(rows) * self.augment, "rows with other words")
            setting = replace(setting, rows={**setting.rows, "train": more})
        return super().__call__(subject, setting)

    def around(self, objective: Objective, subject: Subject, setting: Setting) -> Objective:
        first = setting.teacher
        if first is None or first.tuned is None or setting.task is None:
            raise UserError("distil: the original model answers no task, so it cannot teach one; fine-tune it first")
        teachers = [first, *(_beside(name, first.only(setting.task)) for name in filter(None, self.beside.split("+")))]
        modules = [cast(Loaded, in_pieces_of(subject, one).tuned).module for one in teachers]
        teacher = MeanOfTeachers(modules[0], modules[1:]) if modules[1:] else modules[0]
        losses, told = self.losses(), "+".join(filter(None, (first.model.name, self.beside)))
        answers = None if set(losses.parts()) - {"soft", "hard"} else _answers(objective, teacher, setting)
        return Distillation(objective, teacher, losses, told, answers)


@dataclass(frozen=True)
class Distillation(WrappingObjective):
    """The rows, figures and pretexts of `inner`, learned from a teacher."""

    teacher: ObjectiveModule = field(repr=False, compare=False)
    """Answers the same batches: built by the same objective on another backbone, with the same vocabulary."""
    losses: Losses = Losses()
    teacher_name: str = "teacher"
    """What the run's identity calls it."""
    answers: np.ndarray | None = field(default=None, repr=False, compare=False)
    """What the teacher says to each training row, [rows, K], if it was asked beforehand: as often as rows are read, it
    need not be asked again."""

    def plain(self) -> dict[str, Any]:
        said = {one.name: getattr(self.losses, one.name) for one in fields(self.losses)}
        return {"type": name_of(self), "teacher": self.teacher_name, "losses": said, "inner": self.inner.plain()}

    def wrap(self, inner: ObjectiveModule, architecture: Architecture, vocabulary: Vocabulary) -> DistillationModule:
        return DistillationModule(inner, self.teacher, self.losses)

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        batch = self.inner.pose(plan, numbers, noise, vocabulary=vocabulary, length=length)
        if self.answers is not None:
            assert isinstance(plan, TaskPlan)
            _, units = plan.units(numbers)
            batch = replace(batch, arrays={**batch.arrays, "teacher_answers": self.answers[units]})
        return with_counts(batch, self.losses)


class MeanOfTeachers(WrappingModule):
    """Answers with the mean of several models' chances; everything else is the first one's."""

    def __init__(self, first: ObjectiveModule, others: Sequence[ObjectiveModule]):
        super().__init__(first)
        self.others = nn.ModuleList(others)

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        said = torch.stack([one.predict(arrays) for one in (self.inner, *cast(Any, self.others))])
        if said.shape[-1] == 1:  # a number
            return said.mean(0)
        return said.log_softmax(-1).logsumexp(0) - math.log(len(said))


def in_pieces_of(student: Subject, teacher: Subject) -> Subject:
    """Returns the teacher with rows for the student's pieces alone, which may have lost some."""
    mine, theirs = student.model.tokenizer, teacher.model.tokenizer
    if mine.digest == theirs.digest:
        return teacher
    return teacher.with_model(with_vocabulary(teacher.model, replaced(theirs, mine)))


def _beside(name: str, first: Subject | None) -> Subject:
    """Reads another teacher of the first one's only task; None: whose is not known yet. Raises UserError."""
    other = Subject.read(name)
    if first is None or first.tuned is None:
        return other
    (task, mine), *_ = first.tuned.tasks.items()
    if other.tuned is None or other.tuned.tasks.get(task) != mine:
        raise UserError(f"teacher {name} does not answer task '{task}' with the same labels; fine-tune it on that task")
    if other.model.tokenizer.digest != first.model.tokenizer.digest:
        raise UserError(f"teacher {name} has another tokenizer than {first.model.name}; name one with the same")
    return other


@torch.no_grad()
def _answers(objective: Objective, teacher: ObjectiveModule, setting: Setting) -> np.ndarray | None:
    """What the teacher says to each training row, [rows, K], kept on disk for a run that is resumed; None if a row has
    several answers or none."""
    assert isinstance(objective, TaskObjective) and setting.task is not None
    kept = setting.folder / "teacher.npy"
    if kept.exists():
        return np.load(kept)
    rows, found = objective.prepared[setting.task]["train"], []
    teacher = teacher.to(setting.device).eval()
    has_segments = objective.model.architecture.has_segments
    for units in np.array_split(np.arange(len(rows)), -(-len(rows) // _AT_ONCE)):
        batch = rows.batch(units, pad=objective.pad, has_segments=has_segments, name=setting.task)
        if len(batch.arrays["input_ids"]) != len(units):  # candidates, windows: the answer hangs on the batch
            return None
        found.append(teacher.predict(to_tensors(batch.arrays, setting.device)).float().cpu().numpy())
        if len(found[-1]) != len(units):
            return None
    aside, every = setting.folder / "teacher.part.npy", np.concatenate(found)
    np.save(aside, every)
    aside.replace(kept)
    return every
