"""Pieces that somebody else made back to text, with the place of each piece in it, so that planes can be found
without tokenizing again. No Python loop over pieces.

What each piece stands for, as bytes, follows from the tokenizer's own decoder: exactly for byte-level and
SentencePiece-like ones, up to white space for WordPiece, whose pieces do not tell where spaces stood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import ranges, starts_of
from afterbert.text.pieces.characters import code_points
from afterbert.text.pieces.encoding import EncodedTexts
from afterbert.text.pieces.tokenizer import Tokenizer

_SPACE = "\u2581"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_HALF = re.compile("[\udc80-\udcff]")


class PieceDecoder:
    """Decodes with one tokenizer.

    >>> from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
    >>> made = ByteLevelBPE(vocab_size=300).make(["naïve words"] * 9, corpus_bytes=99)
    >>> ids = np.array(made.encode("a naïve word"))
    >>> encoded = PieceDecoder(made)([ids])
    >>> encoded.texts, int(encoded.ends[-1]) == len("a naïve word")
    (('a naïve word',), True)
    """

    def __init__(self, tokenizer: Tokenizer):
        spelled, self._is_led = _spellings(tokenizer)
        self.size = len(spelled)
        self.is_special = np.zeros(self.size, dtype=bool)
        self.is_special[_boundaries(tokenizer)] = True
        self._starts = starts_of(np.fromiter(map(len, spelled), np.int64, self.size))
        self._bytes = np.frombuffer(b"".join(spelled), dtype=np.uint8)

    def sizes(self, piece_ids: np.ndarray) -> np.ndarray:
        """int64 [T]: how many bytes each piece stands for."""
        return self._starts[piece_ids + 1] - self._starts[piece_ids]

    def begins_character(self, piece_ids: np.ndarray) -> np.ndarray:
        """bool [T]: whether a piece begins a character rather than going on with one."""
        first = self._bytes[np.minimum(self._starts[piece_ids], len(self._bytes) - 1)]
        return (first & 0xC0) != 0x80

    def text(self, piece_ids: np.ndarray) -> tuple[str, int]:
        """The text of the pieces [T] of a document, none of them special, and how many of its bytes were no UTF-8;
        these stand as U+FFFD."""
        raw = self._bytes[ranges(self._starts[piece_ids], self.sizes(piece_ids))].tobytes()
        text, broken = _HALF.subn("\ufffd", raw.decode(errors="surrogateescape"))
        return text[self._leads(text) :], broken

    def __call__(
        self, documents: Sequence[np.ndarray], languages: Sequence[str | None] | None = None
    ) -> EncodedTexts:
        """These documents, each given by its piece ids, none of them special."""
        found = [self._places(piece_ids) for piece_ids in documents]
        texts = tuple(text for text, _, _ in found)
        counts = np.fromiter(map(len, documents), np.int64, len(found))
        offsets = np.repeat(starts_of(np.fromiter(map(len, texts), np.int64, len(texts)))[:-1], counts)
        nothing = [np.zeros(0, np.int64)]
        return EncodedTexts(
            texts,
            tuple(languages) if languages is not None else (None,) * len(texts),
            np.concatenate([*documents, *nothing]).astype(np.int32),
            np.concatenate([*(ends for _, _, ends in found), *nothing]) + offsets,
            starts_of(counts),
            np.concatenate([*(begins for _, begins, _ in found), *nothing]) + offsets,
        )

    def _places(self, piece_ids: np.ndarray) -> tuple[str, np.ndarray, np.ndarray]:
        """The text of a document, and the characters at which each piece begins and ends; pieces that share a
        character all have it."""
        sizes = self.sizes(piece_ids)
        raw = self._bytes[ranges(self._starts[piece_ids], sizes)].tobytes()
        whole = raw.decode(errors="surrogateescape")
        codes = code_points(_HALF.sub("?", whole))
        widths = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
        character_starts, piece_starts = starts_of(widths), starts_of(sizes)
        ends = np.searchsorted(character_starts[:-1], piece_starts[1:], side="left")
        begins = np.searchsorted(character_starts[1:], piece_starts[:-1], side="right")
        lead = self._leads(whole)
        text = _HALF.sub("\ufffd", whole)[lead:]
        return text, np.maximum(np.minimum(begins, ends) - lead, 0), np.maximum(ends - lead, 0)

    def _leads(self, text: str) -> int:
        """Characters at the beginning that the tokenizer put there."""
        return int(self._is_led and text.startswith(" "))


def _spellings(tokenizer: Tokenizer) -> tuple[list[bytes], bool]:
    """The bytes each id stands for, nothing for special ones and gaps; whether texts begin with a space of the
    tokenizer's own. Raises UserError."""
    file = json.loads(tokenizer.file)
    kinds = _kinds(file.get("decoder"))
    if "ByteLevel" in kinds:
        spell, is_led = (
            _byte_level,
            bool(_part(file.get("pre_tokenizer"), "ByteLevel").get("add_prefix_space")),
        )
    elif "WordPiece" in kinds:
        prefix = _part(file["decoder"], "WordPiece").get("prefix", "##")
        spell, is_led = (lambda piece: _word_piece(piece, prefix)), True
    elif "Metaspace" in kinds or "ByteFallback" in kinds:
        spell, is_led = _sentence_piece, True
    else:
        raise UserError(
            f"this tokenizer's pieces ({', '.join(kinds) or 'no decoder'}) cannot be turned back into text, so words "
            "and sentences cannot be found in them; prepare the texts themselves"
        )
    backend = tokenizer.backend
    spelled = [b""] * tokenizer.vocabulary.size
    for piece, number in backend.get_vocab(with_added_tokens=False).items():
        spelled[number] = spell(piece)
    for number, token in backend.get_added_tokens_decoder().items():
        spelled[number] = b"" if token.special else token.content.encode()
    if tokenizer.vocabulary.unk is not None:
        spelled[tokenizer.vocabulary.unk] = spell("\ufffd")
    for number in _boundaries(tokenizer):
        spelled[number] = b""
    return spelled, is_led


