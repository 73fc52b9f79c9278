"""Strategies: equal steps, the right sources in each stage, nothing of the dev rows, and going on after a break."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.mixing.equal import Equal
from afterbert.base.noise import Noise
from afterbert.base.plugins import find, names
from afterbert.base.runs import RunFolder
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.mix import TaskMix
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.finetuning.strategy_runs import StrategyRun, follow
from afterbert.downstream.finetuning.unlabelled import Unlabelled
from afterbert.downstream.heads.san import San
from afterbert.downstream.heads.text import Text
from afterbert.downstream.strategies import Strategy
from afterbert.downstream.strategies.leave_one_out import LeaveOneOut
from afterbert.downstream.strategies.multi_task import MultiTask
from afterbert.downstream.strategies.supervised import Supervised
from afterbert.downstream.strategies.unsupervised import Unsupervised
from afterbert.downstream.tasks.pair_classification import PairClassification
from afterbert.downstream.tasks.regression import Regression
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.recipes.recipe import resolve
from afterbert.report.task_report import write_task_report
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.training.observers import Observer
from afterbert.training.optimizers.adamw import AdamW
from invented_examples import invented

SIZES = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 96}


@pytest.fixture(scope="module")
def store(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    rows = [row.texts[0] for row in invented(SentenceClassification())]
    (folder / "a.txt").write_text("\n\n".join(" ".join(rows[i % 8 :] + rows) + f" {i}" for i in range(12)))
    tokenizer = PretrainedTokenizer(name=str(tiny_model.folder))
    return prepare([Txt(path=str(folder / "a.txt"))], folder / "store", tokenizer=tokenizer, least_pieces=8)


@pytest.fixture(scope="module")
def writer(tiny_model):
    """An encoder-decoder that writes."""
    architecture = EncoderDecoder(vocab_size=tiny_model.architecture.vocab_size, num_hidden_layers=1, **SIZES)
    return replace(tiny_model, architecture=architecture, weights={})


@pytest.fixture(scope="module")
def text(store, writer):
    return Unlabelled.of(store, resolve("bart").recipe.objective, writer, length=32, name="web")


@pytest.fixture
def tasks(data_of):
    return [
        data_of(SentenceClassification(), "food"),
        data_of(PairClassification(), "pairs"),
        data_of(Regression(), "grades"),
    ]


def settings(steps, **changed):
    defaults = {
        "budget": Budget(steps, "steps"),
        "batch_size": 4,
        "length": 32,
        "optimizer": AdamW(learning_rate=1e-3),
        "evaluate_every": None,
        "head": Text(target_length=4),
    }
    return FineTuning(**(defaults | changed))


@pytest.mark.parametrize(("kind", "recipe"), [(EncoderDecoder, "bart"), (Decoder, "gpt2"), (Encoder, "bert-mlm")])
def test_running_text_is_scored_as_its_objective_scores_it(kind, recipe, store, writer, tasks):
    architecture = kind(vocab_size=writer.architecture.vocab_size, num_hidden_layers=1, **SIZES)
    model = replace(writer, architecture=architecture)
    text = Unlabelled.of(store, resolve(recipe).recipe.objective, model, length=32, name="web")
    bench = Bench.of(model, tasks, settings(1, head=None), texts=[text])
    torch.manual_seed(0)
    module = bench.module().eval()
    numbers, noise = np.arange(3), Noise(0)
    batch = text.batch(numbers, noise)
    arrays = {key: torch.as_tensor(value) for key, value in batch.arrays.items()}
    alone = text.objective.build(architecture, model.tokenizer.vocabulary).eval()
    alone.backbone.load_state_dict(module.backbone.state_dict())
    alone.lm_head.load_state_dict(module.lm_head.state_dict())
    with torch.no_grad():
        (theirs,) = alone(arrays).values()
        mine = module(arrays)
    assert mine.keys() == batch.counts.keys() == {"web"}
    torch.testing.assert_close(mine["web"], theirs)
    assert batch.counts["web"] == len(batch.arrays["target_ids"])
    if recipe != "gpt2":
        others = text.batch(numbers, noise.seen_as(1)).arrays
        assert not np.array_equal(others["input_ids"], batch.arrays["input_ids"]), "a new view has new masks"


def test_another_tokenizer_is_one_line(store, writer, tiny_tokenizer):
    digest = "0" * 64
    other = replace(writer, given=replace_digest(tiny_tokenizer, digest))
    with pytest.raises(UserError, match="was made with another tokenizer than the model tiny"):
        Unlabelled.of(store, resolve("bart").recipe.objective, other, length=32, name="web")


def replace_digest(tokenizer, digest):
    class Other:
        vocabulary = tokenizer.vocabulary

    Other.digest = digest
    return Other()


def test_running_text_has_a_size_of_its_own_in_the_mix(text, writer, tasks):
    plain = Bench.of(writer, tasks, settings(40), texts=[text]).asked.batches
    rows = len(text.plan)
    enlarged = Bench.of(writer, tasks, settings(40, virtual_sizes={"web": 24}), texts=[text])
    assert plain.mixing.shares({"web": rows, "rest": 24})["web"] != 0.5
    drawn = TaskMix.of(enlarged, seed=0, steps=sum(enlarged.asked.batches.sizes.values())).plain()["sources"]
    assert drawn["web"]["share"] == pytest.approx(0.5, abs=0.1)
    with pytest.raises(UserError, match="virtual_sizes: nothing here is called 'webb'; did you mean 'web'"):
        Bench.of(writer, tasks, settings(4, virtual_sizes={"webb": 3}), texts=[text]).check_names()


@pytest.mark.parametrize("name", names(Strategy))
def test_every_strategy_takes_the_same_steps_for_each_task(name, text, writer, tasks, tmp_path):
    bench = Bench.of(writer, tasks[:2], settings(3), texts=[text])
    done = follow(StrategyRun.of(find(Strategy, name)(), bench), tmp_path)
    assert [result.name for result in done.results] == ["food", "pairs"]
    for task in ("food", "pairs"):
        taken = [
            RunFolder.open(run).status().step
            for run in (
                tmp_path / "first" / "seed-0",
                tmp_path / f"first-without-{task}" / "seed-0",
                tmp_path / "tasks" / task / "seed-0",
            )
            if run.is_dir()
        ]
        assert sum(taken) == 3
    written = json.loads((tmp_path / "results.json").read_text())
    assert sum(written["steps"].values()) == 3
    assert written["tasks"]["food"]["splits"]["dev"]["no_answers"][0] <= 8


def test_the_first_stage_knows_no_dev_row_and_nothing_of_the_group_left_out(text, writer, tasks):
    bench = Bench.of(writer, tasks, settings(9), texts=[text])
    staging = StrategyRun.of(LeaveOneOut(), bench, groups={"food": "glue", "grades": "glue"})
    first = staging.first("food", seed=0)
    assert [data.name for data in first.tasks] == ["pairs"]
    assert [text.name for text in first.asked.texts] == ["web"]
    assert set(first.asked.prepared["pairs"]) == {"train"}
    assert staging.stage("food") == staging.stage("grades") == "first-without-glue"
    assert staging.stage("pairs") == "first-without-pairs"
    assert staging.strategy.steps(9) == (6, 3), "two thirds, as 2^19 of 2^19 + 2^18"


def test_rows_held_out_for_one_stage_are_held_out_for_the_other(writer, data_of):
    rows = tuple(invented(SentenceClassification())) * 3
    rows = tuple(replace(row, key=f"{i}", texts=(f"{row.texts[0]} {i}",)) for i, row in enumerate(rows))
    data = replace(data_of(SentenceClassification(), "food", rows), splits={"train": rows})
    staging = StrategyRun.of(Supervised(), Bench.of(writer, [data], settings(6, num_seeds=2)))
    for seed in (0, 1):
        trained = {row.key for row in staging.first("food", seed).tasks[0].splits["train"]}
        second = staging.second("food", seed, None, None).tasks[0].splits
        assert trained == {row.key for row in second["train"]}
        assert second["dev"] and not trained & {row.key for row in second["dev"]}


class Break(Observer):
    """Ends the process's work at the given start of a run."""

    def __init__(self, at):
        self.left = at

    def on_step(self, record):
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("broken off")


