"""`finetune` and `score` from the command line, on a tiny model and invented rows."""

import json
import re

import pytest
import torch

import afterbert as ab
from afterbert.base.errors import UserError
from afterbert.cli.main import run
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.tagging import Tagging
from afterbert.interop.folder import export_folder
from afterbert.interop.loading import load_model
from afterbert.models.encoder import Encoder
from afterbert.text.tokenizers.wordpiece import WordPiece
from afterbert.workflows.finetune_request import FinetuneRequest, settings_of
from afterbert.workflows.loading import load_finished, load_model_or_checkpoint
from invented_examples import invented

FOOD, NAMES = invented(SentenceClassification()), invented(Tagging())
PAIRS = [("the cats are warm", "the cats is warm"), ("we loved every dish", "we loves every dish")]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of an encoder of one layer with fixed random weights."""
    folder = tmp_path_factory.mktemp("model")
    texts = [text for row in (*FOOD, *NAMES) for text in row.texts] + [text for pair in PAIRS for text in pair]
    tokenizer = WordPiece(vocab_size=300, min_frequency=1, lowercase=True).make(texts * 3, corpus_bytes=9999)
    tokenizer.save(folder / "tokenizer")
    architecture = Encoder(
        vocab_size=tokenizer.vocabulary.size,
        hidden_size=32,
        num_hidden_layers=1,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        backbone = architecture.build(tokenizer.vocabulary)
        head = architecture.build_lm_head(backbone)
    export_folder(
        folder / "model",
        architecture,
        backbone,
        {"lm_head": head},
        vocabulary=tokenizer.vocabulary,
        tokenizer=folder / "tokenizer",
    )
    return folder


@pytest.fixture
def food(tmp_path):
    rows = [{"text": row.texts[0], "label": row.label} for row in FOOD] + [{"text": "", "label": "positive"}]
    for split in ("train", "dev"):
        path = tmp_path / "food" / f"{split}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"food:{tmp_path / 'food'}"


@pytest.fixture
def names(tmp_path):
    path = tmp_path / "names.conll"
    rows = ["\n".join(f"{w} {t}" for w, t in zip(row.texts, row.label)) for row in NAMES * 2]
    path.write_text("\n\n".join(rows) + "\n")
    return f"names:{path}"


QUICK = ["--lr", "3e-3", "--batch-size", "4", "--length", "32"]


def test_two_seeds_of_a_task_end_in_a_table_and_can_be_scored(model, food, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    asked = ["finetune", "--model", str(model), "--task", food, "--out", str(out), *QUICK]
    assert run([*asked, "--epochs", "2", "--seeds", "2"]) == 0
    said = capsys.readouterr().out
    assert "food: sentence classification (guessed: jsonl" in said
    assert "1 rows with an empty text (first: " in said
    assert "dev: 9 rows stand in train too" in said
    written = json.loads((out / "results.json").read_text())["tasks"]["food"]["splits"]["dev"]
    spread = written["metrics"]["accuracy"]
    line = next(line for line in said.splitlines() if line.strip().startswith("food dev"))
    figures = re.findall(r"-?\d+\.\d", line)
    assert figures[:3] == [f"{100 * x:.1f}" for x in (0.5, spread["mean"], spread["deviation"])]
    assert figures[3:5] == [f"{100 * written['interval'][end]:.1f}" for end in ("low", "high")]
    assert f"model:       {out / 'seed-0' / 'model'} (and 1 more seeds" in said

    best = out / f"seed-{int(spread['values'][1] > spread['values'][0])}"
    found = load_model_or_checkpoint(out)
    assert (found.name, found.notes) == (str(best), (f"of 2 seeds this is {best.name}, which did best on dev",))
    assert load_finished(out).name == ab.load(out).loaded.name == str(best)
    with pytest.raises(UserError, match="holds models in folders below it; name one of these, such as .*/seed-0$"):
        load_model(out)
    assert run(["finetune", "--model", str(best), *asked[3:], "--epochs", "2"]) == 2
    refused = capsys.readouterr().err
    assert "take the old values, or name another --out:" in refused and "--allow-changes" not in refused
    train = tmp_path / "food" / "train.jsonl"
    train.write_text(train.read_text() * 2)
    assert run(asked) == 2
    assert "the run there was begun with other rows; name another --out" in capsys.readouterr().err

    assert run(["score", str(out / "seed-0"), "--task", food]) == 0
    assert "--drop-leaked leaves out training rows that stand in another split" in said
    said = capsys.readouterr().out
    predicted = tmp_path / re.search(r"predictions: (\S+)", said)[1] / "food.dev.jsonl"
    assert predicted.read_text() == (out / "seed-0" / "predictions" / "food.dev.jsonl").read_text()
    assert "dev: 9 rows stand in train too" in said
    assert "--drop-leaked" not in said, "score has no such option"
    line = next(line for line in said.splitlines() if line.strip().startswith("food dev"))
    assert f"{100 * spread['values'][0]:.1f}" in line

    (tmp_path / "later.jsonl").write_text('{"text": "we loved every dish"}\n{"text": "a rude waiter"}\n')
    assert run(["score", str(out / "seed-0"), "--task", "later.jsonl"]) == 0
    said = capsys.readouterr().out
    assert "no row has a label, so nothing can be scored" in said
    lines = next(tmp_path.glob("runs/score-later-*/predictions/later.all.jsonl")).read_text().splitlines()
    assert [json.loads(line)["prediction"] in ("negative", "positive") for line in lines] == [True, True]


def test_a_mix_is_said_before_and_after(model, food, names, tmp_path, capsys):
    asked = ["finetune", "--model", str(model), "-t", food, "-t", names, "--out", str(tmp_path / "out"), *QUICK]
    assert run([*asked, "--budget", "6steps", "--mixing", "fixed", "--mixing.weights", "{food: 1, names: 3}"]) == 0
    said = capsys.readouterr().out
    before, after = said.split("the mix as it was, seed 0: 6 steps")
    tables = [re.search(r"^ *names +(\d+) +(\d+) +", part, re.MULTILINE).groups() for part in (before, after)]
    assert tables[0] == tables[1]
    assert "the mix to come: 6 steps" in before
    assert "names dev" in after


def test_a_dry_run_trains_nothing(model, food, tmp_path, capsys):
    asked = ["finetune", "--model", str(model), "--task", food, "--out", str(tmp_path / "out"), "--frozen"]
    assert run([*asked, "--dry-run", "--optimizer.weight_decay", "0.5"]) == 0
    said = capsys.readouterr().out
    assert "frozen: true" in said
    assert "weight_decay: 0.5" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--optimizer.weight_decai", "1"], "did you mean 'weight_decay'?"),
        (["--epochs", "0"], "--epochs: a budget of 0 epochs trains nothing"),
        (["--batch-size", "0"], "--batch-size is 0, must be greater than 0"),
        (["--epochs", "1", "--budget", "3min"], "--epochs 1 and --budget 3min say two lengths; keep one"),
        (["--layer-dekay", "1"], "did you mean '--layer-decay'?"),
        (["--mixing", "proportionate"], "did you mean 'proportional'?"),
        (["--head", "token"], "head token cannot answer sentence classification"),
        (["--columns", "text=tekst"], "tekst"),
        (["--group", "a=food"], "--group has an effect with --strategy leave_one_out alone"),
        (["--unlabelled-recipe", "gpt2"], "but none are named"),
    ],
)
def test_a_mistake_is_one_line(words, said, model, food, capsys):
    assert run(["finetune", "--model", str(model), "--task", food, *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_settings_without_a_node_can_be_given():
    overrides = (("finetuning.max_grad_norm", "0.5"), ("optimizer.learning_rate", "1e-4"))
    made = settings_of(FinetuneRequest("m", ("t",), epochs=2.5, overrides=overrides))
    assert (made.max_grad_norm, made.optimizer.learning_rate, str(made.budget)) == (0.5, 1e-4, "2.5epochs")


def test_pairs_are_scored_with_any_model(model, tmp_path, capsys):
    path = tmp_path / "agreement.jsonl"
    lines = [{"sentence_good": good, "sentence_bad": bad, "UID": "number"} for good, bad in PAIRS]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run(["score", str(model), "--pairs", str(path)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^ *number +2 +\d+\.0% +\d+\.0% *$", said, re.MULTILINE)


def test_pairs_that_are_too_long_are_left_out_and_any_columns_will_do(model, tmp_path, capsys):
    path = tmp_path / "agreement.jsonl"
    lines = [{"a": good, "b": bad, "UID": ""} for good, bad in PAIRS] + [{"a": "cats " * 90, "b": "x", "UID": "long"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = ["score", str(model), "--pairs", str(path), "--columns", "good=a,bad=b"]
    assert run(asked) == 0
    said = capsys.readouterr().out
    assert "note: all: 1 of 3 pairs are longer than the 64 pieces that the model reads, and left out" in said
    assert len(re.findall(r"^ *agreement all +2 ", said, re.MULTILINE)) == 1
    path.write_text(json.dumps(lines[-1]) + "\n")
    assert run(asked) == 2
    assert "nothing is left to ask" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-rows", "3"], "--max-rows has no effect where a fine-tuned head is asked"),
        (["--probe", "--as", "food"], "--as has no effect where --probe is asked"),
        (["--cue", "candidates", "--max-pairs", "3"], "--max-pairs has no effect where --cue is asked"),
    ],
)
def test_options_that_scoring_would_not_heed_are_refused(words, said, model, food, capsys):
    assert run(["score", str(model), "--task", food, *words]) == 2
    assert said in capsys.readouterr().err


def test_a_single_file_is_probed_on_rows_held_out(model, tmp_path, capsys):
    path = tmp_path / "many.tsv"
    path.write_text("".join(f"{row.texts[0]} {n}\t{row.label}\n" for n in range(9) for row in FOOD))
    assert run(["score", str(model), "--task", str(path), "--probe", "--max-unknown", "0.2"]) == 0
    assert re.search(r"probe of many on the last layer, accuracy: \d+", capsys.readouterr().out)


def test_a_probe_asks_the_test_rows_that_there_are(model, tmp_path, capsys):
    (tmp_path / "food").mkdir()
    for split, rows in (("train", FOOD), ("test", FOOD[:6])):
        lines = (f"{row.texts[0]} {n}\t{row.label}\n" for n in range(3) for row in rows)
        (tmp_path / "food" / f"{split}.tsv").write_text("".join(lines))
    assert run(["score", str(model), "--task", str(tmp_path / "food"), "--probe", "--max-unknown", "0.2"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"probe of food test on the last layer, accuracy: \d+\.\d% of 18 ", said)
    assert said.count("probe of") == 1 and "held out" not in said


def test_scoring_needs_one_question(model, capsys):
    assert run(["score", str(model)]) == 2
    assert "either --task PATH or --pairs FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--num-beams", "3"], "--num-beams has no effect on method sample"),
        (["--method", "greedy", "--length-penalty", "1"], "--length-penalty has no effect on method greedy"),
        (["--top-k", "0"], "--top-k is 0, must be greater than 0"),
    ],
)
def test_what_writing_would_not_heed_is_refused(words, said, capsys):
    assert run(["generate", "The house", "--model", "nowhere", *words]) == 2
    assert said in capsys.readouterr().err
