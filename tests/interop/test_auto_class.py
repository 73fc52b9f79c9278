"""The auto class that is told for a folder opens it, with its head."""

import json

import pytest

from afterbert.interop.auto_class import auto_class, is_own
from afterbert.report.run_report import loading

transformers = pytest.importorskip("transformers")

CLASSES = {
    "BertForPreTraining": "AutoModelForMaskedLM",
    "AlbertForPreTraining": "AutoModelForMaskedLM",
    "ElectraForPreTraining": "AutoModelForPreTraining",
    "ModernBertForMaskedLM": "AutoModelForMaskedLM",
    "XLMWithLMHeadModel": "AutoModelForMaskedLM",
    "XLNetLMHeadModel": "AutoModelForCausalLM",
    "GPT2LMHeadModel": "AutoModelForCausalLM",
    "T5ForConditionalGeneration": "AutoModelForSeq2SeqLM",
    "BartForConditionalGeneration": "AutoModelForSeq2SeqLM",
    "BertModel": "AutoModel",
}


@pytest.mark.parametrize("named", CLASSES)
def test_transformers_knows_the_class_by_it(named, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [named]}))
    assert auto_class(tmp_path) == CLASSES[named] and not is_own(tmp_path)
    opened = getattr(transformers, CLASSES[named])
    assert getattr(transformers, named).config_class in opened._model_mapping


def test_our_own_layout_is_opened_with_its_head(tmp_path):
    for kind, opens in (("encoder", "AutoModelForMaskedLM"), ("decoder", "AutoModelForCausalLM"), ("no", "AutoModel")):
        told = {"model_type": "afterbert", "architectures": ["AfterbertForLM"], "architecture": {"type": kind}}
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / "config.json").write_text(json.dumps(told))
        assert auto_class(tmp_path / "model") == opens
    assert loading(tmp_path)[0] == "import afterbert"
