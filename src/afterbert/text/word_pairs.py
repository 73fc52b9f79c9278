"""A dictionary as people hold it, a word and its translation in each line; and words that stand in another language by
it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.small_files import read_text
from afterbert.text.pieces.characters import words as words_in

#: The first line of a dictionary that was counted in pairs of texts, by which it is known again.
HEADER = "word\ttranslation\tshare\tpairs\n"


def read_dictionary(path: Path) -> list[tuple[str, str]]:
    """Returns pairs of words from a file, in NFC. Each line holds a word, a tab or spaces (as MUSE has it, and then
    nothing else), and its translation. Raises UserError."""
    pairs = []
    text = unicodedata.normalize("NFC", read_text(path, remedy="name a file of word pairs"))
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split("\t") if "\t" in line else line.split()
        if not line.strip() or (number == 1 and line == HEADER.strip()):
            continue
        if len(words) < 2 or ("\t" not in line and len(words) > 2) or not (words[0].strip() and words[1].strip()):
            raise UserError(f"{path}:{number}: is no word and its translation; write both, with a tab between")
        pairs.append((words[0].strip().lower(), words[1].strip().lower()))
    if not pairs:
        raise UserError(f"{path} holds no pair of words; write a word, a tab and its translation in each line")
    return list(dict.fromkeys(pairs))


@dataclass(frozen=True)
class Dictionary:
    """translations: word in small letters -> what it may be in the other language."""

    translations: Mapping[str, Sequence[str]]

    @staticmethod
    def read(path: str | Path) -> Dictionary:
        """Reads a file of pairs. Raises UserError."""
        found: dict[str, list[str]] = {}
        for word, other in read_dictionary(Path(path)):
            found.setdefault(word, []).append(other)
        return Dictionary(found)

    def replaced(self, words: Sequence[str], *, key: str, rate: float, most: float = 1.0) -> dict[int, str]:
        """Draws the words of a text that stand in the other language: place -> translation, with a capital letter
        where the word has one.

        key: the text; the same one always draws the same. rate: the share of the words that are in the dictionary.
        most: the largest share of all words.

        >>> Dictionary({"mill": ["Mühle"]}).replaced(["The", "Mill"], key="The Mill", rate=1.0)
        {1: 'Mühle'}
        """
        noise, keyed = Noise(0, "switched"), np.array([_number_of(key)], dtype=np.uint64)
        chance, choice = (noise.of(name).uniform(keyed, np.arange(len(words))) for name in ("which", "what"))
        known = [place for place, word in enumerate(words) if word.lower() in self.translations]
        listed = [place for place in known if chance[place] < rate]
        made: dict[int, str] = {}
        for place in sorted(sorted(listed, key=chance.__getitem__)[: int(most * len(words))]):
            others = self.translations[words[place].lower()]
            other = others[int(choice[place] * len(others))]
            made[place] = other.capitalize() if words[place].istitle() else other
        return made

    def switched(self, text: str, *, rate: float, most: float = 1.0, key: str | None = None) -> str:
        """Returns a text with words replaced so; `key` is the text itself where it is None."""
        found = list(words_in().finditer(text))
        drawn = self.replaced([word[0] for word in found], key=text if key is None else key, rate=rate, most=most)
        made, end = "", 0
        for place, other in drawn.items():
            made += text[end : found[place].start()] + other
            end = found[place].end()
        return made + text[end:]


def _number_of(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))
