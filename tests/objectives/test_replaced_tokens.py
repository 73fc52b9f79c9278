"""Replaced token detection: what is sampled, what counts as replaced, where gradients go, and the stepping stones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.models.encoder import Encoder
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.sharing.by_language import ShareByLanguage
from afterbert.nn.stack import Stack
from afterbert.nn.visibility import PaddedVisibility
from afterbert.objectives import Batch, Objective
from afterbert.objectives.heads.adversary import Adversary
from afterbert.objectives.heads.detection import GeneratedRows, WhichPieceOrThis
from afterbert.objectives.masked_lm import Boundary, MaskedLM
from afterbert.objectives.modules.replaced_tokens import sampled
from afterbert.objectives.replaced_tokens import Asks, Generator, ReplacedTokens
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.task import Pretext
from toy_corpus import NOISE, VOCABULARY, built, gradients, loss_of, posed, tensors

TINY = Encoder(hidden_size=32, intermediate_size=48, max_position_embeddings=48)
TASK = Pretext(Packed(), (Edit(FixedCount(rate=0.3), Mask(masked=0.85, random=0.0)),), (InPlace(),))
ASKS: tuple[Asks, ...] = ("replaced_everywhere", "replaced_where_chosen", "pieces_where_chosen", "pieces_everywhere")
ROWS = [0, 1, 2, 3]
BARRED = torch.from_numpy(VOCABULARY.is_special)


def originals(batch: Batch) -> np.ndarray:
    ids = batch.arrays["input_ids"].flatten().copy()
    ids[batch.arrays["chosen"]] = batch.arrays["target_ids"]
    return ids


def test_samples_follow_the_softmax_and_are_never_special() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(120, generator=draw) * 2
    uniforms = torch.rand(40_000, 2, generator=draw)
    for temperature in (1.0, 2.0):
        ids = sampled(logits.expand(len(uniforms), -1), uniforms, temperature=temperature, is_barred=BARRED)
        expected = (logits / temperature).masked_fill(BARRED, float("-inf")).softmax(-1)
        observed = torch.bincount(ids, minlength=120) / len(ids)
        assert not BARRED[ids].any()
        spread = (expected * (1 - expected) / len(ids)).sqrt()
        assert ((observed - expected).abs() <= 5 * spread + 1e-9).all()


def test_samples_reach_all_of_a_large_vocabulary() -> None:
    uniforms = torch.rand(6_000, 2, generator=torch.Generator().manual_seed(0))
    barred = torch.zeros(300, dtype=torch.bool)
    ids = sampled(torch.zeros(1, 300).expand(6_000, -1), uniforms, temperature=1.0, is_barred=barred)
    assert len(set(ids.tolist())) == 300 and ids.max() == 299


def test_half_precision_of_the_model_does_not_coarsen_the_draw() -> None:
    draw = torch.Generator().manual_seed(0)
    logits, uniforms = torch.randn(500, 1000, generator=draw), torch.rand(500, 2, generator=draw)
    barred = torch.zeros(1000, dtype=torch.bool)
    expected = sampled(logits, uniforms, temperature=1.0, is_barred=barred)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(sampled(logits, uniforms, temperature=1.0, is_barred=barred), expected)


def test_the_highest_noise_still_draws_an_allowed_piece() -> None:
    logits = torch.full((3, 120), -50.0)
    logits[:, 119] = 50
    barred = BARRED.clone()
    barred[119] = True
    top = torch.full((3, 2), 1 - 2**-24)
    assert not barred[sampled(logits, top, temperature=1.0, is_barred=barred)].any()


def test_the_same_row_is_corrupted_alike_in_any_batch() -> None:
    objective = ReplacedTokens(TASK)
    module = built(objective, TINY).eval()
    shown = []
    for numbers in ([2], [3, 2, 0]):
        arrays = tensors(posed(objective, numbers))
        with torch.no_grad():
            _, ids = module.corrupted(arrays, module._guesses(arrays))
        shown.append(ids[numbers.index(2)])
    assert torch.equal(*shown)
    batch = posed(objective, [2])
    again = posed(objective, [2], noise=NOISE.seen_as(1))
    assert not np.array_equal(batch.arrays["sampling_noise"], again.arrays["sampling_noise"])


def test_a_sample_equal_to_the_original_is_original() -> None:
    objective = ReplacedTokens(TASK)
    module, batch = built(objective, TINY).eval(), posed(objective, ROWS)
    arrays = tensors(batch)
    sure = F.one_hot(arrays["target_ids"], VOCABULARY.size) * 1e4
    sure[0] = F.one_hot(arrays["target_ids"][0] % 60 + 59, VOCABULARY.size) * 1e4  # one sample is another piece
    original, shown = module.corrupted(arrays, sure)
    assert (original != shown).flatten().nonzero().flatten().tolist() == [int(arrays["chosen"][0])]
    assert original.flatten().tolist() == originals(batch).tolist()


def test_every_chosen_place_gets_a_sample_whether_it_was_masked_or_kept() -> None:
    task = replace(TASK, edits=(Edit(FixedCount(rate=0.3), Mask(masked=0.5, random=0.0)),))
    objective = ReplacedTokens(task)
    module, batch = built(objective, TINY).eval(), posed(objective, ROWS)
    arrays = tensors(batch)
    kept = arrays["input_ids"].flatten()[arrays["chosen"]] == arrays["target_ids"]
    assert kept.any() and not kept.all()
    elsewhere = F.one_hot((arrays["target_ids"] - 39) % 80 + 40, VOCABULARY.size) * 1e4
    original, shown = module.corrupted(arrays, elsewhere)
    assert (original != shown).flatten().nonzero().flatten().tolist() == arrays["chosen"].tolist()


def test_all_ordinary_pieces_are_asked_and_no_special_one() -> None:
    batch = posed(ReplacedTokens(TASK), ROWS)
    asked = np.zeros(batch.arrays["input_ids"].size, dtype=bool)
    asked[batch.arrays["detected_at"]] = True
    assert np.array_equal(asked, ~VOCABULARY.is_special[originals(batch)])
    assert batch.counts["replaced"] == asked.sum()


@pytest.mark.parametrize("asks", ASKS)
def test_no_gradient_passes_through_the_sampling(asks: Asks) -> None:
    objective = ReplacedTokens(TASK, generator=Generator(shares="none"), asks=asks)
    module, batch = built(objective, TINY), posed(objective, ROWS)
    scores = module(tensors(batch))
    of = {part: set() for part in scores}
    for part, score in scores.items():
        module.zero_grad(set_to_none=True)
        score.backward(retain_graph=True)
        of[part] = {name.split(".")[0] for name, p in module.named_parameters() if p.grad is not None}
    assert of.pop("generator") == {"generator", "generator_head"}
    assert of.popitem()[1] == {"backbone", "detector"}


def test_shared_tables_learn_from_both_and_have_one_name() -> None:
    objective = ReplacedTokens(TASK)
    module = built(objective, TINY)
    assert module.generator.embeddings.widen.weight.shape == (8, 32)
    names = [name for name, _ in module.named_parameters()]
    assert not [name for name in names if name.startswith("generator.embeddings") and "widen" not in name]
    arrays = tensors(posed(objective, ROWS))
    for name in ("token", "position", "segment", "norm"):
        weight = getattr(module.backbone.embeddings, name).weight
        hidden = (module.generator(arrays["input_ids"]).sum(), module.backbone(arrays["input_ids"]).square().sum())
        assert all(torch.autograd.grad(each, weight)[0].any() for each in hidden), name
    scores, table = module(arrays), module.backbone.embeddings.token.weight
    assert all(torch.autograd.grad(score, table, retain_graph=True)[0].any() for score in scores.values())


@pytest.mark.parametrize("shares", ["embeddings", "all", "none"])
def test_the_generators_head_is_tied_to_its_input_table(shares: str) -> None:
    size = 1.0 if shares == "all" else 0.25
    module = built(ReplacedTokens(TASK, generator=Generator(size=size, shares=shares)), TINY)
    weights = module.generator_head.state_dict()
    assert not any(tensor.shape[0] == VOCABULARY.size and tensor.ndim == 2 for tensor in weights.values())
    ids = torch.full((1, 3), 77)
    table = module.generator.embeddings._table[0].weight
    before = module.generator_head(module.generator(ids)[0]).detach(), module.generator(ids).detach()
    with torch.no_grad():
        table[77] += 1
    after = module.generator_head(module.generator(ids)[0]).detach(), module.generator(ids).detach()
    assert not torch.equal(before[0], after[0]) and not torch.equal(before[1], after[1])
    assert (table is module.backbone.embeddings.token.weight) == (shares != "none")


def test_generator_sizes() -> None:
    base = Encoder(hidden_size=256, num_attention_heads=4, intermediate_size=1024)
    factored = replace(base, embeddings=Embeddings(embedding_size=128))
    quarter = Generator().of(factored)
    assert (quarter.hidden_size, quarter.num_attention_heads, quarter.intermediate_size) == (64, 1, 256)
    assert quarter.embeddings.embedding_size == 128
    assert Generator(size=1).of(base) == base and Generator(size=1).of(factored) == factored
    for third in (1 / 3, 0.333):  # the release's has heads of 64, as the discriminator
        found = Generator(size=third).of(replace(base, hidden_size=768, num_attention_heads=12))
        assert (found.hidden_size, found.num_attention_heads) == (256, 4)
    with pytest.raises(UserError, match="shares all weights has the model's own shape"):
        ReplacedTokens(TASK, generator=Generator(shares="all")).check(base)


@pytest.mark.parametrize("asks", ASKS)
def test_micro_batches_do_not_change_the_step(asks: Asks) -> None:
    objective = ReplacedTokens(TASK, asks=asks)
    module = built(objective, TINY)
    whole = gradients(module, [posed(objective, ROWS)])
    parts = gradients(module, [posed(objective, some) for some in ([0], [1, 2], [3])])
    assert whole.keys() == parts.keys()
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("asks", ASKS)
def test_nothing_chosen_is_zero_and_finite(asks: Asks) -> None:
    objective = ReplacedTokens(TASK, asks=asks)
    module, batch = built(objective, TINY), posed(objective, [0])
    none = {name: batch.arrays[name][:0] for name in ("chosen", "target_ids", "sampling_noise", "detected_at")}
    empty = Batch({**batch.arrays, **none}, dict.fromkeys(batch.counts, 0), 1, batch.row_keys)
    assert all(float(score.detach()) == 0 for score in module(tensors(empty)).values())
    assert all(gradient.isfinite().all() for gradient in gradients(module, [empty]).values())


def test_the_copy_gate_mixes_the_shown_piece_with_the_vocabulary() -> None:
    objective = ReplacedTokens(TASK, asks="pieces_everywhere")
    detector = built(objective, TINY).detector
    assert isinstance(detector, WhichPieceOrThis)
    hidden = torch.randn(2, 32, dtype=torch.float64)
    corrupted = GeneratedRows(torch.tensor([50, 60]), torch.tensor([50, 70]))
    found = detector(hidden, corrupted)
    gate = torch.sigmoid(detector.copy_gate(hidden))
    shown = F.one_hot(corrupted.shown_ids, VOCABULARY.size)
    expected = gate * shown + (1 - gate) * detector.lm_head(hidden).softmax(-1)
    torch.testing.assert_close(found.exp().double(), expected, atol=1e-6, rtol=1e-5)
    picked = expected[torch.arange(2), corrupted.original_ids]
    torch.testing.assert_close(detector.score(found, corrupted).double(), -picked.log().sum(), atol=1e-5, rtol=1e-5)


def test_two_stages_train_one_and_then_the_other_from_its_weights() -> None:
    objective = ReplacedTokens(TASK, generator=Generator(size=1, shares="none"), two_stage=0.5)
    module = built(objective, TINY).train()
    first, second = posed(objective, ROWS), posed(objective, ROWS, noise=NOISE.at(0.5))
    assert "replaced" not in first.counts and "generator" not in second.counts
    assert {name.split(".")[0] for name in gradients(module, [first])} == {"generator", "generator_head"}
    module.eval()(tensors(second))
    assert not module.is_handed_over, "looking at held-out rows changes nothing"
    assert {name.split(".")[0] for name in gradients(module.train(), [second])} == {"backbone", "detector"}
    for name, weight in module.backbone.state_dict().items():
        assert torch.equal(weight, module.generator.state_dict()[name]), name
    with torch.no_grad():
        module.backbone.embeddings.token.weight += 1
    loss_of(module, [second])
    assert "is_handed_over" in module.state_dict()
    assert not torch.equal(module.backbone.embeddings.token.weight, module.generator.embeddings.token.weight)


def test_two_stages_need_models_alike_and_apart() -> None:
    with pytest.raises(UserError, match="size to 1 and"):
        ReplacedTokens(TASK, two_stage=0.5)


def test_the_saved_backbone_is_the_discriminators() -> None:
    module = built(ReplacedTokens(TASK), TINY)
    assert module.backbone is not module.generator and set(module.saved_heads) == {"detection_head"}
    replacing = built(ReplacedTokens(TASK, asks="pieces_where_chosen"), TINY)
    assert set(replacing.saved_heads) == {"lm_head"}


def test_noise_of_a_piece_is_its_own() -> None:
    drawn = posed(ReplacedTokens(TASK), ROWS).arrays["sampling_noise"]
    assert drawn.dtype == np.float32 and (drawn >= 0).all() and (drawn < 1).all()
    assert len(np.unique(drawn)) == drawn.size


@pytest.mark.parametrize("shares", ["embeddings", "none", "all"])
def test_the_generator_stands_alone_beside_the_model(shares: str) -> None:
    size = 1.0 if shares == "all" else 0.5
    module = built(ReplacedTokens(TASK, generator=Generator(size=size, shares=shares)), TINY)  # type: ignore[arg-type]
    arrays = tensors(posed(ReplacedTokens(TASK), ROWS))
    asked, alone = module.language_model, module.beside()["generator"]
    assert asked is not None and asked.fills_masks and asked.said == alone.said == "the generator"
    torch.testing.assert_close(alone.predict(arrays), asked.predict(arrays), atol=0, rtol=0)
    assert alone.backbone.embeddings.token is not module.backbone.embeddings.token, "it owns its table"
    assert "the model itself names none" in alone.note


def test_a_start_from_a_discriminator_alone_says_what_becomes_of_the_generator() -> None:
    objective = ReplacedTokens(TASK, generator=Generator(size=0.5))
    trained, fresh = built(objective, TINY, seed=1), built(objective, TINY, seed=2)
    weights = {"backbone": trained.backbone.state_dict()}
    weights |= {name: head.state_dict() for name, head in trained.saved_heads.items()}
    (note,) = fresh.start_from(weights)
    assert "starts fresh, with the table of pieces that it shares" in note
    generator = trained.beside()["generator"]
    weights |= {f"generator.{part}": module.state_dict() for part, module in generator.parts().items()}
    assert fresh.start_from(weights) == ()
    for name, tensor in trained.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor), name


def test_a_generator_of_another_shape_is_refused() -> None:
    small = built(ReplacedTokens(TASK, generator=Generator(size=0.5)), TINY)
    large = built(ReplacedTokens(TASK, generator=Generator(size=1.0)), TINY)
    weights = {f"generator.{part}": one.state_dict() for part, one in small.beside()["generator"].parts().items()}
    with pytest.raises(UserError, match="another shape"):
        large.start_from(weights)


def test_an_adversarial_generator_follows_reinforce() -> None:
    """Its gradient is that of -sum (reward - forecast) log p(sample), written out by hand; the discriminator's is its
    own loss alone."""
    plain, objective = (ReplacedTokens(TASK), ReplacedTokens(TASK, Generator(shares="none", learns="to_deceive")))
    module, arrays = built(objective, TINY), tensors(posed(objective, ROWS))
    assert set(module.loss_weights) == {"adversary", "forecast", "replaced"}
    assert posed(plain, ROWS).counts["generator"] == posed(objective, ROWS).counts["adversary"]
    scores = module(arrays)
    parameters = list(module.generator.parameters())
    found = torch.autograd.grad(scores["adversary"], parameters, retain_graph=True)

    hidden = module.generator(arrays["input_ids"], visibility=PaddedVisibility.of(arrays), wanted=arrays["chosen"])
    logits = module.generator_head(hidden).masked_fill(module.is_barred, float("-inf"))
    original, shown = module.corrupted(arrays, module.generator_head(hidden))
    states = module.backbone(shown, visibility=PaddedVisibility.of(arrays)).flatten(0, 1)[arrays["chosen"]]
    said = module.detector.detection_head(states).sigmoid()
    drawn = shown.flatten()[arrays["chosen"]]
    is_replaced = drawn != original.flatten()[arrays["chosen"]]
    reward = -torch.where(is_replaced, said, 1 - said).log()
    forecast = -module.adversary.forecast(hidden).squeeze(-1).sigmoid().log()
    shares = logits.softmax(-1)[torch.arange(len(drawn)), drawn]
    expected = torch.autograd.grad(-((reward - forecast).detach() * shares.log()).sum(), parameters)
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
    for part in ("adversary", "forecast"):
        reached = torch.autograd.grad(
            scores[part], list(module.backbone.parameters()), retain_graph=True, allow_unused=True
        )
        assert not any(gradient is not None and gradient.any() for gradient in reached)


def test_reinforce_raises_the_share_of_pieces_that_deceive() -> None:
    """A bandit: one place, a discriminator that errs for one piece only; the generator comes to draw that piece."""
    adversary = Adversary(4)
    logits = torch.zeros(1, 6, requires_grad=True)
    hidden = torch.ones(64, 4)
    optimizer = torch.optim.Adam([logits, *adversary.parameters()], lr=0.1)
    draw = torch.Generator().manual_seed(0)
    for _ in range(150):
        shares = logits.log_softmax(-1).expand(64, -1)
        drawn = torch.multinomial(shares.exp(), 1, generator=draw)
        verdicts = torch.where(drawn.squeeze(-1) == 3, -2.0, 2.0)  # "original" of piece 3, wrongly
        scores = adversary(
            hidden, shares.gather(1, drawn).squeeze(-1), verdicts=verdicts, is_replaced=torch.ones(64, dtype=torch.bool)
        )
        optimizer.zero_grad()
        (sum(scores.values()) / 64).backward()
        optimizer.step()
    assert logits.softmax(-1)[0, 3] > 0.9
    expected = F.binary_cross_entropy_with_logits(torch.tensor(-2.0), torch.tensor(1.0))
    assert -F.logsigmoid(adversary.forecast(hidden[:1])).item() == pytest.approx(float(expected), rel=0.2)


def test_a_deceiver_needs_a_discriminator_beside_it() -> None:
    for settings in ({"asks": "pieces_everywhere"}, {"two_stage": 0.5}):
        generator = Generator(size=1, shares="none", learns="to_deceive")
        with pytest.raises(UserError, match="to_deceive"):
            ReplacedTokens(TASK, generator, **settings)


@pytest.mark.parametrize("objective", [ReplacedTokens(TASK), MaskedLM(TASK, boundary=Boundary())])
def test_heads_of_one_table_refuse_a_table_for_each_language(objective: Objective) -> None:
    sharing = ShareByLanguage(languages=("en", "de"), embeddings=True)
    with pytest.raises(UserError, match="one table for all languages"):
        objective.check(Encoder(stack=Stack(sharing=sharing)))
