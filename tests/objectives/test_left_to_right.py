"""Causal and prefix language models: what is asked, and that nothing to the right is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.objectives.causal_lm import CausalLM
from afterbert.objectives.parts.posing import PretextObjective
from afterbert.objectives.prefix_lm import PrefixLM
from afterbert.pretext.answers.next import Next
from afterbert.pretext.corruptions.keep import Keep
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.selections.all import All
from afterbert.pretext.selections.suffix import Suffix
from afterbert.pretext.sight import Sight
from afterbert.pretext.task import Pretext
from toy_corpus import VOCABULARY, built, gradients, hidden_of, posed, tensors

DECODER = Decoder(hidden_size=32, intermediate_size=48, max_position_embeddings=48)
ENCODER = Encoder(hidden_size=32, intermediate_size=48, max_position_embeddings=48)
PAIRING = Packed(bounds="keep", opens="bos", closes="eos", between="none")
CAUSAL = CausalLM(Pretext(PAIRING, (Edit(All(), Keep()),), (Next(),), Sight(kinds=("causal",))))
PREFIX = PrefixLM(Pretext(PAIRING, (Edit(Suffix(), Keep()),), (Next(),), Sight(kinds=("prefix",))))
ROWS = [0, 1, 2, 3]
CASES = [(CAUSAL, DECODER), (CAUSAL, ENCODER), (PREFIX, DECODER), (PREFIX, ENCODER)]
NAMES = ["causal-decoder", "causal-encoder", "prefix-decoder", "prefix-encoder"]


@pytest.mark.parametrize(("objective", "architecture"), CASES, ids=NAMES)
def test_each_answer_depends_on_nothing_that_it_may_not_see(
    objective: PretextObjective, architecture: Decoder | Encoder
) -> None:
    module, batch = built(objective, architecture).eval(), posed(objective, [0])
    arrays = tensors(batch)
    table = module.backbone.embeddings.token
    vectors = table(arrays["input_ids"]).detach().requires_grad_()
    module.backbone.embeddings._table = (lambda ids: vectors,)
    logits = module.predict(arrays)
    first = int(arrays["chosen"][0])
    for at, place in enumerate(arrays["chosen"].tolist()):
        (found,) = torch.autograd.grad(logits[at].square().sum(), vectors, retain_graph=True)
        seen = (found[0].abs().sum(-1) > 0).nonzero().flatten().tolist()
        assert seen == list(range(place + 1)), "all that stands before is seen, and nothing after"
        assert place >= first


@pytest.mark.parametrize(("objective", "architecture"), CASES, ids=NAMES)
def test_each_target_is_the_piece_that_follows(objective: PretextObjective, architecture: Decoder | Encoder) -> None:
    arrays = posed(objective, ROWS).arrays
    ids = arrays["input_ids"].flatten()
    assert np.array_equal(ids[arrays["chosen"] + 1], arrays["target_ids"])
    assert VOCABULARY.eos in arrays["target_ids"] and VOCABULARY.pad not in arrays["target_ids"]


def test_the_prefix_is_read_both_ways_and_not_asked() -> None:
    module, batch = built(PREFIX, DECODER).eval(), posed(PREFIX, [0])
    arrays = tensors(batch)
    length = int(arrays["chosen"][0]) + 1
    assert length > 2 and batch.counts["next"] == batch.num_tokens - length
    before = hidden_of(module, arrays)[0]
    changed = {**arrays, "input_ids": arrays["input_ids"].clone()}
    changed["input_ids"][0, length - 1] = 50
    assert not torch.equal(hidden_of(module, changed)[0, 0], before[0]), "its first piece sees its last"


@pytest.mark.parametrize(("objective", "architecture"), CASES, ids=NAMES)
def test_micro_batches_and_batch_of_one(objective: PretextObjective, architecture: Decoder | Encoder) -> None:
    module = built(objective, architecture)
    whole = gradients(module, [posed(objective, ROWS)])
    parts = gradients(module, [posed(objective, some) for some in ([0], [1, 2], [3])])
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], atol=1e-7, rtol=1e-6)
    alone = torch.cat([module.predict(tensors(posed(objective, [row]))) for row in ROWS])
    torch.testing.assert_close(module.predict(tensors(posed(objective, ROWS))), alone, atol=1e-9, rtol=1e-9)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="use prefix_lm"):
        CausalLM(PREFIX.pretext)
    with pytest.raises(UserError, match="use causal_lm"):
        PrefixLM(CAUSAL.pretext)
    for objective in (CAUSAL, PREFIX):
        with pytest.raises(UserError, match=r"set model\.type to decoder"):
            objective.check(EncoderDecoder())
