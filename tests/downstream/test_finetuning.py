"""Fine-tuning on invented rows: every task is learned, saved, loaded, resumed; options do what they say."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.plugins import find, name_of, names
from afterbert.base.runs import RunFolder
from afterbert.downstream.example import Example
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.kept_weights import Best
from afterbert.downstream.finetuning.layer_decay import LayerDecay
from afterbert.downstream.finetuning.objective import outputs
from afterbert.downstream.finetuning.runs import better_before, finetune, tune
from afterbert.downstream.finetuning.saving import load_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.heads.pooled import Pooled
from afterbert.downstream.heads.san import San
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks.pair_classification import PairClassification
from afterbert.downstream.tasks.question_answering import QuestionAnswering
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.tagging import Tagging
from afterbert.models.decoder import Decoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation
from afterbert.training.observers import Observer
from afterbert.training.optimizers.adamw import AdamW
from invented_examples import invented

TRAINED = [name for name in names(Task) if find(Task, name).usual_head not in ("text", None)]


def settings(epochs=60, **changed):
    defaults = {
        "budget": Budget(epochs, "epochs"),
        "batch_size": 8,
        "length": 64,
        "optimizer": AdamW(learning_rate=6e-3),
        "evaluate_every": None,
    }
    return FineTuning(**(defaults | changed))


@pytest.mark.parametrize("name", TRAINED)
def test_every_task_learns_its_invented_rows_by_heart(name, tiny_model, tmp_path, data_of):
    task = find(Task, name)()
    longer = settings(90, optimizer=AdamW(learning_rate=3e-3))  # numbers are learned less surely than classes
    done = finetune(tiny_model, [data_of(task)], tmp_path, longer if name == "regression" else settings())
    (result,) = done.results
    main = next(iter(result.splits["dev"].metrics))
    assert result.splits["dev"].metrics[main].mean > 0.9
    assert result.splits["dev"].gain.estimate > 0
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["tasks"]["toy"]["splits"]["dev"]["metrics"][main]["mean"] > 0.9
    lines = (tmp_path / "seed-0" / "predictions" / "toy.dev.jsonl").read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == [f"d{row.key}" for row in invented(task)]


def test_san_learns_pairs(tiny_model, tmp_path, data_of):
    done = finetune(tiny_model, [data_of(PairClassification())], tmp_path, settings(head=San(turns=3)))
    assert done.results[0].splits["dev"].metrics["accuracy"].mean == 1.0


def test_a_finished_seed_is_read_not_trained_again(tiny_model, tmp_path, data_of):
    data = data_of(SentenceClassification())
    first = finetune(tiny_model, [data], tmp_path, settings(epochs=3, num_seeds=2))
    stamp = (tmp_path / "seed-1" / "metrics.jsonl").stat().st_mtime_ns
    again = finetune(tiny_model, [data], tmp_path, settings(epochs=3, num_seeds=2))
    assert again.results == first.results
    assert (tmp_path / "seed-1" / "metrics.jsonl").stat().st_mtime_ns == stamp
    assert len(first.results[0].splits["dev"].metrics["accuracy"].values) == 2
    with pytest.raises(UserError, match="settings are not those the run was begun with"):
        finetune(tiny_model, [data], tmp_path, settings(epochs=4, num_seeds=2))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tiny_model, tmp_path, data_of):
    data = data_of(SentenceClassification())
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        finetune(tiny_model, [data], tmp_path / name, settings(epochs=2, seed=seed))
    heads = [next((tmp_path / n).glob("seed-*/model/heads.safetensors")).read_bytes() for n in "abc"]
    assert heads[0] == heads[1] != heads[2]


class Stumble(Observer):
    """Breaks the run off at its third evaluation."""

    def __init__(self):
        self.seen = 0

    def on_evaluation(self, record):
        self.seen += 1
        if self.seen == 3:
            raise RuntimeError("stumbled")


def test_a_broken_run_goes_on_to_the_same_end(tiny_model, tmp_path, data_of):
    data = data_of(SentenceClassification())
    config = settings(epochs=6, evaluate_every=Budget(1, "epochs"), keep="best")
    finetune(tiny_model, [data], tmp_path / "whole", config)
    with pytest.raises(RuntimeError, match="stumbled"):
        finetune(tiny_model, [data], tmp_path / "broken", config, observers=[Stumble()])
    finetune(tiny_model, [data], tmp_path / "broken", config)
    whole, broken = (
        (tmp_path / n / "seed-0" / "model" / "heads.safetensors").read_bytes() for n in ("whole", "broken")
    )
    assert whole == broken


def test_a_saved_model_predicts_the_same(tiny_model, tmp_path, data_of):
    data = data_of(Tagging())
    finetune(tiny_model, [data], tmp_path, settings(epochs=5))
    loaded = load_finetuned(tmp_path / "seed-0")
    assert loaded.tasks["toy"] == data.task
    bench = Bench.of(loaded.model, [data], settings())
    predicted = bench.asked.predict(loaded.module, "toy", "dev")
    lines = (tmp_path / "seed-0" / "predictions" / "toy.dev.jsonl").read_text().splitlines()
    assert [list(tags) for tags in predicted] == [json.loads(line)["prediction"] for line in lines]
    with pytest.raises(UserError, match=r"has no fine-tuned head .*afterbert finetune --model"):
        load_finetuned(tmp_path / "seed-0" / "predictions")


def test_what_a_later_command_trusts_is_known_when_it_was_changed(tiny_model, tmp_path, data_of):
    """One character of a label, of a head's weights, of a prediction, of the note of what made it."""
    data = data_of(Tagging())
    finetune(tiny_model, [data], tmp_path, settings(epochs=1))
    folder = tmp_path / "seed-0"

    def read_again():
        load_finetuned(folder)
        finetune(tiny_model, [data], tmp_path, settings(epochs=1))

    read_again()
    for file, before, after in (
        ("model/heads.json", b'"B-', b'"C-'),
        ("model/heads.safetensors", None, None),
        ("predictions/toy.dev.jsonl", b'"O"', b'"Q"'),
        ("predictions/identity.json", b'"seed": 0', b'"seed": 1'),
    ):
        whole = (folder / file).read_bytes()
        changed = whole.replace(before, after, 1) if before else whole[:-1] + bytes([whole[-1] ^ 1])
        assert changed != whole
        (folder / file).write_bytes(changed)
        with pytest.raises(UserError, match=f"{file.rpartition('/')[2]}.*(was changed|not those that were written)"):
            read_again()
        (folder / file).write_bytes(whole)


