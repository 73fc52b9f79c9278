"""Writing piece by piece, on tables of chances small enough to try every text."""

import itertools
import math

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.downstream.posing.generation import Generation

START, END, SIZE = 0, 1, 5


def chances_by_last_two(seed):
    """A next-piece function whose logits depend on the row and the last two pieces."""
    table = torch.randn(2, SIZE, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))

    def next_piece(written, rows, parents):
        before = written[:, -2] if written.shape[1] > 1 else torch.zeros(len(written), dtype=torch.long)
        return table[rows, before, written[:, -1]]

    return next_piece


def write(generation, next_piece, numbers=(0, 1), longest=4):
    return generation(next_piece, torch.tensor(numbers), start=START, end=END, longest=longest)


def log_chance(next_piece, row, pieces):
    written, total = [START], 0.0
    for piece in pieces:
        logits = next_piece(torch.tensor([written]), torch.tensor([row]), None)[0]
        total += logits.log_softmax(-1)[piece].item()
        written.append(piece)
    return total


@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_wide_beams_find_the_best_of_all_texts(seed, penalty):
    next_piece = chances_by_last_two(seed)
    found = write(Generation("beam", num_beams=200, length_penalty=penalty), next_piece)
    inner = [piece for piece in range(SIZE) if piece != END]
    texts = [(*body, END) for size in range(4) for body in itertools.product(inner, repeat=size)]
    for row in (0, 1):
        scores = {text: log_chance(next_piece, row, text) / ((5 + len(text)) / 6) ** penalty for text in texts}
        best = max(scores, key=scores.get)
        assert tuple(piece for piece in found[row].tolist() if piece >= 0) == best


def test_one_beam_is_greedy_where_greedy_ends():
    for seed in range(20):
        next_piece = chances_by_last_two(seed)
        greedy = write(Generation(), next_piece, longest=6)
        beam = write(Generation("beam", num_beams=1, length_penalty=0.0), next_piece, longest=6)
        for one, other in zip(greedy.tolist(), beam.tolist()):
            ended = [piece for piece in other if piece >= 0]
            # A beam may end earlier, at less than the likeliest piece; else both write the same.
            assert END in ended or ended == [piece for piece in one if piece >= 0]
            chosen = [piece for piece in one if piece >= 0]
            assert chosen.count(END) <= 1
            assert END not in chosen[:-1]


def test_draws_follow_the_chances_and_do_not_hang_on_the_batch():
    logits = torch.log(torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4]))

    def next_piece(written, rows, parents):
        return logits.expand(len(written), -1)

    sample = Generation("sample", seed=3)
    drawn = write(sample, next_piece, numbers=range(4000), longest=1)[:, 0]
    shares = torch.bincount(drawn, minlength=SIZE) / len(drawn)
    assert torch.allclose(shares, logits.exp(), atol=4 * math.sqrt(0.25 / 4000))
    assert write(sample, next_piece, numbers=[17], longest=1).item() == drawn[17]
    two = write(Generation("sample", top_k=2), next_piece, numbers=range(300), longest=1)
    assert set(two.flatten().tolist()) == {3, 4}
    nucleus = write(Generation("sample", top_p=0.71), next_piece, numbers=range(300), longest=1)
    assert set(nucleus.flatten().tolist()) == {2, 3, 4}


def test_a_setting_without_effect_is_refused():
    with pytest.raises(UserError, match="no effect on method greedy; set method to sample"):
        Generation(top_k=2)


def test_several_texts_have_seeds_of_their_own_and_must_be_drawn():
    drawn = Generation(method="sample", seed=7).several(3)
    assert [one.seed for one in drawn] == [7, 8, 9]
    assert Generation().several(1) == [Generation()]
    with pytest.raises(UserError, match="method greedy writes the same text each time; leave count out, or draw"):
        Generation().several(2)
