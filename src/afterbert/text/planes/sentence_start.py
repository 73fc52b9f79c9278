"""Where sentences begin, by sentencex, which knows the abbreviations and marks of some 300 languages."""

from dataclasses import dataclass

import numpy as np
import sentencex

from afterbert.base.rows import flags_at
from afterbert.text.pieces.characters import before_space
from afterbert.text.pieces.encoding import EncodedTexts
from afterbert.text.planes import Plane


@dataclass(frozen=True)
class SentenceStart(Plane):
    """Marks where sentences begin."""

    default_language: str = "en"
    """The language of texts that name none."""
    lines_end_sentences: bool = False
    """Whether a line end is the end of a sentence: right if a line holds a paragraph or a title, wrong if paragraphs
    are wrapped. An empty line always ends a sentence."""

    def __call__(self, encoded: EncodedTexts) -> np.ndarray:
        is_start = flags_at(encoded.next_visible[self._starts(encoded)], len(encoded.characters) + 1)
        moved = before_space(is_start[:-1], encoded.kinds, encoded.text_starts)
        return encoded.pieces_with_start(moved)

    def _starts(self, encoded: EncodedTexts) -> np.ndarray:
        """int64: where sentences start, perhaps on white space."""
        found: list[int] = []
        for text, language, offset in zip(encoded.texts, encoded.languages, encoded.text_starts.tolist()):
            end = 0
            for sentence in sentencex.segment(language or self.default_language, text):
                # sentencex sometimes leaves out the line ends between two paragraphs, never anything else
                start = text.find(sentence, end)
                assert start >= 0, "a sentence is a part of its text"
                found.append(offset + start)
                end = start + len(sentence)
        starts = np.array(found, dtype=np.int64)
        if self.lines_end_sentences:
            starts = np.concatenate((starts, np.flatnonzero(encoded.characters == ord("\n")) + 1))
        return starts
