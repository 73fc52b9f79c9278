"""What each piece of a vocabulary stands for in running text: one table, for the eye, for counting bytes, and for
turning pieces back into text.

It follows from the tokenizer's own decoder: exactly for byte-level and SentencePiece-like ones, up to white space for
WordPiece, whose pieces do not tell where spaces stood. A WordPiece that begins a word is given a space; punctuation
that clings to the left and Chinese characters, which stand without spaces, are not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.text.pieces.characters import HAN, code_points, kinds_of
from afterbert.text.pieces.tokenizer import Tokenizer

_SPACE = "\u2581"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


@dataclass(frozen=True)
class Spellings:
    """The bytes that each piece adds to a text, its leading space included where it begins a word.

    pieces: V byte strings; empty for special pieces, which stand for no text, and for numbers that no piece has.
    is_led: whether the tokenizer puts a space of its own before every text. decoder: the kinds of its decoder.
    is_known: whether the table follows from them; else pieces are taken as they are written.
    """

    pieces: tuple[bytes, ...]
    is_led: bool
    decoder: tuple[str, ...]
    is_known: bool

    @staticmethod
    def of(tokenizer: Tokenizer) -> Spellings:
        """Returns the table of a tokenizer.

        >>> from afterbert.text.tokenizers.wordpiece import WordPiece
        >>> made = WordPiece(vocab_size=80, min_frequency=1).make(["a word, 中文"] * 9, corpus_bytes=99)
        >>> table = Spellings.of(made)
        >>> b"".join(table.pieces[i] for i in made.encode("a word, 中文")).decode()
        ' a word,中文'
        """
        file = tokenizer.content
        kinds = tuple(_kinds(file.get("decoder")))
        spell, is_led, is_known = _rule(file, kinds)
        backend, known = tokenizer.backend, tokenizer.vocabulary
        pieces = [b""] * known.size
        for piece, number in backend.get_vocab(with_added_tokens=False).items():
            pieces[number] = spell(piece)
        for number, token in backend.get_added_tokens_decoder().items():
            pieces[number] = b"" if token.special else token.content.encode()
        if known.unk is not None:
            pieces[known.unk] = spell("\ufffd")
        for number in known.boundaries:
            pieces[number] = b""
        return Spellings(tuple(pieces), is_led, kinds, is_known)

    @property
    def sizes(self) -> np.ndarray:
        """int64 [V]: how many bytes of UTF-8 each piece stands for."""
        return np.fromiter(map(len, self.pieces), np.int64, len(self.pieces))


def piece_texts(tokenizer: Tokenizer) -> list[str]:
    """Returns each piece in readable form, [V], as it stands in running text; special pieces by their names. Bytes that
    are no whole character appear as U+FFFD."""
    texts = [piece.decode(errors="replace") for piece in Spellings.of(tokenizer).pieces]
    for number in tokenizer.vocabulary.special_ids:
        texts[number] = tokenizer.backend.id_to_token(number) or ""
    return texts


def _rule(file: Mapping[str, Any], kinds: tuple[str, ...]) -> tuple[Callable[[str], bytes], bool, bool]:
    """How one piece is spelled, whether texts begin with a space of the tokenizer's own, and whether this is known."""
    if "ByteLevel" in kinds:
        is_led = bool(_part(file.get("pre_tokenizer"), "ByteLevel").get("add_prefix_space"))
        return _byte_level, is_led, True
    if "WordPiece" in kinds:
        prefix = _part(file["decoder"], "WordPiece").get("prefix", "##")
        return lambda piece: _word_piece(piece, prefix), True, True
    if "ByteFallback" in kinds or file["model"].get("byte_fallback"):
        return _with_bytes, True, True
    return _sentence_piece, True, "Metaspace" in kinds


def _kinds(part: Mapping[str, Any] | None) -> list[str]:
    """The types of a decoder and of those within it."""
    if part is None:
        return []
    return [part["type"], *(kind for inner in part.get("decoders", ()) for kind in _kinds(inner))]


def _part(tree: Mapping[str, Any] | None, kind: str) -> Mapping[str, Any]:
    """The settings of the first part of this type; empty if there is none."""
    if tree is None or tree["type"] == kind:
        return tree or {}
    inner = [*tree.get("decoders", ()), *tree.get("pretokenizers", ())]
    return next((found for one in inner if (found := _part(one, kind))), {})


def _byte_level(piece: str) -> bytes:
    return bytes(_BYTE_OF[c] for c in piece) if all(c in _BYTE_OF for c in piece) else piece.encode()


def _word_piece(piece: str, prefix: str) -> bytes:
    if piece.startswith(prefix) and piece != prefix:
        return piece.removeprefix(prefix).encode()
    return piece.encode() if _clings(piece) else b" " + piece.encode()


def _clings(piece: str) -> bool:
    """Whether no space stands before a piece of one character."""
    if len(piece) != 1:
        return False
    closes = unicodedata.category(piece) in ("Pe", "Pf") or piece in ".,;:!?%'"
    return closes or kinds_of(code_points(piece))[0] == HAN


def _with_bytes(piece: str) -> bytes:
    found = _BYTE.fullmatch(piece)
    return bytes.fromhex(found[1]) if found else _sentence_piece(piece)


def _sentence_piece(piece: str) -> bytes:
    return piece.replace(_SPACE, " ").encode()


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's letters for bytes: visible Latin-1 characters stand for themselves, the others from U+0100 on, in
    order (2019 release, encoder.py)."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    return {chr(b): b for b in visible} | {chr(0x100 + n): b for n, b in enumerate(others)}


_BYTE_OF = _byte_alphabet()
