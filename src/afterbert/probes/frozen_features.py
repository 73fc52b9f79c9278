"""What a linear classifier finds in a model's states, the model frozen: seconds instead of a fine-tuning.

Sources: probes on frozen sentence vectors, and for pairs [u, v, |u - v|, u v]: SentEval (Conneau and Kiela 2018,
1803.05449); on the states of single words: Tenney et al. 2019 (1905.06316). A random model's features are the
control (Zhang and Bowman 2018, 1809.10040): what stands above it was learned.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from afterbert.base.numbers import Count, CountFromZero, Positive
from afterbert.base.rows import filled_up
from afterbert.models import Architecture, Backbone
from afterbert.nn.inputs import Inputs
from afterbert.nn.visibility import PaddedVisibility
from afterbert.text.pieces.frame import Frame
from afterbert.text.pieces.tokenizer import Tokenizer


@dataclass(frozen=True)
class FrozenModel:
    """A backbone in evaluation mode, to be looked at."""

    architecture: Architecture
    backbone: Backbone
    tokenizer: Tokenizer
    language: int | None = None
    """The number of the language that it is told, of a model that asks for it."""

    @property
    def num_layers(self) -> int:
        """States that can be asked for are 0 (the embeddings) to this."""
        return self.architecture.num_hidden_layers

    def states(self, ids: Tensor, lengths: Tensor, layer: int | None) -> Tensor:
        """Returns hidden states [B, T, D] of ids [B, T]; in an encoder-decoder those of the encoder. layer: None for
        the last, with the final norm."""
        inputs = self._inputs(ids, lengths)
        return self.backbone.read(inputs) if layer is None else self.backbone.layers(inputs).hidden[layer]

    def all_states(self, ids: Tensor, lengths: Tensor) -> list[Tensor]:
        """Returns the states [B, T, D] of the embeddings and of every layer from one pass, the last with its final
        norm."""
        found = self.backbone.layers(self._inputs(ids, lengths))
        assert found.last is not None
        return [*found.hidden[:-1], found.last]

    def batches(
        self, rows: Sequence[Sequence[int]], *, pieces_at_once: int = 16_384
    ) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Yields the numbers of rows of similar length [B], their ids [B, T] and lengths [B] on the device, longest
        first; rows without pieces are left out."""
        pad = self.tokenizer.vocabulary.pad or 0
        device = next(self.backbone.parameters()).device
        order = [int(number) for number in np.argsort([len(row) for row in rows], kind="stable") if rows[number]]
        while order:
            width = len(rows[order[-1]])
            many = max(1, pieces_at_once // width)
            some, order = order[-many:], order[:-many]
            ids = filled_up([rows[number] for number in some], pad)
            lengths = torch.tensor([len(rows[number]) for number in some], device=device)
            yield some, torch.as_tensor(ids, device=device), lengths

    def _inputs(self, ids: Tensor, lengths: Tensor) -> Inputs:
        told = None if self.language is None else torch.full_like(ids, self.language)
        return Inputs(ids, language_ids=told, visibility=PaddedVisibility(lengths=lengths))


@dataclass(frozen=True)
class FrozenFeatures:
    """Answers from the frozen states of a model, by a linear model."""

    layer: CountFromZero | None = None
    """0 for the embeddings, 1 for the first layer, and so on; None: the last, with its norm."""
    pooling: Literal["mean", "first", "last", "max"] = "mean"
    """How the states of a sentence become one vector."""
    strength: Positive = 0.05
    """The strength of the classifier's regularisation (C of scikit-learn, for standardised features)."""
    most_rows: Count = 5_000
    """How many rows are trained on at most, drawn at random."""
    length: Annotated[int, Field(ge=8)] = 128
    pieces_at_once: Count = 16_384

    def sentences(self, model: FrozenModel, texts: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Returns the features of texts, float32 [N, D], or [N, 4 D] for pairs of texts."""
        if not texts:
            return np.zeros((0, model.architecture.hidden_size), dtype=np.float32)
        plain = model.tokenizer.plain
        encoded = [[found.ids for found in plain.encode_batch(list(each))] for each in zip(*texts)]
        vectors = [self._pooled(model, rows) for rows in encoded]
        if len(vectors) == 1:
            return vectors[0]
        u, v = vectors
        return np.concatenate((u, v, np.abs(u - v), u * v), axis=1)

    def words(self, model: FrozenModel, sentences: Sequence[tuple[str, ...]]) -> list[np.ndarray]:
        """Returns for each sentence of W words the state of each word's first piece, float32 [W, D]; words beyond the
        length get zeros."""
        encodings = [model.tokenizer.plain.encode(" ".join(words)) for words in sentences]
        room = self._room(model)
        rows = [encoding.ids[:room] for encoding in encodings]
        states = [np.zeros((1, model.architecture.hidden_size), dtype=np.float32)] * len(rows)
        for numbers, read, _ in self._batches(model, rows):
            for number, state in zip(numbers, read.cpu().numpy()):
                states[number] = state[: len(rows[number])]
        found = []
        for words, encoding, state in zip(sentences, encodings, states):
            starts = np.cumsum([0, *(len(word) + 1 for word in words[:-1])])
            places = [encoding.char_to_token(int(start)) for start in starts]
            out = np.zeros((len(words), state.shape[1]), dtype=np.float32)
            for number, place in enumerate(places):
                if place is not None and place < len(state):
                    out[number] = state[place]
            found.append(out)
        return found

    def classify(self, train: np.ndarray, labels: Sequence[Any], test: np.ndarray) -> list[Any]:
        """Returns a label for each row of `test` [M, D], by logistic regression on `train` [N, D]."""
        # here, since scikit-learn takes two seconds to import and every pre-training reads this file
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        classes = sorted(set(labels), key=str)
        if len(classes) < 2:
            return [classes[0]] * len(test)
        numbers = np.array([classes.index(label) for label in labels])
        fitted = make_pipeline(StandardScaler(), LogisticRegression(C=self.strength, max_iter=300))
        with warnings.catch_warnings():
            # 300 steps decide the figures; whether the last digits still move does not matter.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.fit(train, numbers)
        return [classes[number] for number in fitted.predict(test)]

    def regress(self, train: np.ndarray, scores: Sequence[float], test: np.ndarray) -> list[float]:
        """Returns a number for each row of `test`, by ridge regression."""
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        fitted = make_pipeline(StandardScaler(), Ridge(alpha=1.0 / self.strength))
        fitted.fit(train, np.array(scores, dtype=np.float64))
        return [float(one) for one in fitted.predict(test)]

    def _room(self, model: FrozenModel) -> int:
        return min(self.length, model.architecture.max_position_embeddings)

    def _pooled(self, model: FrozenModel, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """float32 [N, D]."""
        room, behind = self._room(model), Frame.of(model.tokenizer).behind
        # a text that is cut keeps the special pieces at its end
        rows = [row if len(row) <= room else [*row[: room - len(behind)], *behind] for row in rows]
        found = np.zeros((len(rows), model.architecture.hidden_size), dtype=np.float32)
        for numbers, states, lengths in self._batches(model, rows):
            is_piece = (torch.arange(states.shape[1], device=states.device) < lengths[:, None])[..., None]
            if self.pooling == "mean":
                pooled = (states * is_piece).sum(1) / lengths[:, None]
            elif self.pooling == "max":
                pooled = states.masked_fill(~is_piece, float("-inf")).amax(1)
            else:
                at = 0 * lengths if self.pooling == "first" else lengths - 1
                pooled = states[torch.arange(len(states), device=states.device), at]
            found[numbers] = pooled.cpu().numpy()
        return found

    def _batches(self, model: FrozenModel, rows: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """The numbers of rows of like length [B], their states float32 [B, T, D] and lengths [B], longest first; rows
        without pieces are left out."""
        for some, ids, lengths in model.batches(rows, pieces_at_once=self.pieces_at_once):
            with torch.inference_mode():
                yield some, model.states(ids, lengths, self.layer).float(), lengths
