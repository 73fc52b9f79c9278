"""Hidden states and attention maps of every layer, beside those that transformers gives for the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BartConfig,
    BartModel,
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2Model,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    XLNetConfig,
    XLNetModel,
)

from afterbert.interop.importing import import_folder
from afterbert.nn.inputs import Inputs
from afterbert.nn.recording import Pass, recorded
from afterbert.nn.visibility import PaddedVisibility

IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 1, 1]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
REAL = MASK.bool()
SIZES = {"vocab_size": 40, "pad_token_id": 1}
BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 24,
}


def theirs(kind: Any, config: Any, folder: Path) -> PreTrainedModel:
    """A model of theirs with random weights, saved, and read again so that it computes maps."""
    torch.manual_seed(0)
    config._attn_implementation = "eager"
    model = kind(config).eval()
    for parameter in model.parameters():  # away from the start, where all weights of attention are alike
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model


def close(ours: torch.Tensor, expected: torch.Tensor, *, only: torch.Tensor | None = None) -> None:
    if only is not None:
        ours, expected = ours[only], expected[only]
    torch.testing.assert_close(ours, expected, atol=2e-5, rtol=2e-4)


def maps_agree(ours: Pass, expected: Any, *, of: str = "attention") -> None:
    found = getattr(ours, of)
    assert len(found) == len(expected) > 0
    for one, their in zip(found, expected):
        close(one.weights.transpose(1, 2), their.transpose(1, 2), only=REAL)  # queries that are pieces
        assert torch.allclose(one.mixed, one.weights @ one.value, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "gpt2", "modernbert"])
def test_one_stack(family: str, tmp_path: Path) -> None:
    kinds: dict[str, tuple[Any, Any]] = {
        "bert": (BertModel, BertConfig(**SIZES, **BERT)),
        "gpt2": (GPT2Model, GPT2Config(**SIZES, n_embd=32, n_layer=3, n_head=4, n_positions=24)),
        "modernbert": (
            ModernBertModel,
            ModernBertConfig(
                **SIZES, **BERT, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3, local_attention=4
            ),
        ),
    }
    kind, config = kinds[family]
    their = theirs(kind, config, tmp_path)
    backbone = import_folder(tmp_path).backbone().eval()
    inputs = Inputs(IDS, visibility=PaddedVisibility.from_attention_mask(MASK))
    with torch.inference_mode():
        expected = their(IDS, attention_mask=MASK, output_hidden_states=True, output_attentions=True)
        found = backbone.layers(inputs, attention=True)
        plain = backbone.read(inputs)
    assert found.last is not None
    close(found.last, plain, only=REAL)
    close(found.last, expected.last_hidden_state, only=REAL)
    assert len(found.hidden) == len(expected.hidden_states)
    for ours, state in list(zip(found.hidden, expected.hidden_states))[:-1]:
        close(ours, state, only=REAL)
    maps_agree(found, expected.attentions)


def test_two_stacks(tmp_path: Path) -> None:
    config = BartConfig(
        **SIZES,
        d_model=32,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=24,
    )
    their = theirs(BartModel, config, tmp_path)
    backbone = import_folder(tmp_path).backbone().eval()
    written = IDS.flip(0)[:, :5]
    with torch.inference_mode():
        expected = their(
            IDS, attention_mask=MASK, decoder_input_ids=written, output_hidden_states=True, output_attentions=True
        )
        with recorded(backbone, attention=True) as recording:
            inputs = Inputs(IDS, visibility=PaddedVisibility.from_attention_mask(MASK))
            backbone.states(inputs, decoder_input_ids=written)
    read, wrote = recording.passes
    assert (read.stream, wrote.stream) == ("stack", "decoder_stack")
    for ours, state in zip(read.hidden, expected.encoder_hidden_states, strict=True):
        close(ours, state, only=REAL)
    for ours, state in zip(wrote.hidden, expected.decoder_hidden_states, strict=True):
        close(ours, state)
    maps_agree(read, expected.encoder_attentions)
    for ours, their_map in zip(wrote.attention, expected.decoder_attentions, strict=True):
        close(ours.weights, their_map)
    for ours, their_map in zip(wrote.across, expected.cross_attentions, strict=True):
        close(ours.weights, their_map)


def test_two_streams(tmp_path: Path) -> None:
    config = XLNetConfig(**SIZES, d_model=32, n_layer=3, n_head=4, d_inner=48, ff_activation="gelu", d_head=8)
    their = theirs(XLNetModel, config, tmp_path)
    backbone = import_folder(tmp_path).backbone().eval()
    with torch.inference_mode():
        expected = their(IDS, attention_mask=MASK, output_hidden_states=True, output_attentions=True)
        inputs = Inputs(IDS, visibility=PaddedVisibility.from_attention_mask(MASK))
        found = backbone.layers(inputs, attention=True)
    for ours, state in zip(found.hidden, expected.hidden_states, strict=True):
        close(ours, state, only=REAL)
    maps_agree(found, expected.attentions)


def test_a_recording_ends_with_its_block_and_changes_no_answer(tmp_path: Path) -> None:
    theirs(BertModel, BertConfig(**SIZES, **BERT), tmp_path)
    backbone = import_folder(tmp_path).backbone().eval()
    wanted = torch.tensor([1, 8])
    with torch.inference_mode():
        before = backbone(IDS, wanted=wanted)
        with recorded(backbone, attention=True) as recording:
            during = backbone(IDS, wanted=wanted)
            backbone(IDS)
        after = backbone(IDS, wanted=wanted)
    assert torch.equal(before, after) and len(recording.passes) == 2
    torch.testing.assert_close(during, before, atol=1e-5, rtol=1e-4)
