"""What a person looks at: held-out sentences with words masked, and the model's guesses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, ranges, starts_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.text.token_store.store import Split

_COUNT, _GUESSES, _SHARE = 12, 5, 0.15
_SHORTEST, _LONGEST = 12, 40  # pieces of a sentence


@dataclass(frozen=True)
class Guess:
    """One piece of a shown sentence; guesses are (piece, probability), likeliest first, for masked pieces only."""

    text: str
    masked: bool = False
    truth: str = ""
    guesses: tuple[tuple[str, float], ...] = ()


def filled_sentences(
    predict: Callable[[Mapping[str, Tensor]], Tensor],
    split: Split,
    vocabulary: Vocabulary,
    piece_texts: Sequence[str],
    *,
    longest: int,
    device: torch.device | str = "cpu",
) -> list[dict[str, list[dict]]]:
    """Returns held-out sentences of a readable length, from all over the split, with about 15% of their words masked.

    predict: a batch's arrays -> logits [N, V] at its chosen places. piece_texts: [V], each piece for the eye. longest:
    pieces that the model reads at most.
    """
    sizes = np.diff(split.sentence_starts)
    readable = np.flatnonzero((sizes >= _SHORTEST) & (sizes <= min(_LONGEST, longest - 2)))
    if len(readable) == 0:
        return []
    taken = readable[np.unique(np.linspace(0, len(readable) - 1, _COUNT).astype(int))]
    rows = _rows_of(split, vocabulary, split.sentence_starts[taken], sizes[taken])
    is_masked = _some_words(rows)
    width = int(rows.lengths.max())
    shown = np.where(is_masked, vocabulary.need("mask"), rows.piece_ids)
    positions = np.flatnonzero(is_masked)
    arrays = {
        "input_ids": rows.padded(shown, fill=vocabulary.pad or 0, length=width).astype(np.int64),
        "chosen": rows.flat_to_padded(positions, length=width),
        "visible_lengths": rows.lengths,
    }
    with torch.inference_mode():
        logits = predict({name: torch.as_tensor(array, device=device) for name, array in arrays.items()})
        likely = logits.float().softmax(-1).topk(_GUESSES)
    best, chance = likely.indices.cpu().numpy(), likely.values.cpu().numpy()
    guesses = {
        int(at): tuple((piece_texts[i], round(float(p), 4)) for i, p in zip(best[n], chance[n]))
        for n, at in enumerate(positions)
    }
    found = []
    for row in range(len(rows)):
        inner = range(int(rows.row_starts[row]) + 1, int(rows.row_starts[row + 1]) - 1)
        texts = ((at, piece_texts[rows.piece_ids[at]]) for at in inner)
        pieces = [Guess(text, True, text, guesses[at]) if at in guesses else Guess(text) for at, text in texts]
        found.append({"pieces": [asdict(piece) for piece in pieces]})
    return found


def _rows_of(split: Split, vocabulary: Vocabulary, starts: np.ndarray, lengths: np.ndarray) -> Rows:
    """These stretches of the store, each between a [CLS] (or <s>) and a [SEP] (or </s>)."""
    index = ranges(starts, lengths)
    row_starts = starts_of(lengths + 2)
    inner = ranges(row_starts[:-1] + 1, lengths)
    ids = np.empty(row_starts[-1], dtype=np.int32)
    words = np.zeros(row_starts[-1], dtype=bool)
    ids[inner], words[inner] = split.pieces(index), split.plane("word_start", index)
    ids[row_starts[:-1]], ids[row_starts[1:] - 1] = vocabulary.need("cls"), vocabulary.need("sep")
    special = np.ones(len(ids), dtype=bool)
    special[inner] = False
    keys = starts.astype(np.uint64)
    return Rows(ids, row_starts, keys, {"special": special, "word_start": words})


def _some_words(rows: Rows) -> np.ndarray:
    """bool [T]: whole words drawn with a probability of 15%, at least one a row."""
    word = np.cumsum(rows.planes["word_start"] | rows.planes["special"]) - 1
    first = np.flatnonzero(np.diff(word, prepend=-1))
    drawn = Noise(0).of("samples").uniform(rows.keys_of[first], rows.position_in_row[first])
    drawn[rows.planes["special"][first]] = 2.0
    lowest = np.full(len(rows), np.inf)
    np.minimum.at(lowest, rows.row_of[first], drawn)
    chosen = (drawn < _SHARE) | (drawn == lowest[rows.row_of[first]])
    return chosen[word] & ~rows.planes["special"]
