"""Recurrence in depth: signal, halting, ponder cost, and what it comes down to without them."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import family_for
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation
from afterbert.models.reshaped_encoder import ReshapedEncoder
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.separable_convolution import SeparableConvolution
from afterbert.nn.inputs import Inputs
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.position_embeddings.sinusoid import sinusoids
from afterbert.nn.recurrence import Halting, Recurrence, halting_statistics, ponder_cost
from afterbert.nn.sharing.all import ShareAll
from afterbert.nn.stack import Stack, Told
from afterbert.nn.visibility import PaddedVisibility

VOCABULARY = Vocabulary(size=29, pad=0)
PLAIN = Encoder(
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=4,
    hidden_dropout_prob=0,
    attention_probs_dropout_prob=0,
    embeddings=Embeddings(positions=NoPositionEmbedding()),
    stack=Stack(sharing=ShareAll()),
)
IDS = torch.randint(0, 29, (3, 7), generator=torch.Generator().manual_seed(1))


def with_recurrence(recurrence: Recurrence | None, architecture: Encoder = PLAIN) -> Encoder:
    return replace(architecture, stack=replace(architecture.stack, recurrence=recurrence))


def built(architecture: Architecture, bias: float | None = None) -> torch.nn.Module:
    torch.manual_seed(3)
    backbone = architecture.build(VOCABULARY)
    if bias is not None:
        with torch.no_grad():
            backbone.stack.recurrence.unit_bias.fill_(bias)
    return backbone


def test_one_certain_step_after_another_is_tied_depth() -> None:
    """A unit that never halts before the last layer gives all weight to it: fixed depth."""
    halting = built(with_recurrence(Recurrence(has_signal=False, halting=Halting())), bias=-60.0)
    plain = built(PLAIN)
    plain.load_state_dict({k: v for k, v in halting.state_dict().items() if "recurrence" not in k})
    assert torch.allclose(halting(IDS), plain(IDS), atol=1e-6)
    assert halting_statistics(halting)["mean_steps"] == 4


def test_a_unit_that_halts_at_once_gives_the_first_state() -> None:
    halting = built(with_recurrence(Recurrence(has_signal=False, halting=Halting())), bias=60.0)
    states = halting.layers(Inputs(IDS)).hidden
    assert torch.allclose(halting(IDS), states[1], atol=1e-6)
    assert all(torch.equal(state, states[1]) for state in states[2:]), "halted states are copied"
    assert halting_statistics(halting) == {"mean_steps": 1, "most_steps": 1, "mean_remainder": 1}


def test_the_signal_of_position_and_step_is_added_before_every_step() -> None:
    backbone = built(with_recurrence(Recurrence()))
    hidden = backbone.embeddings(IDS, position_ids=torch.arange(7)[None])
    attention, transform = backbone.stack.attention[0], backbone.stack.feed_forward[0]
    around = backbone.stack._surroundings("full_attention", hidden, Told(None, torch.arange(7)[None]))
    for step in range(4):
        signal = sinusoids(torch.arange(7), 16) + sinusoids(torch.tensor([step]), 16)
        hidden = transform(attention(hidden + signal, around))
    assert torch.allclose(backbone(IDS), hidden, atol=1e-6)


def by_hand(chances: list[float], epsilon: float) -> tuple[list[float], float]:
    """Graves' equations 5 to 12 for one piece: weight of each state, ponder cost."""
    weights: list[float] = []
    for number, chance in enumerate(chances):
        if sum(weights) + chance > 1 - epsilon or number == len(chances) - 1:
            left = 1 - sum(weights)
            return [*weights, left], len(weights) + 1 + left
        weights.append(chance)
    raise AssertionError


@torch.no_grad()
def test_weights_and_ponder_cost_are_graves() -> None:
    backbone = built(with_recurrence(Recurrence(halting=Halting(epsilon=0.05))), bias=-0.7)
    with torch.no_grad():
        backbone.stack.recurrence.unit.weight.mul_(40)
    visibility = PaddedVisibility(lengths=torch.tensor([7, 4, 1]))
    output = backbone(IDS, visibility=visibility)
    ponder = ponder_cost(backbone)
    states = backbone.layers(Inputs(IDS, visibility=visibility)).hidden
    places = torch.arange(7)[None]
    unit, expected, cost, steps = backbone.stack.recurrence, torch.zeros_like(output), 0.0, set()
    for row, length in enumerate([7, 4, 1]):
        for place in range(7):
            chances = [
                float(torch.sigmoid(unit.unit(read[row, place]) + unit.unit_bias))
                for read in (unit.signalled(state, places, step) for step, state in enumerate(states[:-1]))
            ]
            weights, price = by_hand(chances, 0.05)
            for number, share in enumerate(weights):
                expected[row, place] += share * states[number + 1][row, place]
            cost += price if place < length else 0.0
            steps.add(len(weights))
    assert len(steps) > 1, "the example must have pieces that halt at different steps"
    assert torch.allclose(output, expected, atol=1e-5)
    assert ponder is not None and abs(float(ponder) - cost) < 1e-3


