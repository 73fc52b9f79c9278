"""What we export loads in transformers as it is; what has no exact form is refused with the reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import family_for
from afterbert.interop.folder import export_folder
from afterbert.interop.importing import import_folder
from afterbert.models.encoder import Encoder
from afterbert.nn.attention import Attention
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.gated import Gated
from afterbert.nn.heads import LMHead, Pooler
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.norms.rms_norm import RMSNorm
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.position_embeddings.sinusoid import Sinusoid
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.sharing.attention import ShareAttention
from afterbert.nn.stack import Stack, Windows

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijk"]
VOCABULARY = Vocabulary(size=16, pad=0, unk=1, cls=2, sep=3, mask=4, special_ids=(0, 1, 2, 3, 4))
BERT = Encoder(hidden_size=16, intermediate_size=24, max_position_embeddings=12)
LAPTOP = replace(
    BERT,
    norm=LayerNorm(eps=1e-5, bias=False),
    embeddings=Embeddings(positions=NoPositionEmbedding(), type_vocab_size=0),
    stack=Stack(
        attention=Attention(bias=False, positions=Rotary()),
        feed_forward=Gated(),
        residual=PreNorm(has_first_norm=False),
    ),
    lm_head=LMHead(bias=False),
)
ROBERTA = replace(BERT, embeddings=Embeddings(type_vocab_size=1))
EXPECTED = {"bert": BERT, "modernbert": LAPTOP, "roberta": ROBERTA}


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    made = Tokenizer(WordLevel({piece: number for number, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    made.add_special_tokens(PIECES[:5])
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize("name", EXPECTED)
def test_a_folder_works_without_code_of_ours(name: str, tokenizer: Path, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

    architecture, out = EXPECTED[name], tmp_path / "out"
    backbone = architecture.build(VOCABULARY).eval()
    head = architecture.build_lm_head(backbone)
    head.start_at(torch.randn(16))
    family = export_folder(out, architecture, backbone, {"lm_head": head}, vocabulary=VOCABULARY, tokenizer=tokenizer)
    assert type(family).__name__.lower() == name

    theirs, report = AutoModelForMaskedLM.from_pretrained(out, output_loading_info=True)
    assert not any(report.values()), report
    their_tokenizer = AutoTokenizer.from_pretrained(out)
    batch = their_tokenizer("a b [MASK] k", return_tensors="pt")
    assert batch["input_ids"].tolist() == [[2, 5, 6, 4, 15, 3]]
    assert ("token_type_ids" in batch) == (name == "bert")
    assert their_tokenizer.mask_token_id == 4 and their_tokenizer.pad_token_id == 0
    assert their_tokenizer.model_max_length == 12
    with torch.no_grad():
        expected = theirs.eval()(**batch).logits
        assert (head(backbone(batch["input_ids"])) - expected).abs().max() < 1e-5
    _, report = AutoModel.from_pretrained(out, output_loading_info=True)
    assert all("pooler" in key for key in report["missing_keys"])


def test_the_ids_in_the_config_are_the_tokenizers(tmp_path: Path) -> None:
    backbone = LAPTOP.build(VOCABULARY)
    export_folder(tmp_path, LAPTOP, backbone, {"lm_head": LAPTOP.build_lm_head(backbone)}, vocabulary=VOCABULARY)
    config = json.loads((tmp_path / "config.json").read_text())
    ids = {key: config[f"{key}_token_id"] for key in ("pad", "bos", "eos", "cls", "sep")}
    assert ids == {"pad": 0, "bos": 2, "eos": 3, "cls": 2, "sep": 3}
    assert config["layer_types"] == ["full_attention"] * 2
    assert config["rope_parameters"]["full_attention"]["rope_theta"] == 10_000.0


def test_pooler_and_pair_head_travel_with_bert(tmp_path: Path) -> None:
    from transformers import AutoModelForPreTraining

    backbone = BERT.build(VOCABULARY).eval()
    head, pooler, pair = BERT.build_lm_head(backbone), Pooler().build(16), torch.nn.Linear(16, 2)
    export_folder(
        tmp_path, BERT, backbone, {"lm_head": head, "pooler": pooler, "pair_head": pair}, vocabulary=VOCABULARY
    )
    theirs, report = AutoModelForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values()), report
    ids = torch.arange(5, 12)[None]
    expected = theirs.eval()(ids).seq_relationship_logits
    assert (pair(pooler(backbone(ids))) - expected).abs().max() < 1e-5
    again = import_folder(tmp_path)
    assert "pooler" in again.weights and torch.equal(again.weights["pooler"]["dense.weight"], pooler.dense.weight)
    assert "pair_head" in again.weights and torch.equal(again.weights["pair_head"]["weight"], pair.weight)


def test_a_recipes_own_values_survive_the_round_trip(tmp_path: Path) -> None:
    for name, architecture in EXPECTED.items():
        backbone = architecture.build(VOCABULARY)
        folder = tmp_path / name
        export_folder(
            folder, architecture, backbone, {"lm_head": architecture.build_lm_head(backbone)}, vocabulary=VOCABULARY
        )
        again = import_folder(folder)
        same = replace(again.architecture, vocab_size=None, initialization=architecture.initialization)
        assert same == architecture
        assert all(torch.equal(again.weights["backbone"][key], value) for key, value in backbone.state_dict().items())


REFUSED = {
    "stack.residual": replace(BERT, stack=replace(BERT.stack, residual=PreNorm())),
    "norm": replace(BERT, norm=RMSNorm()),
    "embeddings.positions": replace(BERT, embeddings=Embeddings(positions=Sinusoid())),
    "stack.attention.bias": replace(BERT, stack=replace(BERT.stack, attention=Attention(bias=False))),
    "embeddings.embedding_size": replace(
        BERT,
        embeddings=Embeddings(embedding_size=8),
        stack=replace(BERT.stack, sharing=ShareAttention()),
        lm_head=LMHead(activation="relu"),
    ),
    "lm_head.has_transform": replace(LAPTOP, lm_head=LMHead(has_transform=False)),
}


@pytest.mark.parametrize("node", REFUSED)
def test_what_has_no_exact_form_is_refused_with_the_node(node: str) -> None:
    with pytest.raises(UserError) as refusal:
        family_for(REFUSED[node], VOCABULARY)
    assert len(refusal.value.lines) >= 4 and any(node in line for line in refusal.value.lines[1:])


def test_windows_are_compared_as_layers_not_as_patterns() -> None:
    pattern = Windows(layer_types=("full_attention", "sliding_attention", "full_attention", "sliding_attention"))
    for windows in (pattern, Windows(), Windows(layer_types=("full_attention",))):
        config = replace(LAPTOP, stack=replace(LAPTOP.stack, windows=windows), num_hidden_layers=3)
        assert type(family_for(config, VOCABULARY)).__name__ == "Modernbert"


def test_a_tokenizer_larger_than_the_table_is_refused(tokenizer: Path, tmp_path: Path) -> None:
    small = Vocabulary(size=9, pad=0)
    backbone = BERT.build(small)
    with pytest.raises(UserError, match="has 16 pieces, but the model's table only 9"):
        export_folder(
            tmp_path, BERT, backbone, {"lm_head": BERT.build_lm_head(backbone)}, vocabulary=small, tokenizer=tokenizer
        )


def test_a_tokenizer_of_another_model_of_the_same_size_is_refused(tokenizer: Path, tmp_path: Path) -> None:
    backbone = BERT.build(VOCABULARY)
    out = tmp_path / "out"
    export_folder(
        out, BERT, backbone, {"lm_head": BERT.build_lm_head(backbone)}, vocabulary=VOCABULARY, tokenizer=tokenizer
    )
    file = out / "tokenizer.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"padding": None}, indent=3))
    import_folder(out)
    vocabulary = content["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match="is of another model") as refusal:
        import_folder(out)
    assert len(refusal.value.lines) == 1


@pytest.mark.parametrize("name", ["mask", "pad", "cls"])
def test_a_special_piece_that_is_missing_is_named(name: str, tmp_path: Path) -> None:
    without = replace(VOCABULARY, **{name: None})
    with pytest.raises(UserError, match=f"the tokenizer has no {name} token, which this task needs") as refusal:
        without.need(name)
    assert len(refusal.value.lines) == 1
    if name == "pad":
        from afterbert.interop.families import family_named

        with pytest.raises(UserError, match="has no pad token"):
            family_named("roberta").express(ROBERTA, without)
