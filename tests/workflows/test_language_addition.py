"""`add-language`: what is there stays until it may move, what is won and lost is told, and a kill costs nothing."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.cli.main import run as command
from afterbert.interop.importing import import_folder
from afterbert.interop.loading import load_model
from afterbert.interop.revocabulary import with_language
from afterbert.models.encoder import Encoder
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.sharing.by_language import ShareByLanguage
from afterbert.nn.stack import Stack
from afterbert.text.languages import sources_by_language
from afterbert.text.token_store.decoded import decoded_texts
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers.wordpiece import WordPiece
from afterbert.workflows import language_addition
from afterbert.workflows.language_addition import AdditionRequest, add_language
from afterbert.workflows.observer import WorkObserver

WORDS = {
    "en": "the small old house by the river stands near some road",
    "de": "das kleine alte Haus am Fluss steht bei einer Straße",
    "is": "það litla gamla húsið við ána stendur nærri götunni",
}
TINY = ["--model.num_hidden_layers", "1", "--model.hidden_size", "16", "--model.num_attention_heads", "1"]
TINY += ["--model.intermediate_size", "24", "--length", "24", "--training.batch_size", "4", "--training.workers", "0"]
SETTINGS = (("length", "24"), ("training.batch_size", "4"), ("training.workers", "0"), ("training.budget", "8steps"))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Texts in three languages, a store of two of them, and a model that was trained on it for a moment."""
    root = tmp_path_factory.mktemp("é languages")
    for code, words in WORDS.items():
        orders = itertools.islice(itertools.permutations(words.split()), 0, 400_000, 5_003)
        lines = [json.dumps({"text": " ".join(order) + "."}) for order in orders]
        (root / f"{code}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    named = [word for code in ("en", "de") for word in ("--lang", f"{code}={root}/{code}.jsonl")]
    assert command(["prepare", *named, "--vocab-size", "300", "--out", f"{root}/store", "--processes", "1"]) == 0
    asked = ["pretrain", f"{root}/store", "--out", str(root), "--name", "base", "--budget", "4steps", *TINY]
    assert command(asked) == 0
    return root


def _request(made: Path, out: Path, **changes) -> AdditionRequest:
    usual = {"replay": (f"{made}/store",), "pieces": 30, "warm_up": 3, "overrides": SETTINGS}
    return AdditionRequest(f"{made}/base", (f"{made}/is.jsonl",), "is", out=out, **(usual | changes))


def test_a_language_is_added_and_a_kill_costs_nothing(made, tmp_path, monkeypatch):
    whole = add_language(_request(made, tmp_path / "whole"))
    old, start = import_folder(made / "base" / "model"), import_folder(tmp_path / "whole" / "start")
    size = old.tokenizer.vocabulary.size
    for part, state in old.weights.items():
        for name, tensor in state.items():
            assert torch.equal(start.weights[part][name][: len(tensor)], tensor), "the body is frozen at first"
    assert whole.sizes == (size, size + len(start.weights["lm_head"]["bias"]) - size)
    assert set(whole.before) == set(whole.after) == {"is", "en", "de"}
    assert whole.after["is"]["pieces_per_word"] < whole.before["is"]["pieces_per_word"]
    assert whole.starts[whole.start] == min(whole.starts.values())
    page = (tmp_path / "whole" / "run" / "languages.json").read_text()
    assert json.loads(page)["after"] == whole.after

    def killed(*_, **__):
        raise KeyboardInterrupt

    for place in ("train_rows", "run_request"):  # before either stage of training
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(language_addition, place, killed)
            add_language(_request(made, tmp_path / "broken"))
    broken = add_language(_request(made, tmp_path / "broken"))
    assert (broken.before, broken.after) == (whole.before, whole.after)
    with pytest.raises(UserError, match="holds another addition"):
        add_language(_request(made, tmp_path / "broken", pieces=20))
    # the same name, and other texts behind it
    monkeypatch.setattr(language_addition, "open_store", lambda path: SimpleNamespace(fingerprint="another"))
    with pytest.raises(UserError, match="holds another addition"):
        add_language(_request(made, tmp_path / "broken"))


def test_stores_called_alike_are_written_out_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(language_addition, "is_store", lambda path: True)
    monkeypatch.setattr(language_addition, "open_store", lambda path: path)
    monkeypatch.setattr(language_addition, "decoded_texts", lambda store, folder: {"en": folder / "en.jsonl"})
    monkeypatch.setattr(language_addition, "sources_by_language", list)
    request = SimpleNamespace(out=tmp_path, replay=("one/store", "other/store"), language="is")
    assert len(set(language_addition._written_out(request))) == 2


def test_a_store_is_written_out_as_the_texts_it_was_made_of(made, tmp_path):
    found = decoded_texts(Store.open(made / "store"), tmp_path)
    for code, path in found.items():
        written = {json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()}
        assert written == {json.loads(line)["text"] for line in (made / f"{code}.jsonl").read_text().splitlines()}


def test_a_tokenizer_that_cannot_spell_the_language_is_refused_with_what_helps(made, tmp_path):
    latin = WordPiece(vocab_size=200).make([WORDS["en"]] * 9, corpus_bytes=500)
    model = replace(load_model(f"{made}/base"), given=latin)
    named = sources_by_language([f"is={made}/is.jsonl"])
    (tmp_path / "tokenizers").mkdir()
    request = replace(_request(made, tmp_path), replay=())
    with pytest.raises(UserError, match=r"also with its new pieces.*--units words.*adapt-vocabulary --how train"):
        language_addition._begin(request, model, {"is": named}, {}, WorkObserver())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lang", "i"], "is no language code"),
        (["--lang", "is", "--replay", "is=IS"], "is in the language that is added"),
        (["--lang", "is", "--replay", "en=IS"], "is.jsonl, which is named as is too; name each file under one"),
        (["--lang", "is", "--replay", "gone.txt"], "must be CODE=PATH"),
        (["--lang", "is", "--replay-share", "1"], "must be between 0 and 1"),
        (["--lang", "is", "--units", "letters"], "'letters' is not one of 'words', 'pieces'"),
        (["--lang", "is", "--pices", "3"], "--pieces"),
        (["--lang", "is", "--recipe", "latpop"], "laptop"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(made, tmp_path, words, said, capsys):
    words = [word.replace("IS", f"{made}/is.jsonl") for word in words]
    out = tmp_path / "added"
    assert command(["add-language", f"{made}/base", f"{made}/is.jsonl", "--out", str(out), *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not out.exists()


def test_a_language_vector_is_added_and_routed_models_are_refused(made):
    model = load_model(f"{made}/base")
    told = Encoder(hidden_size=16, num_attention_heads=1, embeddings=Embeddings(languages=("en", "de")))
    weights = {"backbone": {"embeddings.language.weight": torch.tensor([[1.0, 3.0], [3.0, 1.0]])}}
    grown = with_language(type(model)("told", told, model.tokenizer, weights, None), "is")
    assert grown.languages == ("en", "de", "is")
    assert grown.weights["backbone"]["embeddings.language.weight"][2].tolist() == [2.0, 2.0]
    routed = Encoder(stack=Stack(sharing=ShareByLanguage(languages=("en", "de"))))
    with pytest.raises(UserError, match="to which none can be added"):
        with_language(type(model)("routed", routed, model.tokenizer, {}, None), "is")
