"""Pieces that somebody else made back to text, with the place of each piece in it, so that planes can be found without
tokenizing again. No Python loop over pieces."""

import re
from collections.abc import Sequence

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import flags_at, ranges, starts_of
from afterbert.text.pieces.characters import code_points
from afterbert.text.pieces.encoding import EncodedTexts, Pieces
from afterbert.text.pieces.spelling import Spellings
from afterbert.text.pieces.tokenizer import Tokenizer

_HALF = re.compile("[\udc80-\udcff]")


class PieceDecoder:
    """Decodes with one tokenizer. Raises UserError for one whose decoder does not say what pieces stand for.

    >>> from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
    >>> made = ByteLevelBPE(vocab_size=300).make(["naïve words"] * 9, corpus_bytes=99)
    >>> ids = np.array(made.encode("a naïve word"))
    >>> encoded = PieceDecoder(made)([ids])
    >>> encoded.texts, int(encoded.ends[-1]) == len("a naïve word")
    (('a naïve word',), True)
    """

    def __init__(self, tokenizer: Tokenizer):
        table = Spellings.of(tokenizer)
        if not table.is_known:
            raise UserError(
                f"this tokenizer's pieces ({', '.join(table.decoder) or 'no decoder'}) cannot be turned back into "
                "text, so words and sentences cannot be found in them; prepare the texts themselves"
            )
        self.size, self._is_led = len(table.pieces), table.is_led
        self.is_special = flags_at(tokenizer.vocabulary.boundaries, self.size)
        self._starts = starts_of(table.sizes)
        self._bytes = np.frombuffer(b"".join(table.pieces), dtype=np.uint8)

    def sizes(self, piece_ids: np.ndarray) -> np.ndarray:
        """Returns how many bytes each piece stands for, int64 [T]."""
        return self._starts[piece_ids + 1] - self._starts[piece_ids]

    def begins_character(self, piece_ids: np.ndarray) -> np.ndarray:
        """Returns which pieces begin a character rather than going on with one, bool [T]."""
        first = self._bytes[np.minimum(self._starts[piece_ids], len(self._bytes) - 1)]
        return (first & 0xC0) != 0x80

    def text(self, piece_ids: np.ndarray) -> tuple[str, int]:
        """Returns the text of the pieces [T] of a document, none of them special, and how many of its bytes were no
        UTF-8; these appear as U+FFFD."""
        text, broken = _HALF.subn("\ufffd", self._joined(piece_ids))
        return text[self._leads(text) :], broken

    def __call__(self, documents: Sequence[np.ndarray], languages: Sequence[str | None] | None = None) -> EncodedTexts:
        """These documents, each given by its piece ids, none of them special."""
        found, nothing = [self._places(piece_ids) for piece_ids in documents], [np.zeros(0, np.int64)]
        pieces = Pieces(
            np.concatenate([*documents, *nothing]).astype(np.int32),
            np.concatenate([*(begins for _, begins, _ in found), *nothing]),
            np.concatenate([*(ends for _, _, ends in found), *nothing]),
            np.fromiter(map(len, documents), np.int64, len(found)),
        )
        return EncodedTexts.of([text for text, _, _ in found], languages, pieces)

    def _places(self, piece_ids: np.ndarray) -> tuple[str, np.ndarray, np.ndarray]:
        """The text of a document, and the characters at which each piece begins and ends; pieces that share a
        character all have it."""
        whole = self._joined(piece_ids)
        codes = code_points(_HALF.sub("?", whole))
        widths = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
        character_starts, piece_starts = starts_of(widths), starts_of(self.sizes(piece_ids))
        ends = np.searchsorted(character_starts[:-1], piece_starts[1:], side="left")
        begins = np.searchsorted(character_starts[1:], piece_starts[:-1], side="right")
        lead = self._leads(whole)
        text = _HALF.sub("\ufffd", whole)[lead:]
        return text, np.maximum(np.minimum(begins, ends) - lead, 0), np.maximum(ends - lead, 0)

    def _joined(self, piece_ids: np.ndarray) -> str:
        """All that the pieces spell, with half a surrogate for a byte that is no UTF-8."""
        raw = self._bytes[ranges(self._starts[piece_ids], self.sizes(piece_ids))].tobytes()
        return raw.decode(errors="surrogateescape")

    def _leads(self, text: str) -> int:
        """Characters at the beginning that the tokenizer put there."""
        return int(self._is_led and text.startswith(" "))
