"""Each piece of a vocabulary as running text: for the eye, and to count bytes."""

from __future__ import annotations

import json
import unicodedata

import numpy as np

from afterbert.text.pieces.tokenizer import Tokenizer


def piece_texts(tokenizer: Tokenizer) -> list[str]:
    """[V]: what each piece adds to a text, its leading space included where it begins a word.

    Byte-level pieces that are no whole character show U+FFFD. WordPiece does not record spaces: a piece that
    begins a word is given one, punctuation that clings to the left is not.
    """
    backend = tokenizer.backend
    kind = (json.loads(tokenizer.file).get("decoder") or {}).get("type")
    special = set(tokenizer.vocabulary.special_ids)
    texts = []
    for piece_id in range(tokenizer.vocabulary.size):
        piece = backend.id_to_token(piece_id) or ""
        if piece_id in special:
            texts.append(piece)
        elif kind == "WordPiece":
            continues = piece.startswith("##") and len(piece) > 2
            texts.append(piece[2:] if continues else piece if _clings(piece) else " " + piece)
        elif kind == "ByteLevel":
            texts.append(bytes(_BYTE_OF[letter] for letter in piece).decode(errors="replace"))
        else:
            texts.append(piece.replace("\u2581", " "))
    return texts


def piece_bytes(tokenizer: Tokenizer) -> np.ndarray:
    """int64 [V]: UTF-8 bytes that each piece adds to a text (see `piece_texts`); 0 for special pieces."""
    texts = piece_texts(tokenizer)
    kind = (json.loads(tokenizer.file).get("decoder") or {}).get("type")
    if kind == "ByteLevel":
        sizes = [len(tokenizer.backend.id_to_token(i) or "") for i in range(len(texts))]
    else:
        sizes = [len(text.encode()) for text in texts]
    found = np.array(sizes, dtype=np.int64)
    found[list(tokenizer.vocabulary.special_ids)] = 0
    return found


def _clings(piece: str) -> bool:
    return len(piece) == 1 and (unicodedata.category(piece) in ("Pe", "Pf") or piece in ".,;:!?%'")


def _byte_letters() -> dict[str, int]:
    """GPT-2's letters for bytes: printable bytes stand for themselves, the others for U+0100 onwards (2019
    release, encoder.py)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTE_OF = _byte_letters()