def test_a_strategy_that_was_broken_off_goes_on_to_the_same_end(text, writer, tasks, tmp_path):
    config = settings(6, mixing=Equal(), num_seeds=2)
    staging = StrategyRun.of(Unsupervised(), Bench.of(writer, tasks[:2], config, texts=[text]))
    follow(staging, tmp_path / "whole")
    for at in (1, 2, 4):
        with pytest.raises(RuntimeError, match="broken off"):
            follow(replace(staging, bench=replace(staging.bench, observers=[Break(at)])), tmp_path / "broken")
    done = follow(staging, tmp_path / "broken")
    for place in ("first/seed-1", "tasks/food/seed-0", "tasks/pairs/seed-1"):
        weights = [(tmp_path / way / place / "model" / "model.safetensors").read_bytes() for way in ("whole", "broken")]
        assert weights[0] == weights[1], place
    assert len(done.results[0].splits["dev"].metrics["accuracy"].values) == 2


def test_a_head_goes_on_from_where_the_first_stage_left_it(tiny_model, tasks, tmp_path):
    """MT-DNN: a shared encoder, then each task on its own."""
    config = settings(4, head=None, heads={"pair_classification": San(turns=2)})
    staging = StrategyRun.of(Supervised(), Bench.of(tiny_model, tasks, config))
    follow(staging, tmp_path)
    left = tmp_path / "first" / "seed-0" / "model"
    second = staging.second("pairs", 0, staging.first("pairs", 0), left)
    assert isinstance(second.asked.heads["pairs"], San)
    module = second.module()
    begun = module.heads["task:pairs"].state_dict()
    for name, tensor in begun.items():
        torch.testing.assert_close(tensor, second.asked.model.weights["head/pairs"][name])
    trained = tiny_model.backbone().state_dict()
    assert any(not torch.equal(tensor, trained[name]) for name, tensor in module.backbone.state_dict().items())


