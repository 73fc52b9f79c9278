"""Further rows for a student: words of the training rows are replaced by likely or by similar ones.

Source: TinyBERT (1909.10351, Algorithm 1): in each copy of a row, each word is replaced with a chance of 0.4 by one of
15 candidates: for a word of one piece those that a masked language model names in its place, for one of several pieces
its nearest in GloVe. Here the nearest are looked up in a table of pieces, where a word is the mean of its pieces;
without a language model this is done for every word. Candidates are pieces that are a word with letters, and never the
word itself. A word without a letter, with an unknown piece or without candidates stays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from afterbert.base.noise import Noise
from afterbert.downstream.example import Example
from afterbert.interop.loaded import LoadedModel
from afterbert.probes.masked_model import MaskedModel
from afterbert.text.pieces.encoding import EncodedTexts, PieceEncoder
from afterbert.text.planes.word_start import CHARACTERS

_RATE, _CANDIDATES = 0.4, 15
_ROWS_AT_ONCE = 8  # whose words a language model names in one pass
#: The number of a text, the characters from and to which a word of it goes, and its pieces.
Word = tuple[int, int, int, tuple[int, ...]]


class Candidates:
    """What may stand in place of words. model: whose table says what is near, and whose pieces are candidates; namer:
    names words of one piece."""

    def __init__(self, model: LoadedModel, namer: MaskedModel | None):
        self.encode, self.namer, vocabulary = PieceEncoder(model.tokenizer), namer, model.tokenizer.vocabulary
        self.table, self.is_special = model.backbone().embeddings.table.weight.detach(), vocabulary.is_special
        ids = vocabulary.ordinary_ids.tolist()
        written = [one.strip() for one in model.tokenizer.backend.decode_batch([[number] for number in ids])]
        behind_another = words_of(self.encode([f"a {one}" for one in written]))
        whole = [(text, 2, 2 + len(one), (ids[text],)) for text, one in enumerate(written)]
        self.known = {ids[word[0]]: written[word[0]] for word in behind_another if word == whole[word[0]]}
        self._near = dict[tuple[int, ...], list[str]]()

    def __call__(self, texts: Sequence[str], words: Sequence[Word]) -> list[list[str]]:
        """Returns the candidates of each word, the best first."""
        named = [one for one in words if len(one[3]) == 1 and not self.is_special[one[3][0]]]
        found = _named(self.namer, texts, named, {*self.known.values()}) if self.namer and named else {}
        pieces = {word[3] for word in words if word not in found} - self._near.keys()
        if new := sorted(one for one in pieces if not self.is_special[[*one]].any()):
            near = nearest(self.table, [*self.known], new)
            self._near.update(zip(new, ([self.known[number] for number in one] for one in near)))
        return [found[word] if word in found else self._near.get(word[3], []) for word in words]


def _named(namer: MaskedModel, texts: Sequence[str], words: Sequence[Word], known: set[str]) -> dict[Word, list[str]]:
    """Word -> its candidates by a language model, where it alone is masked."""
    tokenizer, seen = namer.tokenizer, namer.loaded.longest // 7  # a letter is three pieces at most
    mask, number = tokenizer.settings["mask_token"], tokenizer.backend.token_to_id
    asked = [texts[n][max(0, begin - seen) : begin] + mask + texts[n][end : end + seen] for n, begin, end, _ in words]
    found = {}
    for word, guesses in zip(words, namer.fill_texts(asked, top=_CANDIDATES)):
        guessed = [tokenizer.decode([number(piece)]).strip() for piece, _ in guesses[0]]
        own = texts[word[0]][word[1] : word[2]].casefold()
        found[word] = [one for one in guessed if one in known and one.casefold() != own]
    return found


def further_rows(rows: Sequence[Example], copies: int, candidates: Candidates, noise: Noise) -> Iterator[Example]:
    """Yields so many copies of each row. They keep its label, which may no longer be true."""
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some, here = rows[start : start + _ROWS_AT_ONCE], noise.of(str(start))
        encoded = candidates.encode([text for row in some for text in row.texts])
        words = words_of(encoded)
        goes, which = (here.of(one).uniform(np.arange(len(words))[:, None], np.arange(copies)) for one in "ab")
        asked = np.flatnonzero((goes < _RATE).any(1)).tolist()
        others = dict(zip(asked, candidates(encoded.texts, [words[number] for number in asked])))
        for copy in range(copies):
            texts = list(encoded.texts)
            for number in np.flatnonzero(goes[:, copy] < _RATE)[::-1].tolist():  # from behind, so that places stay true
                if names := others[number]:
                    text, begin, end, _ = words[number]
                    other = names[int(which[number, copy] * len(names))]
                    texts[text] = texts[text][:begin] + other + texts[text][end:]
            left = iter(texts)
            for row in some:
                yield replace(row, key=f"{row.key}, copy {copy + 1}", texts=tuple(islice(left, len(row.texts))))


def words_of(encoded: EncodedTexts) -> list[Word]:
    """Returns the words that have a letter, in their order."""
    first = np.flatnonzero(CHARACTERS(encoded))
    last = np.append(first, len(encoded.piece_ids))[1:] - 1
    texts = np.searchsorted(encoded.piece_starts, first, side="right") - 1
    begins, ends = (one - encoded.text_starts[texts] for one in (encoded.begins[first], encoded.ends[last]))
    pieces = [tuple(one.tolist()) for one in np.split(encoded.piece_ids, first[1:])]
    found = zip(texts.tolist(), begins.tolist(), ends.tolist(), pieces)
    return [word for word in found if any(map(str.isalpha, encoded.texts[word[0]][word[1] : word[2]]))]


def nearest(table: Tensor, known: Sequence[int], words: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Returns for each word, given by its pieces, those of `known` that are nearest to their mean in the table [V, D]
    by cosine, the nearest first, without the word itself.

    >>> table = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> nearest(table, [0, 1, 2, 3], [(0,), (2, 3)])
    [[1, 3, 2], [2, 3, 1, 0]]
    """
    means = torch.stack([table[[*word]].mean(0) for word in words])
    alike = F.normalize(means, dim=-1) @ F.normalize(table[[*known]], dim=-1).T
    order = alike.topk(min(_CANDIDATES + 1, len(known))).indices.tolist()
    return [[known[n] for n in one if (known[n],) != word][:_CANDIDATES] for one, word in zip(order, words)]
