"""Steps that score against a sample of pieces: one a step, for the first share of a run, only in training."""

from dataclasses import replace

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.models.encoder import Encoder
from afterbert.nn.sharing.by_language import ShareByLanguage
from afterbert.nn.stack import Stack
from afterbert.objectives.masked_lm import MaskedLM
from afterbert.objectives.parts.posing import SampledSoftmax
from afterbert.objectives.replaced_tokens import ReplacedTokens
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.task import Pretext
from toy_corpus import NOISE, built, loss_of, posed, toy_split

TASK = Pretext(Packed(bounds="keep"), (Edit(FixedCount(rate=0.3), Mask()),), (InPlace(),))
ALL = MaskedLM(TASK)
SOME = replace(ALL, sampled_softmax=SampledSoftmax(pieces=5, share=0.75))
TINY = Encoder(hidden_size=32, intermediate_size=48, max_position_embeddings=48, hidden_dropout_prob=0.0)


def test_the_parts_of_a_step_share_its_sample() -> None:
    module, other_view = built(SOME, TINY), NOISE.at(0.5).seen_as(3)
    module.train()
    whole = posed(SOME, [0, 1, 2, 3], noise=NOISE.at(0.5))
    parts = [posed(SOME, numbers, noise=NOISE.at(0.5)) for numbers in ([0, 1], [2], [3])]
    assert loss_of(module, parts).item() == pytest.approx(loss_of(module, [whole]).item(), rel=1e-6)
    key = whole.arrays["softmax_key"]
    assert posed(SOME, [5], noise=other_view).arrays["softmax_key"] == key  # rows of the next epoch in the same step
    assert posed(SOME, [0], noise=NOISE.at(0.25)).arrays["softmax_key"] != key


def test_only_training_samples_and_only_for_its_share() -> None:
    some, everything = built(SOME, TINY), built(ALL, TINY)
    batch, late = (posed(SOME, [0, 1], noise=NOISE.at(done)) for done in (0.5, 0.75))
    wanted = loss_of(everything, [posed(ALL, [0, 1], noise=NOISE.at(0.5))]).item()
    some.train()
    assert loss_of(some, [batch]).item() != pytest.approx(wanted, rel=1e-3)
    assert "softmax_key" not in late.arrays
    assert loss_of(some, [late]).item() == wanted
    some.eval()
    assert loss_of(some, [batch]).item() == wanted


def test_both_parts_of_a_run_are_told_and_a_short_run_may_have_one() -> None:
    (stages,) = SOME.course()
    assert stages.told(100) == "stages of softmax: of a sample (steps 1 to 75), of all pieces (steps 76 to 100)"
    assert stages.told(1) == "stages of softmax: of a sample (steps 1 to 1)"
    assert replace(SOME, sampled_softmax=SampledSoftmax(share=1.0)).course() == ()


def test_how_often_pieces_are_is_learned_before_the_first_step_and_saved() -> None:
    module, again = built(SOME, TINY), built(SOME, TINY)
    before = again.state_dict()["sampler.chances"].clone()
    SOME.begin(module, toy_split())
    again.load_state_dict(module.state_dict())
    assert not torch.equal(again.state_dict()["sampler.chances"], before)
    assert "sampler" not in module.saved_heads


def test_each_language_is_scored_against_the_sample_of_its_own_table() -> None:
    apart = replace(TINY, stack=Stack(sharing=ShareByLanguage(languages=("en", "de"), embeddings=True)))
    module = built(SOME, apart)
    states, targets = torch.randn(6, 32, dtype=torch.double), torch.tensor([9, 11, 9, 14, 20, 10])
    languages, sample = torch.tensor([0, 1, 1, 0, 1, 0]), module.sampler.draw(3)
    both = module.lm_head.score(states, targets, languages, sample=sample)
    alone = [
        sample.score(module.lm_head.transform(states[at]), *table, targets[at])
        for at, table in zip((languages == 0, languages == 1), module.lm_head._tables())
    ]
    assert both.item() == pytest.approx(sum(one.item() for one in alone), rel=1e-6)
    german = module.lm_head.score(states, targets, torch.ones(6, dtype=torch.long), sample=sample)
    assert german.item() != pytest.approx(both.item(), rel=1e-3)


def test_a_generator_needs_all_pieces() -> None:
    with pytest.raises(UserError, match="leave sampled_softmax out"):
        ReplacedTokens(TASK, sampled_softmax=SampledSoftmax())
