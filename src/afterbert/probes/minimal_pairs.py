"""Which of two almost equal sentences does a model find likelier? Nothing is trained.

Source: BLiMP (Warstadt et al. 2020, 1912.00582). Scores are sums over pieces, not divided by the length, as BLiMP
does. How each kind of model is asked: `readings`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.likelihood import Predict, log_likelihoods
from afterbert.probes.readings import Reading, TextPieces, question
from afterbert.text.pieces.frame import Frame
from afterbert.text.pieces.tokenizer import Tokenizer


@dataclass(frozen=True)
class Preferences:
    """margins: float64 [N], by how much the first sentence of a pair is likelier; accuracy: the share where it is (not
    by a tie), overall and by group."""

    margins: np.ndarray
    accuracy: float
    by_group: Mapping[str, float]

    @staticmethod
    def of(margins: np.ndarray, groups: Sequence[str] = ()) -> Preferences:
        """Returns the preferences from the margins [N] and, where there are groups, the name of each pair's group."""
        is_right = margins > 0
        names = np.array(groups, dtype=object)
        return Preferences(
            margins=margins,
            accuracy=float(is_right.mean()) if len(margins) else 0.0,
            by_group={str(name): float(is_right[names == name].mean()) for name in sorted(set(names))},
        )


@dataclass(frozen=True)
class MinimalPairsProbe:
    """Asks a model. predict: a batch's arrays -> logits [N, V] at its `chosen` places; pieces_at_once: of a batch,
    padding included."""

    predict: Predict
    reading: Reading = "within_word"
    device: torch.device | str = "cpu"
    pieces_at_once: int = 16_384

    def __call__(
        self, tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], groups: Sequence[str] = ()
    ) -> Preferences:
        """Returns which sentence of each pair is likelier. groups: a name for each pair."""
        sentences = sorted({sentence for pair in pairs for sentence in pair})
        found = dict(zip(sentences, self.log_likelihoods(tokenizer, sentences)))
        return Preferences.of(np.array([found[first] - found[second] for first, second in pairs]), groups)

    def log_likelihoods(self, tokenizer: Tokenizer, sentences: Sequence[str]) -> np.ndarray:
        """Returns the log likelihood, or pseudo-likelihood, of each sentence, float64 [N], natural logarithm."""
        texts = [TextPieces.of(sentence, tokenizer) for sentence in sentences]
        return self.of_pieces(texts, Frame.of(tokenizer), tokenizer.vocabulary)

    def of_pieces(self, texts: Sequence[TextPieces], frame: Frame, vocabulary: Vocabulary) -> np.ndarray:
        """Asks about texts that are cut into pieces already."""
        questions = [question(text, self.reading, frame, vocabulary) for text in texts]
        how: Any = {"pieces_at_once": self.pieces_at_once, "device": self.device}
        return log_likelihoods(self.predict, questions, pad=vocabulary.pad or 0, **how)


def room_for_text(frame: Frame, longest: int) -> int:
    """Returns how many pieces of a text are read in a row of `longest`: the special pieces around it count, and the one
    with which an encoder-decoder begins to write."""
    return longest - len(frame.before) - len(frame.behind) - 1


def short_enough(pairs: Sequence[tuple[str, str]], tokenizer: Tokenizer, *, longest: int) -> list[int]:
    """Returns the numbers of the pairs that a model with rows of at most `longest` pieces can read."""
    room = room_for_text(Frame.of(tokenizer), longest)
    fits = {
        sentence: len(TextPieces.of(sentence, tokenizer).ids) <= room
        for sentence in {s for pair in pairs for s in pair}
    }
    return [number for number, pair in enumerate(pairs) if all(fits[sentence] for sentence in pair)]
