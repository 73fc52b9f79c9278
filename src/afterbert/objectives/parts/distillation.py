"""A student learns what a teacher says: what is compared, for an objective around any other, of pre-training or of a
task.

Sources: DistilBERT (1910.01108, Section 3): soft targets at a temperature, the task's own loss, the cosine of hidden
states; patient distillation (1908.09355, Section 3.2): normalised states of the first piece; TinyBERT (1909.10351,
Equations 7 to 11): hidden states and attention scores; MiniLM (2002.10957, Section 3): attention of the last layer and
the relations of its values. Layers are matched evenly, as TinyBERT's m -> m L_t / L_s, which patient distillation
calls skip; its other way, last, can be set. Numbers are learned by squared error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.base.numbers import NotNegative, Positive
from afterbert.nn.recording import Attended, Pass, recorded
from afterbert.nn.visibility import PaddedVisibility, is_piece
from afterbert.objectives import Batch
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.meaning import Meaning
from afterbert.objectives.parts.wrapping import WrappingModule

Matching = Literal["skip", "last"]
_MEANINGS = {
    "soft": Meaning("answers, learned from the teacher", "nats per answer"),
    "cosine": Meaning("directions of states, learned from the teacher", "(1 - cosine) per piece"),
    "hidden": Meaning("states, learned from the teacher", "squared error per piece"),
    "attention": Meaning("attention, learned from the teacher", "squared error per piece"),
    "relations": Meaning("relations of values, learned from the teacher", "nats per piece"),
    "patient": Meaning("first pieces, learned from the teacher", "squared error per row"),
}
# The parts that count pieces of text.
_BY_PIECE = ("cosine", "hidden", "attention", "relations")


@dataclass(frozen=True)
class Losses:
    """The weight of each part of the distillation; a part of weight 0 is not computed.

    DistilBERT's pre-training is `Losses(temperature=2, soft=5, hard=2, cosine=1)`; TinyBERT's last stage for a task
    `Losses(temperature=1)`, the one before `Losses(soft=0, hidden=1, attention=1)`.
    """

    temperature: Positive = 1.0
    """By which both sides' logits are divided in the soft loss, which is multiplied by its square."""
    soft: NotNegative = 1.0
    """Divergence from the teacher's distribution; of numbers, the squared error."""
    hard: NotNegative = 0.0
    """The task's own loss."""
    cosine: NotNegative = 0.0
    """One minus the cosine of the last states of each piece."""
    hidden: NotNegative = 0.0
    """Squared error of the states of matched layers, the embeddings among them."""
    attention: NotNegative = 0.0
    """Squared error of the attention scores of matched layers, before the softmax."""
    relations: NotNegative = 0.0
    """Divergence of the last layer's attention and of the relations of its values."""
    patient: NotNegative = 0.0
    """Squared error of the normalised states of the first piece of matched layers, the last one aside."""
    patient_layers: Matching = "skip"
    """Which of the teacher's layers are matched there: every k-th, or those below its last one."""

    def __post_init__(self) -> None:
        if not self.parts():
            raise UserError("a distillation whose weights are all 0 learns nothing; raise one")
        if self.patient_layers != "skip" and not self.patient:
            raise UserError("patient_layers says which layers patient compares, whose weight is 0; raise it")

    def parts(self) -> dict[str, float]:
        """Returns part -> weight for the parts that are computed."""
        names = [one.name for one in fields(self) if one.name not in ("temperature", "patient_layers")]
        return {name: float(getattr(self, name)) for name in names if getattr(self, name)}


def with_counts(batch: Batch, losses: Losses) -> Batch:
    """Returns the batch of the objective inside, with what each part of the distillation counts."""
    asked = next(iter(batch.counts.values()))  # what `predict` answers stands first
    mine = {name: batch.num_tokens if name in _BY_PIECE else asked for name in losses.parts()}
    if "patient" in mine:
        mine["patient"] = len(batch.row_keys)
    return replace(batch, counts={**batch.counts, **{f"teacher/{name}": n for name, n in mine.items()}})


