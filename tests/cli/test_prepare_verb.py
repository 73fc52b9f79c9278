"""`prepare` in shards, from the command line and from the Slurm script, and from token files."""

import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import afterbert as ab
from afterbert.cli.main import run
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.array_files import ArrayFile
from afterbert.text.token_store.part_files import PartWriter
from afterbert.text.token_store.prepare import prepare
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from invented_texts import documents

SLURM = Path(__file__).parents[2] / "examples" / "prepare_on_slurm.sh"


@pytest.fixture(autouse=True)
def texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("afterbert.text.tokenizers._guard._try_out", lambda path: None)  # takes a process
    Path("texts.txt").write_text("\n\n".join(documents(60)))


def fingerprint(folder):
    return Store.open(Path(folder)).fingerprint


def test_shards_are_prepared_and_merged(capsys):
    one = ["--processes", "1"]
    assert run(["prepare", "texts.txt", "--tokenizer-only", "--vocab-size", "300", *one]) == 0
    for number in (1, 2):
        assert run(["prepare", "texts.txt", "--tokenizer", "tokenizer", "--shard", f"{number}/2", *one]) == 0
    assert run(["prepare", "--merge", "shards/1-of-2", "shards/2-of-2"]) == 0
    assert run(["prepare", "texts.txt", "--vocab-size", "300", "--out", "plain", *one]) == 0
    assert fingerprint("store") == fingerprint("plain")
    capsys.readouterr()
    for arguments, message in [
        (["prepare", "texts.txt", "--shard", "1/2"], "a shard needs a tokenizer that is there already"),
        (["prepare", "texts.txt", "--shard", "3/2", "--tokenizer", "tokenizer"], "--shard is '3/2', must be"),
        (["prepare", "shards/1-of-2", "--merge", "--held-out", "0.1"], "--held-out has no effect with --merge"),
        (["prepare", "texts.txt", "--shard", "1/2", "--tokenizer-only"], "three different steps"),
        (["prepare", "shards/1-of-2", "--merge", "--out", "other"], "missing of 2 shards: 2"),
    ]:
        assert run(arguments) == 2
        assert message in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files that the error left open
@pytest.mark.parametrize(("part", "code"), [(PartWriter, errno.ENOSPC), (ArrayFile, errno.EFBIG)])
def test_a_full_disk_is_one_line_and_later_it_goes_on(monkeypatch, capsys, part, code):
    """In the midst of encoding, and of writing the store."""
    arguments = ["prepare", "texts.txt", "--vocab-size", "300", "--processes", "1", "--out", "store"]
    written, append = [], part.append

    def fills(self, *values):
        written.append(values)
        if len(written) == 3:
            raise OSError(code, os.strerror(code))
        append(self, *values)

    with monkeypatch.context() as full:
        full.setattr(part, "append", fills)
        assert run(arguments) == 2
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if line.startswith("error: ")] == [said.splitlines()[-1]]
    assert f"the disk is full ({os.strerror(code)}); free some space" in said
    assert run(arguments) == 0
    assert run([*arguments[:-1], "plain"]) == 0
    assert fingerprint("store") == fingerprint("plain")
    assert not Path("store/.work").exists()


def test_other_failures_of_the_system_are_no_full_disk(monkeypatch):
    def breaks(self, *values):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(PartWriter, "append", breaks)
    with pytest.raises(OSError, match="broken"):
        run(["prepare", "texts.txt", "--vocab-size", "300", "--processes", "1", "--out", "store"])


def test_token_files_keep_their_tokenizer(capsys):
    plain = prepare([Txt("texts.txt")], Path("plain"), tokenizer=ByteLevelBPE(vocab_size=300))
    made = plain.tokenizer
    made.save(Path("made"))
    ids = [[*made.encode(text), made.vocabulary.eos] for text in documents(60)]
    np.concatenate(ids).astype("<u2").tofile("a.ds")
    np.cumsum([len(one) for one in ids]).astype("<u8").tofile("a.ds.index")
    assert run(["prepare", "a.ds", "--processes", "1"]) == 2
    assert "does not say which tokenizer made its pieces" in capsys.readouterr().err.replace("\n", " ")
    assert run(["prepare", "a.ds", "--tokenizer", "made", "--processes", "1"]) == 0
    assert "a.ds@0 begins: Chapter 0. The" in capsys.readouterr().out.replace("\n", " ")
    assert fingerprint("store") == plain.fingerprint
    assert ab.prepare("a.ds", "again", tokenizer="made", processes=1).fingerprint == plain.fingerprint


