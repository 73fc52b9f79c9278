"""A recipe's tokenizer beside a store's, and texts that `pretrain` reads as it is told."""

from pathlib import Path

import pytest

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.cli.main import run
from afterbert.recipes import known, resolve
from afterbert.text.from_paths import sources_for
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers.unigram import Unigram
from afterbert.workflows.run_folders import store_of_run
from afterbert.workflows.tokenizer_choice import check_tokenizer, listed_planes, tokenizer_named
from invented_texts import documents

FEW = ["--size", "tiny", "--budget", "2steps", "--training.precision", "fp32", "--processes", "1"]


@pytest.fixture
def lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lines.txt").write_text("\n".join(documents(80)))
    return "lines.txt"


@pytest.fixture
def store(lines, tmp_path):
    sources = sources_for([lines], documents="line")
    return prepare(sources, tmp_path / "store", tokenizer=Unigram(vocab_size=300, lowercase=True))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("bpe", 40), "--tokenizer.vocab_size is 40, letters and special pieces alone need"),
        (("{type: unigram, nope: 1}", None), "--tokenizer: nope is not a setting; known: vocab_size"),
        (("{type: nope}", None), "--tokenizer: no tokenizer recipe is called 'nope'; known: bpe"),
    ],
)
def test_what_cannot_be_asked_for_is_told_by_its_option(asked, said):
    with pytest.raises(UserError) as error:
        tokenizer_named(*asked)
    assert str(error.value).startswith(said)


def test_what_a_recipe_states_and_a_store_has_not_is_told(store):
    [said] = check_tokenizer(resolve("t5-baseline"), store)
    assert "sentinels: 100 (the store's has 0), ends: last (the store's has both)" in said
    assert "afterbert prepare TEXTS --recipe t5-baseline" in said
    assert check_tokenizer(resolve("albert-sop"), store) == []
    [said] = check_tokenizer(resolve("bert-mlm"), store)
    assert "type: wordpiece (the store's has unigram)" in said
    with pytest.raises(UserError, match=r"--tokenizer.lowercase has no effect: .* was made with another"):
        check_tokenizer(resolve("albert-sop", overrides=[("tokenizer.lowercase", "false")]), store)


@pytest.mark.parametrize("name", known())
def test_planes_of_lists_are_found_in_every_recipe(name):
    assert listed_planes(resolve(name).recipe) == (["phrase", "entity"] if name == "ernie" else [])


def test_a_tokenizer_is_named_with_its_settings():
    made = tokenizer_named("unigram", 300, [("tokenizer.sentinels", "5"), ("tokenizer.ends", "last")])
    assert made == Unigram(vocab_size=300, sentinels=5, ends="last")
    with pytest.raises(UserError, match="must be .both., .last. or .none."):
        tokenizer_named(None, None, [("tokenizer.ends", "first")])


def test_pretrain_reads_texts_as_prepare_does(lines, store, capsys):
    options = ["--documents", "line", "--tokenizer", "unigram", "--vocab-size", "300", "--held-out", "0.2"]
    assert run(["pretrain", lines, *options, *FEW, "--name", "a"]) == 0
    made = store_of_run(RunFolder.open(Path("runs/a")))
    assert made.tally.documents == 80 and made.manifest["tokenizer"]["kind"] == "unigram"
    assert made.split("held_out").num_pieces > 0.15 * made.split("train").num_pieces
    assert run(["pretrain", lines, *FEW, "--vocab-size", "400", "--name", "b"]) == 0
    assert "--documents line" in capsys.readouterr().out.replace("\n", " ")
    assert store_of_run(RunFolder.open(Path("runs/b"))).tally.documents == 1
    for arguments, message in [
        (["store", "--documents", "line"], "--documents says how texts are read, but store is a store"),
        (["store", "--tokenizer", "wordpiece"], "--tokenizer has no effect: store was made with another"),
        ([lines, "--from", "runs/a", "--tokenizer", "bpe"], "brings its own tokenizer"),
    ]:
        assert run(["pretrain", *arguments, *FEW]) == 2
        assert message in capsys.readouterr().err.replace("\n", " ")
    assert run(["pretrain", "store", *FEW, "--name", "c"]) == 0
    assert "note: recipe laptop states of its tokenizer type: bpe" in capsys.readouterr().out.replace("\n", " ")
