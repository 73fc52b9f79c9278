"""A corpus in memory with every plane the recipes ask for, its vocabulary, and steps on it without the trainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

import invented_rows
from afterbert.base.noise import Noise
from afterbert.interop.loaded import LoadedModel
from afterbert.models import Architecture
from afterbert.nn.inputs import Inputs
from afterbert.objectives import Batch, Objective
from afterbert.objectives.distilled import Distilled
from afterbert.objectives.modules import ObjectiveModule
from invented_rows import FakeSplit

torch.set_num_threads(1)  # toys are so small that a second thread only costs

SENTINELS = tuple(range(39, 7, -1))
VOCABULARY = replace(invented_rows.VOCABULARY, size=120, sentinels=SENTINELS, special_ids=(*range(8), *SENTINELS))
LENGTH = 32
NOISE = Noise(0)


def toy_split(documents: int = 8, seed: int = 0) -> FakeSplit:
    """Documents of sentences of pieces; two pieces in three begin a word, some runs are phrases or entities."""
    draw = np.random.default_rng(seed)
    sizes = [draw.integers(3, 10, size=draw.integers(3, 7)) for _ in range(documents)]
    ids = draw.choice(VOCABULARY.ordinary_ids, size=int(np.concatenate(sizes).sum()))
    split = FakeSplit(sizes, ids, draw.random(len(ids)) < 0.67, label=f"toy-{documents}-{seed}")
    split.languages = np.arange(documents, dtype=np.uint8) % 2
    word = split.planes["word_start"]
    for kind, rate in (("phrase", 0.3), ("entity", 0.15)):
        start = word & (draw.random(len(ids)) < rate)
        split.add(**{f"{kind}_start": start, f"{kind}_inside": ~word & np.roll(start, 1)})
    return split


def posed(objective: Objective, numbers: list[int], *, noise: Noise = NOISE, length: int = LENGTH) -> Batch:
    """These rows of the toy corpus as the objective asks them."""
    plan = objective.plan(toy_split(), length=length, vocabulary=VOCABULARY, noise=noise.of("plan"))
    return objective.pose(plan, np.array(numbers), noise, vocabulary=VOCABULARY, length=length)


def taught(objective: Objective, architecture: Architecture) -> Distilled:
    """The objective with a teacher of random weights in memory, in place of one in a folder."""
    torch.manual_seed(7)
    teacher = objective.build(architecture, VOCABULARY)
    weights = {"backbone": teacher.backbone.state_dict()}
    weights |= {name: head.state_dict() for name, head in teacher.saved_heads.items()}
    tokenizer: Any = SimpleNamespace(vocabulary=VOCABULARY)
    found = Distilled(objective, "toy")
    found.__dict__["model"] = LoadedModel("toy", architecture, tokenizer, weights, None)
    return found


def tensors(batch: Batch) -> dict[str, Tensor]:
    return {name: torch.as_tensor(array) for name, array in batch.arrays.items()}


def hidden_of(module: ObjectiveModule, arrays: Mapping[str, Tensor]) -> Tensor:
    """Hidden states [B, T, D] of a batch, by the batch's own rule of visibility."""
    return module.backbone(arrays["input_ids"], **Inputs.of(arrays).beside_ids())


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
