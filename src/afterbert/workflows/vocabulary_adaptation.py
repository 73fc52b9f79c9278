"""What `adapt-vocabulary` does: another tokenizer for a model folder, and the rows that go with it."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from afterbert.base.destination import check_apart, check_folder, folder_written
from afterbert.base.errors import UserError
from afterbert.downstream.finetuning.saving import has_answers
from afterbert.interop.folder import export_folder
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.own import any_family
from afterbert.interop.revocabulary import Agreement, agreement, with_vocabulary
from afterbert.models import Backbone
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.pieces.vocabulary_change import Units, extended, fertility, replaced, trimmed
from afterbert.text.reading import read
from afterbert.text.sources import Source
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.workflows.loading import load_finished
from afterbert.workflows.warm_up import warm_up

How = Literal["extend", "train", "trim"]

# Text that is read: enough for the words that matter, and still held in memory.
_MOST_CHARACTERS = 50_000_000
_COMPARED_TEXTS = 8
# So many documents, and every tenth is kept aside to count pieces on.
_FEW_TEXTS = 20
# Numbers of a trimmed model may differ by so much, which is rounding: sums are taken in another order.
_SAME = 1e-4


@dataclass(frozen=True)
class Adapted:
    """Sizes and pieces per word before and after; kept_aside: how many texts these were counted on that the change did
    not learn from, 0 if it learned from all; agreement: how far a trimmed model's numbers are from the old ones (None
    if it was not trimmed)."""

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
    pieces: int,
    units: Units,
    recipe: TokenizerRecipe,
    warm_up_steps: int,
    policy: Policy,
    overwrite: bool = False,
) -> Adapted:
    """Writes the model folder under its other vocabulary. pieces, units: how many more and of what kind, for
    `extend`; recipe: the tokenizer to learn, for `train`. policy: how strict to be with text. overwrite: also where
    `out` holds what we did not make. Raises UserError."""
    check_apart(out, model)
    check_folder(out, overwrite=overwrite)
    old = load_finished(model)
    tokenizer = old.tokenizer
    texts = _texts(sources, policy)
    learned = measured = texts
    if how != "trim" and len(texts) >= _FEW_TEXTS:
        learned, measured = [text for number, text in enumerate(texts) if number % 10 != 9], texts[9::10]
    if how == "trim":
        change = trimmed(tokenizer, learned)
    elif how == "extend":
        change = extended(tokenizer, learned, more=pieces, units=units)
    else:
        change = replaced(tokenizer, recipe.make(learned, corpus_bytes=sum(len(text.encode()) for text in learned)))
    new = with_vocabulary(old, change)
    found = None
    if how == "trim":
        rows = [row for text in texts[:_COMPARED_TEXTS] if (row := change.tokenizer.encode(text))]
        found = agreement(old, new, change, rows)
        if not found.largest_difference < _SAME:
            raise UserError(
                f"trimmed, the model's numbers differ by {found.largest_difference:.1e} from the old ones, more than "
                f"{_SAME:.0e}; its weights are too large or not finite, so choose --how extend or train"
            )
    backbone, lm_head = new.build()
    if warm_up_steps:
        parts = {"backbone": backbone, "lm_head": lm_head}
        warm_up(new, parts, change, sources, policy=policy, steps=warm_up_steps)
    with folder_written(out, made_by="adapt-vocabulary", overwrite=overwrite) as aside:
        write_model(aside, new, backbone, lm_head, change.tokenizer)
    sizes = (tokenizer.vocabulary.size, change.tokenizer.vocabulary.size)
    fertilities = (fertility(tokenizer, measured), fertility(change.tokenizer, measured))
    heads = "its heads for tasks are left out; fine-tune the new model" if has_answers(Path(old.name)) else None
    notes = (*old.notes, *filter(None, [heads]))
    return Adapted(sizes, fertilities, len(measured) if measured is not learned else 0, found, notes)


def _texts(sources: Sequence[Source], policy: Policy) -> list[str]:
    texts, left = [], _MOST_CHARACTERS
    for document in read(sources, policy):
        texts.append(document.text)
        left -= len(document.text)
        if left < 0:
            break
    if not texts:
        raise UserError("the texts are empty; name files or folders with text in them")
    return texts


def write_model(out: Path, new: LoadedModel, backbone: Backbone, lm_head: nn.Module, tokenizer: Tokenizer) -> None:
    """Writes a folder with the parts of a model under a tokenizer, and its other heads."""
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
    if new.sentences is not None:
        new.sentences.keep(out, new.architecture)
