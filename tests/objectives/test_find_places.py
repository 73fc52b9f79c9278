"""Where-tasks: heads that can answer exactly, pointers that stay in their row, baselines counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.objectives.find_places import FindPlaces
from afterbert.objectives.masked_lm import MaskedLM
from afterbert.pretext.answers import Answer
from afterbert.pretext.answers.deleted import Deleted
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.answers.inserted import Inserted
from afterbert.pretext.answers.replaced import Replaced
from afterbert.pretext.answers.sentence_order import SentenceOrder
from afterbert.pretext.answers.true_start import TrueStart
from afterbert.pretext.corruptions import Corruption
from afterbert.pretext.corruptions.delete import Delete
from afterbert.pretext.corruptions.insert import Insert
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.corruptions.permute_sentences import PermuteSentences
from afterbert.pretext.corruptions.replace import Replace
from afterbert.pretext.corruptions.rotate import Rotate
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.selections.all import All
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.task import Pretext
from toy_corpus import built, gradients, posed, tensors

TINY = Encoder(hidden_size=32, intermediate_size=48, max_position_embeddings=64)
ROWS = [0, 1, 2, 3]
TASKS: dict[str, tuple[Corruption, Answer]] = {
    "deleted": (Delete(), Deleted()),
    "inserted": (Insert(), Inserted()),
    "replaced": (Replace(), Replaced()),
    "sentence_order": (PermuteSentences(), SentenceOrder()),
    "true_start": (Rotate(), TrueStart()),
}


def objective(name: str) -> FindPlaces:
    corruption, answer = TASKS[name]
    selection = All() if name in ("sentence_order", "true_start") else FixedCount(rate=0.2)
    return FindPlaces(Pretext(Packed(bounds="keep"), (Edit(selection, corruption),), (answer,)))


@pytest.mark.parametrize("name", TASKS)
def test_a_row_is_answered_alike_alone_and_in_a_batch(name: str) -> None:
    module = built(objective(name), TINY).eval()
    whole = module.answers(tensors(posed(objective(name), ROWS)))[name]
    alone = [module.answers(tensors(posed(objective(name), [row])))[name] for row in ROWS]
    if whole.ndim == 2:
        alone = [logits[:, : whole.shape[1]] for logits in alone]
        whole = torch.cat([w[:, : a.shape[1]].flatten() for w, a in zip(whole.split([len(a) for a in alone]), alone)])
        alone = [logits.flatten() for logits in alone]
    torch.testing.assert_close(whole, torch.cat(alone), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", TASKS)
def test_micro_batches_do_not_change_the_step(name: str) -> None:
    module = built(objective(name), TINY)
    whole = gradients(module, [posed(objective(name), ROWS)])
    parts = gradients(module, [posed(objective(name), some) for some in ([0], [1, 2], [3])])
    for weight in whole:
        torch.testing.assert_close(whole[weight], parts[weight], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["sentence_order", "true_start"])
def test_a_pointer_stays_among_the_candidates_of_its_row(name: str) -> None:
    module, batch = built(objective(name), TINY), posed(objective(name), ROWS)
    arrays = tensors(batch)
    logits = module.answers(arrays)[name]
    row = batch.arrays[f"{name}_from"] // logits.shape[1]
    is_candidate = batch.arrays[f"{name}_candidates"][row]
    assert np.array_equal(logits.isfinite().numpy(), is_candidate)
    assert is_candidate[np.arange(len(row)), batch.arrays[f"{name}_to"]].all()
    _, asked = module.measure(arrays)[f"{name}_accuracy"]
    chance, count = module.measure(arrays)[f"{name}_baseline"]
    assert count == asked == len(row) > 0
    assert float(chance) == pytest.approx((1 / is_candidate.sum(1)).sum())


@pytest.mark.parametrize("name", ["deleted", "inserted", "replaced"])
def test_the_baseline_always_says_no(name: str) -> None:
    module, batch = built(objective(name), TINY), posed(objective(name), ROWS)
    labels = batch.arrays[f"{name}_labels"]
    said_no, count = module.measure(tensors(batch))[f"{name}_baseline"]
    assert (int(said_no), count) == ((labels == 0).sum(), batch.counts[name]) and 0 < labels.sum() < len(labels)
    head = module.places[name]
    torch.nn.init.zeros_(head.decision.weight)
    torch.nn.init.constant_(head.decision.bias, -1.0)
    assert int(module.measure(tensors(batch))[f"{name}_accuracy"][0]) == int(said_no)


def test_what_does_not_fit_is_refused() -> None:
    in_place = Pretext(Packed(), (Edit(FixedCount(), Mask()),), (InPlace(),))
    with pytest.raises(UserError, match="no head for answer in_place"):
        FindPlaces(in_place)
    with pytest.raises(UserError, match="no head for answer deleted"):
        MaskedLM(objective("deleted").pretext)
    with pytest.raises(UserError, match="reads both ways"):
        objective("deleted").check(Decoder())