def test_what_cannot_be_carried_out_is_one_line(tiny_model, tasks):
    bench = Bench.of(tiny_model, tasks, settings(4, head=None))
    with pytest.raises(UserError, match="unsupervised needs running text; name some with --unlabelled"):
        StrategyRun.of(Unsupervised(), bench)
    with pytest.raises(UserError, match="leave_one_out has no rows for the first stage of food"):
        StrategyRun.of(LeaveOneOut(), bench, groups=dict.fromkeys(("food", "pairs", "grades"), "glue"))
    timed = bench.with_settings(replace(bench.settings, budget=Budget(60, "seconds")))
    with pytest.raises(UserError, match="compared at equal steps, but the budget is 1min"):
        StrategyRun.of(MultiTask(), timed)


def test_strategies_stand_beside_each_other(tiny_model, tasks, tmp_path):
    bench = Bench.of(tiny_model, tasks[:2], settings(3, head=None, num_seeds=2))
    arms = {}
    for name, strategy in (("multi_task", MultiTask()), ("supervised", Supervised())):
        follow(StrategyRun.of(strategy, bench), tmp_path / name)
        arms[name] = tmp_path / name / "results.json"
    page = write_task_report(tmp_path, arms, title="Two | ways <b>")
    found = json.loads((tmp_path / "comparison.json").read_text())
    cell = found["supervised"]["tasks"]["food/dev"]
    assert len(cell["values"]) == 2
    assert cell["guessing"] == 0.5
    assert found["supervised"]["mix"]["first"]["planned"]["sources"]["food"]["rows"] == 8
    markdown = (tmp_path / "report.md").read_text()
    shown = f"{100 * cell['mean']:.1f} ± {100 * cell['deviation']:.1f}"
    (line,) = [line for line in markdown.splitlines() if line.startswith("| supervised | ") and "±" in line]
    assert shown in line
    assert shown in page.read_text()
    assert "<b>" not in page.read_text().split("<h1>")[1].split("</h1>")[0]
