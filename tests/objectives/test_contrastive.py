"""Two views of a text, nearer to each other than to other texts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.base.rows import Rows
from afterbert.models.encoder import Encoder
from afterbert.objectives.contrastive import Contrastive, _halves, _twice
from afterbert.pretext.pairings.packed import Packed
from toy_corpus import LENGTH, NOISE, VOCABULARY, tensors, toy_split

SPLIT = toy_split(documents=6)
ENCODER = Encoder(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48)


def posed(objective, numbers):
    plan = objective.plan(SPLIT, length=LENGTH, vocabulary=VOCABULARY, noise=NOISE.of("plan"))
    return objective.pose(plan, numbers, NOISE, vocabulary=VOCABULARY, length=LENGTH)


def test_halves_stand_alone_between_their_own_special_pieces():
    rows = Rows.of("[CLS] a b [SEP] c d e [SEP]", "[CLS] f [SEP] [SEP]")
    segment = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1], dtype=np.uint8)
    views = _halves(rows.with_planes(segment=segment), replace(VOCABULARY, cls=2, sep=3))
    expected = Rows.of("[CLS] a b [SEP]", "[CLS] f [SEP]", "[CLS] c d e [SEP]", "[CLS] [SEP]")
    assert views.lengths.tolist() == [4, 3, 5, 2]
    named = {10: "a", 11: "b", 12: "c", 13: "d", 14: "e", 15: "f", 2: "[", 3: "]"}
    assert "".join(named[piece] for piece in views.piece_ids.tolist()) == "[ab][f][cde][]"
    assert views.planes["special"].tolist() == expected.planes["special"].tolist()
    assert views.keys.tolist() == [0, 1, 0, 1]


def test_twice_is_all_rows_and_all_once_more():
    rows = Rows.of("[CLS] a [SEP]", "[CLS] b c [SEP]")
    views = _twice(rows)
    assert views.lengths.tolist() == [3, 4, 3, 4]
    assert np.array_equal(views.piece_ids, np.tile(rows.piece_ids, 2))


def test_the_score_is_the_softmax_over_the_cosines_of_the_batch():
    """Against the definition (SimCSE, equation 1), row by row in float64."""
    torch.manual_seed(0)
    objective = Contrastive(temperature=0.1)
    module = objective.build(replace(ENCODER, hidden_dropout_prob=0.0), VOCABULARY).eval()
    batch = tensors(posed(objective, np.arange(5)))
    ids, length = batch["input_ids"], batch["is_text"].sum(1)
    vectors = []
    for row, size in zip(ids, length):
        with torch.no_grad():
            states = module.backbone(row[None, :size])
        vectors.append(states[0].mean(0).double())
    first, second = torch.stack(vectors).chunk(2)
    expected = 0.0
    for number in range(5):
        if not batch["is_pair"][number]:
            continue
        cosines = torch.stack(
            [torch.cosine_similarity(first[number], other, dim=0) for other in second[batch["is_pair"]]]
        )
        own = int(batch["is_pair"][:number].sum())
        expected += float(torch.logsumexp(cosines / 0.1, 0) - cosines[own] / 0.1)
    assert float(module(batch)["contrast"].detach()) == pytest.approx(expected, rel=1e-4)  # fp32


def test_deleted_views_lack_their_share_each_its_own():
    objective = Contrastive(pairing=Packed(), views="deleted", deleted=0.25)
    batch, whole = (posed(one, np.arange(12)) for one in (objective, replace(objective, deleted=1e-9)))
    ids = batch.arrays["input_ids"]
    sizes, full = batch.arrays["is_text"].sum(1), whole.arrays["is_text"].sum(1)
    assert 0.6 < sizes.sum() / full.sum() < 0.9  # a quarter of the pieces, none of the special ones
    assert not np.array_equal(ids[:12], ids[12:])
    np.testing.assert_array_equal(ids, posed(objective, np.arange(12)).arrays["input_ids"])
    np.testing.assert_array_equal(
        ids[3, : sizes[3]], posed(objective, np.array([3])).arrays["input_ids"][0, : sizes[3]]
    )
    for row, size, there in zip(ids, sizes, whole.arrays["input_ids"]):
        rest = iter(there.tolist())
        assert all(piece in rest for piece in row[:size].tolist())  # in their order


def test_dropout_is_what_differs():
    objective = Contrastive(pairing=Packed(), views="dropout")
    module = objective.build(replace(ENCODER, hidden_dropout_prob=0.1), VOCABULARY)
    batch = tensors(posed(objective, np.arange(4)))
    first, second = module.eval().vectors(batch).chunk(2)
    torch.testing.assert_close(first, second)
    first, second = module.train().vectors(batch).chunk(2)
    assert not torch.allclose(first, second)
    with pytest.raises(UserError, match="hidden_dropout_prob 0 both readings"):
        objective.check(replace(ENCODER, hidden_dropout_prob=0.0))


def test_it_learns_which_halves_belong_together():
    torch.manual_seed(0)
    objective = Contrastive()
    module = objective.build(replace(ENCODER, hidden_dropout_prob=0.0), VOCABULARY)
    batch = tensors(posed(objective, np.arange(6)))
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        module(batch)["contrast"].backward()
        optimizer.step()
    right, asked = module.eval().measure(batch)["contrast_accuracy"]
    assert asked > 3 and int(right) == asked


def test_halves_are_in_their_own_languages():
    rows = Rows.of("[CLS] a b [SEP] [CLS] c [SEP]", "[CLS] d [SEP]")
    segment = np.array([0, 0, 0, 0, 1, 1, 1, 0, 0, 0], dtype=np.uint8)
    rows = rows.with_planes(segment=segment, language=segment + np.repeat(np.uint8([0, 4]), [7, 3]))
    language = _halves(rows, replace(VOCABULARY, cls=2, sep=3)).planes["language"]
    assert language[:10].tolist() == [0, 0, 0, 0, 4, 4, 4, 1, 1, 1]


def test_rows_of_special_pieces_alone_are_no_pairs():
    batch = posed(Contrastive(views="deleted", deleted=1.0), np.arange(5))
    assert not batch.arrays["is_pair"].any() and batch.counts["contrast"] == 0


@pytest.mark.parametrize(
    ("settings", "times"), [({}, 1), ({"views": "dropout"}, 2), ({"views": "deleted", "deleted": 0.25}, 1.5)]
)
def test_what_views_are_read_is_counted(settings, times):
    one = Encoder().flops_per_token(100, 32)
    assert one + Contrastive(**settings).flops_beside(Encoder(), 100, 32) == pytest.approx(times * one)