class DistillationModule(WrappingModule):
    """The student is the module inside; the teacher is no part of it, so it is neither trained nor saved."""

    def __init__(self, inner: ObjectiveModule, teacher: ObjectiveModule, losses: Losses):
        super().__init__(inner)
        self._teacher = (teacher.eval().requires_grad_(False),)
        self.losses, parts = losses, losses.parts()
        hard = parts.pop("hard", 0.0)
        self.has_own_loss = bool(hard)
        self.loss_weights = {name: hard * weight for name, weight in inner.loss_weights.items()}
        self.loss_weights |= {f"teacher/{name}": weight for name, weight in parts.items()}
        self.wants = set(parts)
        width, theirs = _width(inner), _width(teacher)
        self.widen = nn.Linear(width, theirs, bias=False) if width != theirs else nn.Identity()

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        teacher = self._teacher[0].to(arrays["input_ids"].device)
        states, attention = bool(self.wants - {"soft"}), bool(self.wants & {"attention", "relations"})
        if states:
            with torch.no_grad(), recorded(teacher.backbone, attention=attention) as theirs:
                their_logits = teacher.predict(arrays)
            with recorded(self.inner.backbone, attention=attention) as mine:
                logits = self.inner.predict(arrays)
        else:
            with torch.no_grad():
                asked = arrays.get("teacher_answers")  # beforehand
                their_logits = teacher.predict(arrays) if asked is None else asked
            logits = self.inner.predict(arrays)
        found = self.inner(arrays) if self.has_own_loss else dict.fromkeys(self.inner.loss_weights, logits.sum() * 0)
        if "soft" in self.wants:
            found["teacher/soft"] = self._soft(logits, their_logits)
        if states:
            ids = arrays["input_ids"]
            told = is_piece(PaddedVisibility.of(arrays), ids.shape[1])
            there = torch.ones_like(ids, dtype=torch.bool) if told is None else told
            one, other = mine.passes[0], theirs.passes[0]
            for name in self.wants - {"soft"}:
                found[f"teacher/{name}"] = getattr(self, f"_{name}")(one, other, there)
        return found

    def meanings(self) -> Mapping[str, Meaning]:
        mine = {f"teacher/{part}": _MEANINGS[part] for part in sorted(self.wants)}
        return {**self.inner.meanings(), **mine}

    def _soft(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """Of logits [N, ..., K], summed over N, the mean of what is asked of each. A teacher's table may have spare
        rows behind the last piece."""
        theirs = theirs[..., : mine.shape[-1]]
        if mine.shape[-1] == 1:
            return F.mse_loss(mine, theirs, reduction="sum")
        temperature = self.losses.temperature
        soft, told = (mine / temperature).log_softmax(-1), (theirs / temperature).log_softmax(-1)
        asked_of_each = mine[0, ..., 0].numel() if len(mine) else 1
        return temperature**2 * F.kl_div(soft, told, reduction="sum", log_target=True) / asked_of_each

    def _cosine(self, mine: Pass, theirs: Pass, is_piece: Tensor) -> Tensor:
        assert mine.last is not None and theirs.last is not None
        alike = F.cosine_similarity(self.widen(mine.last), theirs.last, dim=-1)
        return (1 - alike)[is_piece].sum()

    def _hidden(self, mine: Pass, theirs: Pass, is_piece: Tensor) -> Tensor:
        pairs = _matched(len(mine.hidden) - 1, len(theirs.hidden) - 1, from_embeddings=True)
        apart = [(self.widen(mine.hidden[i]) - theirs.hidden[j]).square().mean(-1)[is_piece].sum() for i, j in pairs]
        return torch.stack(apart).sum()

    def _attention(self, mine: Pass, theirs: Pass, is_piece: Tensor) -> Tensor:
        both = is_piece[:, :, None] & is_piece[:, None, :]
        apart = []
        for i, j in _matched(len(mine.attention), len(theirs.attention)):
            one, other = mine.attention[i - 1].scores, theirs.attention[j - 1].scores
            _same_heads(one, other)
            wrong = (one - other).masked_fill(~both[:, None], 0.0).square().mean(1)
            apart.append((wrong.sum(-1) / is_piece.sum(-1, keepdim=True)).sum())
        return torch.stack(apart).sum()

    def _relations(self, mine: Pass, theirs: Pass, is_piece: Tensor) -> Tensor:
        one, other = mine.attention[-1], theirs.attention[-1]
        _same_heads(one.scores, other.scores)
        hidden = ~is_piece[:, None, None, :]
        told = _divergence(one.scores, other.scores, hidden, is_piece)
        return told + _divergence(_values(one), _values(other), hidden, is_piece)

    def _patient(self, mine: Pass, theirs: Pass, is_piece: Tensor) -> Tensor:
        pairs = _matched(len(mine.hidden) - 1, len(theirs.hidden) - 1, by=self.losses.patient_layers)[:-1]
        first = [(F.normalize(self.widen(mine.hidden[i][:, 0]), dim=-1), theirs.hidden[j][:, 0]) for i, j in pairs]
        apart = [(one - F.normalize(other, dim=-1)).square().sum() for one, other in first]
        return torch.stack(apart).sum() if apart else mine.hidden[0].sum() * 0


def _matched(mine: int, theirs: int, *, by: Matching = "skip", from_embeddings: bool = False) -> list[tuple[int, int]]:
    """Numbers of layers, counted from 1 (0: the embeddings), that are compared.

    >>> _matched(2, 6), _matched(4, 6, from_embeddings=True)
    ([(1, 3), (2, 6)], [(0, 0), (1, 2), (2, 3), (3, 4), (4, 6)])
    >>> _matched(2, 6, by="last")
    [(1, 5), (2, 6)]
    """
    layers = range(0 if from_embeddings else 1, mine + 1)
    return [(one, round(one * theirs / mine) if by == "skip" else max(1, one + theirs - mine)) for one in layers]


def _width(module: ObjectiveModule) -> int:
    backbone = cast(Any, module.backbone)
    widen = backbone.embeddings.widen
    return int(widen.out_features if isinstance(widen, nn.Linear) else backbone.embeddings.table.weight.shape[1])


def _same_heads(mine: Tensor, theirs: Tensor) -> None:
    if mine.shape != theirs.shape:
        raise UserError(
            f"attention is compared head by head, but the student has {mine.shape[1]} heads and the teacher "
            f"{theirs.shape[1]}; leave attention and relations out"
        )


def _values(one: Attended) -> Tensor:
    """How the values of all pieces relate [B, H, T, T]."""
    return one.value @ one.value.transpose(-1, -2) * one.value.shape[-1] ** -0.5


def _divergence(mine: Tensor, theirs: Tensor, hidden: Tensor, is_piece: Tensor) -> Tensor:
    """Of rows of scores [B, H, T, T], the mean over heads, summed over pieces."""
    lowest = torch.finfo(mine.dtype).min
    one, other = (scores.masked_fill(hidden, lowest).log_softmax(-1) for scores in (mine, theirs))
    apart = (other.exp() * (other - one)).masked_fill(hidden, 0.0).sum(-1).mean(1)
    return apart[is_piece].sum()