@pytest.mark.parametrize("name", TRAINED)
def test_a_batch_predicts_what_each_row_alone_does(name, tiny_model, data_of):
    bench = Bench.of(tiny_model, [data_of(find(Task, name)())], settings())
    torch.manual_seed(0)
    module, head, prepared = (bench.module().eval(), bench.asked.heads["toy"], bench.asked.prepared["toy"]["dev"])
    together, alone = (outputs(module, tiny_model, head, prepared, name="toy", batch_size=n) for n in (64, 1))
    for left, right in zip(together, alone, strict=True):
        np.testing.assert_allclose(left, right, atol=2e-5)


@pytest.mark.parametrize("kind", [Decoder, EncoderDecoder, Permutation])
@pytest.mark.parametrize("task", [SentenceClassification(), PairClassification(), Tagging()], ids=name_of)
def test_any_backbone_reads_a_row_the_same_alone_and_beside_longer_ones(kind, task, tiny_model, data_of):
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 96}
    architecture = kind(vocab_size=tiny_model.architecture.vocab_size, **sizes)
    model = replace(tiny_model, architecture=architecture, weights={})
    bench = Bench.of(model, [data_of(task)], settings())
    torch.manual_seed(0)
    module, head, prepared = (bench.module().eval(), bench.asked.heads["toy"], bench.asked.prepared["toy"]["dev"])
    together, alone = (outputs(module, model, head, prepared, name="toy", batch_size=n) for n in (64, 1))
    for left, right in zip(together, alone, strict=True):
        np.testing.assert_allclose(left, right, atol=2e-5)
    assert len({np.round(output, 6).tobytes() for output in together}) == len(together)


