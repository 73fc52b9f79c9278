"""ROUGE: how much of a reference text a summary repeats, as F1 of n-grams or of the longest common subsequence.

Source: Lin (2004). No stemming, and words in any script (rouge_score keeps only a-z and 0-9, so that it scores 0 for
Chinese or Russian); on plain English text the figures equal rouge_score's with `use_stemmer=False`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any, Literal

from afterbert.downstream.metrics import MeanMetric


@dataclass(frozen=True)
class Rouge(MeanMetric):
    """kind: `1`, `2` (n-grams) or `L` (longest common subsequence over the whole text). A truth is a text or
    several; the best one counts.

    >>> Rouge("2")(["the cat sat"], [("the cat lay", "a dog")])
    0.5
    >>> Rouge("L")(["我很爱你"], ["我爱你"])
    0.8571428571428571
    """

    kind: Literal["1", "2", "L"] = "L"

    @property
    def name(self) -> str:
        return f"rouge{self.kind}"

    def of_each(self, predictions: Sequence[Any], truths: Sequence[Any]) -> list[float]:
        found = []
        for prediction, references in zip(predictions, truths, strict=True):
            words, texts = segments(prediction), (references,) if isinstance(references, str) else references
            found.append(max(self._f1(words, segments(text)) for text in texts))
        return found

    def _f1(self, found: list[str], wanted: list[str]) -> float:
        if self.kind == "L":
            common, total = common_subsequence(found, wanted), len(found) + len(wanted)
        else:
            mine, theirs = _ngrams(found, int(self.kind)), _ngrams(wanted, int(self.kind))
            common, total = (mine & theirs).total(), mine.total() + theirs.total()
        return 2 * common / total if total else 0.0


def _ngrams(words: list[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[i:] for i in range(size))))


def common_subsequence(left: Sequence[str], right: Sequence[str]) -> int:
    """Returns the length of the longest common subsequence. It is bit-parallel (Hyyrö 2004): one step on a big integer
    for each word of `right`.

    >>> common_subsequence("abcbdab", "bdcaba")
    4
    """
    where: dict[str, int] = {}
    for i, word in enumerate(left):
        where[word] = where.get(word, 0) | (1 << i)
    everything = (1 << len(left)) - 1
    unmatched = everything
    for word in right:
        hits = unmatched & where.get(word, 0)
        unmatched = ((unmatched + hits) | (unmatched - hits)) & everything
    return len(left) - unmatched.bit_count()


# Scripts written without spaces between words, by Unicode block: Thai and Lao, Myanmar, Khmer, kana, Han with
# its extensions.
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def segments(text: str) -> list[str]:
    """Returns words in lower case without punctuation; in scripts without spaces, single characters.

    >>> segments("Die Straße, 3. Haus"), segments("我爱 BERT！")
    (['die', 'strasse', '3', 'haus'], ['我', '爱', 'bert'])
    """
    found: list[str] = []
    for kind, run in groupby(unicodedata.normalize("NFKC", text).casefold(), key=_kind):
        if kind == "word":
            found.append("".join(run))
        elif kind == "alone":
            found.extend(run)
    return found


@cache
def _kind(character: str) -> str:
    # Marks (vowel signs of Devanagari, points of Hebrew) are parts of words, though `re` and `str.isalnum`
    # say no.
    is_word = character.isalnum() or unicodedata.category(character).startswith("M")
    if is_word and _WITHOUT_SPACES.match(character):
        return "alone"
    return "word" if is_word else ""
