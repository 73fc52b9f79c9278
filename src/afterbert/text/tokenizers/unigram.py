"""Unigram language model as in SentencePiece: of all ways to cut a text, the most probable one; the space (as
`▁`) is part of the pieces.

Source: Kudo 2018 (1804.10959); the tokenizer of T5, ALBERT and XLNet. NFKC, and white space made single
spaces, as theirs. Pieces never join letters with digits or punctuation (SentencePiece's
split_by_unicode_script and split_by_number).
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from afterbert.base.rows import flags_at
from afterbert.text.pieces.characters import HAN, LETTER, MARK, UNSPACED, code_points, kinds_of
from afterbert.text.tokenizers._lattice import WordCounts
from afterbert.text.tokenizers._trained import SPACE, TrainedRecipe, alphabet_of, on_one_line, without_long_runs

_LONGEST_WORD = 64
# All words together: bounds the time for texts without spaces. The rarest are left out.
_MOST_CHARACTERS = 2_000_000
# Below any cut into known letters, so that the text `</s>` never becomes the special piece of that name.
_NEVER = -1000.0


@dataclass(frozen=True)
class Unigram(TrainedRecipe):
    """A Unigram tokenizer.

    >>> made = Unigram(vocab_size=64, min_frequency=1).make(["low lower lowest"] * 9, corpus_bytes=150)
    >>> made.plain.encode("low lowest", add_special_tokens=False).tokens
    ['▁low', '▁lowest']
    """

    lowercase: bool = False
    """Whether everything is in lower case, as ALBERT does."""

    specials: ClassVar[dict[str, str]] = {
        "pad": "<pad>",
        "eos": "</s>",
        "unk": "<unk>",
        "bos": "<s>",
        "mask": "<mask>",
        "cls": "<s>",
        "sep": "</s>",
    }
    mask_takes_space: ClassVar[bool] = True

    def _train(self, sample: Sequence[str], size: int) -> tokenizers.Tokenizer:
        from afterbert.text.tokenizers._unigram_training import learn  # with scipy, which only learning needs

        normalizer = on_one_line(normalizers.NFKC(), lowercase=self.lowercase)
        room = size - len(self._reserved())
        letters = alphabet_of(
            sample, normalize=normalizer.normalize_str, limit=room // 2, min_frequency=self.min_frequency
        )
        alphabet = sorted({SPACE, *letters, *"".join(self._first())})
        seen = Counter(word for text in without_long_runs(sample) for word in text.split())
        words = _words(_normalized(seen, normalizer))
        pieces = learn(words, alphabet, size=room, min_frequency=max(2, self.min_frequency))
        vocabulary = [(token, _NEVER) for token in self._first()] + [(p.piece, p.score) for p in pieces]
        backend = tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=self._first().index(self.specials["unk"])))
        backend.normalizer = normalizer
        backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
        backend.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
        return backend


def _normalized(seen: Counter[str], normalizer: normalizers.Normalizer) -> Counter[str]:
    """How often each word is seen after normalizing, with its space."""
    made: Counter[str] = Counter()
    for word, count in seen.items():
        for part in normalizer.normalize_str(word).split():
            made[SPACE + part] += count
    return made


def _words(seen: Counter[str]) -> WordCounts:
    """The words cut where letters, digits and punctuation meet, the most frequent first."""
    seen = seen or Counter({SPACE: 1})
    counts: Counter[str] = Counter()
    for part, count in _cut(list(seen), list(seen.values())):
        counts[part] += count
    ordered = sorted(counts, key=lambda part: (-counts[part], part))
    fits = np.cumsum(np.fromiter(map(len, ordered), np.int64, len(ordered))) <= _MOST_CHARACTERS
    ordered = ordered[: max(1, int(fits.sum()))]
    return WordCounts.of(ordered, np.array([counts[part] for part in ordered]))


def _cut(words: list[str], counts: list[int]) -> Iterator[tuple[str, int]]:
    flat = "".join(words)
    codes = code_points(flat)
    groups = _groups(codes)
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    is_word_start = flags_at(np.cumsum(lengths) - lengths, len(codes))
    # A mark goes with the character before it, the space with the one after it.
    carrier = np.maximum.accumulate(np.where((groups == 0) & ~is_word_start, 0, np.arange(len(codes))))
    groups = groups[carrier]
    after_space = np.append(False, is_word_start[:-1])
    is_start = is_word_start | (np.append(True, groups[1:] != groups[:-1]) & ~after_space)
    starts = np.flatnonzero(is_start)
    word_of = np.cumsum(is_word_start) - 1
    for begin, end, word in zip(starts.tolist(), np.append(starts[1:], len(codes)).tolist(), word_of[starts].tolist()):
        for at in range(begin, end, _LONGEST_WORD):
            yield flat[at : min(end, at + _LONGEST_WORD)], counts[word]


def _groups(codes: np.ndarray) -> np.ndarray:
    """int64 [C]: 0 marks, 1 letters, 2 letters of scripts without spaces, 3 digits and other numbers, 4 the rest."""
    kinds = kinds_of(codes)
    groups = np.full(len(codes), 4)
    groups[kinds == MARK] = 0
    groups[kinds == LETTER] = 1
    groups[(kinds == UNSPACED) | (kinds == HAN)] = 2
    unique, where = np.unique(codes, return_inverse=True)
    is_number = np.array([unicodedata.category(chr(code))[0] == "N" for code in unique])
    groups[is_number[where] & (kinds == LETTER)] = 3
    return groups