def test_the_ponder_cost_has_a_gradient_that_shortens() -> None:
    backbone = built(with_recurrence(Recurrence(halting=Halting())), bias=-2.0).train()
    optimizer = torch.optim.SGD([backbone.stack.recurrence.unit_bias], lr=0.02)
    before = None
    for _ in range(30):
        backbone(IDS)
        ponder = ponder_cost(backbone)
        assert ponder is not None
        before = before or float(ponder.detach())
        optimizer.zero_grad()
        ponder.backward()
        optimizer.step()
    backbone(IDS)
    ponder = ponder_cost(backbone)
    assert ponder is not None and float(ponder.detach()) < before - 1


def test_a_model_can_be_copied_in_the_middle_of_training() -> None:
    backbone = built(with_recurrence(Recurrence(halting=Halting())))
    backbone(IDS)
    again = copy.deepcopy(backbone)
    assert ponder_cost(backbone) is not None and ponder_cost(again) is None
    assert torch.equal(again(IDS), backbone(IDS))


def test_padding_and_the_batch_change_nothing() -> None:
    backbone = built(with_recurrence(Recurrence(halting=Halting())), bias=-0.5).eval()
    alone = backbone(IDS[1:2, :4])
    together = backbone(IDS, visibility=PaddedVisibility(lengths=torch.tensor([7, 4, 1])))
    assert torch.allclose(together[1:2, :4], alone, atol=1e-6)


@pytest.mark.parametrize("kind", [Encoder, Decoder, EncoderDecoder])
@pytest.mark.parametrize("recurrence", [Recurrence(), Recurrence(halting=Halting())])
def test_any_architecture_of_stacks_may_halt(kind: type[Architecture], recurrence: Recurrence) -> None:
    base = kind()
    architecture = replace(base, stack=replace(base.stack, sharing=ShareAll(), recurrence=recurrence))
    backbone = architecture.build(VOCABULARY)
    assert architecture.flops_per_token(29, 8) >= base.flops_per_token(29, 8)
    written = (IDS, IDS) if kind is EncoderDecoder else (IDS,)
    assert backbone(*written).isfinite().all()
    assert (ponder_cost(backbone) is None) == (recurrence.halting is None)
    assert ("written_mean_steps" in halting_statistics(backbone)) == (
        kind is EncoderDecoder and recurrence.halting is not None
    )


def test_what_cannot_recur_and_what_cannot_be_exported_is_said() -> None:
    with pytest.raises(UserError, match="two streams have no recurrence"):
        base = Permutation()
        replace(base, stack=replace(base.stack, recurrence=Recurrence()))
    with pytest.raises(UserError, match="even hidden_size"):
        replace(with_recurrence(Recurrence()), hidden_size=15, num_attention_heads=1)
    with pytest.raises(UserError, match="no exact form") as refusal:
        family_for(with_recurrence(Recurrence(halting=Halting())), VOCABULARY)
    assert any("stack.recurrence" in line for line in refusal.value.lines)
    assert "--own" in refusal.value.lines[-1] and "--onnx" in refusal.value.lines[-1]


CONVOLVED = replace(
    PLAIN, stack=replace(PLAIN.stack, feed_forward=SeparableConvolution(), recurrence=Recurrence(halting=Halting()))
)


def test_a_convolution_takes_from_neighbours_what_attention_may_see() -> None:
    """Convolutions alone (attention weights zero): a piece changes with those at most (3 + 5) / 2 - 1 = 3 places away
    a layer, never with padding or with what its rule hides."""
    one_layer = replace(CONVOLVED, num_hidden_layers=1, stack=replace(CONVOLVED.stack, recurrence=None))
    backbone = built(one_layer)
    backbone.stack.attention[0].inner.output.weight.data.zero_()
    changed = IDS.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 28 + 1
    for rule, moved in (
        (None, [2, 3, 4, 5, 6]),
        (PaddedVisibility(lengths=torch.tensor([5, 5, 5])), []),
        (PaddedVisibility.left_to_right(torch.device("cpu")), [5, 6]),
        (PaddedVisibility(documents=torch.tensor([[0, 0, 0, 0, 1, 1, 1]]).expand(3, -1)), [4, 5, 6]),
    ):
        before, after = (backbone(ids, visibility=rule) for ids in (IDS, changed))
        different = (before - after).abs().amax(dim=(0, 2)) > 1e-6
        found = different.nonzero().flatten().tolist()
        assert [place for place in found if rule is None or rule.lengths is None or place < 5] == moved


def test_a_convolved_stack_counts_its_weights_and_is_refused_where_it_cannot_be() -> None:
    backbone = built(CONVOLVED)
    assert CONVOLVED.num_parameters(29) == sum(p.numel() for p in backbone.parameters())
    wanted = torch.tensor([0, 8])
    assert torch.allclose(backbone(IDS, wanted=wanted), backbone(IDS).flatten(0, 1)[wanted], atol=1e-6)
    with pytest.raises(UserError, match="writes piece by piece"):
        replace(Decoder(), stack=replace(Decoder().stack, feed_forward=SeparableConvolution())).build(VOCABULARY)
    with pytest.raises(UserError, match="look at no neighbours"):
        replace(Permutation(), stack=replace(Permutation().stack, feed_forward=SeparableConvolution()))
    with pytest.raises(UserError, match="narrower"):
        ReshapedEncoder(stack=CONVOLVED.stack)