def _boundaries(tokenizer: Tokenizer) -> list[int]:
    """The special pieces; an unknown one that serves for nothing else stands for text, and is none of them."""
    known = tokenizer.vocabulary
    others = (known.bos, known.eos, known.cls, known.sep, known.pad)
    return [number for number in known.special_ids if number != known.unk or number in others]


def _kinds(part: Mapping[str, Any] | None) -> list[str]:
    """The types of a decoder and of those within it."""
    if part is None:
        return []
    return [part["type"], *(kind for inner in part.get("decoders", ()) for kind in _kinds(inner))]


def _part(tree: Mapping[str, Any] | None, kind: str) -> Mapping[str, Any]:
    """The settings of the first part of this type; empty where there is none."""
    if tree is None or tree["type"] == kind:
        return tree or {}
    inner = [*tree.get("decoders", ()), *tree.get("pretokenizers", ())]
    return next((found for one in inner if (found := _part(one, kind))), {})


def _byte_level(piece: str) -> bytes:
    return bytes(_BYTE_OF[c] for c in piece) if all(c in _BYTE_OF for c in piece) else piece.encode()


def _word_piece(piece: str, prefix: str) -> bytes:
    return piece.removeprefix(prefix).encode() if piece.startswith(prefix) else b" " + piece.encode()


def _sentence_piece(piece: str) -> bytes:
    if found := _BYTE.fullmatch(piece):
        return bytes.fromhex(found[1])
    return piece.replace(_SPACE, " ").encode()


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's letters for bytes: visible Latin-1 characters stand for themselves, the others from U+0100 on, in
    order."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    return {chr(b): b for b in visible} | {chr(0x100 + n): b for n, b in enumerate(others)}


_BYTE_OF = _byte_alphabet()
