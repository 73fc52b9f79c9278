"""A fine-tuned model leaves as Hugging Face's own class for its task, for each kind of task and family that has one: it
loads without code of ours, and answers the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from afterbert.base.plugins import find
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.objective import outputs
from afterbert.downstream.finetuning.prediction import Answerer
from afterbert.downstream.finetuning.saving import load_finetuned, save_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.heads.san import San
from afterbert.downstream.tasks import Task
from afterbert.interop.families import Family, family_named, model_types
from afterbert.interop.importing import import_folder
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.task_class import KINDS
from afterbert.workflows.exporting import export_model_folder

SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40}
ROW = {"max_position_embeddings": 96}
CONFIGS = {
    "distilbert": {"dim": 24, "n_layers": 2, "n_heads": 2, "hidden_dim": 40, **ROW},
    "xlm": {"emb_dim": 24, "n_layers": 2, "n_heads": 2, **ROW},
    "gpt2": {"n_embd": 24, "n_layer": 2, "n_head": 2, "n_positions": 96},
    "xlnet": {"d_model": 24, "n_layer": 2, "n_head": 2, "d_inner": 40},
    "albert": {**SIZES, "embedding_size": 12, **ROW},
    "electra": {**SIZES, "embedding_size": 12, **ROW},
}
TASKS = {
    "sentence_classification": ("sequence", "AutoModelForSequenceClassification"),
    "pair_classification": ("sequence", "AutoModelForSequenceClassification"),
    "multi_label": ("sequence", "AutoModelForSequenceClassification"),
    "regression": ("sequence", "AutoModelForSequenceClassification"),
    "ranking": ("sequence", "AutoModelForSequenceClassification"),
    "tagging": ("token", "AutoModelForTokenClassification"),
    "question_answering": ("span", "AutoModelForQuestionAnswering"),
    "multiple_choice": ("choice", "AutoModelForMultipleChoice"),
}
FAMILIES = [name for name in model_types() if name not in ("bart", "t5")]


def model_of(name: str, tokenizer, folder: Path) -> LoadedModel:
    """A model of the family with random weights, its pooler too where the family has one."""
    family = family_named(name)
    extra = {"roberta": 1, "xlm-roberta": 1}.get(name, 0)
    config = {"vocab_size": tokenizer.vocabulary.size, "pad_token_id": 0, **CONFIGS.get(name, {**SIZES, **ROW})}
    if extra:
        config["max_position_embeddings"] = 96 + extra
    if name == "modernbert":
        config |= {"layer_types": ["full_attention"] * 2}
    architecture = family.architecture_of(config)
    torch.manual_seed(3)
    backbone = architecture.build(tokenizer.vocabulary)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return LoadedModel("toy", architecture, tokenizer, {"backbone": backbone.state_dict()}, folder, family=name)


def trained(model: LoadedModel, data, **settings) -> tuple[Bench, torch.nn.Module]:
    """A bench with heads of random weights."""
    bench = Bench.of(model, [data], FineTuning(length=80, **settings))
    torch.manual_seed(4)
    module = bench.module()
    with torch.no_grad():
        for parameter in module.heads.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return bench, module.eval()


def has_class(name: str, kind: str) -> bool:
    family: Family = family_named(name)
    return family.task_class(kind, None if name != "modernbert" else family.architecture_of({})) is not None


CASES = [(name, task, {}) for name in FAMILIES for task, (kind, _) in TASKS.items() if has_class(name, kind)]
CASES += [("modernbert", task, {"summary": "first"}) for task in ("pair_classification", "regression")]


@pytest.mark.parametrize(("name", "task", "settings"), CASES)
def test_theirs_answer_what_ours_answer(name, task, settings, tiny_tokenizer, data_of, tmp_path):
    import transformers

    tiny_tokenizer.save(tmp_path / "tokenizer")
    data = data_of(find(Task, task)())
    bench, module = trained(model_of(name, tiny_tokenizer, tmp_path / "tokenizer"), data, **settings)
    assert save_finetuned(tmp_path / "model", module, bench.asked) == ()

    kind, auto = TASKS[task]
    theirs, report = getattr(transformers, auto).from_pretrained(tmp_path / "model", output_loading_info=True)
    missing = {key for key in report["missing_keys"] if "pooler" not in key}
    assert not missing and not report["unexpected_keys"] and not report["mismatched_keys"]
    prepared = bench.asked.prepared["toy"]["dev"]
    ours = bench.asked.outputs(module, "toy", "dev")
    for row, expected in enumerate(ours):
        piece = slice(prepared.rows.row_starts[row], prepared.rows.row_starts[row + 1])
        batch = {"input_ids": torch.as_tensor(prepared.rows.piece_ids[piece][None]).long()}
        if bench.asked.model.architecture.has_segments:
            segments = torch.as_tensor(prepared.rows.planes["segment"][piece][None]).long()
            batch["token_type_ids"] = segments
        if kind == "choice":
            batch["attention_mask"] = torch.ones_like(batch["input_ids"])
            batch = {key: ids[:, None] for key, ids in batch.items()}
        with torch.no_grad():
            found = theirs.eval()(**batch)
        if kind == "span":
            logits = torch.stack((found.start_logits, found.end_logits), -1)[0]
            expected = torch.as_tensor(expected)
            asked = (expected > -1e4).all(-1)
            assert asked.sum() > 2
            logits, expected = logits[asked], expected[asked]
        else:
            logits = found.logits[0]
        assert (logits.reshape(-1) - torch.as_tensor(expected).reshape(-1)).abs().max() < 1e-5
    again = load_finetuned(tmp_path / "model")
    assert again.model.notes == () and not again.model.has_lm_head
    found = outputs(again.module, bench.asked.model, again.heads["toy"], prepared, name="toy")
    assert all(torch.allclose(torch.as_tensor(a), torch.as_tensor(b), atol=1e-6) for a, b in zip(ours, found))


@pytest.mark.parametrize("name", ["bert", "modernbert"])
def test_a_pipeline_gives_our_predictions(name, tiny_tokenizer, data_of, tmp_path):
    from transformers import pipeline

    tiny_tokenizer.save(tmp_path / "tokenizer")
    model = model_of(name, tiny_tokenizer, tmp_path / "tokenizer")
    data = data_of(find(Task, "sentence_classification")())
    bench, module = trained(model, data)
    save_finetuned(tmp_path / "class", module, bench.asked)
    classify = pipeline("text-classification", model=str(tmp_path / "class"))
    said = [found["label"] for found in classify([row.texts[0] for row in data.splits["dev"]])]
    assert said == bench.asked.predict(module, "toy", "dev")
    assert classify.tokenizer.model_max_length == 80
    assert len(set(said)) > 1 or len(said) > 0

    data = data_of(find(Task, "regression")())
    bench, module = trained(model, data)
    save_finetuned(tmp_path / "number", module, bench.asked)
    rate = pipeline("text-classification", model=str(tmp_path / "number"))
    pairs = [{"text": row.texts[0], "text_pair": row.texts[1]} for row in data.splits["dev"]]
    said = [rate(pair)["score"] for pair in pairs]
    assert said == pytest.approx(bench.asked.predict(module, "toy", "dev"), abs=1e-5)

    data = data_of(find(Task, "multi_label")())
    bench, module = trained(model, data)
    save_finetuned(tmp_path / "labels", module, bench.asked)
    label = pipeline("text-classification", model=str(tmp_path / "labels"), top_k=None)
    texts = [row.texts for row in data.splits["dev"]]
    for found, one in zip(
        label([text for (text,) in texts]), Answerer(load_finetuned(tmp_path / "labels"), "toy").rows(texts)
    ):
        assert {one["label"]: one["score"] for one in found} == pytest.approx(one.probabilities, abs=1e-5)
        assert one.value == tuple(name for name in data.task.labels if one.probabilities[name] >= 0.5)

    data = data_of(find(Task, "tagging")())
    bench, module = trained(model, data)
    save_finetuned(tmp_path / "tags", module, bench.asked)
    tag = pipeline("token-classification", model=str(tmp_path / "tags"), ignore_labels=[])
    for row, expected in zip(data.splits["dev"], bench.asked.predict(module, "toy", "dev")):
        text = " ".join(row.texts)
        by_start = {found["start"]: found["entity"] for found in tag(text)}
        begins = [len(" ".join(row.texts[:i])) + (i > 0) for i in range(len(row.texts))]
        assert tuple(by_start[begin] for begin in begins) == expected


def test_the_folder_says_its_labels_and_figures(tiny_model, data_of, tmp_path):
    bench, module = trained(tiny_model, data_of(find(Task, "sentence_classification")()))
    save_finetuned(tmp_path, module, bench.asked)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "negative", "1": "positive"}
    assert config["problem_type"] == "single_label_classification"
    assert 'pipeline("text-classification"' in (tmp_path / "README.md").read_text()
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1, "weights can be read by whoever may read the config"


def test_what_no_class_holds_stays_in_our_layout_and_is_said(tiny_model, data_of, tmp_path):
    data = data_of(find(Task, "pair_classification")())
    bench, module = trained(tiny_model, data, head=San(turns=2))
    (note,) = save_finetuned(tmp_path, module, bench.asked)
    assert note.startswith("no Hugging Face class holds the head san of toy")
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["BertModel"]
    assert note.split(";")[0] in (tmp_path / "README.md").read_text()
    assert not import_folder(tmp_path).has_lm_head

    two = replace(data, name="other")
    bench = Bench.of(tiny_model, [data, two], FineTuning(length=80))
    assert save_finetuned(tmp_path / "two", bench.module().eval(), bench.asked) == ()
    assert json.loads((tmp_path / "two" / "config.json").read_text())["architectures"] == ["BertModel"]
    load_finetuned(tmp_path / "two").export(tmp_path / "one", "other")
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert list(load_finetuned(tmp_path / "one").tasks) == ["other"]


def test_kinds_are_those_of_the_test():
    assert {kind for kind, _ in TASKS.values()} == set(KINDS)


GRAPHS = [("bert", task) for task in TASKS] + [
    ("modernbert", "sentence_classification"),
    ("modernbert", "tagging"),
    ("gpt2", "sentence_classification"),
]


@pytest.mark.parametrize(("name", "task"), GRAPHS)
def test_a_graph_answers_what_ours_answer(name, task, tiny_tokenizer, data_of, tmp_path):
    """From text to answer with nothing but onnxruntime, the tokenizer's file, and config.json."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    from transformers import AutoTokenizer

    tiny_tokenizer.save(tmp_path / "tokenizer")
    data = data_of(find(Task, task)())
    bench, module = trained(model_of(name, tiny_tokenizer, tmp_path / "tokenizer"), data)
    save_finetuned(tmp_path / "model", module, bench.asked)
    (made,) = export_model_folder(tmp_path / "model", tmp_path / "graph", onnx=True)
    assert made.graph is not None and made.graph.largest_difference < 1e-4
    session = onnxruntime.InferenceSession(str(made.graph.path), providers=["CPUExecutionProvider"])
    tokenize = AutoTokenizer.from_pretrained(tmp_path / "graph")
    ours = bench.asked.outputs(module, "toy", "dev")
    if task != "sentence_classification":
        return
    texts = [row.texts[0] for row in data.splits["dev"]]
    batch = tokenize(texts, padding=True, return_tensors="np")
    (logits,) = session.run(["logits"], {one.name: batch[one.name] for one in session.get_inputs()})
    assert abs(logits - np.stack(ours)).max() < 1e-4
    labels = json.loads((tmp_path / "graph" / "config.json").read_text())["id2label"]
    said = [labels[str(number)] for number in logits.argmax(-1)]
    assert said == bench.asked.predict(module, "toy", "dev")
