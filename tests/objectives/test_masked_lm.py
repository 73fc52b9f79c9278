"""Masked LM: heads at chosen places only, empty questions, micro-batches, pairs, boundaries, visibilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.base.rows import Rows
from afterbert.models.encoder import Encoder
from afterbert.nn.embeddings import Embeddings
from afterbert.objectives import Batch
from afterbert.objectives.masked_lm import Boundary, MaskedLM
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.answers.pair_label import PairLabel
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.pairings.segment_pair_nsp import SegmentPairNsp
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.sight import Sight
from afterbert.pretext.task import Pretext
from toy_corpus import NOISE, VOCABULARY, built, gradients, hidden_of, loss_of, posed, tensors, toy_split

TINY = Encoder(hidden_size=32, intermediate_size=48, max_position_embeddings=48)


def task(rate: float = 0.3, sight: Sight | None = None) -> Pretext:
    return Pretext(Packed(bounds="keep"), (Edit(FixedCount(rate=rate), Mask()),), (InPlace(),), sight or Sight())


def test_the_head_at_chosen_places_equals_the_head_everywhere_with_the_rest_ignored() -> None:
    module, batch = built(MaskedLM(task()), TINY), posed(MaskedLM(task()), [0, 1, 2])
    arrays = tensors(batch)
    everywhere = torch.full(arrays["input_ids"].shape, -100).flatten()
    everywhere[arrays["chosen"]] = arrays["target_ids"]
    logits = module.lm_head(hidden_of(module, arrays)).flatten(0, 1)
    expected = F.cross_entropy(logits, everywhere, ignore_index=-100)
    mean = module(arrays)["masked"] / batch.counts["masked"]
    torch.testing.assert_close(mean.double(), expected, atol=1e-6, rtol=1e-6)


def test_nothing_chosen_scores_zero_and_gives_no_gradient_but_zero() -> None:
    module, batch = built(MaskedLM(task()), TINY), posed(MaskedLM(task()), [0])
    none = {"chosen": np.zeros(0, np.int64), "target_ids": np.zeros(0, np.int64)}
    empty = Batch({**batch.arrays, **none}, {"masked": 0}, batch.num_tokens, batch.row_keys)
    assert float(module(tensors(empty))["masked"].detach()) == 0
    assert all(not gradient.any() for gradient in gradients(module, [empty]).values())
    assert module.measure(tensors(empty))["masked_accuracy"][1] == 0


def test_one_large_batch_and_many_small_ones_give_the_same_gradient() -> None:
    objective = MaskedLM(task(), boundary=Boundary(position_size=4))
    module = built(objective, TINY)
    whole = gradients(module, [posed(objective, [0, 1, 2, 3])])
    parts = gradients(module, [posed(objective, some) for some in ([0], [1, 2], [3])])
    assert whole.keys() == parts.keys()
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], atol=1e-8, rtol=1e-6)


def test_the_boundary_sees_only_the_two_neighbours_of_its_span() -> None:
    rows = Rows.of("[CLS] a b c d e [SEP]", "[CLS] a b c [SEP]")
    arrays = Boundary(max_targets=2).arrays(rows, np.array([0, 2, 3, 4, 8, 10, 11]), width=8)
    assert arrays["boundary_asked"].tolist() == [1, 2, 4], "row ends and the third piece of a span ask nothing"
    assert arrays["boundary_left"].tolist() == [1, 1, 8]
    assert arrays["boundary_right"].tolist() == [5, 5, 10]
    assert arrays["boundary_place"].tolist() == [0, 1, 0]


def test_the_boundary_head_follows_the_paper() -> None:
    objective = MaskedLM(task(), boundary=Boundary(position_size=4))
    module = built(objective, TINY)
    head, flat = module.boundary, torch.randn(9, 32, dtype=torch.float64)
    h0 = torch.cat((flat[1], flat[4], head.place.weight[2]))
    h1 = F.layer_norm(F.gelu(h0 @ head.first.weight.T + head.first.bias), (32,))
    y = F.layer_norm(F.gelu(h1 @ head.second.weight.T + head.second.bias), (32,))
    expected = y @ module.backbone.embeddings.token.weight.T + head.bias
    for target in (torch.tensor([7]), torch.tensor([30])):
        score = head(flat[[1]], flat[[4]], torch.tensor([2]), target)
        torch.testing.assert_close(score.double(), F.cross_entropy(expected[None], target), rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", ["causal", "reverse", "prefix"])
def test_nothing_leaks_from_where_a_row_may_not_look(kind: str) -> None:
    objective = MaskedLM(task(sight=Sight(kinds=(kind,), prefix_ends="half")))
    module, batch = built(objective, TINY), posed(objective, [0])
    arrays = tensors(batch)
    length = batch.num_tokens
    vectors = module.backbone.embeddings.token(arrays["input_ids"]).detach().requires_grad_()
    module.backbone.embeddings.token.forward = lambda ids: vectors
    hidden = hidden_of(module, arrays)[0, :length]
    for at in range(length):
        (found,) = torch.autograd.grad(hidden[at].square().sum(), vectors, retain_graph=True)
        seen = found[0, :length].abs().sum(-1) > 0
        place = torch.arange(length)
        allowed = {"causal": place <= at, "reverse": place >= at, "prefix": (place < length // 2) | (place <= at)}
        assert torch.equal(seen, allowed[kind]), (kind, at)


def test_a_mixture_of_visibilities_is_each_row_alone() -> None:
    sight = Sight(kinds=("full", "full", "prefix", "prefix", "causal", "reverse"), prefix_ends="half")
    objective = MaskedLM(task(sight=sight), segments="by_sight")
    architecture = replace(TINY, embeddings=Embeddings(type_vocab_size=6))
    module = built(objective, architecture).eval()
    rows = list(range(8))
    batch = posed(objective, rows)
    assert len(set(batch.arrays["token_type_ids"][:, 0].tolist())) > 2
    alone = torch.cat([module.predict(tensors(posed(objective, [row]))) for row in rows])
    torch.testing.assert_close(module.predict(tensors(batch)), alone, atol=1e-9, rtol=1e-9)


def test_segments_by_sight_need_six_kinds() -> None:
    with pytest.raises(UserError, match="type_vocab_size to 6"):
        MaskedLM(task(), segments="by_sight").check(TINY)


def test_the_decoder_bias_may_start_at_log_frequencies() -> None:
    split = toy_split()
    counts = np.bincount(split.ids, minlength=VOCABULARY.size) + 1
    for start, expected in (("zeros", np.zeros(VOCABULARY.size)), ("log_frequencies", np.log(counts / counts.sum()))):
        objective = MaskedLM(task(), decoder_bias_start=start)
        module = built(objective, TINY)
        objective.begin(module, split)
        np.testing.assert_allclose(module.lm_head.bias.detach().numpy(), expected, atol=1e-6)


def test_the_loss_is_the_same_for_any_seed_of_torch() -> None:
    objective = MaskedLM(task())
    module = built(objective, TINY)
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        losses.append(float(loss_of(module, [posed(objective, [0, 1], noise=NOISE)]).detach()))
    assert losses[0] == losses[1]


def pair_task(sight: Sight | None = None) -> Pretext:
    pairing, edits = SegmentPairNsp(), (Edit(FixedCount(rate=0.3), Mask()),)
    return Pretext(pairing, edits, (InPlace(), PairLabel()), sight or Sight())


def test_the_pair_question_is_asked_from_the_pooled_first_piece() -> None:
    objective = MaskedLM(pair_task(), pair_loss_weight=0.5)
    module, batch = built(objective, TINY), posed(objective, [0, 1, 2, 3, 4, 5])
    arrays = tensors(batch)
    labels = arrays["next_sentence_labels"]
    assert set(labels.tolist()) == {0, 1} and batch.counts["next_sentence"] == len(labels)
    pooled = torch.tanh(module.pooler.dense(hidden_of(module, arrays)[:, 0]))
    expected = F.cross_entropy(module.pair_head(pooled), labels, reduction="sum")
    torch.testing.assert_close(module(arrays)["next_sentence"].double(), expected, atol=1e-5, rtol=1e-5)
    assert module.loss_weights == {"masked": 1.0, "next_sentence": 0.5}
    assert set(module.saved_heads) == {"lm_head", "pooler", "pair_head"}
    guessed, asked = module.measure(arrays)["next_sentence_accuracy"]
    assert asked == len(labels) and int(guessed) == int((module.pair_head(pooled).argmax(-1) == labels).sum())


def test_a_row_of_one_text_is_not_asked() -> None:
    objective = MaskedLM(pair_task())
    module, batch = built(objective, TINY), posed(objective, [0, 1, 2, 3])
    labels = batch.arrays["next_sentence_labels"].copy()
    labels[[0, 2]] = -1
    fewer = Batch({**batch.arrays, "next_sentence_labels": labels}, {}, 0, batch.row_keys)
    none = Batch({**batch.arrays, "next_sentence_labels": np.full(4, -1)}, {}, 0, batch.row_keys)
    alone = [posed(objective, [row]) for row in (1, 3)]
    expected = sum(module(tensors(each))["next_sentence"] for each in alone)
    torch.testing.assert_close(module(tensors(fewer))["next_sentence"], expected, atol=1e-5, rtol=1e-5)
    assert float(module(tensors(none))["next_sentence"].detach()) == 0


def test_without_the_answer_the_same_pairs_are_not_asked_about() -> None:
    silent = replace(pair_task(), answers=(InPlace(),))
    module, batch = built(MaskedLM(silent), TINY), posed(MaskedLM(silent), [0, 1])
    assert set(module.loss_weights) == {"masked"} and "next_sentence" not in batch.counts
    assert "token_type_ids" in batch.arrays


def test_only_rows_that_see_everything_are_asked_the_pair_question() -> None:
    sight = Sight(kinds=("full", "prefix", "causal", "reverse"), prefix_ends="segment")
    objective = MaskedLM(pair_task(sight), segments="by_sight")
    batch = posed(objective, list(range(10)))
    first = batch.arrays["token_type_ids"][:, 0]
    labels = batch.arrays["next_sentence_labels"]
    assert np.array_equal(labels >= 0, first == 0) and 0 < (labels >= 0).sum() < len(labels)
    assert batch.counts["next_sentence"] == (labels >= 0).sum()
    second = batch.arrays["token_type_ids"].max(1)
    assert {(a, b) for a, b in zip(first.tolist(), second.tolist())} <= {(0, 1), (2, 2), (3, 3), (4, 5)}


@pytest.mark.parametrize("kind", ["full", "causal"])
def test_documents_of_one_row_do_not_see_each_other(kind: str) -> None:
    objective = MaskedLM(task(sight=Sight(kinds=(kind,), within_documents=True)))
    objective = replace(objective, pretext=replace(objective.pretext, pairing=Packed(bounds="cross")))
    module = built(objective, TINY)
    plan = objective.plan(toy_split(), length=32, vocabulary=VOCABULARY, noise=NOISE)
    found = [plan.rows(np.array([number])).planes["document"] for number in range(len(plan))]
    number = next(number for number, documents in enumerate(found) if documents.any())
    document = found[number]
    arrays = tensors(objective.pose(plan, np.array([number]), NOISE, vocabulary=VOCABULARY, length=32))
    vectors = module.backbone.embeddings.token(arrays["input_ids"]).detach().requires_grad_()
    module.backbone.embeddings._table = (lambda ids: vectors,)
    hidden, place = hidden_of(module, arrays)[0], np.arange(len(document))
    for at in range(len(document)):
        (found,) = torch.autograd.grad(hidden[at].square().sum(), vectors, retain_graph=True)
        allowed = (document == document[at]) & ((place <= at) | (kind == "full"))
        assert np.array_equal((found[0].abs().sum(-1) > 0).numpy()[: len(document)], allowed), at
