"""Mean states of groups of pieces (sentences, words, occurrences of words) at every layer, from one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from afterbert.base.rows import filled_up
from afterbert.probes.frozen_features import FrozenModel
from afterbert.probes.word_index import word_places

#: The number of a piece that belongs to no group.
NONE = -1


@dataclass(frozen=True)
class Grouped:
    """Pieces in groups. of: for each row int64 [T], the number of each piece's group, or NONE; count: of groups."""

    of: Sequence[np.ndarray]
    count: int


@dataclass(frozen=True)
class ReadTexts:
    """Texts as rows of pieces, and where each word of a text stands: words: for each row (word, pieces [K])."""

    rows: list[list[int]]
    words: list[list[tuple[str, np.ndarray]]]

    @staticmethod
    def of(texts: Sequence[str], model: FrozenModel, *, length: int) -> ReadTexts:
        """Reads texts as the model's tokenizer frames them, so many pieces of each."""
        rows, words = [], []
        for text, encoding in zip(texts, model.tokenizer.plain.encode_batch(list(texts))):
            rows.append(encoding.ids[:length])
            begins, ends = np.array(encoding.offsets[:length]).reshape(-1, 2).T
            is_text = (np.array(encoding.special_tokens_mask[:length]) == 0) & (ends > begins)
            places = [
                (word, np.flatnonzero(is_text & (begins < end) & (ends > begin)))
                for word, begin, end in word_places(text)
            ]
            words.append([(word, at) for word, at in places if len(at)])
        return ReadTexts(rows, words)

    @property
    def sentences(self) -> Grouped:
        """Each text a group."""
        return Grouped([np.full(len(row), number) for number, row in enumerate(self.rows)], len(self.rows))

    def types(self, wanted: Mapping[str, int]) -> Grouped:
        """Returns a group for each of these words, wherever it stands."""
        return self._grouped([[(wanted[word], at) for word, at in row if word in wanted] for row in self.words], wanted)

    def occurrences(self, wanted: Sequence[tuple[int, str]]) -> Grouped:
        """Returns a group for each (row, word): the place where that word first stands in that row."""
        groups: list[list[tuple[int, np.ndarray]]] = [[] for _ in self.rows]
        for number, (row, word) in enumerate(wanted):
            groups[row].append((number, next(at for known, at in self.words[row] if known == word)))
        return self._grouped(groups, wanted)

    def _grouped(self, groups: list[list[tuple[int, np.ndarray]]], wanted: Mapping | Sequence) -> Grouped:
        found = [np.full(len(row), NONE) for row in self.rows]
        for line, row in zip(found, groups):
            for number, at in row:
                line[at] = number
        return Grouped(found, len(wanted))


def layer_means(model: FrozenModel, reading: ReadTexts, groups: Mapping[str, Grouped]) -> dict[str, np.ndarray]:
    """Returns name -> the mean state of each group's pieces, float32 [L + 1, G, D], of the embeddings and after each
    layer; zeros for a group without pieces."""
    shapes = {name: (model.num_layers + 1, one.count, model.architecture.hidden_size) for name, one in groups.items()}
    sums = {name: torch.zeros(shape) for name, shape in shapes.items()}
    for numbers, ids, lengths in model.batches(reading.rows, pieces_at_once=4096):
        with torch.inference_mode():
            states = torch.stack([one.float().cpu() for one in model.all_states(ids, lengths)])
        for name, one in groups.items():
            flat = torch.as_tensor(filled_up([one.of[number] for number in numbers], NONE).ravel())
            kept = flat != NONE
            sums[name].index_add_(1, flat[kept], states.flatten(1, 2)[:, kept])
    sizes = {
        name: np.bincount(np.concatenate([np.zeros(0, int), *one.of]) + 1, minlength=one.count + 1)[1:]
        for name, one in groups.items()
    }
    return {
        name: (found / torch.as_tensor(np.maximum(sizes[name], 1))[:, None]).numpy() for name, found in sums.items()
    }