@pytest.mark.parametrize("name", TRAINED)
def test_the_loss_of_a_batch_is_the_sum_over_its_units(name, tiny_model, data_of):
    """So any cut into micro-batches gives the same gradient."""
    bench = Bench.of(tiny_model, [data_of(find(Task, name)())], settings())
    torch.manual_seed(0)
    module, prepared = bench.module().eval(), bench.asked.prepared["toy"]["train"]

    def score(units):
        batch = prepared.batch(np.array(units), pad=bench.asked.pad, has_segments=True, name="toy")
        arrays = {key: torch.as_tensor(value) for key, value in batch.arrays.items()}
        return module(arrays)["toy"].item(), batch.counts["toy"]

    whole, count = score(range(8))
    parts = [score([unit]) for unit in range(8)]
    assert whole == pytest.approx(sum(loss for loss, _ in parts), rel=1e-4)
    assert count == sum(asked for _, asked in parts) > 0


def test_several_tasks_share_a_backbone(tiny_model, tmp_path, data_of):
    tasks = [
        data_of(SentenceClassification(), "food"),
        data_of(Tagging(), "names"),
        data_of(QuestionAnswering(), "facts"),
    ]
    done = finetune(tiny_model, tasks, tmp_path, settings(epochs=30))
    mains = {result.name: next(iter(result.splits["dev"].metrics.values())).mean for result in done.results}
    assert set(mains) == {"food", "names", "facts"}
    assert min(mains.values()) > 0.8


def test_a_frozen_backbone_does_not_move(tiny_model, tmp_path, data_of):
    finetune(tiny_model, [data_of(SentenceClassification())], tmp_path, settings(epochs=3, frozen=True))
    loaded = load_finetuned(tmp_path / "seed-0")
    for name, tensor in tiny_model.weights["backbone"].items():
        assert torch.equal(loaded.model.weights["backbone"][name], tensor), name


def test_patience_ends_a_run_and_the_best_weights_are_kept(tiny_model, tmp_path, data_of):
    """With a wild learning rate the first evaluations are as good as it gets."""
    config = settings(epochs=50, patience=2, evaluate_every=Budget(1, "epochs"), optimizer=AdamW(learning_rate=0.5))
    done = finetune(tiny_model, [data_of(SentenceClassification())], tmp_path, config)
    run = RunFolder.open(tmp_path / "seed-0")
    records = [r for r in run.metrics.read() if r["kind"] == "evaluation"]
    assert len(records) < 51
    assert run.status().step == records[-1]["step"] < 50
    assert run.status().state == "finished"
    assert "stopped early" in run.status().message
    scores = [record["figures"]["toy/accuracy"] for record in records]
    assert done.results[0].splits["dev"].metrics["accuracy"].mean == max(scores)
    assert not (tmp_path / "seed-0" / "best.safetensors").exists()


def test_it_is_said_where_an_earlier_step_was_clearly_better(tiny_model, tmp_path, data_of):
    config = settings(epochs=2, evaluate_every=Budget(1, "epochs"))
    bench = Bench.of(tiny_model, [data_of(SentenceClassification())], config)
    tune(bench, tmp_path)
    metrics = RunFolder.open(tmp_path / "seed-0").metrics
    steps = [record["step"] for record in metrics.read() if record["kind"] == "evaluation"]

    def lines(first, last):
        for step, accuracy in (
            (steps[0], 0.1),
            (steps[1], first),
            (steps[-1], last),
        ):  # the later line of a step counts
            metrics.append({"kind": "evaluation", "step": step, "figures": {"toy/accuracy": accuracy}})
        return better_before(bench, tmp_path)

    (line,) = lines(0.9, 0.8)
    assert line.startswith(f"seed 0: dev was better after step {steps[1]}, 90.0% in place of 80.0% at the end")
    assert lines(0.804, 0.8) == lines(0.8, 0.9) == []
    chosen = bench.with_settings(replace(config, keep="best"))
    assert lines(0.9, 0.8) and not better_before(chosen, tmp_path)


