"""Verbs that show, write and change models, from the command line."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer as Tokenizers

from afterbert.cli.main import run
from afterbert.interop.folder import export_folder
from afterbert.interop.importing import import_folder
from afterbert.models.encoder import Encoder
from afterbert.nn.heads import Pooler
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.tokenizers.wordpiece import WordPiece

TEXT = "the cat sat on the mat . the hedgehog looked at the cat for a while .\n\n" * 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer: Tokenizer = WordPiece(vocab_size=80, lowercase=True).make([TEXT], corpus_bytes=len(TEXT))
    tokenizer.save(tmp_path / "tokenizer")
    architecture = Encoder(hidden_size=16, intermediate_size=24, max_position_embeddings=32)
    backbone = architecture.build(tokenizer.vocabulary)
    head = architecture.build_lm_head(backbone)
    export_folder(
        tmp_path / "model",
        architecture,
        backbone,
        {"lm_head": head},
        vocabulary=tokenizer.vocabulary,
        tokenizer=tmp_path / "tokenizer",
    )
    (tmp_path / "text.txt").write_text(TEXT + "an electrocardiogram . another electrocardiogram .\n")
    return tmp_path


@pytest.mark.parametrize("recipe", ["laptop", "gpt2", "bart", "xlnet"])
def test_a_model_is_shown_with_its_parts_and_cost(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "--model", "--recipe", recipe]) == 0
    shown = capsys.readouterr().out
    backbone = next(line.split()[1] for line in shown.splitlines() if line.strip().startswith("backbone"))
    assert f"predicted {backbone} parameters" in shown and "MFLOPs a token" in shown


def test_a_file_is_not_shown_as_a_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = folder / "þrjár bækur.txt"
    name.write_text(TEXT)
    assert run(["show", str(name)]) == 2
    told = capsys.readouterr().err
    assert "is a file, and what is shown is a sentence" in told and "head -n 1 '" in told
    assert run(["show", "the cat sat . " * 400]) == 0  # too long for the name of a file


def test_fill_imports_what_filling_takes_and_no_more(folder: Path) -> None:
    code = """
