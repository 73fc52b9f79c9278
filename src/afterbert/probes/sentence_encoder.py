"""A model as a maker of vectors: one of length 1 for each text, so that products are cosines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from afterbert.interop.loaded import LoadedModel
from afterbert.interop.sentences import Pooling, Sentences
from afterbert.probes.frozen_features import FrozenFeatures, FrozenModel

_TEXTS_AT_ONCE = 1024


@dataclass(frozen=True)
class SentenceEncoder:
    """Vectors from the states of a model's pieces, as its training or its folder says, else their mean."""

    model: FrozenModel
    features: FrozenFeatures
    identity: str
    """A name for what it computes: of weights, tokenizer, pooling and length."""

    @staticmethod
    def of(loaded: LoadedModel, *, device: torch.device | str = "cpu", length: int | None = None) -> SentenceEncoder:
        """Returns the encoder of a model. length: how many pieces of a text are read; None takes what the folder says,
        or 256. Raises UserError."""
        told = loaded.sentences or Sentences()
        pooling: Pooling = told.pooling
        longest = min(length or told.max_length or 256, loaded.longest)
        frozen = FrozenModel(loaded.architecture, loaded.backbone().to(device).eval(), loaded.tokenizer)
        made_of = [loaded.digests.get("backbone", "random"), loaded.tokenizer.digest, pooling, longest]
        return SentenceEncoder(frozen, FrozenFeatures(pooling=pooling, length=longest), "/".join(map(str, made_of)))

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return self.model.architecture.hidden_size

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [N, D], each of length 1; zeros for a text of which nothing is read."""
        found = np.zeros((len(texts), self.width), dtype=np.float32)
        for begin in range(0, len(texts), _TEXTS_AT_ONCE):
            some = texts[begin : begin + _TEXTS_AT_ONCE]
            found[begin : begin + len(some)] = self.features.sentences(self.model, [(text,) for text in some])
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return found / np.where(lengths > 0, lengths, 1)