def test_the_slurm_script_asks_for_its_shard():
    Path("bin").mkdir()
    Path("bin/afterbert").write_text('#!/bin/sh\necho "$@"\n')
    Path("bin/afterbert").chmod(0o755)
    environment = {**os.environ, "PATH": f"{Path('bin').absolute()}:{os.environ['PATH']}"}
    environment |= {"SLURM_ARRAY_TASK_ID": "3", "SLURM_CPUS_PER_TASK": "8"}
    done = subprocess.run(
        ["sh", str(SLURM), "my texts", "tokenizer", "shards", "64"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[0] == (
        "prepare my texts --tokenizer tokenizer --shard 3/64 --out shards/3-of-64 --processes 8"
    )


def test_a_recipe_says_its_tokenizer_and_options_change_it(capsys):
    one = ["--processes", "1"]
    assert run(["prepare", "texts.txt", "--recipe", "t5", "--vocab-size", "400", "--out", "t5", *one]) == 0
    made = Store.open(Path("t5"))
    assert len(made.vocabulary.sentinels) == 100 and made.vocabulary.size <= 400
    assert made.tokenizer.backend.encode("The miller").tokens[-1] == "</s>"
    settings = ["--tokenizer.lowercase", "true", "--tokenizer.ends", "none"]
    assert run(["prepare", "texts.txt", *settings, "--vocab-size", "400", "--out", "low", *one]) == 0
    made = Store.open(Path("low"))
    assert made.tokenizer.decode(made.tokenizer.encode("The MILLER")) == "the miller"
    capsys.readouterr()
    for arguments, message in [
        (["--recipe", "t6"], "no recipe is called 't6'"),
        (["--recipe", "ernie"], "the plane phrase needs a list; give --phrases FILE"),
        (["--tokenizer.lower", "true"], "--tokenizer.lower"),
        (["--policy.max_run_length", "2"], "--policy.max_run_length"),
        (["--training.seed", "2"], "--training.seed is no setting of a store"),
        (["--document", "line"], "there is no option --document"),
        (["--tokenizer", "wordpeice"], "did you mean 'wordpiece'"),
    ]:
        assert run(["prepare", "texts.txt", "--out", "no", *arguments, *one]) == 2
        assert message in capsys.readouterr().err.replace("\n", " ")
    assert not Path("no").exists()


def test_how_a_table_is_read_may_be_said(capsys):
    rows = [f"{n}|Sentence number {n} of this table, with some words in it." for n in range(40)]
    Path("table.csv").write_text("\n".join(["number|sentence", *rows]) + "\n")
    said = ["prepare", "table.csv", "--vocab-size", "400", "--processes", "1", "--text-column", "2"]
    for arguments, count in ([], 41), (["--source.header", "true", "--source.delimiter", "|"], 40):
        assert run([*said, "--out", f"of-{count}", *arguments]) == 0
        assert Store.open(Path(f"of-{count}")).tally.kept == count
    capsys.readouterr()
    for arguments, message in [
        (["--source.header", "maybe"], "--source.header is 'maybe', must be"),
        (["--source.delimeter", "|"], "no source has an option 'delimeter'; did you mean 'delimiter'?"),
    ]:
        assert run([*said, "--out", "no", *arguments]) == 2
        assert message in capsys.readouterr().err.replace("\n", " ")
    assert not Path("no").exists()


def test_a_store_is_replaced_when_that_is_said(capsys):
    arguments = ["prepare", "texts.txt", "--vocab-size", "400", "--processes", "1"]
    assert run(arguments) == 0
    first = fingerprint("store")
    changed = [*arguments, "--documents", "line"]
    assert run(changed) == 2
    assert "made with other sources; name a new folder, or say --overwrite" in capsys.readouterr().err.replace(
        "\n", " "
    )
    assert fingerprint("store") == first
    assert run([*arguments, "--planes", "word_start", "--overwrite"]) == 0
    assert fingerprint("store") != first
    assert not Path("store/train/planes/sentence_start.bin").exists()
    assert run([*arguments, "--overwrite"]) == 0
    assert fingerprint("store") == first
    pieces = Path("store/train/pieces.bin")
    pieces.write_bytes(pieces.read_bytes()[:-2] + b"xx")
    assert run(arguments) == 2
    assert run([*arguments, "--overwrite"]) == 0
    assert fingerprint("store") == first
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    assert run([*arguments, "--out", "mine"]) == 2
    assert run([*arguments, "--out", "mine", "--overwrite"]) == 0
    assert Path("mine/thesis.txt").read_text() == "years of work" and fingerprint("mine") == first
    Path("data/train").mkdir(parents=True)
    Path("data/train/own.txt").write_text(Path("texts.txt").read_text())
    assert run(["prepare", "data/train", "--out", "data", "--overwrite"]) == 2  # a store has a folder of that name
    assert Path("data/train/own.txt").exists()


def test_what_is_refused_leaves_nothing(capsys):
    for arguments, message in [
        (["short.txt"], "at least 128 are needed"),
        (["texts.txt", "--tokenizer", "wordpiece", "--vocab-size", "44"], "does not know"),
        (["dna.txt", "--tokenizer", "wordpiece", "--documents", "line"], "does not know 60 of the 60 pieces"),
        (["broken.jsonl", "--errors", "skip-document"], "max_dropped_share"),
        (["texts.txt", "--held-out", "2"], "held_out is 2"),
    ]:
        Path("short.txt").write_text("too short a text")
        Path("dna.txt").write_text("\n".join("ACGT"[n % 4] * 150 + "GATTACA" * n for n in range(60)))
        Path("broken.jsonl").write_text('{"text": "whole"}\n{"text": "tor\n')
        assert run(["prepare", *arguments, "--processes", "1", "--out", "deep/below/store"]) == 2
        assert message in capsys.readouterr().err.replace("\n", " ")
        assert not Path("deep").exists()
    wordpiece = ["prepare", "texts.txt", "--tokenizer", "wordpiece", "--vocab-size", "44", "--processes", "1"]
    assert run([*wordpiece, "--max-unknown", "1"]) == 0
    assert "pieces that the tokenizer does not know" in capsys.readouterr().out
