"""What `adapt-vocabulary` does: another tokenizer for a model folder, and the rows that go with it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import nn

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.interop.folder import export_folder
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.loading import load_model
from afterbert.interop.own import any_family
from afterbert.interop.revocabulary import Agreement, agreement, with_vocabulary
from afterbert.models import Backbone
from afterbert.nn.heads import LMHeadModule
from afterbert.objectives import ObjectiveModule
from afterbert.recipes.recipe import resolve
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.pieces.vocabulary_change import Change, Units, extended, fertility, replaced, trimmed
from afterbert.text.reading import read
from afterbert.text.sources import Source
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.workflows.usual_recipes import usual_recipe

How = Literal["extend", "train", "trim"]

# Text that is read: enough for the words that matter, and still held in memory.
_MOST_CHARACTERS = 50_000_000
_COMPARED_TEXTS = 8
# So many documents, and every tenth is kept aside to count pieces on.
_FEW_TEXTS = 20
_RATE, _BATCH, _LENGTH = 1e-3, 16, 128


@dataclass(frozen=True)
class Adapted:
    """Sizes and pieces per word before and after; kept_aside: how many texts these were counted on that the change
    did not learn from, 0 where it learned from all; agreement: how far a trimmed model's numbers are from the old
    ones (None where it was not trimmed)."""

    sizes: tuple[int, int]
    fertilities: tuple[float, float]
    kept_aside: int
    agreement: Agreement | None
    notes: tuple[str, ...]


def adapt(
    model: str | Path,
    sources: Sequence[Source],
    out: Path,
    *,
    how: How,
    pieces: int | None = None,
    units: Units = "pieces",
    recipe: TokenizerRecipe | None = None,
    warm_up_steps: int = 0,
) -> Adapted:
    """Writes the model folder under its other vocabulary. pieces, units: how many more and of what kind, for
    `extend`; recipe: the tokenizer to learn, for `train`. Raises UserError."""
    old = load_model(model)
    tokenizer = old.tokenizer
    texts = _texts(sources)
    learned, measured = _divided(texts) if how != "trim" else (texts, texts)
    change = _change(tokenizer, learned, how, pieces, units, recipe)
    new = with_vocabulary(old, change)
    found = None
    if how == "trim":
        rows = [row for text in texts[:_COMPARED_TEXTS] if (row := change.tokenizer.encode(text))]
        found = agreement(old, new, change, rows)
        assert found.largest_difference < 1e-4, f"trimming changed the model by {found.largest_difference}"
    backbone, lm_head = new.build()
    if warm_up_steps:
        _warm_up(new, backbone, lm_head, change.tokenizer, sources, warm_up_steps)
    _write(out, new, backbone, lm_head, change.tokenizer)
    sizes = (tokenizer.vocabulary.size, change.tokenizer.vocabulary.size)
    fertilities = (fertility(tokenizer, measured), fertility(change.tokenizer, measured))
    return Adapted(sizes, fertilities, len(measured) if measured is not learned else 0, found, old.notes)


def _texts(sources: Sequence[Source]) -> list[str]:
    texts, left = [], _MOST_CHARACTERS
    for document in read(sources):
        texts.append(document.text)
        left -= len(document.text)
        if left < 0:
            break
    if not texts:
        raise UserError("the texts are empty; name files or folders with text in them")
    return texts


def _divided(texts: list[str]) -> tuple[list[str], list[str]]:
    """What is learned from, and every tenth text, on which it is seen what that is worth; all for both where there
    are few."""
    if len(texts) < _FEW_TEXTS:
        return texts, texts
    return [text for number, text in enumerate(texts) if number % 10 != 9], texts[9::10]


def _change(
    tokenizer: Tokenizer,
    texts: list[str],
    how: How,
    pieces: int | None,
    units: Units,
    recipe: TokenizerRecipe | None,
) -> Change:
    if how == "trim":
        return trimmed(tokenizer, texts)
    if how == "extend":
        return extended(tokenizer, texts, more=pieces or 1000, units=units)
    assert recipe is not None
    return replaced(tokenizer, recipe.make(texts, corpus_bytes=sum(len(text.encode()) for text in texts)))


def _write(out: Path, new: LoadedModel, backbone: Backbone, lm_head: nn.Module, tokenizer: Tokenizer) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer.save(Path(scratch))
        export_folder(
            out,
            new.architecture,
            backbone,
            new.heads_on(backbone) | {"lm_head": lm_head},
            vocabulary=tokenizer.vocabulary,
            tokenizer=Path(scratch),
            family=any_family(new.family),
        )


def _warm_up(
    new: LoadedModel,
    backbone: nn.Module,
    lm_head: LMHeadModule,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    steps: int,
) -> None:
    """Trains the rows of pieces alone, the body frozen, at the task of the model's kind."""
    task = resolve(usual_recipe(new.architecture, tokenizer.vocabulary)).recipe
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer.save(Path(scratch, "tokenizer"))
        recipe = PretrainedTokenizer(name=str(Path(scratch, "tokenizer")))
        store = prepare(sources, Path(scratch, "store"), tokenizer=recipe, policy=Policy(), processes=1)
        split, vocabulary = store.split("train"), store.vocabulary
        module = task.objective.build(new.architecture, vocabulary)
        module.backbone.load_state_dict(backbone.state_dict())
        head = cast(LMHeadModule, module.lm_head)
        head.load_state_dict(lm_head.state_dict())
        length = min(_LENGTH, new.architecture.max_position_embeddings)
        noise = Noise(0)
        plan = task.objective.plan(split, length=length, vocabulary=vocabulary, noise=noise)
        if not len(plan):
            raise UserError("the texts are too short for a warm-up; leave --warm-up out, or name more text")
        optimizer = torch.optim.AdamW(_rows_only(module), lr=_RATE, weight_decay=0.0)
        module.train()
        for step in range(steps):
            numbers = (np.arange(_BATCH) + step * _BATCH) % len(plan)
            batch = task.objective.pose(plan, numbers, noise, vocabulary=vocabulary, length=length)
            scores = module({name: torch.from_numpy(array) for name, array in batch.arrays.items()})
            loss = sum(module.loss_weights[p] * s / max(batch.counts[p], 1) for p, s in scores.items())
            optimizer.zero_grad()
            torch.as_tensor(loss).backward()
            optimizer.step()
    backbone.load_state_dict(module.backbone.state_dict())
    lm_head.load_state_dict(head.state_dict())


def _rows_only(module: ObjectiveModule) -> list[nn.Parameter]:
    """The parameters with a row for each piece; all others are frozen."""
    names = ("backbone.embeddings.token.weight", "lm_head.bias", "lm_head.decoder.weight")
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in names)
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
