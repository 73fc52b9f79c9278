"""Mean states of groups of pieces (sentences, words, occurrences of words) at every layer, from one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from afterbert.probes.frozen_features import FrozenModel
from afterbert.probes.word_index import word_places


@dataclass(frozen=True)
class Grouped:
    """Pieces in groups, of which one may be in several: words of scripts without spaces overlap. of: for each row int64
    [2, K], pieces and beside each the number of a group; count: of groups."""

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
        numbers = [np.stack((np.arange(len(row)), np.full(len(row), n))) for n, row in enumerate(self.rows)]
        return Grouped(numbers, len(self.rows))

    def types(self, wanted: Mapping[str, int]) -> Grouped:
        """Returns a group for each of these words, wherever it stands."""
        groups = [[(wanted[word], at) for word, at in row if word in wanted] for row in self.words]
        return Grouped([_numbered(row) for row in groups], len(wanted))

    def occurrences(self, wanted: Sequence[tuple[int, str]]) -> Grouped:
        """Returns a group for each (row, word): the place where that word first stands in that row."""
        groups: list[list[tuple[int, np.ndarray]]] = [[] for _ in self.rows]
        for number, (row, word) in enumerate(wanted):
            groups[row].append((number, next(at for known, at in self.words[row] if known == word)))
        return Grouped([_numbered(row) for row in groups], len(wanted))


def _numbered(groups: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """int64 [2, K] of the groups in a row, each a number and its pieces."""
    found = [np.stack((at, np.full(len(at), number))) for number, at in groups]
    return np.concatenate([np.zeros((2, 0), np.int64), *found], axis=1)


def layer_means(model: FrozenModel, reading: ReadTexts, groups: Mapping[str, Grouped]) -> dict[str, np.ndarray]:
    """Returns name -> the mean state of each group's pieces, float32 [L + 1, G, D], of the embeddings and after each
    layer; zeros for a group without pieces."""
    shapes = {name: (model.num_layers + 1, one.count, model.architecture.hidden_size) for name, one in groups.items()}
    sums = {name: torch.zeros(shape) for name, shape in shapes.items()}
    for numbers, ids, lengths in model.batches(reading.rows, pieces_at_once=4096):
        with torch.inference_mode():
            states = torch.stack([one.float().cpu() for one in model.all_states(ids, lengths)])
        for name, one in groups.items():
            some = [one.of[number] for number in numbers]
            row = np.repeat(np.arange(len(some)), [each.shape[1] for each in some])
            piece, group = np.concatenate(some, axis=1)
            at = torch.as_tensor(row * ids.shape[1] + piece)
            sums[name].index_add_(1, torch.as_tensor(group), states.flatten(1, 2)[:, at])
    sizes = {
        name: np.bincount(np.concatenate([_numbered([]), *one.of], axis=1)[1], minlength=one.count)
        for name, one in groups.items()
    }
    return {
        name: (found / torch.as_tensor(np.maximum(sizes[name], 1))[:, None]).numpy() for name, found in sums.items()
    }
