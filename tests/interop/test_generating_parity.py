"""Families that write: their classes and ours compute the same from the same weights, both ways, with
padding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from their_models import GENERATING_CASES, padded_batch, save, their_model
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import family_named
from afterbert.interop.folder import export_folder
from afterbert.interop.importing import import_folder
from afterbert.models.permutation import Memory, PermutationModule
from afterbert.nn.visibility import PaddedVisibility

VOCABULARY = Vocabulary(size=37, pad=1, bos=2, eos=3, cls=2, sep=3)
WRITTEN = torch.randint(6, 37, (4, 8), generator=torch.Generator().manual_seed(4))


def our_logits(backbone: nn.Module, head: nn.Module, family: str, ids: Tensor, mask: Tensor) -> Tensor:
    visibility = PaddedVisibility.from_attention_mask(mask)
    if family == "gpt2":
        return head(backbone(ids))
    if family == "xlnet":
        return head(backbone(ids, visibility=visibility).content)
    return head(backbone(ids, WRITTEN, visibility=visibility))


def their_logits(model: nn.Module, family: str, ids: Tensor, mask: Tensor) -> Tensor:
    if family in ("gpt2", "xlnet"):
        return model(ids, attention_mask=mask.float() if family == "xlnet" else mask).logits
    return model(ids, attention_mask=mask, decoder_input_ids=WRITTEN).logits


@pytest.mark.parametrize(("family", "number"), GENERATING_CASES)
def test_import_then_export_keeps_logits_and_weights(family: str, number: int, tmp_path: Path) -> None:
    import transformers

    theirs = their_model(family, number)
    imported = import_folder(save(theirs, tmp_path / "theirs"))
    assert imported.notes == ()
    backbone, head = (part.eval() for part in imported.build())

    ids, mask = padded_batch(theirs)
    expected = their_logits(theirs, family, ids, mask)
    ours = our_logits(backbone, head, family, ids, mask)
    counts = mask.bool() if family in ("gpt2", "xlnet") else torch.ones_like(WRITTEN, dtype=torch.bool)
    assert (ours - expected)[counts].abs().max() < 1e-5

    export_folder(
        tmp_path / "ours",
        imported.architecture,
        backbone,
        {"lm_head": head},
        vocabulary=VOCABULARY,
        family=family_named(family),
    )
    their_class = getattr(transformers, family_named(family).lm_class)
    again, report = their_class.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), report
    assert (their_logits(again.eval(), family, ids, mask) - expected)[counts].abs().max() < 1e-5


def test_a_position_of_bart_or_t5_sees_only_what_was_written_before(tmp_path: Path) -> None:
    for family in ("bart", "t5"):
        backbone, _ = import_folder(save(their_model(family, 0), tmp_path / family)).build()
        ids = torch.arange(6, 12)[None]
        changed = WRITTEN[:1].clone()
        changed[0, 5] = 7
        before, after = backbone.eval()(ids, WRITTEN[:1]), backbone(ids, changed)
        assert torch.equal(before[:, :5], after[:, :5]) and not torch.allclose(before[:, 5:], after[:, 5:])


@pytest.fixture(params=[0, 1, 2])
def xlnet(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[nn.Module, PermutationModule, int]:
    theirs = their_model("xlnet", request.param)
    backbone, _ = import_folder(save(theirs, tmp_path)).build()
    assert isinstance(backbone, PermutationModule)
    return theirs.transformer, backbone.eval(), request.param


def asked() -> dict[str, Any]:
    """Two rows of ten pieces; the pieces of rank 0 are seen by all, the others are asked in the order of
    their rank."""
    rank = torch.tensor([[0, 2, 0, 1, 0, 3, 0, 0, 4, 0], [0, 0, 1, 0, 0, 4, 3, 2, 0, 0]])
    places = torch.tensor([[3, 1, 5, 8], [2, 7, 6, 5]])
    perm_mask = (rank[:, None, :] >= rank[:, :, None]) & (rank[:, None, :] > 0)
    return {"rank": rank, "places": places, "perm_mask": perm_mask.float()}


@pytest.mark.parametrize("with_segments", [False, True])
@pytest.mark.parametrize("with_memory", [False, True])
def test_two_streams_segments_and_memory(
    xlnet: tuple[nn.Module, PermutationModule, int], with_segments: bool, with_memory: bool
) -> None:
    theirs, ours, _ = xlnet
    question = asked()
    ids = torch.randint(6, 37, (2, 10))
    segments = torch.tensor([[0] * 5 + [1] * 4 + [2]] * 2) if with_segments else None
    memory = torch.randn(len(ours.stack.plan.attention), 2, 6, theirs.d_model) if with_memory else None
    their_memory = None if memory is None else [layer.transpose(0, 1) for layer in memory]
    target_mapping = torch.nn.functional.one_hot(question["places"], 10).float()

    found = ours(
        ids,
        token_type_ids=segments,
        visibility=PaddedVisibility(rank=question["rank"]),
        query_positions=question["places"],
        memory=None if memory is None else Memory.of(memory),
    )
    given = {"perm_mask": question["perm_mask"], "token_type_ids": segments, "mems": their_memory}
    queries = theirs(ids, target_mapping=target_mapping, use_mems=True, **given)
    content = theirs(ids, use_mems=True, **given)
    assert (found.query - queries.last_hidden_state).abs().max() < 1e-5
    assert (found.content - content.last_hidden_state).abs().max() < 1e-5
    kept = torch.stack([layer.transpose(0, 1) for layer in content.mems])
    assert found.memory.sizes.tolist() == [kept.shape[2]] * 2 and not found.memory.states.requires_grad
    assert (found.memory.states[:, :, -kept.shape[2] :] - kept).abs().max() < 1e-5
    ours.mem_len = 0
    assert ours(ids).memory is None


def test_a_query_never_sees_its_own_piece_nor_later_ones(xlnet: tuple[nn.Module, PermutationModule, int]) -> None:
    _, ours, _ = xlnet
    question = asked()
    ids = torch.randint(6, 37, (2, 10))
    vectors = ours.embeddings.token.weight[ids].detach().requires_grad_()
    ours.embeddings.token.register_forward_hook(lambda *_: vectors)
    rule = PaddedVisibility(rank=question["rank"])
    found = ours(ids, visibility=rule, query_positions=question["places"])
    for row in range(2):
        for number, place in enumerate(question["places"][row]):
            rank = question["rank"][row]
            (gradient,) = torch.autograd.grad(found.query[row, number].square().sum(), vectors, retain_graph=True)
            felt = gradient[row].abs().sum(-1) > 0
            assert felt.tolist() == (rank < rank[place]).tolist()
            (gradient,) = torch.autograd.grad(found.content[row, place].square().sum(), vectors, retain_graph=True)
            assert (gradient[row].abs().sum(-1) > 0).tolist() == (rank <= rank[place]).tolist()


def test_a_query_that_may_see_nothing_gets_nothing_of_the_row(xlnet: tuple[nn.Module, PermutationModule, int]) -> None:
    _, ours, _ = xlnet
    rank = torch.arange(10)[None]
    first = torch.tensor([[0]])
    found = [
        ours(ids, visibility=PaddedVisibility(rank=rank), query_positions=first).query
        for ids in (torch.randint(6, 37, (1, 10)), torch.randint(6, 37, (1, 10)))
    ]
    assert torch.equal(found[0], found[1]) and found[0].isfinite().all()


def test_reading_in_two_segments_with_memory_equals_reading_at_once_left_to_right(
    xlnet: tuple[nn.Module, PermutationModule, int],
) -> None:
    """One layer only sees inputs, which do not depend on where the row was cut."""
    _, ours, number = xlnet
    if number != 1:
        pytest.skip("needs a single layer")
    ours.mem_len = 5
    ids = torch.randint(6, 37, (2, 10))
    rule = PaddedVisibility.left_to_right(ids.device)
    whole = ours(ids, visibility=rule)
    first = ours(ids[:, :5], visibility=rule)
    second = ours(ids[:, 5:], visibility=rule, memory=first.memory)
    torch.testing.assert_close(torch.cat((first.content, second.content), 1), whole.content)


def test_a_row_read_backwards_with_falling_positions_is_the_mirror(
    xlnet: tuple[nn.Module, PermutationModule, int],
) -> None:
    _, ours, _ = xlnet
    ids = torch.randint(6, 37, (1, 10))
    mirrored = ours(ids.flip(1), position_ids=torch.arange(9, -1, -1)[None]).content.flip(1)
    torch.testing.assert_close(mirrored, ours(ids).content, atol=1e-5, rtol=1e-4)


def test_a_t5_with_a_table_of_its_own_for_the_logits(tmp_path: Path) -> None:
    """Published T5 1.1: the table stands in the files, their config's word on tying is not to be trusted."""
    from transformers import T5ForConditionalGeneration

    folder = save(their_model("t5", 1), tmp_path / "theirs")
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = torch.randn(37, 24)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    theirs = T5ForConditionalGeneration.from_pretrained(folder, attn_implementation="eager").eval()
    ids, mask = padded_batch(theirs)
    expected = their_logits(theirs, "t5", ids, mask)
    imported = import_folder(folder)
    backbone, head = (part.eval() for part in imported.build())
    assert (our_logits(backbone, head, "t5", ids, mask) - expected).abs().max() < 1e-5
    export_folder(tmp_path / "ours", imported.architecture, backbone, {"lm_head": head}, vocabulary=VOCABULARY)
    again = T5ForConditionalGeneration.from_pretrained(tmp_path / "ours", attn_implementation="eager").eval()
    assert (their_logits(again, "t5", ids, mask) - expected).abs().max() < 1e-5


def test_bart_with_logit_offsets_or_unlike_sides_is_refused(tmp_path: Path) -> None:
    folder = save(their_model("bart", 0), tmp_path)
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {"final_logits_bias": torch.ones(1, 37)}, folder / "model.safetensors")
    with pytest.raises(UserError, match="final_logits_bias is not zero"):
        import_folder(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"decoder_ffn_dim": 21}))
    with pytest.raises(UserError, match="different encoder_ffn_dim and decoder_ffn_dim"):
        import_folder(folder)


def test_generation_starts_where_the_family_starts(tmp_path: Path) -> None:
    for family, start in (("bart", 3), ("t5", 1)):
        imported = import_folder(save(their_model(family, 0), tmp_path / family))
        backbone, head = imported.build()
        out = tmp_path / f"{family}-ours"
        export_folder(out, imported.architecture, backbone, {"lm_head": head}, vocabulary=VOCABULARY)
        assert json.loads((out / "config.json").read_text())["decoder_start_token_id"] == start
