"""A split in memory, with the interface of the token store's, and a vocabulary to go with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, ranges, starts_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.text.token_store.store import Split

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
    """sizes: of each document's sentences, in pieces. A word begins where `begins_word` [N] says so, and with every
    sentence."""

    def __init__(
        self, sizes: Sequence[Sequence[int] | np.ndarray], ids: np.ndarray, begins_word: np.ndarray, *, label: str
    ):
        sentences = np.array([size for document in sizes for size in document], dtype=np.int64)
        self.name, self.fingerprint, self.ids = "train", label, ids.astype(np.int32)
        self.num_pieces, self.num_documents = len(ids), len(sizes)
        self.document_starts = starts_of(np.array([sum(document) for document in sizes], dtype=np.int64))
        self.sentence_starts = starts_of(sentences)
        begins = np.zeros(self.num_pieces, dtype=bool)
        begins[self.sentence_starts[:-1]] = True
        self.languages = (np.arange(self.num_documents) * 2 // 3 % 3).astype(np.uint8)
        self.planes: dict[str, np.ndarray] = {}
        self.add(word_start=begins_word | begins, sentence_start=begins)

    def add(self, **planes: np.ndarray) -> None:
        self.planes |= planes
        self.plane_names = tuple(self.planes)
        self.plane_widths = dict.fromkeys(self.planes, 1)

    def pieces(self, index: np.ndarray) -> np.ndarray:
        return self.ids[index]

    @property
    def pairs(self) -> tuple[Split, np.ndarray]:
        """Every second document is the translation of the one before; of one document alone, itself."""
        return self, np.arange(0, self.num_documents - 1, 2)

    def plane(self, name: str, index: np.ndarray) -> np.ndarray:
        return self.planes[name][index]


def split_of(documents: list[list[list[int]]]) -> FakeSplit:
    """Documents as lists of sentences of piece ids; a word starts at every id that is not divisible by 3."""
    ids = np.array([i for document in documents for sentence in document for i in sentence], dtype=np.int32)
    sizes = [[len(sentence) for sentence in document] for document in documents]
    return FakeSplit(sizes, ids, ids % 3 != 0, label="fake")


def invented(documents: int = 20, sentences: int = 8, pieces: int = 12, seed: int = 0) -> FakeSplit:
    """Documents of 1 to `sentences` sentences of 1 to `pieces` pieces; every piece id is used once, in
    order.
    """
    draw = np.random.default_rng(seed)
    lengths = [draw.integers(1, pieces + 1, size=draw.integers(1, sentences + 1)).tolist() for _ in range(documents)]
    ids = iter(range(FIRST_ORDINARY, FIRST_ORDINARY + documents * sentences * pieces))
    return split_of([[[next(ids) for _ in range(n)] for n in document] for document in lengths])


def text_rows(lengths: list[int], *, seed: int = 0, word_rate: float = 0.7, ends: bool = True) -> Rows:
    """Rows of random ordinary pieces, `lengths` of them in each, between [CLS] and [SEP] if `ends`: words of
    one to a few pieces, short sentences, phrases of two or three words, and among these entities.
    """
    draw = np.random.default_rng(seed)
    sizes = np.array(lengths, dtype=np.int64) + 2 * ends
    starts = starts_of(sizes)
    total = int(starts[-1])
    ids = draw.integers(FIRST_ORDINARY, VOCABULARY.size, total).astype(np.int32)
    special = np.zeros(total, dtype=bool)
    if ends:
        special[starts[:-1]], special[starts[1:] - 1] = True, True
        ids[starts[:-1]], ids[starts[1:] - 1] = VOCABULARY.cls, VOCABULARY.sep
    is_first = np.zeros(total, dtype=bool)
    is_first[(starts[:-1] + ends)[sizes > 2 * ends]] = True
    sentences = (draw.random(total) < 0.15) | is_first
    words = (draw.random(total) < word_rate) | sentences
    triples = -(-total // 3)  # of neighbours: 1 a phrase, 2 an entity, from the first start of a word on
    kind = np.repeat(draw.integers(0, 4, triples), 3)[:total]
    begun = np.maximum.accumulate(np.resize(words & ~special, (triples, 3)), axis=1).ravel()[:total]
    planes = {"special": special, "sentence_start": sentences & ~special, "word_start": words & ~special}
    for number, name in enumerate(("phrase", "entity"), start=1):
        inside = (kind == number) & begun & ~special
        planes[f"{name}_start"] = inside & words & ~np.insert(inside[:-1], 0, False)[:total]
        planes[f"{name}_inside"] = inside & ~planes[f"{name}_start"]
    planes["document"] = np.zeros(total, dtype=np.int32)
    planes["count"] = 1 + ids % 1000
    planes["segment"] = np.zeros(total, dtype=np.uint8)
    return Rows(ids, starts, np.arange(len(lengths), dtype=np.uint64), planes)


def taken(rows: Rows, numbers: list[int]) -> Rows:
    """These rows only, in this order, with their keys."""
    index = np.array(numbers, dtype=np.int64)
    pieces = ranges(rows.row_starts[index], rows.lengths[index])
    planes = {name: plane[pieces] for name, plane in rows.planes.items()}
    return Rows(rows.piece_ids[pieces], starts_of(rows.lengths[index]), rows.keys[index], planes)


def by_row(rows: Rows, positions: np.ndarray, *values: np.ndarray) -> list[list[tuple[int, ...]]]:
    """For each row its positions in the row, with the values that stand beside them."""
    row = np.searchsorted(rows.row_starts, positions, side="right") - 1
    found: list[list[tuple[int, ...]]] = [[] for _ in range(len(rows))]
    for number, position, *rest in zip(row, positions - rows.row_starts[row], *values):
        found[number].append((int(position), *(int(value) for value in rest)))
    return found


def noise(seed: int = 0, view: int = 0) -> Noise:
    return Noise(seed, "test", view)