def test_class_weights_are_inverse_frequencies(tiny_model, data_of):
    task = SentenceClassification()
    data = data_of(task, rows=invented(task)[:5])
    bench = Bench.of(tiny_model, [data], settings(class_weights="balanced"))
    weights = bench.module().heads["task:toy"].class_weights
    # Two negative and three positive rows: n / (K count), scikit-learn's "balanced".
    np.testing.assert_allclose(weights, [5 / (2 * 2), 5 / (2 * 3)], rtol=1e-6)


def test_layer_decay_orders_the_learning_rates(tiny_model, data_of):
    bench = Bench.of(tiny_model, [data_of(SentenceClassification())], settings())
    module = bench.module()
    optimizer = LayerDecay(inner=AdamW(learning_rate=1.0), decay=0.5).build(module)
    rate = {id(p): group["initial_lr"] for group in optimizer.param_groups for p in group["params"]}
    named = {name: rate[id(parameter)] for name, parameter in module.named_parameters()}
    assert named["backbone.embeddings.token.weight"] == 0.125
    assert named["backbone.stack.attention.0.inner.qkv.weight"] == 0.25
    assert named["backbone.stack.attention.1.norm.weight"] == 0.5
    assert named["heads.task:toy.layers.last.weight"] == 1.0
    assert len(rate) == sum(1 for _ in module.parameters())


def test_rows_longer_than_the_model_are_cut_and_counted(tiny_model, data_of):
    task = SentenceClassification()
    data = data_of(task, rows=[*invented(task)[:7], Example("long", ("fresh salad " * 80,), "positive")])
    bench = Bench.of(tiny_model, [data], settings(length=500))
    assert bench.notes[0] == "rows have 96 pieces, as many as the model reads, not 500"
    assert "toy: train: 1 of 8 rows are longer than 96 pieces and cut" in bench.notes
    assert bench.asked.prepared["toy"]["train"].rows.lengths.max() == 96


@pytest.mark.parametrize(
    ("task", "changed", "said"),
    [
        (
            "sentence_classification",
            {"head": San()},
            "head san compares two texts, but the task has one; choose head pooled",
        ),
        ("tagging", {"head": Pooled()}, "head pooled cannot answer tagging; leave it out, or choose: text, token"),
        ("minimal_pairs", {}, "minimal pairs is not answered by a head"),
        ("text_to_text", {}, "toy: texts are written by an encoder-decoder or a decoder, but tiny is encoder"),
    ],
)
def test_impossible_wishes_are_one_line(task, changed, said, tiny_model, data_of):
    with pytest.raises(UserError) as caught:
        Bench.of(tiny_model, [data_of(find(Task, task)())], settings(**changed))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_that_contradict_each_other():
    with pytest.raises(UserError, match="layer_decay has no effect on a frozen backbone"):
        settings(frozen=True, layer_decay=0.9)
    with pytest.raises(UserError, match="patience counts evaluations"):
        settings(patience=2)


class StumbleAfterwards(Observer):
    """Breaks off where a run that ended early has just been saved."""

    def on_note(self, text):
        self.early = getattr(self, "early", False) or text.startswith("stopped early")

    def on_checkpoint(self, *, step, path):
        if getattr(self, "early", False):
            raise RuntimeError("stumbled")


def test_a_run_that_ended_early_stays_ended(tiny_model, tmp_path, data_of):
    config = settings(epochs=50, patience=2, evaluate_every=Budget(1, "epochs"), optimizer=AdamW(learning_rate=0.5))
    data = data_of(SentenceClassification())
    whole = finetune(tiny_model, [data], tmp_path / "whole", config)
    with pytest.raises(RuntimeError, match="stumbled"):
        finetune(tiny_model, [data], tmp_path / "broken", config, observers=[StumbleAfterwards()])
    again = finetune(tiny_model, [data], tmp_path / "broken", config)
    assert again.results == whole.results
    heads = [(tmp_path / n / "seed-0" / "model" / "heads.safetensors").read_bytes() for n in ("whole", "broken")]
    assert heads[0] == heads[1]
    steps = [RunFolder.open(tmp_path / n / "seed-0").status().step for n in ("whole", "broken")]
    assert steps[0] == steps[1] < 50


