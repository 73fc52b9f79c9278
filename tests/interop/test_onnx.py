"""ONNX graphs: the same numbers as ours at other shapes, for what reads, what writes, and both."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop import onnx
from afterbert.interop.onnx import export_onnx
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation
from afterbert.nn.attention import Attention
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.gated import Gated
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.positions.relative_bias import RelativeBias
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.recurrence import Halting, Recurrence
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.stack import Stack, Windows

VOCABULARY = Vocabulary(size=29, pad=0, cls=2, sep=3)
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "num_hidden_layers": 2,
}
NO_PLACES = Embeddings(positions=NoPositionEmbedding(), type_vocab_size=0)
FORMS: dict[str, tuple[Architecture, tuple[str, ...]]] = {
    "bert": (
        Encoder(**SMALL, embeddings=Embeddings(languages=("de", "en", "is"))),
        ("input_ids", "attention_mask", "token_type_ids", "language_ids"),
    ),
    "windows": (
        Encoder(
            **SMALL,
            embeddings=NO_PLACES,
            stack=Stack(
                attention=Attention(positions=Rotary()),
                feed_forward=Gated(),
                residual=PreNorm(has_first_norm=False),
                windows=Windows(local_attention=4),
            ),
        ),
        ("input_ids", "attention_mask"),
    ),
    "halting": (
        Encoder(**SMALL, embeddings=NO_PLACES, stack=Stack(recurrence=Recurrence(halting=Halting()))),
        ("input_ids", "attention_mask"),
    ),
    "gpt2": (Decoder(**SMALL), ("input_ids",)),
    "encoder_decoder": (
        EncoderDecoder(
            **SMALL,
            embeddings=NO_PLACES,
            stack=Stack(attention=Attention(positions=RelativeBias(num_buckets=8, max_distance=9))),
        ),
        ("input_ids", "attention_mask", "decoder_input_ids"),
    ),
}


def built(architecture: Architecture) -> tuple[torch.nn.Module, torch.nn.Module]:
    torch.manual_seed(1)
    backbone = architecture.build(VOCABULARY)
    head = architecture.build_lm_head(backbone)
    with torch.no_grad():
        for parameter in (*backbone.parameters(), *head.parameters()):
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return backbone, head


@pytest.mark.parametrize("name", FORMS)
def test_a_graph_gives_our_numbers_at_shapes_it_was_not_traced_with(name: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    architecture, inputs = FORMS[name]
    made = export_onnx(tmp_path / "model.onnx", architecture, *built(architecture))
    assert made.inputs == inputs and made.largest_difference < 1e-4
    session = onnxruntime.InferenceSession(str(made.path), providers=["CPUExecutionProvider"])
    for given in session.get_inputs():
        assert given.name in inputs and all(isinstance(axis, str) for axis in given.shape)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_graph_that_cannot_be_compared_is_not_handed_over(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    architecture, _ = FORMS["gpt2"]
    backbone, head = built(architecture)
    with torch.no_grad():
        next(backbone.parameters())[0] = torch.nan
    with pytest.raises(RuntimeError, match="differs from the model by nan"):
        export_onnx(tmp_path / "model.onnx", architecture, backbone, head)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else name)
    architecture = FORMS["bert"][0]
    with pytest.raises(UserError, match=r"needs onnxscript: pip install") as refusal:
        export_onnx(tmp_path / "model.onnx", architecture, *built(architecture))
    assert len(refusal.value.lines) == 1


def test_two_streams_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "need_extra", lambda *modules, needed_by: None)
    architecture = replace(Permutation(), **SMALL)
    with pytest.raises(UserError, match="a permutation model has no ONNX export"):
        export_onnx(tmp_path / "model.onnx", architecture, *built(architecture))
