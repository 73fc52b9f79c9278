"""Denoising: what is read, what is written and where, on an encoder-decoder and behind the text in one stack."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.models.decoder import Decoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.nn.recurrence import Halting, Recurrence
from afterbert.nn.stack import Stack
from afterbert.objectives.denoising import Denoising
from afterbert.pretext.answers.dropped import Dropped
from afterbert.pretext.answers.missing_spans import MissingSpans
from afterbert.pretext.answers.whole_text import WholeText
from afterbert.pretext.corruptions.delete import Delete
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.corruptions.one_mask_per_span import OneMaskPerSpan
from afterbert.pretext.corruptions.permute_sentences import PermuteSentences
from afterbert.pretext.corruptions.rotate import Rotate
from afterbert.pretext.corruptions.sentinels import Sentinels
from afterbert.pretext.corruptions.shuffle import Shuffle
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.selections.all import All
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.selections.independent import Independent
from afterbert.pretext.selections.one_fragment import OneFragment
from afterbert.pretext.selections.poisson_spans import PoissonSpans
from afterbert.pretext.selections.suffix import Suffix
from afterbert.pretext.selections.t5_partition import T5Partition
from afterbert.pretext.sight import Sight
from afterbert.pretext.task import Pretext
from afterbert.recipes import resolve
from toy_corpus import LENGTH, NOISE, VOCABULARY, built, gradients, posed, tensors, toy_split

BOTH = EncoderDecoder(hidden_size=32, intermediate_size=48, max_position_embeddings=64)
ONE = Decoder(hidden_size=32, intermediate_size=48, max_position_embeddings=64)
PAIRING = Packed(bounds="keep", opens="none", closes="eos", between="none")
ROWS = [0, 1, 2, 3]
ALL_MASKED = Mask(masked=1.0, random=0.0)
POISSON = Edit(PoissonSpans(rate=0.3), OneMaskPerSpan())
TASKS = {
    "t5-prefix": Pretext(PAIRING, (Edit(Suffix(), Delete()),), (Dropped(),)),
    "t5-bert": Pretext(PAIRING, (Edit(Independent(), Mask(masked=0.9)),), (WholeText(),)),
    "t5-deshuffling": Pretext(PAIRING, (Edit(All(), Shuffle()),), (WholeText(),)),
    "t5-mass": Pretext(PAIRING, (Edit(Independent(), ALL_MASKED),), (WholeText(),)),
    "t5-replace-spans": Pretext(PAIRING, (Edit(Independent(), Sentinels()),), (MissingSpans(),)),
    "t5-drop": Pretext(PAIRING, (Edit(Independent(), Delete()),), (Dropped(),)),
    "t5-spans": Pretext(PAIRING, (Edit(T5Partition(), Sentinels()),), (MissingSpans(),)),
    "bart-masking": Pretext(PAIRING, (Edit(FixedCount(), ALL_MASKED),), (WholeText(),)),
    "bart-deletion": Pretext(PAIRING, (Edit(FixedCount(), Delete()),), (WholeText(),)),
    "bart-infilling": Pretext(PAIRING, (POISSON,), (WholeText(),)),
    "bart-sentences": Pretext(PAIRING, (Edit(All(), PermuteSentences()),), (WholeText(),)),
    "bart-rotation": Pretext(PAIRING, (Edit(All(), Rotate()),), (WholeText(),)),
    "bart": Pretext(PAIRING, (Edit(All(), PermuteSentences()), POISSON), (WholeText(),)),
    "mass": Pretext(PAIRING, (Edit(OneFragment(), ALL_MASKED),), (Dropped(),)),
}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("layout", ["encoder_decoder", "behind"])
def test_every_task_is_posed_to_both_architectures_within_its_length(name: str, layout: str) -> None:
    objective = Denoising(TASKS[name], layout=layout)  # type: ignore[arg-type]
    plan = objective.plan(toy_split(), length=LENGTH, vocabulary=VOCABULARY, noise=NOISE)
    batch = objective.pose(plan, np.arange(len(plan)), NOISE, vocabulary=VOCABULARY, length=LENGTH)
    assert batch.arrays["input_ids"].shape[1] <= LENGTH
    assert batch.arrays.get("decoder_input_ids", batch.arrays["input_ids"]).shape[1] <= LENGTH
    assert batch.counts["written"] == len(batch.arrays["target_ids"]) == len(batch.arrays["chosen"]) > 0
    module = built(objective, BOTH if layout == "encoder_decoder" else ONE)
    score = module(tensors(batch))["written"].detach() / batch.counts["written"]
    assert float(score) == pytest.approx(np.log(VOCABULARY.size), rel=0.05)


@pytest.mark.parametrize("layout", ["encoder_decoder", "behind"])
def test_a_target_is_read_one_piece_later_and_never_seen_before_it_is_written(layout: str) -> None:
    objective = Denoising(TASKS["t5-spans"], layout=layout)  # type: ignore[arg-type]
    module, batch = (built(objective, BOTH if layout == "encoder_decoder" else ONE).eval(), posed(objective, [0]))
    arrays = tensors(batch)
    key = "decoder_input_ids" if layout == "encoder_decoder" else "input_ids"
    places, targets = arrays["chosen"], arrays["target_ids"]
    assert int(arrays[key][0, places[0]]) == VOCABULARY.eos, "writing begins with the start piece"
    assert torch.equal(arrays[key][0, places[1:]], targets[:-1])
    before = module.predict(arrays).detach()
    for at in range(1, len(places)):
        changed = {**arrays, key: arrays[key].clone()}
        changed[key][0, places[at]] = 50 + (int(targets[at - 1]) == 50)
        moved = (module.predict(changed).detach() != before).any(-1)
        assert not moved[:at].any() and moved[at:].all()


def test_the_text_read_is_seen_from_everywhere_in_both_layouts() -> None:
    for layout, architecture in (("encoder_decoder", BOTH), ("behind", ONE)):
        objective = Denoising(TASKS["t5-spans"], layout=layout)  # type: ignore[arg-type]
        module, arrays = built(objective, architecture).eval(), tensors(posed(objective, [0]))
        before = module.predict(arrays).detach()
        num_read = int(arrays["chosen"][0]) if layout == "behind" else int(arrays["visible_lengths"][0])
        for place in (0, num_read - 1):
            changed = {**arrays, "input_ids": arrays["input_ids"].clone()}
            changed["input_ids"][0, place] = 51
            assert (module.predict(changed).detach() != before).any(-1).all(), (layout, place)


@pytest.mark.parametrize("layout", ["encoder_decoder", "behind"])
def test_micro_batches_and_batch_of_one(layout: str) -> None:
    objective = Denoising(TASKS["bart"], layout=layout)  # type: ignore[arg-type]
    module = built(objective, BOTH if layout == "encoder_decoder" else ONE)
    whole = gradients(module, [posed(objective, ROWS)])
    parts = gradients(module, [posed(objective, some) for some in ([0], [1, 2], [3])])
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], atol=1e-7, rtol=1e-6)
    module.eval()
    alone = torch.cat([module.predict(tensors(posed(objective, [row]))) for row in ROWS])
    torch.testing.assert_close(module.predict(tensors(posed(objective, ROWS))), alone, atol=1e-9, rtol=1e-9)


def test_t5_rows_are_as_long_as_the_release_makes_them() -> None:
    spans = Pretext(PAIRING, (Edit(T5Partition(roll=False), Sentinels()),), (MissingSpans(),))
    assert Denoising(spans).row_length(512) == 568 + 1, "568 raw pieces and the end piece"
    assert spans.target_length(569) == 114


def test_rows_are_shorter_where_the_whole_text_is_written() -> None:
    assert Denoising(TASKS["bart-infilling"]).row_length(128) == 128
    behind = Denoising(TASKS["t5-bert"], layout="behind").row_length(128)
    assert 128 - 4 <= 2 * behind <= 128
    with pytest.raises(UserError, match="leaves no room for a text to read and one to write"):
        Denoising(TASKS["t5-bert"], layout="behind").row_length(4)


def test_mass_writes_the_fragment_at_its_own_places_between_masks() -> None:
    objective = Denoising(TASKS["mass"], decoder_places="original")
    batch = posed(objective, ROWS)
    width = batch.arrays["decoder_input_ids"].shape[1]
    read, written = batch.arrays["input_ids"], batch.arrays["decoder_input_ids"]
    row, place = np.divmod(batch.arrays["chosen"], width)
    hidden = np.flatnonzero(read[0] == VOCABULARY.mask)
    assert place[row == 0].tolist() == [*hidden.tolist(), hidden[-1] + 1], "the fragment, and what ends it"
    assert (written[0, : hidden[0] + 1] == VOCABULARY.mask).all()
    targets = batch.arrays["target_ids"][row == 0]
    assert np.array_equal(written[0, hidden[0] + 1 : hidden[-1] + 2], targets[:-1])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="choose the other layout"):
        Denoising(TASKS["bart"]).check(ONE)
    with pytest.raises(UserError, match="choose the other layout"):
        Denoising(TASKS["bart"], layout="behind").check(BOTH)
    with pytest.raises(UserError, match="needs a decoder of its own"):
        Denoising(TASKS["mass"], layout="behind", decoder_places="original")
    bare = replace(VOCABULARY, eos=None)
    with pytest.raises(UserError, match="no eos token"):
        Denoising(TASKS["bart"]).build(BOTH, bare)


def test_dropout_ends_with_its_share_of_the_run() -> None:
    """The last tenth of a run computes what evaluation computes, from the batch alone: nothing is remembered, so a
    resumed run does the same."""
    recipe = resolve("bart", size="tiny").recipe
    objective = recipe.objective
    torch.manual_seed(0)
    module = objective.build(recipe.model, VOCABULARY)
    early, late = (tensors(posed(objective, [0, 1], noise=NOISE.at(progress))) for progress in (0.89, 0.9))
    expected = module.eval()(late)["written"]
    module.train()
    assert torch.equal(module(late)["written"], expected)
    assert not torch.equal(module(early)["written"], module(early)["written"]), "dropout draws anew"
    assert torch.equal(module(late)["written"], expected)
    assert not module.eval().backbone.training
    assert "undropped" not in posed(replace(objective, dropout_share=1.0), [0], noise=NOISE.at(1.0)).arrays


def test_padding_of_what_is_written_costs_no_steps() -> None:
    objective = Denoising(TASKS["t5-spans"])
    module = built(objective, replace(BOTH, stack=Stack(recurrence=Recurrence(halting=Halting()))))
    whole = gradients(module, [posed(objective, ROWS)])
    parts = gradients(module, [posed(objective, [row]) for row in ROWS])
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], atol=1e-7, rtol=1e-5)


def test_one_stack_says_itself_who_sees_whom() -> None:
    seen = replace(TASKS["t5-bert"], visibility=Sight(within_documents=True))
    with pytest.raises(UserError, match="leave visibility out"):
        Denoising(seen, layout="behind")
