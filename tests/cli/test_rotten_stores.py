"""A store that rotted after it was written: no verb takes it, and nothing that was learned from it is kept."""

import pytest
from test_mixed_stores import TINY

from afterbert.cli.main import run
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers.wordpiece import WordPiece


@pytest.fixture
def store(tmp_path):
    texts = (f"The {n}th story of the old mill by the river. It ends well, {n} times." for n in range(60))
    (tmp_path / "texts.txt").write_text("\n\n\n".join(texts))
    sources = [Txt(path=str(tmp_path / "texts.txt"))]
    out = tmp_path / "store"
    prepare(sources, out, tokenizer=WordPiece(vocab_size=150, min_frequency=1), least_pieces=8, held_out=0.2)
    return out


def rot(store, split="train"):
    path = store / split / "pieces.bin"
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def asked(store, tmp_path, steps):
    place = ["--out", str(tmp_path / "runs"), "--name", "one"]
    return ["pretrain", str(store), *place, "--recipe", "bert-mlm", "--budget", f"{steps}steps", *TINY]


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_nothing_is_learned_from_it(store, tmp_path, capsys, split):
    rot(store, split)
    assert run(asked(store, tmp_path, 3)) == 2
    assert f"{split}/pieces.bin was changed" in capsys.readouterr().err
    assert not [path for path in tmp_path.glob("runs/one/checkpoints/step-*") if not path.name.endswith("-000000")]
    assert not (tmp_path / "runs/one/model").exists()


def test_a_run_does_not_go_on_with_it(store, tmp_path, capsys):
    assert run([*asked(store, tmp_path, 3), "--training.checkpoint_every", "1steps"]) == 0
    checkpoints = sorted(path.name for path in (tmp_path / "runs/one/checkpoints").iterdir())
    rot(store)
    capsys.readouterr()
    assert run(["pretrain", "--resume", str(tmp_path / "runs/one"), "--budget", "6steps", "--allow-changes"]) == 2
    assert "pieces.bin was changed" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "runs/one/checkpoints").iterdir()) == checkpoints
    assert run(["evaluate", str(tmp_path / "runs/one/model"), str(store)]) == 2
    assert "pieces.bin was changed" in capsys.readouterr().err
