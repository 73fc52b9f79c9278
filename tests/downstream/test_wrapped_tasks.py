"""A task is an objective: what is around it trains it, and its figures, predictions and files stay what they are."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.plugins import find
from afterbert.base.runs import RunFolder
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.runs import finetune
from afterbert.downstream.finetuning.saving import load_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.finetuning.strategy_runs import StrategyRun
from afterbert.downstream.finetuning.unlabelled import Unlabelled
from afterbert.downstream.heads.pooled import Pooled
from afterbert.downstream.heads.text import Text
from afterbert.downstream.strategies.supervised import Supervised
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.tagging import Tagging
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.objectives import Batch
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.wrapping import WrappingModule, WrappingObjective
from afterbert.recipes.recipe import resolve
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.training.optimizers.adamw import AdamW
from invented_examples import invented

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Around(WrappingObjective):
    """Adds nothing."""


@dataclass(frozen=True)
class Taught(WrappingObjective):
    """Learns a fine-tuned model's answers, and of the labels only `labels`."""

    teacher: str
    labels: float = 0.0

    def wrap(self, inner, architecture, vocabulary) -> TaughtModule:
        return TaughtModule(inner, load_finetuned(self.teacher, device="cpu").module, self.labels)

    def pose(self, plan, numbers, noise, *, vocabulary, length) -> Batch:
        batch = super().pose(plan, numbers, noise, vocabulary=vocabulary, length=length)
        return replace(batch, counts={**batch.counts, "teacher": len(batch.row_keys)})


class TaughtModule(WrappingModule):
    def __init__(self, inner: ObjectiveModule, teacher: ObjectiveModule, labels: float):
        super().__init__(inner)
        self._teacher = (teacher,)
        self.loss_weights = {**dict.fromkeys(inner.loss_weights, labels), "teacher": 1.0}

    def forward(self, arrays) -> dict[str, Tensor]:
        with torch.no_grad():
            wanted = self._teacher[0].predict(arrays).softmax(-1)
        said = nn.functional.cross_entropy(self.inner.predict(arrays), wanted, reduction="sum")
        return {**self.inner(arrays), "teacher": said}


def settings(**changed) -> FineTuning:
    defaults = {
        "budget": Budget(6, "steps"),
        "batch_size": 4,
        "length": 64,
        "optimizer": AdamW(learning_rate=3e-3),
        "precision": "fp32",
        "layer_decay": 0.9,
        "evaluate_every": Budget(2, "steps"),
        "keep": "best",
    }
    return FineTuning(**(defaults | changed))


def written(folder: Path) -> dict[str, bytes]:
    """The files of a finished run that must not differ."""
    wanted = ("model/*.safetensors", "model/*.json", "model/README.md", "predictions/*.jsonl")
    return {str(path.relative_to(folder)): path.read_bytes() for glob in wanted for path in folder.glob(glob)}


@pytest.mark.parametrize("kind", ["class", "several", "text"])
def test_what_adds_nothing_changes_nothing(kind, tiny_model, data_of, tmp_path):
    model, tasks, config = tiny_model, [data_of(SentenceClassification(), "food")], settings()
    if kind != "class":
        tasks.append(data_of(Tagging(), "names"))
    if kind == "text":
        sizes = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
        architecture = EncoderDecoder(vocab_size=model.architecture.vocab_size, max_position_embeddings=96, **sizes)
        model = replace(model, architecture=architecture, weights={})
        config = settings(head=Text(target_length=6))
    plain = finetune(model, tasks, tmp_path / "plain", config, device="cpu")
    wrapped = finetune(model, tasks, tmp_path / "wrapped", config, device="cpu", wrap=Around)
    assert wrapped.results == plain.results and len(plain.results) == len(tasks)
    files = written(tmp_path / "plain/seed-0")
    assert {"model/heads.safetensors", "model/model.safetensors", "predictions/food.dev.jsonl"} <= set(files)
    assert written(tmp_path / "wrapped/seed-0") == files
    records = [RunFolder.open(tmp_path / name / "seed-0").metrics.read() for name in ("plain", "wrapped")]
    losses = [[r["loss"] for r in record if r["kind"] == "step"] for record in records]
    assert losses[0] == losses[1] and losses[0]