def test_evaluations_that_a_resumed_run_sees_again_do_not_end_it(tmp_path):
    best, module = Best(tmp_path), torch.nn.Linear(2, 1)
    for step, figure in ((60, 0.7), (100, 0.8), (120, 0.6), (140, 0.6)):
        best.see(module, step, figure)
    assert (best.step, best.evaluations_since(140)) == (100, 2)
    for step, figure, since in ((60, 0.7, 0), (100, 0.8, 0), (120, 0.6, 1), (140, 0.6, 2)):
        best.see(module, step, figure)
        assert (best.step, best.evaluations_since(step)) == (100, since)


def test_the_threshold_for_no_answer_is_the_best_of_all_on_dev(tiny_model, tmp_path, data_of):
    """Against trying every threshold, as evaluate-v2.0.py does; a saved model keeps it, dev's figures do not."""
    finetune(tiny_model, [data_of(QuestionAnswering())], tmp_path, settings(epochs=20))
    told = json.loads((tmp_path / "seed-0" / "predictions" / "thresholds.json").read_text())["toy"]
    loaded = load_finetuned(tmp_path / "seed-0")
    assert loaded.heads["toy"].null_bias == told["null_bias"]
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["thresholds"]["0"]["toy"] == told
    dev = written["tasks"]["toy"]["splits"]["dev"]["metrics"]
    assert {name: dev[name]["mean"] for name in dev} == pytest.approx(told["without"])

    bench = Bench.of(loaded.model, [data_of(QuestionAnswering())], settings())
    data = bench.tasks[0]

    def f1(bias):
        heads = {"toy": replace(loaded.heads["toy"], null_bias=float(bias))}
        predictions = replace(bench.asked, heads=heads).predict(loaded.module, "toy", "dev")
        return data.scores("dev", predictions)["answer_f1"]

    tried = [f1(bias) for bias in np.linspace(-30, 30, 121)]
    assert f1(told["null_bias"]) == pytest.approx(told["with"]["answer_f1"])
    assert told["with"]["answer_f1"] >= max(tried)


def test_another_model_at_the_same_place_is_not_taken_for_the_first(tiny_model, tmp_path, data_of):
    data = data_of(SentenceClassification())
    finetune(tiny_model, [data], tmp_path, settings(epochs=1))
    backbone = {name: tensor + 0.01 for name, tensor in tiny_model.weights["backbone"].items()}
    other = replace(tiny_model, weights={"backbone": backbone})
    with pytest.raises(UserError, match="weights.backbone"):
        finetune(other, [data], tmp_path, settings(epochs=1))


@pytest.mark.parametrize("changed", [{"keep": "best"}, {"patience": 2}])
def test_weights_are_not_chosen_by_dev_rows_without_labels(changed, tiny_model, tmp_path, data_of):
    data = data_of(SentenceClassification())
    blind = tuple(replace(row, label=None) for row in data.splits["dev"])
    wish = settings(epochs=2, evaluate_every=Budget(1, "epochs"), **changed)
    assert any("figures of dev flatter" in note for note in Bench.of(tiny_model, [data], wish).notes)
    unlabelled = replace(data, splits=dict(data.splits) | {"dev": blind})
    with pytest.raises(UserError, match="needs labelled dev rows, but toy has none"):
        finetune(tiny_model, [unlabelled], tmp_path, wish)


def test_class_weights_that_change_nothing_are_said(tiny_model, data_of):
    wish = settings(class_weights="balanced")
    tasks = [data_of(SentenceClassification(), "food"), data_of(QuestionAnswering(), "qa")]
    notes = [note for note in Bench.of(tiny_model, tasks, wish).notes if "class_weights" in note]
    assert notes == ["qa: class_weights has no effect, since no head of classes answers it"]
