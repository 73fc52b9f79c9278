"""A corpus in memory with every plane the recipes ask for, its vocabulary, and steps on it without the trainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from afterbert.base.noise import Noise
from afterbert.base.rows import starts_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture
from afterbert.objectives import Batch, Objective, ObjectiveModule
from afterbert.text.store import Split

torch.set_num_threads(1)  # toys are so small that a second thread only costs

SENTINELS = tuple(range(39, 7, -1))
VOCABULARY = Vocabulary(
    size=120,
    pad=0,
    unk=1,
    cls=2,
    sep=3,
    mask=4,
    bos=5,
    eos=6,
    sentinels=SENTINELS,
    special_ids=(*range(8), *SENTINELS),
)
LENGTH = 32
NOISE = Noise(0)


class ToySplit(Split):
    """Documents of sentences of pieces; two pieces in three begin a word, some runs are phrases or entities."""

    def __init__(self, documents: int = 8, seed: int = 0, name: str = "train"):
        draw = np.random.default_rng(seed)
        sentences = [draw.integers(3, 10, size=draw.integers(3, 7)) for _ in range(documents)]
        sizes = np.concatenate(sentences)
        self.name, self.fingerprint = name, f"toy-{documents}-{seed}"
        self.num_pieces, self.num_documents = int(sizes.sum()), documents
        self.ids = draw.choice(VOCABULARY.ordinary_ids, size=self.num_pieces).astype(np.int32)
        self.document_starts = starts_of(np.array([each.sum() for each in sentences]))
        self.sentence_starts = starts_of(sizes)
        sentence = np.zeros(self.num_pieces, dtype=bool)
        sentence[self.sentence_starts[:-1]] = True
        word = (draw.random(self.num_pieces) < 0.67) | sentence
        phrase, entity = (word & (draw.random(self.num_pieces) < rate) for rate in (0.3, 0.15))
        self._planes = {"word_start": word, "sentence_start": sentence}
        for kind, start in (("phrase", phrase), ("entity", entity)):
            self._planes |= {f"{kind}_start": start, f"{kind}_inside": ~word & np.roll(start, 1)}
        self.languages = np.arange(documents, dtype=np.uint8) % 2
        self.plane_names = tuple(self._planes)
        self.plane_widths = dict.fromkeys(self._planes, 1)

    def pieces(self, index: np.ndarray) -> np.ndarray:
        return self.ids[index]

    def plane(self, name: str, index: np.ndarray) -> np.ndarray:
        return self._planes[name][index]


def posed(objective: Objective, numbers: list[int], *, noise: Noise = NOISE, length: int = LENGTH) -> Batch:
    """These rows of the toy corpus as the objective asks them."""
    plan = objective.plan(ToySplit(), length=length, vocabulary=VOCABULARY, noise=noise.of("plan"))
    return objective.pose(plan, np.array(numbers), noise, vocabulary=VOCABULARY, length=length)


def tensors(batch: Batch) -> dict[str, Tensor]:
    return {name: torch.as_tensor(array) for name, array in batch.arrays.items()}


def built(objective: Objective, architecture: Architecture, *, seed: int = 0) -> ObjectiveModule:
    """Fresh weights in float64 without dropout."""
    torch.manual_seed(seed)
    return objective.build(undropped(architecture), VOCABULARY).double()


def undropped(architecture: Architecture) -> Architecture:
    return replace(architecture, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)  # type: ignore[call-arg]


def loss_of(module: ObjectiveModule, batches: list[Batch]) -> Tensor:
    """What the trainer back-propagates for one step of these micro-batches."""
    counts: dict[str, int] = {}
    for batch in batches:
        for part, count in batch.counts.items():
            counts[part] = counts.get(part, 0) + count
    shares = []
    for batch in batches:
        for part, score in module(tensors(batch)).items():
            shares.append(score * module.loss_weights[part] / max(counts[part], 1))
    return torch.stack(shares).sum()


def gradients(module: ObjectiveModule, batches: list[Batch]) -> Mapping[str, Tensor]:
    """Parameter -> gradient of that step; parameters without one are left out."""
    module.zero_grad(set_to_none=True)
    loss_of(module, batches).backward()
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
