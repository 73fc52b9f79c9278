"""Shared layers and factorized tables, written at full length: the same numbers, and the user is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import family_named
from afterbert.interop.folder import export_folder
from afterbert.interop.written_out import export_notes, heads_left_out
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation
from afterbert.nn.attention import Attention
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.gated import Gated
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.heads import DetectionHead, LMHead
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.norms.rms_norm import RMSNorm
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.positions.relative_bias import RelativeBias
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.sharing import Sharing
from afterbert.nn.sharing.all import ShareAll
from afterbert.nn.sharing.attention import ShareAttention
from afterbert.nn.sharing.feed_forward import ShareFeedForward
from afterbert.nn.sharing.groups import ShareGroups
from afterbert.nn.stack import Stack

VOCABULARY = Vocabulary(size=37, pad=1, unk=5, bos=2, eos=3, cls=2, sep=3, mask=4)
SIZES: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 16,
}
T5 = EncoderDecoder(
    **SIZES,
    norm=RMSNorm(),
    embeddings=Embeddings(positions=NoPositionEmbedding(), type_vocab_size=0, has_norm=False),
    stack=Stack(
        attention=Attention(bias=False, head_size=8, is_scaled=False, positions=RelativeBias()),
        feed_forward=Plain(activation="relu", bias=False),
        residual=PreNorm(),
        has_final_dropout=True,
    ),
    lm_head=LMHead(has_transform=False, decoder_bias=False, is_scaled=True),
)
MODERN = Encoder(
    **SIZES,
    norm=LayerNorm(eps=1e-5, bias=False),
    embeddings=Embeddings(positions=NoPositionEmbedding(), type_vocab_size=0),
    stack=Stack(
        attention=Attention(bias=False, positions=Rotary()),
        feed_forward=Gated(),
        residual=PreNorm(has_first_norm=False),
    ),
    lm_head=LMHead(bias=False),
)
XLM = replace(
    Encoder(**{**SIZES, "intermediate_size": 96}),
    embeddings=Embeddings(type_vocab_size=0),
    lm_head=LMHead(has_transform=False),
)
FORMS: dict[str, Architecture] = {
    "bert": Encoder(**SIZES),
    "xlm": XLM,
    "modernbert": MODERN,
    "gpt2": Decoder(**SIZES),
    "bart": EncoderDecoder(**SIZES),
    "t5": T5,
    "xlnet": Permutation(**SIZES),
}
PLANS: dict[str, Sharing] = {
    "all": ShareAll(),
    "attention": ShareAttention(),
    "feed_forward": ShareFeedForward(),
    "groups": ShareGroups(layers_per_group=2),
}
IDS = torch.randint(6, 37, (2, 9), generator=torch.Generator().manual_seed(1))


def random_model(architecture: Architecture) -> tuple[torch.nn.Module, torch.nn.Module]:
    torch.manual_seed(2)
    backbone = architecture.build(VOCABULARY)
    head = architecture.build_lm_head(backbone)
    with torch.no_grad():
        for parameter in (*backbone.parameters(), *head.parameters()):
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return backbone.eval(), head.eval()


def random_parts(architecture: Architecture) -> tuple[torch.nn.Module, dict[str, torch.nn.Module]]:
    """What `export_folder` takes: a backbone, and its heads by name."""
    backbone, head = random_model(architecture)
    return backbone, {"lm_head": head}


def difference(architecture: Architecture, folder: Path) -> tuple[str, float]:
    """The family, and how far its logits are from ours."""
    import transformers

    backbone, head = random_model(architecture)
    family = export_folder(folder, architecture, backbone, {"lm_head": head}, vocabulary=VOCABULARY)
    theirs = getattr(transformers, family.lm_class)
    again, report = theirs.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    if isinstance(architecture, EncoderDecoder):
        ours, expected = backbone(IDS, IDS), again.eval()(IDS, decoder_input_ids=IDS)
    else:
        ours, expected = backbone(IDS), again.eval()(IDS)
    ours = ours.content if isinstance(architecture, Permutation) else ours
    return family.model_type, float((head(ours) - expected.logits).detach().abs().max())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("plan", PLANS)
def test_any_sharing_plan_exports_exactly(form: str, plan: str, tmp_path: Path) -> None:
    base: Any = FORMS[form]
    architecture = replace(base, stack=replace(base.stack, sharing=PLANS[plan]))
    if form == "modernbert" and plan in ("all", "attention", "groups"):
        # its first attention has no norm, so nothing can share it
        with pytest.raises(UserError, match="no exact form"):
            export_folder(tmp_path, architecture, *random_parts(architecture), vocabulary=VOCABULARY)
        return
    family, apart = difference(architecture, tmp_path)
    assert family == form and apart < 1e-5


@pytest.mark.parametrize("form", ["gpt2", "t5", "xlnet"])
def test_a_factorized_embedding_is_multiplied_out(form: str, tmp_path: Path) -> None:
    base: Any = FORMS[form]
    narrow = replace(base, embeddings=replace(base.embeddings, embedding_size=7))
    family, apart = difference(narrow, tmp_path)
    assert family == form and apart < 2e-5


@pytest.mark.parametrize("plan", PLANS)
def test_a_factorized_encoder_is_electra_or_albert(plan: str, tmp_path: Path) -> None:
    base: Any = FORMS["bert"]
    stack = replace(base.stack, sharing=PLANS[plan])
    narrow = replace(base, embeddings=replace(base.embeddings, embedding_size=7), stack=stack)
    family, apart = difference(narrow, tmp_path)
    assert family == ("albert" if plan in ("all", "groups") else "electra") and apart < 1e-5


def test_the_user_is_told_what_was_written_out_and_how_large_it_is(tmp_path: Path) -> None:
    shared = replace(Decoder(**SIZES), embeddings=Embeddings(type_vocab_size=0, has_norm=False, embedding_size=7))
    shared = replace(shared, stack=replace(shared.stack, sharing=ShareAll()))
    backbone, head = random_model(shared)
    family = export_folder(tmp_path, shared, backbone, {"lm_head": head}, vocabulary=VOCABULARY)
    size = (tmp_path / "model.safetensors").stat().st_size / 1e3
    assert export_notes(shared, family, VOCABULARY, tmp_path) == (
        "the factorized embedding is multiplied out into tables of full width",
        "layers that share their weights are written out, up to 4 times",
        f"so the file has {size:.1f} kB; the model itself is {shared.num_parameters(37) * 4 / 1e3:.1f} kB in float32",
    )
    plain = Decoder(**SIZES)
    family = export_folder(tmp_path, plain, *random_parts(plain), vocabulary=VOCABULARY)
    assert export_notes(plain, family, VOCABULARY, tmp_path) == ()


def test_a_head_without_a_place_is_named(tmp_path: Path) -> None:
    bert = FORMS["bert"]
    backbone, lm_head = random_model(bert)
    heads = {"lm_head": lm_head, "detection_head": DetectionHead(bert.hidden_size)}
    for name, family, said in (
        ("bert", "bert", "the trained detection_head is not in the folder, for BertForMaskedLM has no place for it"),
        ("electra", "electra", "the trained lm_head is not in the folder, for ElectraForPreTraining"),
    ):
        out, chosen = tmp_path / name, family_named(family)
        written = export_folder(out, bert, backbone, heads, vocabulary=VOCABULARY, family=chosen)
        assert written is chosen
        (note,) = heads_left_out(chosen, tuple(heads), out)
        assert note.startswith(said)
    assert heads_left_out(chosen, ("detection_head",), out) == ()


def test_one_language_vector_has_no_form_in_xlm() -> None:
    base: Any = FORMS["bert"]
    for languages in (("en",), ("en", "de")):
        spoken = Embeddings(type_vocab_size=0, languages=languages)
        model = replace(base, embeddings=spoken, intermediate_size=4 * base.hidden_size)
        model = replace(model, lm_head=LMHead(has_transform=False))
        if len(languages) == 1:
            # transformers makes the table for two languages or more
            with pytest.raises(UserError, match="languages"):
                family_named("xlm").express(model, VOCABULARY)
        else:
            assert family_named("xlm").express(model, VOCABULARY)["lang2id"] == {"en": 0, "de": 1}
