"""What a run trusts, through the command: its store, its tokenizer, and where they lie."""

import shutil

import pytest
from test_mixed_stores import TINY

from afterbert.cli.main import run
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers.wordpiece import WordPiece

SHORT = [*TINY, "--training.checkpoint_every", "2steps", "--training.evaluate_every", "null"]


def pretrain(*arguments, steps=3):
    return run(["pretrain", *map(str, arguments), "--budget", f"{steps}steps", *SHORT])


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of two stores, each with a tokenizer of its own, and of a run on the first."""
    root = tmp_path_factory.mktemp("made")
    for name, size in (("one", 150), ("other", 120)):
        texts = [f"The {n}th story of the {name} old mill by the river. It ends well, {n} times." for n in range(40)]
        (root / f"{name}.txt").write_text("\n\n\n".join(texts))
        tokenizer = WordPiece(vocab_size=size, min_frequency=1)
        prepare([Txt(path=str(root / f"{name}.txt"))], root / name, tokenizer=tokenizer, least_pieces=8, held_out=0.2)
    assert pretrain(root / "one", "--out", root / "runs", "--name", "r") == 0
    return root


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "moved")


@pytest.mark.parametrize(
    "file", ["train/pieces.bin", "train/planes/word_start.bin", "train/documents.bin", "store.json"]
)
def test_a_store_that_rotted_is_refused(copy, capsys, file):
    flip(copy / "one" / file)
    for command in (
        ["pretrain", str(copy / "one"), "--out", str(copy / "runs"), "--name", "new", *SHORT],
        ["evaluate", str(copy / "runs" / "r"), str(copy / "one")],
        ["pretrain", "--resume", str(copy / "runs" / "r"), "--budget", "4steps", "--allow-changes"],
    ):
        assert run(command) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert file.rpartition("/")[2] in line
    assert not (copy / "runs" / "new").exists()


def test_weights_are_not_trained_on_ids_of_another_tokenizer(copy, capsys):
    assert pretrain(copy / "other", "--from", copy / "runs" / "r", "--out", copy / "runs", "--name", "n") == 2
    said = capsys.readouterr().err
    assert "was made with another tokenizer than the model" in said
    assert "adapt-vocabulary" in said
    assert not (copy / "runs" / "n").exists()


def test_a_run_that_was_moved_with_its_store_goes_on_from_anywhere(copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    elsewhere = copy.rename(tmp_path / "elsewhere")
    resume = ["pretrain", "--resume", str(elsewhere / "runs" / "r"), "--budget", "5steps", "--allow-changes"]
    assert run(resume) == 0
    assert run(["export", str(elsewhere / "runs" / "r"), str(tmp_path / "out")]) == 0


def test_a_changed_note_of_the_store_is_one_line(copy, capsys):
    path = copy / "runs" / "r" / "data.json"
    path.write_text(path.read_text().replace('"fingerprint": "', '"fingerprint": "0', 1))
    assert run(["pretrain", "--resume", str(copy / "runs" / "r")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "data.json was changed after it was written" in line


def test_a_changed_figure_is_never_drawn(copy, capsys):
    path = copy / "runs" / "r" / "evaluation.json"
    path.write_text(path.read_text().replace('"loss": ', '"loss": 1', 1))
    for command in (["report", str(copy / "runs" / "r")], ["compare", *[str(copy / "runs" / "r")] * 2]):
        assert run(command) == 2
        assert "evaluation.json was changed after it was written" in capsys.readouterr().err
    assert run(["runs", str(copy / "runs")]) == 0
    assert "unreadable" in capsys.readouterr().out
