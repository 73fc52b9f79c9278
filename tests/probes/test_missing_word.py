"""The question that all runs share: gaps are where they are said to be, what is learned is what can be told, and every
kind of model can be asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from afterbert.base.noise import Noise
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation
from afterbert.pretext.pairings.packed import Packed
from afterbert.probes.figure import Figure
from afterbert.probes.missing_word import MissingWord, _by_row, _discriminant, _Gaps, _interval, _WordCounts
from invented_rows import FakeSplit
from toy_corpus import VOCABULARY, undropped

QUESTION = MissingWord(answers=6, rows_to_learn=60, rows_to_ask=30, length=32, layers=2)
SIZES = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64}


def split_of(*, chained: bool, seed: int, documents: int = 40) -> FakeSplit:
    """Words of one piece each. chained: every word follows from the one before; else all are drawn apart."""
    draw = np.random.default_rng(seed)
    words = VOCABULARY.ordinary_ids[:6]
    sizes = [np.array([60]) for _ in range(documents)]
    total = 60 * documents
    numbers = (np.arange(total) + seed) % 6 if chained else draw.integers(6, size=total)
    return FakeSplit(sizes, words[numbers], np.ones(total, dtype=bool), label=f"words-{chained}-{seed}")


def figure(architecture: Architecture, *, chained: bool) -> Figure:
    built = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        built.append(undropped(architecture).build(VOCABULARY).eval())
    found = QUESTION(
        built[0], built[1], split_of(chained=chained, seed=0), split_of(chained=chained, seed=1), VOCABULARY
    )
    assert found is not None and found.interval is not None
    assert found.interval[0] <= found.value <= found.interval[1]
    return found


@pytest.mark.parametrize("kind", [Encoder, Decoder, EncoderDecoder, Permutation])
def test_every_kind_of_model_is_asked_and_finds_what_a_neighbour_tells(kind: type) -> None:
    found = figure(kind(**SIZES), chained=True)
    assert found.value > 0.95 and found.beside["counting neighbours"] == 1.0


def test_what_nothing_tells_is_not_found() -> None:
    found = figure(Encoder(**SIZES), chained=False)
    assert found.interval is not None
    assert found.interval[0] < 1 / 6 + 0.05 and found.value < 0.3


def test_a_gap_put_back_gives_the_row_again() -> None:
    split = split_of(chained=False, seed=3)
    rows = Packed().plan(split, length=32, vocabulary=VOCABULARY, noise=Noise(0)).rows(np.arange(20))
    answers = _WordCounts.of(split, VOCABULARY, 4).answers
    gaps = _Gaps.of(rows, answers)
    assert len(gaps.answer) > 20
    for number in range(len(rows)):
        ids = gaps.rows.piece_ids[gaps.rows.row_starts[number] : gaps.rows.row_starts[number + 1]].tolist()
        mine = np.flatnonzero(gaps.row == number)
        for gap in mine[::-1]:
            place = int(gaps.place[gap])
            assert ids[place] == gaps.left_ids[gap] and ids[place + 1] == gaps.right_ids[gap]
            ids.insert(place + 1, int(answers[gaps.answer[gap]]))
        assert ids == rows.piece_ids[rows.row_starts[number] : rows.row_starts[number + 1]].tolist()


def test_nothing_held_out_or_too_little_is_no_figure() -> None:
    backbone = Encoder(**SIZES).build(VOCABULARY).eval()
    few = replace(QUESTION, rows_to_learn=2, answers=6)
    train, held_out = split_of(chained=True, seed=0), split_of(chained=True, seed=1)
    assert few(backbone, backbone, train, held_out, VOCABULARY) is None


def test_the_discriminant_tells_two_clouds_apart_and_knows_the_larger_one() -> None:
    draw = torch.Generator().manual_seed(0)
    labels = (torch.arange(300) % 3 == 0).long()
    clouds = torch.randn(300, 4, generator=draw) + 6.0 * labels[:, None]
    assert (_discriminant(clouds, labels, clouds, 0.03) == labels).all()
    nowhere = torch.zeros(300, 4)
    assert (_discriminant(nowhere, labels, nowhere, 0.3) == 0).all(), "without any sign the frequent one"


def test_the_interval_is_wider_where_rows_answer_alike() -> None:
    right = np.tile([True, True, False, False], 50)
    apart, alike = (_interval(_by_row(right, rows)) for rows in (np.arange(200), np.repeat(np.arange(100), 2)))
    assert alike[1] - alike[0] > 1.3 * (apart[1] - apart[0])
    assert abs(sum(apart) / 2 - 0.5) < 1e-9


def test_the_rows_of_a_figure_add_up_to_it() -> None:
    found = figure(Encoder(**SIZES), chained=False)
    right, count = np.array(found.rows).sum(axis=0)
    assert (count, right / count) == (found.count, found.value)
