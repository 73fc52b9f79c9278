"""How likely a language model finds pieces where they stand, whoever asks and whatever kind of model it is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from afterbert.base.rows import filled_up

#: A batch's arrays -> logits [N, V] at its `chosen` places; see `models.LanguageModel.predict`.
Predict = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass
class Question:
    """Rows to read [R] of their own lengths; written: what a decoder reads beside each, or empty. row, place,
    target_ids: [Q], what is asked where (places in what is written, if anything is). ranks: beside each row, where an
    order says who sees whom."""

    rows: list[np.ndarray] = field(default_factory=list)
    written: list[np.ndarray] = field(default_factory=list)
    ranks: list[np.ndarray] = field(default_factory=list)
    row: list[int] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    target_ids: list[int] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Gives the length of the longest row, what is written beside it included."""
        beside = max(map(len, self.written), default=0)
        return max(map(len, self.rows), default=0) + beside

    def ask(self, places: Sequence[int], targets: Iterable[int]) -> None:
        """Asks for the pieces at these places of the newest row."""
        self.row += [len(self.rows) - 1] * len(places)
        self.place += [int(place) for place in places]
        self.target_ids += [int(target) for target in targets]


def log_likelihoods(
    predict: Predict,
    questions: Sequence[Question],
    *,
    pad: int,
    pieces_at_once: int,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Returns log likelihoods, float64 [N], natural logarithm: of what each question asks, summed over its places; 0 if
    it asks nothing.

    pieces_at_once: of a batch, padding included.
    """
    totals = np.zeros(len(questions))
    for numbers in _batches(questions, pieces_at_once):
        arrays, owner = _joined([questions[i] for i in numbers], pad=pad)
        tensors = {name: torch.as_tensor(array, device=device) for name, array in arrays.items()}
        with torch.inference_mode():
            logits = predict(tensors).float()
            chosen = logits.log_softmax(-1).gather(1, tensors["target_ids"][:, None])[:, 0]
        np.add.at(totals, np.array(numbers)[owner], chosen.double().cpu().numpy())
    return totals


def _batches(questions: Sequence[Question], pieces_at_once: int) -> Iterator[list[int]]:
    """Questions of like length, so many that their rows fit `pieces_at_once`; a long one alone, one that asks nothing
    not at all."""
    batch: list[int] = []
    num_rows = 0
    asked = [number for number, one in enumerate(questions) if one.target_ids]
    for number in sorted(asked, key=lambda i: questions[i].width):
        height, width = len(questions[number].rows), questions[number].width
        if batch and (num_rows + height) * width > pieces_at_once:
            yield batch
            batch, num_rows = [], 0
        batch.append(number)
        num_rows += height
    if batch:
        yield batch


def _joined(questions: Sequence[Question], *, pad: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The arrays of one batch, and which of the questions each asked place belongs to [Q]."""
    rows = [row for one in questions for row in one.rows]
    first = np.concatenate(([0], np.cumsum([len(one.rows) for one in questions])))
    row = np.concatenate([np.array(one.row) + at for one, at in zip(questions, first)])
    place = np.concatenate([one.place for one in questions])
    arrays = {
        "input_ids": filled_up(rows, pad),
        "visible_lengths": np.array([len(one) for one in rows]),
        "target_ids": np.concatenate([one.target_ids for one in questions]),
    }
    width = arrays["input_ids"].shape[1]
    written = [one for question in questions for one in question.written]
    ranks = [one for question in questions for one in question.ranks]
    if written:
        arrays["decoder_input_ids"] = filled_up(written, pad)
        width = arrays["decoder_input_ids"].shape[1]
    if ranks:
        # The query stream runs at the asked places only: one in each row.
        assert np.array_equal(row, np.arange(len(rows)))
        arrays |= {"visible_rank": filled_up(ranks, 3), "query_positions": place[:, None]}
        width, place = 1, np.zeros_like(place)
    arrays["chosen"] = row * width + place
    return arrays, np.repeat(np.arange(len(questions)), [len(one.row) for one in questions])
