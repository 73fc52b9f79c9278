"""A model under another vocabulary: rows from old rows, the body untouched, equal numbers where pieces are
kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.interop.folder import export_folder
from afterbert.interop.importing import import_folder
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.revocabulary import agreement, with_vocabulary
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.pieces.vocabulary_change import Change, extended, trimmed
from afterbert.text.tokenizers.wordpiece import WordPiece

TEXTS = [f"the {word} sat on the mat and looked" for word in ("cat", "dog", "rabbit", "hedgehog", "sparrow")]
FORMS: dict[str, Architecture] = {
    "bert": Encoder(hidden_size=16, intermediate_size=24, max_position_embeddings=16),
    "gpt2": Decoder(hidden_size=16, intermediate_size=24, max_position_embeddings=16),
    "bart": EncoderDecoder(hidden_size=16, intermediate_size=24, max_position_embeddings=16),
    "xlnet": Permutation(hidden_size=16, intermediate_size=24),
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return WordPiece(vocab_size=90, lowercase=True).make(TEXTS, corpus_bytes=500)


def imported(form: str, tokenizer: Tokenizer, folder: Path) -> LoadedModel:
    torch.manual_seed(0)
    architecture = FORMS[form]
    tokenizer.save(folder / "tokenizer")
    backbone = architecture.build(tokenizer.vocabulary)
    head = architecture.build_lm_head(backbone)
    if head.bias is not None:
        head.start_at(torch.randn(tokenizer.vocabulary.size))
    export_folder(
        folder / "model",
        architecture,
        backbone,
        {"lm_head": head},
        vocabulary=tokenizer.vocabulary,
        tokenizer=folder / "tokenizer",
    )
    return import_folder(folder / "model")


@pytest.mark.parametrize("form", FORMS)
def test_a_trimmed_model_gives_the_same_numbers_on_kept_text(form: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    old = imported(form, tokenizer, tmp_path)
    change = trimmed(tokenizer, TEXTS[:2])
    new = with_vocabulary(old, change)
    assert new.architecture.vocab_size == len(change.parents) < tokenizer.vocabulary.size
    rows = [change.tokenizer.encode(text) for text in TEXTS[:2]]
    found = agreement(old, new, change, rows)
    assert found.num_pieces == sum(map(len, rows)) and found.largest_difference < 1e-6
    wrong = Change(change.tokenizer, tuple(reversed(change.parents)))
    assert agreement(old, new, wrong, rows).largest_difference > 1e-3, "the comparison must be able to fail"


def test_new_rows_are_means_and_the_body_is_untouched(tokenizer: Tokenizer, tmp_path: Path) -> None:
    old = imported("bert", tokenizer, tmp_path)
    change = extended(tokenizer, ["electrocardiogram", "the electrocardiogram"], more=5)
    new = with_vocabulary(old, change)
    table, before = (
        new.weights["backbone"]["embeddings.token.weight"],
        old.weights["backbone"]["embeddings.token.weight"],
    )
    assert torch.equal(table[: len(before)], before)
    assert torch.allclose(table[-1], before[list(change.parents[-1])].mean(0), atol=1e-7)
    assert "lm_head" in new.weights and len(new.weights["lm_head"]["bias"]) == len(table)
    body = {name for name in old.weights["backbone"] if name != "embeddings.token.weight"}
    assert all(torch.equal(new.weights["backbone"][name], old.weights["backbone"][name]) for name in body)
    backbone, head = new.build()
    export_folder(
        tmp_path / "new", new.architecture, backbone, {"lm_head": head}, vocabulary=change.tokenizer.vocabulary
    )
    assert import_folder(tmp_path / "new").architecture.vocab_size == len(table)


def test_a_tokenizer_of_another_model_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    old = imported("bert", tokenizer, tmp_path)
    assert old.architecture.vocab_size is not None
    change = Change(tokenizer, ((0,), (old.architecture.vocab_size,)))
    with pytest.raises(UserError, match="do not belong together"):
        with_vocabulary(old, change)
