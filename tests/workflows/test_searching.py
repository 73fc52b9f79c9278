"""Search: the index is exact, honest about what it was made of, and found again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.interop.loaded import LoadedModel
from afterbert.models.encoder import Encoder
from afterbert.probes.sentence_encoder import SentenceEncoder
from afterbert.text.from_paths import sources_for
from afterbert.text.passages import Passages
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.workflows.searching import SearchIndex, embedded

PARAGRAPHS = [f"The {n}th story of the old mill by the river, in which {'rain ' * (n % 7)}fell." for n in range(40)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with texts, and an encoder with random weights."""
    root = tmp_path_factory.mktemp("search")
    (root / "texts.txt").write_text("\n".join([*PARAGRAPHS, "Í storminum á sjónum sökk skipið."]), encoding="utf-8")
    tokenizer = ByteLevelBPE(vocab_size=300).make(PARAGRAPHS, corpus_bytes=4000)
    architecture = Encoder(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48)
    architecture = replace(architecture, vocab_size=tokenizer.vocabulary.size)
    torch.manual_seed(0)
    weights = architecture.build(tokenizer.vocabulary).state_dict()
    loaded = LoadedModel("toy", architecture, tokenizer, {"backbone": weights}, None)
    return root, SentenceEncoder.of(loaded)


def index_of(made, root, **options):
    folder, encoder = made
    return SearchIndex.of(sources_for([str(folder / "texts.txt")]), encoder, root=root, **options)


def test_the_nearest_passage_is_found_exactly(made, tmp_path):
    _, encoder = made
    index = index_of(made, tmp_path, cut=Passages(least=1, most=100))
    vectors = encoder([*PARAGRAPHS, "Í storminum á sjónum sökk skipið."])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    expected = vectors @ encoder(["rain by the river"])[0]
    hits = index.search("rain by the river", top=5)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(expected)[::-1][:5], atol=1e-5)
    (first,) = index.search("sjónum", top=1, by="words")
    assert first.passage.text == "Í storminum á sjónum sökk skipið."
    assert index.search("xyz", by="words") == []
    assert len(index.search("sjónum", top=99, by="both")) == 41


def test_batches_change_nothing(made):
    _, encoder = made
    together = encoder(PARAGRAPHS)
    alone = np.concatenate([encoder([text]) for text in PARAGRAPHS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_it_is_found_again_and_a_changed_file_is_told(made, tmp_path):
    index = index_of(made, tmp_path)
    again = index_of(made, tmp_path)
    assert index.folder == again.folder and len(list(tmp_path.iterdir())) == 1
    path = index.folder / "vectors.npy"
    whole = bytearray(path.read_bytes())
    whole[-3] ^= 1
    path.write_bytes(whole)
    with pytest.raises(UserError, match=r"vectors.npy was changed or lost"):
        index_of(made, tmp_path)


def test_other_texts_or_another_model_have_an_index_of_their_own(made, tmp_path):
    folder, encoder = made
    first = index_of(made, tmp_path)
    other = SearchIndex.of(
        sources_for([str(folder / "texts.txt")]), replace(encoder, identity="another"), root=tmp_path
    )
    assert other.folder != first.folder


def test_documents_are_embedded_one_by_one(made, tmp_path: Path):
    _, encoder = made
    (tmp_path / "lines.txt").write_text("One line.\nAnother line.\n老磨坊\n")
    sources = sources_for([str(tmp_path / "lines.txt")], documents="line")
    assert embedded(sources, encoder, tmp_path) == 3
    vectors = np.load(tmp_path / "vectors.npy")
    texts = [json.loads(line)[1] for line in (tmp_path / "passages.jsonl").read_text().splitlines()]
    assert texts == ["One line.", "Another line.", "老磨坊"]
    np.testing.assert_allclose(vectors, encoder(texts), atol=1e-5)


def test_no_texts_and_no_question_are_told(made, tmp_path):
    _, encoder = made
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(UserError, match="no text was found"):
        embedded(sources_for([str(tmp_path / "empty.txt")]), encoder, tmp_path)
    assert not list(tmp_path.glob("*.npy"))
    with pytest.raises(UserError, match="the question is empty"):
        index_of(made, tmp_path).search("  ")
