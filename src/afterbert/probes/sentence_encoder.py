"""A model as a maker of vectors: one of length 1 for each text, so that products are cosines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xxhash

from afterbert.base.errors import UserError
from afterbert.interop.graph_folder import read_graph
from afterbert.interop.loaded import FINISHED, LoadedModel
from afterbert.interop.sentences import Pooling, Sentences
from afterbert.probes.alignment import unit
from afterbert.probes.frozen_features import FrozenFeatures, FrozenModel

_TEXTS_AT_ONCE = 1024


@dataclass(frozen=True)
class SentenceEncoder:
    """Vectors from the states of a model's pieces, as its training or its folder says, else their mean; or those that a
    finished graph computes."""

    encode: Callable[[Sequence[str]], np.ndarray]
    """Texts -> float32 [N, D], zeros for a text of which nothing is read."""
    width: int
    """Numbers in a vector."""
    identity: str
    """A name for what it computes: of weights, tokenizer, pooling and length."""

    @staticmethod
    def of(loaded: LoadedModel, *, device: torch.device | str = "cpu", length: int | None = None) -> SentenceEncoder:
        """Returns the encoder of a model. length: how many pieces of a text are read; None takes what the folder says,
        or 256. Raises UserError."""
        if loaded.is_graph:
            return _of_graph(loaded, length)
        told = loaded.sentences or Sentences()
        pooling: Pooling = told.pooling
        longest = min(length or told.max_length or 256, loaded.longest)
        frozen = FrozenModel(loaded.architecture, loaded.backbone().to(device).eval(), loaded.tokenizer)
        features = FrozenFeatures(pooling=pooling, length=longest)
        made_of = [loaded.digests.get("backbone", "random"), loaded.tokenizer.digest, pooling, longest]
        return SentenceEncoder(
            lambda texts: features.sentences(frozen, [(text,) for text in texts]),
            loaded.architecture.hidden_size,
            "/".join(map(str, made_of)),
        )

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [N, D], each of length 1; zeros for a text of which nothing is read."""
        found = np.zeros((len(texts), self.width), dtype=np.float32)
        for begin in range(0, len(texts), _TEXTS_AT_ONCE):
            some = texts[begin : begin + _TEXTS_AT_ONCE]
            found[begin : begin + len(some)] = self.encode(some)
        return unit(found)


def _of_graph(loaded: LoadedModel, length: int | None) -> SentenceEncoder:
    """The vectors of a graph that gives some, without special pieces as sentence-transformers cuts texts for it. Raises
    UserError for one that answers a task."""
    assert loaded.folder is not None, "a graph lies in a folder"
    _, graph = read_graph(loaded.folder)
    output = graph.session.get_outputs()[0] if graph.runtime == "onnxruntime" else None
    if output is None or output.name != "sentence_embedding":
        raise UserError(f"{loaded.name} is {FINISHED}")

    def encode(texts: Sequence[str]) -> np.ndarray:
        rows = [torch.tensor(one.ids[:length]) for one in loaded.tokenizer.plain.encode_batch(list(texts))]
        read = [number for number, row in enumerate(rows) if len(row)]
        found = np.zeros((len(rows), output.shape[-1]), dtype=np.float32)
        if read:
            ids = torch.nn.utils.rnn.pad_sequence([rows[number] for number in read], batch_first=True)
            last = torch.tensor([len(rows[number]) - 1 for number in read])
            found[read] = graph.run({"input_ids": ids, "last": last}).numpy()
        return found

    made_of = [xxhash.xxh3_128_hexdigest(graph.content), loaded.tokenizer.digest, length]
    return SentenceEncoder(encode, output.shape[-1], "/".join(map(str, made_of)))
