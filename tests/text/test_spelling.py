"""What pieces stand for: one table, whoever asks."""

import json

import numpy as np
import pytest

from afterbert.text.pieces.decoding import PieceDecoder
from afterbert.text.pieces.spelling import Spellings, piece_texts
from afterbert.text.pieces.tokenizer import Tokenizer

SPECIAL = [{"id": 0, "content": "<unk>", "special": True}]
ADDED = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def with_bytes(decoder: dict, *, byte_fallback: bool = True) -> Tokenizer:
    """A Unigram tokenizer that knows `a` and spells everything else in bytes."""
    pieces = [["<unk>", 0.0], ["\u2581a", -1.0], ["\u2581", -2.0]]
    pieces += [[f"<0x{byte:02X}>", -5.0] for byte in range(256)]
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    file = {
        "version": "1.0",
        "added_tokens": [{**one, **ADDED} for one in SPECIAL],
        "normalizer": None,
        "pre_tokenizer": metaspace,
        "post_processor": None,
        "decoder": metaspace if decoder["type"] == "Metaspace" else decoder,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": byte_fallback},
        "truncation": None,
        "padding": None,
    }
    return Tokenizer(json.dumps(file), {"unk_token": "<unk>"})


SEQUENCE = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}


@pytest.mark.parametrize("decoder", [{"type": "Metaspace"}, SEQUENCE])
def test_a_byte_of_a_byte_fallback_is_one_byte(decoder):
    tokenizer = with_bytes(decoder)
    ids = tokenizer.encode("a é")
    assert [tokenizer.backend.id_to_token(i) for i in ids] == ["\u2581a", "\u2581", "<0xC3>", "<0xA9>"]
    assert Spellings.of(tokenizer).sizes[ids].tolist() == [2, 1, 1, 1]
    assert PieceDecoder(tokenizer).sizes(np.array(ids)).tolist() == [2, 1, 1, 1]
    assert [piece_texts(tokenizer)[i] for i in ids] == [" a", " ", "\ufffd", "\ufffd"]


def test_what_only_looks_like_a_byte_is_text():
    tokenizer = with_bytes({"type": "Metaspace"}, byte_fallback=False)
    number = tokenizer.backend.token_to_id("<0x41>")
    assert Spellings.of(tokenizer).pieces[number] == b"<0x41>"


def test_a_decoder_that_says_nothing_shows_pieces_as_they_are():
    tokenizer = with_bytes({"type": "Fuse"}, byte_fallback=False)
    table = Spellings.of(tokenizer)
    assert not table.is_known and table.pieces[1] == b" a"
    assert piece_texts(tokenizer)[0] == "<unk>"