def test_a_task_is_learned_from_a_teacher_alone(tiny_model, data_of, tmp_path):
    """The teacher learned every label the other way round, so it cannot be the labels that are learned."""
    rows = invented(SentenceClassification())
    names = sorted({row.label for row in rows})
    flipped = [replace(row, label=names[1 - names.index(row.label)]) for row in rows]
    config = settings(budget=Budget(60, "steps"), keep="last", evaluate_every=None, head=Pooled(dropout=0.0))
    task = SentenceClassification()
    finetune(tiny_model, [data_of(task, "food", flipped)], tmp_path / "teacher", config, device="cpu")
    teacher = str(tmp_path / "teacher/seed-0")
    done = finetune(
        tiny_model,
        [data_of(task, "food", rows)],
        tmp_path / "student",
        config,
        device="cpu",
        wrap=lambda inner: Taught(inner, teacher),
    )
    assert done.results[0].splits["dev"].metrics["accuracy"].mean == 0.0
    records = RunFolder.open(tmp_path / "student/seed-0").metrics.read()
    losses = [record["parts"] for record in records if record["kind"] == "step"]
    assert losses[-1]["teacher"] < losses[0]["teacher"] and losses[-1]["food"] > losses[0]["food"]
    kept = load_finetuned(tmp_path / "student/seed-0", device="cpu").module.state_dict()
    assert kept.keys() == load_finetuned(teacher, device="cpu").module.state_dict().keys()


@pytest.mark.parametrize(
    "name", ["sentence_classification", "regression", "tagging", "question_answering", "multiple_choice"]
)
def test_logits_say_something_to_all_that_is_asked(name, tiny_model, data_of):
    bench = Bench.of(tiny_model, [data_of(find(Task, name)())], settings(), wrap=Around)
    module, (batch,) = bench.module(), bench.feed(0).step(0)
    found = module.predict({key: torch.as_tensor(value) for key, value in batch.arrays.items()})
    asked = batch.counts["toy"] * (2 if name == "question_answering" else 1)
    assert found.shape[0] == asked and found.ndim == 2
    torch.softmax(found, -1).square().sum().backward()
    assert module.backbone.embeddings.token.weight.grad is not None


def test_every_stage_is_wrapped_and_another_objective_is_another_run(tiny_model, data_of):
    tasks = [data_of(SentenceClassification(), "food"), data_of(Tagging(), "names")]
    bench = Bench.of(tiny_model, tasks, settings(), wrap=Around)
    staging = StrategyRun.of(Supervised(), bench)
    assert isinstance(staging.first("food", 0).objective, Around)
    assert isinstance(staging.second("food", 0, None, Path()).objective, Around)
    taught = Bench.of(tiny_model, tasks, settings(), wrap=lambda inner: Taught(inner, "a"))
    other = Bench.of(tiny_model, tasks, settings(), wrap=lambda inner: Taught(inner, "b"))
    plain = Bench.of(tiny_model, tasks, settings())
    said = [json.dumps(one.identity(0).plain()) for one in (plain, bench, taught, other)]
    assert len(set(said)) == 4


def test_running_text_is_asked_what_it_can_share_and_not_which_class_it_is(tiny_model, tmp_path):
    (tmp_path / "a.txt").write_text("the old man paints a small boat and sells it near the river\n\n" * 20)
    tokenizer = PretrainedTokenizer(name=str(tiny_model.folder))
    store = prepare([Txt(path=str(tmp_path / "a.txt"))], tmp_path / "store", tokenizer=tokenizer, least_pieces=8)
    masked = resolve("bert-mlm").recipe.objective
    text = Unlabelled.of(store, Around(masked), tiny_model, length=32, name="web")
    assert text.part == "masked" and len(text.plan)
    for recipe, reason in (
        ("masked-causal", "web: mixture cannot be one task among others"),
        ("bert", "web: the objective asks for masked, next_sentence at once"),
    ):
        with pytest.raises(UserError, match=reason):
            Unlabelled.of(store, resolve(recipe).recipe.objective, tiny_model, length=32, name="web")