import sys
from afterbert.cli.main import run
assert run(["fill", "the [MASK] sat", "--model", sys.argv[1]]) == 0
heavy = ("scipy", "sklearn", "transformers", "torch._dynamo", "afterbert.downstream", "afterbert.training.trainer")
assert not [name for name in heavy if name in sys.modules], "imported, and not needed"
"""
    done = subprocess.run([sys.executable, "-c", code, str(folder / "model")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("form", ["--model.stack.sharing.type=all", "--model.stack.sharing.type all"])
def test_a_setting_reaches_the_model_that_is_shown(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    halting = ["--model.stack.recurrence.halting.epsilon", "0.05"]
    assert run(["show", "--model", "--recipe", "bert-mlm", *form.split(), *halting]) == 0
    shown = capsys.readouterr().out
    assert "2 layers of 1 attention and 1 feed-forward part" in shown
    assert "recurrence" in shown and "if no piece halts" in shown


def test_a_folder_is_written_for_every_reader(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(folder / "model"), str(folder / "plain")]) == 0
    assert "AutoModelForMaskedLM.from_pretrained(" in capsys.readouterr().out  # not the backbone alone
    assert run(["export", str(folder / "model"), str(folder / "own"), "--own"]) == 0
    assert "import afterbert" in capsys.readouterr().out
    assert run(["export", str(folder / "model"), str(folder / "st"), "--sentences", "first"]) == 0
    assert (folder / "st" / "modules.json").is_file()
    before, own, sentences = (import_folder(folder / name).weights["backbone"] for name in ("model", "own", "st"))
    assert all(torch.equal(own[name], tensor) for name, tensor in before.items())
    assert all(torch.equal(sentences[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("how", ["extend", "trim", "train"])
def test_a_vocabulary_is_adapted(how: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["adapt-vocabulary", str(folder / "model"), str(folder / "text.txt"), "--how", how]
    assert run([*arguments, "--out", str(folder / how), "--vocab-size" if how == "train" else "--pieces", "60"]) == 0
    shown = capsys.readouterr().out
    assert "pieces a word in this text" in shown and ("same pieces" in shown) == (how == "trim")
    adapted = import_folder(folder / how)
    vocabulary = Tokenizer.load(folder / how).vocabulary
    assert adapted.architecture.vocab_size == vocabulary.size and adapted.notes == ()


def test_a_warm_up_trains_new_rows_alone(folder: Path) -> None:
    # words that were several pieces, of letters that are known
    nouns = ["cat", "mat", "hedgehog", "log", "while"]
    lines = [
        f"the {one} that sat on the {two} then looked at the other {three} ."
        for one, two, three in itertools.permutations(nouns, 3)
    ]
    (folder / "text.txt").write_text("\n\n".join(lines))
    old = Tokenizer.load(folder / "model").vocabulary.size
    arguments = ["adapt-vocabulary", str(folder / "model"), str(folder / "text.txt"), "--how", "extend"]
    arguments += ["--units", "words"]
    assert run([*arguments, "--out", str(folder / "plain")]) == 0
    assert run([*arguments, "--out", str(folder / "warm"), "--warm-up", "2"]) == 0
    plain, warm = (import_folder(folder / name).weights for name in ("plain", "warm"))
    changed = {
        f"{part}.{name}"
        for part in plain
        for name in plain[part]
        if not torch.equal(plain[part][name], warm[part][name])
    }
    assert changed == {"backbone.embeddings.token.weight", "lm_head.bias"}
    before, after = (weights["backbone"]["embeddings.token.weight"] for weights in (plain, warm))
    assert len(before) > old and torch.equal(before[:old], after[:old])
    assert not torch.equal(before[old:], after[old:])


def test_a_warm_up_without_new_rows_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["adapt-vocabulary", str(folder / "model"), str(folder / "text.txt"), "--how", "trim"]
    assert run([*arguments, "--out", str(folder / "warm"), "--warm-up", "2"]) == 2
    assert "no new piece" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "MODEL", "OUT", "--onnx", "--own"], "give one of them"),
        (["export", "MODEL", "MODEL"], "name another one"),
        (["export", "MODEL", "OUT", "--family", "gpt3"], "gpt2"),
        (["export", "MODEL", "OUT", "--family", "gpt2"], "of type decoder; this model is of type encoder"),
        (["export", "MODEL", "OUT", "--sentences", "median"], "mean"),
        (["adapt-vocabulary", "MODEL", "TEXT", "--how", "shrink"], "shrink"),
        (["adapt-vocabulary", "MODEL", "TEXT", "--out", "MODEL"], "name another one"),
        (["import-checkpoint", "TEXT", "OUT"], "weights-only loader"),
        (["import-checkpoint", "MODEL/gone.bin", "OUT"], "gone.bin is no file; name a pickled checkpoint"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"MODEL": str(folder / "model"), "OUT": str(folder / "out"), "TEXT": str(folder / "text.txt")}
    for word, place in places.items():
        arguments = [argument.replace(word, place) for argument in arguments]
    assert run(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0]


def test_heads_beside_the_language_models_go_along(folder: Path) -> None:
    imported = import_folder(folder / "model")
    backbone, head = imported.build()
    export_folder(
        folder / "paired",
        imported.architecture,
        backbone,
        {"lm_head": head, "pooler": Pooler().build(16), "pair_head": torch.nn.Linear(16, 2)},
        vocabulary=Tokenizer.load(folder / "tokenizer").vocabulary,
        tokenizer=folder / "tokenizer",
    )
    before = import_folder(folder / "paired")
    assert "pooler" in before.weights and "pair_head" in before.weights
    assert run(["export", str(folder / "paired"), str(folder / "again")]) == 0
    text = str(folder / "text.txt")
    assert run(["adapt-vocabulary", str(folder / "paired"), text, "--out", str(folder / "more")]) == 0
    for name in ("again", "more"):
        after = import_folder(folder / name)
        assert "pooler" in after.weights and "pair_head" in after.weights
        assert torch.equal(before.weights["pooler"]["dense.weight"], after.weights["pooler"]["dense.weight"])
        assert torch.equal(before.weights["pair_head"]["weight"], after.weights["pair_head"]["weight"])


def test_what_is_not_ours_is_never_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = folder / "precious"
    theirs.mkdir()
    for name in ("config.json", "page.html", "list.tsv"):
        (theirs / name).write_text("theirs")
    model, text, out = str(folder / "model"), str(folder / "text.txt"), str(theirs)
    (folder / "pairs.tsv").write_text("the cat\tdie Katze\n" * 30)
    (folder / "long.txt").write_text(" ".join(f"the {n}th cat sat on mat {n * n} ." for n in range(99)))
    assert run(["prepare", f"{folder}/long.txt", "--out", f"{folder}/store", "--processes", "1"]) == 0
    capsys.readouterr()
    commands = [
        ["export", model, out],
        ["adapt-vocabulary", model, text, "--out", out],
        ["import-checkpoint", str(folder / "model.bin"), out],
        ["prepare", text, "--out", out],
        ["mine-phrases", text, "--out", f"{out}/list.tsv"],
        ["show", "--model", "--html", f"{out}/page.html"],
        ["show", "A cat.", "--tokenizer", model, "--html", f"{out}/page.html"],
        ["align", model, f"{folder}/pairs.tsv", "--html", f"{out}/page.html"],
        ["pretrain", f"{folder}/store", "--budget", "1steps", "--out", str(folder), "--name", "precious"],
    ]
    for command in commands:
        assert run(command) == 2, command
        assert len(capsys.readouterr().err.strip().splitlines()) == 1, command
    assert {path.read_text() for path in theirs.iterdir()} == {"theirs"}
    assert run(["export", model, out, "--overwrite"]) == 0
    assert (theirs / "config.json").read_text() != "theirs"
    assert (theirs / "list.tsv").read_text() == "theirs"
    assert len({path.stat().st_mode for path in theirs.glob("*.*")}) == 1


LOW = ["--min-cohesion", "0.1", "--min-freedom", "0", "--min-count", "2"]


def test_a_page_and_a_list_are_written_again(folder: Path) -> None:
    for command in (
        ["mine-phrases", str(folder / "text.txt"), "--out", str(folder / "list.tsv"), *LOW],
        ["show", "--model", "--html", str(folder / "page.html")],
        ["export", str(folder / "model"), str(folder / "again")],
    ):
        assert run(command) == 0
        assert run(command) == 0


def test_a_changed_tokenizer_config_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "model" / "tokenizer_config.json"
    path.write_text(path.read_text().replace('"[MASK]"', '"[MASJ]"'))
    assert run(["export", str(folder / "model"), str(folder / "out")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "tokenizer_config.json names other special pieces" in line


def test_texts_that_are_only_asked_about_leave_no_folder_behind_and_get_no_foreign_advice(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "lines.txt").write_text("the cat sat on the mat .\nthe hedgehog looked at the cat .\n")
    assert run(["evaluate", str(folder / "model"), str(folder / "lines.txt")]) == 0
    told = capsys.readouterr().out
    assert "tokens:" not in told and "train" not in told and "--documents" not in told
    assert re.search(r"held-out masked accuracy: \d+\.\d% of 2\n", told)


def test_broken_text_is_settled_by_each_verb_that_reads_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.txt").write_bytes(b"the cat sat on the mat .\nthe \xff hedgehog looked at the cat .\n")
    model, words = str(folder / "model"), [str(folder / "bad.txt"), "--documents", "line"]
    for verb, rest in (("search", ["a cat"]), ("embed", []), ("adapt-vocabulary", []), ("evaluate", [])):
        out = [] if verb == "evaluate" else ["--out", str(folder / verb)]
        command = [verb, model, *words[:1], *rest, *words[1:], *out]
        assert run(command) == 2 and "say --errors replace or skip-document" in capsys.readouterr().err, verb
        assert run([*command, "--errors", "skip-document"]) == 2, verb
        assert "50.0% of the documents were dropped" in capsys.readouterr().err, verb
        assert run([*command, "--errors", "replace"]) == 0, (verb, capsys.readouterr().err)


def test_vectors_of_pieces_are_searched_as_sentence_transformers_has_them(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    monkeypatch.chdir(folder)
    assert run(["compress", "model", "--with", "static", "--out", "small", "--no-timing"]) == 0
    assert run(["embed", "small", "text.txt", "--out", "vectors"]) == 0
    assert run(["search", "small", "text.txt", "a cat"]) == 0, capsys.readouterr().err
    vectors, table = np.load("vectors/vectors.npy"), load_file("small/0_StaticEmbedding/model.safetensors")
    lines = [json.loads(line) for line in Path("vectors/passages.jsonl").read_text().splitlines()]
    backend = Tokenizers.from_file("small/0_StaticEmbedding/tokenizer.json")
    for (_, text), vector in zip(lines, vectors, strict=True):
        mean = table["embedding.weight"][backend.encode(text, add_special_tokens=False).ids].mean(0).numpy()
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=0.02)  # eight bits
    assert run(["search", "small", "text.txt", "   "]) == 2
    assert run(["fill", "the [MASK]", "--model", "small"]) == 2
    assert "is a finished graph" in capsys.readouterr().err


def test_a_graph_for_other_tools_is_told_from_a_model_to_be_fine_tuned(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = folder / "graph"
    theirs.mkdir()
    (theirs / "model.onnx").write_bytes(b"")
    for command in (["predict", str(theirs), "a text"], ["fill", "a [MASK]", "--model", str(theirs)]):
        assert run(command) == 2
        assert "holds a graph for other tools, without weights; name the model" in capsys.readouterr().err


def test_a_folder_of_models_and_a_file_that_is_not_there_are_told_with_the_nearest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "runs" / "one").mkdir(parents=True)
    (folder / "model").rename(folder / "runs" / "one" / "model")
    for command, said in (
        (["fill", "a [MASK]", "--model", str(folder / "runs")], f"such as {folder / 'runs' / 'one'}"),
        (["pretrain", str(folder / "txt.txt")], f"did you mean {folder / 'text.txt'}?"),
        (["finetune", "--model", "x", "--task", str(folder / "tex")], f"did you mean {folder / 'text.txt'}?"),
    ):
        assert run(command) == 2
        assert said in capsys.readouterr().err
