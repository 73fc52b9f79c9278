"""`finetune` on many tasks: papers' settings, strategies and groups by their words, mistakes in one line."""

import json

import pytest
import torch
import yaml

from afterbert.base.errors import UserError
from afterbert.base.mixing.proportional import Proportional
from afterbert.base.plugins import names
from afterbert.cli.main import run
from afterbert.downstream.heads import Head
from afterbert.downstream.heads.candidates import CandidatesHead
from afterbert.downstream.heads.pooled import Pooled
from afterbert.downstream.heads.san import San
from afterbert.downstream.strategies import Strategy
from afterbert.downstream.strategies.supervised import Supervised
from afterbert.downstream.tasks.pair_classification import PairClassification
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.interop.folder import export_folder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.text.tokenizers.wordpiece import WordPiece
from afterbert.training.optimizers.adamax import Adamax
from afterbert.workflows.finetune_request import FinetuneRequest, settings_of
from afterbert.workflows.many_tasks import ALL, groups_of, papers, strategies_of
from invented_examples import invented

FOOD, PAIRS = invented(SentenceClassification()), invented(PairClassification())


def save_model(place, kind, *, sentinels=0):
    """A model of one layer, with the words of both tasks."""
    texts = [text for row in (*FOOD, *PAIRS) for text in row.texts]
    tokenizer = WordPiece(vocab_size=300, min_frequency=1, sentinels=sentinels, lowercase=True).make(
        texts * 3, corpus_bytes=9999
    )
    words = place.with_name(f"{place.name}-tokenizer")
    tokenizer.save(words)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64, "max_position_embeddings": 64}
    architecture = kind(vocab_size=tokenizer.vocabulary.size, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        backbone = architecture.build(tokenizer.vocabulary)
        head = architecture.build_lm_head(backbone)
    export_folder(place, architecture, backbone, {"lm_head": head}, vocabulary=tokenizer.vocabulary, tokenizer=words)


@pytest.fixture
def folder(tmp_path):
    """A model, two tasks and some text."""
    save_model(tmp_path / "model", Encoder)
    for name, keys, rows in (("food", ("text",), FOOD), ("pairs", ("sentence1", "sentence2"), PAIRS)):
        lines = [json.dumps(dict(zip(keys, row.texts), label=row.label)) + "\n" for row in rows]
        (tmp_path / name).mkdir()
        for split in ("train", "dev"):
            (tmp_path / name / f"{split}.jsonl").write_text("".join(lines))
    return tmp_path


def asked(folder, *more):
    tasks = [word for name in ("food", "pairs") for word in ("-t", f"{name}:{folder / name}")]
    return ["finetune", "-m", str(folder / "model"), *tasks, "--out", str(folder / "out"), "--length", "32", *more]


def test_strategies_are_said_carried_out_and_laid_side_by_side(folder, capsys):
    words = ["--recipe", "mt-dnn", "--budget", "6steps", "--batch-size", "4", "--strategy", "multi-task", "--strategy"]
    assert run(asked(folder, *words, "supervised")) == 0
    said = capsys.readouterr().out
    assert "strategies, at equal steps for each task" in said
    assert "first: food, pairs" in said
    assert f"model of multi_task: {folder}/out/multi_task/first/seed-0/model" in said
    assert (
        f"model of supervised: {folder}/out/supervised/tasks/food/seed-0/model (and 1 more below supervised/)" in said
    )
    assert "the mix as it was, first, seed 0: 6 steps" in said and "first, seed 0: 4 steps" in said
    found = json.loads((folder / "out" / "comparison.json").read_text())
    assert found["supervised"]["steps"] == {"first": 4, "second": 2}
    assert found["multi_task"]["steps"] == {"first": 6, "second": 0}
    heads = json.loads((folder / "out/supervised/tasks/pairs/seed-0/model/heads.json").read_text())["heads"]
    assert heads["pairs"]["type"] == "san"
    assert "supervised" in (folder / "out" / "report.md").read_text()
    assert run(asked(folder, *words, "supervised")) == 0, "what is finished is read"
    assert "step 6 of 6" not in capsys.readouterr().out


def test_a_t5_that_writes_its_answers_moves_as_t5_does(folder, capsys):
    """Unless another optimizer is asked for, or settings are; other models keep the usual one."""
    save_model(folder / "t5", EncoderDecoder, sentinels=4)
    save_model(folder / "bart", EncoderDecoder)

    def optimizer(model, *words):
        assert run([*asked(folder, "--dry-run", "--max-unknown", "0.5", *words), "-m", str(folder / model)]) == 0
        said = capsys.readouterr().out
        settings = yaml.safe_load(said[said.index("budget:") :])
        assert ("optimizer: AdaFactor" in said) == (settings["optimizer"]["type"] == "adafactor" and "-r" not in words)
        return (settings["optimizer"]["type"], settings["optimizer"]["learning_rate"], settings["schedule"]["type"])

    text = ("--head", "text")
    assert optimizer("t5", *text) == ("adafactor", 1e-3, "constant")
    assert optimizer("t5", *text, "--lr", "1e-2", "--schedule.type", "linear") == ("adafactor", 1e-2, "linear")
    assert optimizer("t5", *text, "--optimizer.type", "adamw", "--lr", "1e-4") == ("adamw", 1e-4, "linear")
    assert optimizer("t5", "-r", "t5", "--budget", "6steps") == ("adafactor", 1e-3, "constant")
    assert optimizer("t5") == optimizer("bart", *text) == ("adamw", 2e-3, "linear")


def test_the_constants_of_mt_dnn():
    made = settings_of(FinetuneRequest("m", ("t",), recipe="mt-dnn", overrides=(("length", "128"),)))
    assert (str(made.budget), made.batch_size, made.length) == ("5epochs", 32, 128)
    assert made.optimizer == Adamax(learning_rate=5e-5)
    assert made.mixing == Proportional(limit=None)
    assert made.heads["mnli"] == San(turns=5, dropout=0.3)
    assert made.heads["cola"] == Pooled(dropout=0.05)
    assert made.heads["ranking"] == CandidatesHead(dropout=0.1)


@pytest.mark.parametrize("name", papers())
def test_every_papers_settings_can_be_read(name):
    made = settings_of(FinetuneRequest("m", ("t",), recipe=name))
    assert all(isinstance(head, Head) for head in made.heads.values())


def test_settings_of_ones_own_and_their_mistakes(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("batch_size: 7\nmixing: equal\n")
    assert settings_of(FinetuneRequest("m", ("t",), recipe=str(path))).batch_size == 7
    path.write_text("batch_size: 7\nmixing: equall\n")
    with pytest.raises(UserError, match="mine.yaml:2: mixing: no mixing is called 'equall'; did you mean 'equal'"):
        settings_of(FinetuneRequest("m", ("t",), recipe=str(path)))
    with pytest.raises(UserError, match="no settings for fine-tuning are called 'mtdnn'; did you mean 'mt-dnn'"):
        settings_of(FinetuneRequest("m", ("t",), recipe="mtdnn"))


def test_strategies_have_their_words():
    assert list(strategies_of(["all"])) == list(ALL)
    assert {*ALL, "alone"} == set(names(Strategy))
    assert strategies_of(["{type: supervised, share: 0.5}"]) == {"supervised": Supervised(share=0.5)}
    with pytest.raises(UserError, match="supervised is named twice"):
        strategies_of(["all", "{type: supervised, share: 0.5}"])
    with pytest.raises(UserError, match="no strategy is called 'multitask'; did you mean 'multi_task'"):
        strategies_of(["multitask"])
    with pytest.raises(UserError, match="strategy:1: share is 2, must be less than 1"):
        strategies_of(["{type: supervised, share: 2}"])


@pytest.mark.parametrize(
    ("written", "said"),
    [("glue", "is no NAME=TASK,TASK"), ("glue=sst2,stsc", "no task is called 'stsc'; did you mean 'stsb'")],
)
def test_groups_name_tasks(written, said):
    with pytest.raises(UserError, match=said):
        groups_of([written], ["sst2", "stsb"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--strategy", "unsupervised"], "needs running text; name some with --unlabelled, or take strategy alone"),
        (["--strategy", "supervised", "--budget", "5min"], "compared at equal steps"),
        (["--finetuning.virtual_sizes", "{fod: 3}"], "nothing here is called 'fod'; did you mean 'food'"),
    ],
)
def test_a_mistake_is_one_line(words, said, folder, capsys):
    assert run(asked(folder, *words)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (folder / "out").exists()
