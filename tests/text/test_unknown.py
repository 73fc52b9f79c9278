"""What a tokenizer does not know is counted by whoever makes pieces, and too much of it is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from afterbert.base.errors import UserError
from afterbert.base.rows import Rows
from afterbert.base.sealed import sealed
from afterbert.downstream.posing.writing import ToWrite
from afterbert.text.pieces.unknown import UnknownPieces
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.prepare import prepare
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers.wordpiece import WordPiece
from afterbert.workflows.stores import check_known
from invented_texts import documents, tokenizer_called

PROTEINS = "GGLMHVHGHPLANQGFKDMLYWAYM" * 5


def test_special_pieces_do_not_count():
    tokenizer = tokenizer_called("wordpiece")
    known = tokenizer.vocabulary
    ids = np.array([known.cls, *tokenizer.encode("miles Ж"), known.sep, known.pad])
    assert UnknownPieces.among(ids, known) == UnknownPieces(1, len(ids) - 3)
    assert tokenizer_called("bpe").vocabulary.unknown is not None
    assert known.__class__(size=9, unk=0, eos=0, special_ids=(0,)).unknown is None


def test_a_store_from_before_is_counted_again(tmp_path):
    lines = [*documents(150), *[f"{PROTEINS}{number}" for number in range(30)]]
    (tmp_path / "a.txt").write_text("\n\n".join(lines))
    recipe = WordPiece(vocab_size=200, min_frequency=1)
    store = prepare([Txt(str(tmp_path / "a.txt"))], tmp_path / "store", tokenizer=recipe)
    [said] = check_known(store, 0.1)
    manifest = json.loads((tmp_path / "store/store.json").read_text())
    unknown = manifest["tokenizer"].pop("unknown")
    assert f"does not know {unknown} of the" in said and unknown > 0
    (tmp_path / "store/store.json").write_text(json.dumps(sealed(manifest)))
    old = Store.open(tmp_path / "store")
    assert check_known(old, 0.1) == [said]
    with pytest.raises(UserError, match=r"more than 0% teach a model nothing.*or raise --max-unknown"):
        check_known(old, 0.001)


def test_an_answer_with_an_unknown_piece_is_never_right():
    tokenizer = tokenizer_called("wordpiece")
    to_write = ToWrite(Rows(np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.uint64)), 0, 1, tokenizer)
    assert to_write.text(np.array(tokenizer.encode("3.14 miles"))) == tokenizer.decode(tokenizer.encode("3.14 miles"))
    assert "\ufffd" in to_write.text(np.array(tokenizer.encode("miles Ж")))
    assert to_write.text(np.array([tokenizer.vocabulary.unk, -1])) == "\ufffd"


def test_every_verb_that_makes_pieces_tells_and_refuses(tmp_path, monkeypatch, capsys):
    from afterbert.cli.main import run

    monkeypatch.chdir(tmp_path)
    Path("en.txt").write_text("\n\n".join(documents(150)))
    few = ["--size", "tiny", "--budget", "2steps", "--training.precision", "fp32", "--out", "runs"]
    assert run(["pretrain", "en.txt", "--recipe", "bert-mlm", "--vocab-size", "200", *few, "--name", "r"]) == 0
    rows = [(text, "Жж" if number % 9 == 0 else "", number % 2) for number, text in enumerate(documents(60))]
    Path("some.csv").write_text("text,label\n" + "".join(f"{a} {b},{label}\n" for a, b, label in rows))
    Path("most.csv").write_text("text,label\n" + "".join(f"Ж{n} Жж ж,{n % 2}\n" for n in range(60)))
    Path("ru.txt").write_text("\n\n".join(f"Жж {n} Жж ж" for n in range(99)))
    Path("pairs.jsonl").write_text(json.dumps({"sentence_good": "the miller Ж", "sentence_bad": "miller the Ж"}) + "\n")
    capsys.readouterr()
    assert run(["fill", "the [MASK] Жж", "-m", "runs/r"]) == 0
    tune = ["finetune", "-m", "runs/r", "--budget", "1steps", "--dry-run"]
    assert run([*tune, "-t", "some.csv"]) == 0
    assert run(["score", "runs/r", "--pairs", "pairs.jsonl", "--max-unknown", "0.9"]) == 0
    assert run(["evaluate", "runs/r", "ru.txt", "--max-unknown", "1"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("note: the tokenizer does not know") == 4
    assert run(["finetune", "-m", "runs/r", "--budget", "1steps", "-t", "some.csv", "--out", "tuned"]) == 0
    for arguments in (
        ["predict", "tuned", "most.csv"],
        ["predict", "tuned", "Ж"],
        [*tune, "-t", "most.csv"],
        ["score", "runs/r", "--pairs", "pairs.jsonl"],
        ["score", "runs/r", "-t", "most.csv", "--probe"],
        ["evaluate", "runs/r", "ru.txt"],
    ):
        assert run(arguments) == 2
        assert "raise --max-unknown" in " ".join(capsys.readouterr().err.split())
