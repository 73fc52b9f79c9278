"""A split in memory, with the interface of the token store's, and a vocabulary to go with it."""

from __future__ import annotations

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, starts_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.text.store import Split

SENTINELS = tuple(range(99, 59, -1))
VOCABULARY = Vocabulary(
    size=1000,
    pad=0,
    unk=1,
    cls=2,
    sep=3,
    mask=4,
    bos=5,
    eos=6,
    sentinels=SENTINELS,
    special_ids=(0, 1, 2, 3, 4, 5, 6, *SENTINELS),
)
FIRST_ORDINARY = 100


class FakeSplit(Split):
    """Documents as lists of sentences of piece ids; a word starts at every id that is not divisible by 3."""

    def __init__(self, documents: list[list[list[int]]], name: str = "train"):
        sentences = [sentence for document in documents for sentence in document]
        self.ids = np.array([i for sentence in sentences for i in sentence], dtype=np.int32)
        self.name, self.fingerprint = name, f"fake-{name}"
        self.num_pieces, self.num_documents = len(self.ids), len(documents)
        self.document_starts = starts_of(np.array([sum(map(len, d)) for d in documents], dtype=np.int64))
        self.sentence_starts = starts_of(np.array([len(s) for s in sentences], dtype=np.int64))
        begins = np.zeros(self.num_pieces, dtype=bool)
        begins[self.sentence_starts[:-1]] = True
        self._planes = {"word_start": (self.ids % 3 != 0) | begins, "sentence_start": begins}
        self.plane_names = tuple(self._planes)

    def pieces(self, index: np.ndarray) -> np.ndarray:
        return self.ids[index]

    def plane(self, name: str, index: np.ndarray) -> np.ndarray:
        return self._planes[name][index]


def invented(documents: int = 20, sentences: int = 8, pieces: int = 12, seed: int = 0) -> FakeSplit:
    """Documents of 1 to `sentences` sentences of 1 to `pieces` pieces; every piece id is used once, in
    order.
    """
    draw = np.random.default_rng(seed)
    lengths = [
        draw.integers(1, pieces + 1, size=draw.integers(1, sentences + 1)).tolist() for _ in range(documents)
    ]
    ids = iter(range(FIRST_ORDINARY, FIRST_ORDINARY + documents * sentences * pieces))
    return FakeSplit([[[next(ids) for _ in range(n)] for n in document] for document in lengths])


def text_rows(lengths: list[int], *, seed: int = 0, word_rate: float = 0.7, ends: bool = True) -> Rows:
    """Rows of random ordinary pieces: [CLS] and [SEP] around `lengths` pieces each, words of 1/word_rate
    pieces, short sentences.
    """
    draw = np.random.default_rng(seed)
    sizes = np.array(lengths, dtype=np.int64) + 2 * ends
    starts = starts_of(sizes)
    ids = draw.integers(FIRST_ORDINARY, VOCABULARY.size, starts[-1]).astype(np.int32)
    special = np.zeros(len(ids), dtype=bool)
    if ends:
        special[starts[:-1]], special[starts[1:] - 1] = True, True
        ids[starts[:-1]], ids[starts[1:] - 1] = VOCABULARY.cls, VOCABULARY.sep
    words = draw.random(len(ids)) < word_rate
    sentences = draw.random(len(ids)) < 0.15
    first = np.minimum(starts[:-1] + ends, max(0, len(ids) - 1))
    if len(ids):
        words[first], sentences[first] = True, True
    words |= sentences
    planes = {
        "special": special,
        "word_start": words & ~special,
        "sentence_start": sentences & ~special,
        "document": np.zeros(len(ids), dtype=np.int32),
        "segment": np.zeros(len(ids), dtype=np.uint8),
    }
    return Rows(ids, starts, np.arange(len(lengths), dtype=np.uint64), planes)


def noise(seed: int = 0) -> Noise:
    return Noise(seed, "test")
