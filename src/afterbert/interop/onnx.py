"""A model as an ONNX graph: any batch, any length, compared with ours before it is handed over."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.extras import need_extra
from afterbert.base.runs import replacing
from afterbert.interop.reading import hidden_states
from afterbert.interop.task_class import Answering
from afterbert.models import Architecture, Backbone

# batch, pieces read, pieces written: none of them the shape that is traced
_TRACED, _CHECKED = (2, 7, 5), ((1, 2, 2), (3, 12, 8), (5, 9, 11))
_LONGEST_BATCH, _LONGEST_ROW = 1 << 16, 1 << 16
# Sums come in another order in onnxruntime's kernels; in float32 that is all that may differ.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class OnnxModel:
    """The file, the names of its inputs, and the largest difference from ours at the shapes checked."""

    path: Path
    inputs: tuple[str, ...]
    largest_difference: float


def export_onnx(
    path: Path, architecture: Architecture, backbone: Backbone, head: nn.Module | Answering | None
) -> OnnxModel:
    """Writes one graph, with batch and lengths left open; padding stands on the right and is told by `attention_mask`.
    A decoder needs no mask unless its last piece is asked; with an encoder it takes `decoder_input_ids`.

    head: one that names pieces, for the outputs `last_hidden_state` and `logits`; None, for the first of them; or one
    that answers a task: `logits` [B, K] of rows or [B, T, K] of pieces, `start_logits` and `end_logits` [B, T] of
    spans.

    Raises UserError if the extra is not installed, or the architecture has no such graph.
    """
    need_extra("onnx", "onnx", "onnxscript", "onnxruntime", needed_by="ONNX export")
    if architecture.reads == "by_order":
        raise UserError("a permutation model has no ONNX export here (its two streams); export it as a folder")
    reader = _Reader(backbone, head, architecture).eval()
    dimensions = reader.dimensions()
    path.parent.mkdir(parents=True, exist_ok=True)
    with quiet():
        program = torch.onnx.export(
            reader,
            tuple(reader.example(*_TRACED, seed=0).values()),
            dynamo=True,
            dynamic_shapes={"ids": tuple(dimensions.values())},
            input_names=list(dimensions),
            output_names=reader.outputs,
            verbose=False,
        )
    assert program is not None
    with replacing(path) as beside:
        with quiet():
            program.save(str(beside))
        largest = _largest_difference(beside, reader)
        if not largest < _TOLERANCE:
            raise RuntimeError(f"the ONNX graph differs from the model by {largest:.1e}")
    return OnnxModel(path, tuple(dimensions), largest)


class _Reader(nn.Module):
    """Called with the ids of `kinds`, in that order. kinds: input -> how many numbers it chooses from."""

    def __init__(self, backbone: Backbone, head: nn.Module | Answering | None, architecture: Architecture):
        super().__init__()
        self.backbone, self.answering = backbone, head if isinstance(head, Answering) else None
        self.head = head.head if isinstance(head, Answering) else head
        self.is_left_to_right = architecture.reads == "left_to_right"
        self.vocab_size = len(backbone.embeddings.table.weight)
        self.max_length = min(architecture.max_position_embeddings, _LONGEST_ROW)
        kinds = {"input_ids": self.vocab_size}
        if not self.is_left_to_right or (self.answering and self.answering.summary != "first"):
            kinds["attention_mask"] = 2
        if architecture.type_vocab_size > 1:
            kinds["token_type_ids"] = architecture.type_vocab_size
        if architecture.languages:
            kinds["language_ids"] = len(architecture.languages)
        if architecture.writes == "apart" and self.answering is None:
            kinds["decoder_input_ids"] = self.vocab_size
        self.kinds = kinds

    def forward(self, *ids: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(self.kinds, ids))
        mask = given.get("attention_mask")
        read = {name: value for name, value in given.items() if name != "attention_mask"}
        hidden = hidden_states(self.backbone, **read, attention_mask=None if self.is_left_to_right else mask)
        if self.head is None:
            return (hidden,)
        if self.answering is None:
            return hidden, self.head(hidden)
        answer = self.head(hidden if self.answers_by_piece else self._summary(hidden, mask))
        return tuple(answer.unbind(-1)) if self.answering.kind == "span" else (answer,)

    @property
    def answers_by_piece(self) -> bool:
        """Whether the outputs have a place for every piece."""
        return self.answering is None or self.answering.kind in ("token", "span")

    @property
    def outputs(self) -> list[str]:
        """The names of what `forward` returns."""
        if self.answering is not None:
            return ["start_logits", "end_logits"] if self.answering.kind == "span" else ["logits"]
        return ["last_hidden_state"] if self.head is None else ["last_hidden_state", "logits"]

    def _summary(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """[B, D] of [B, T, D]."""
        assert self.answering is not None
        if self.answering.summary == "first" or mask is None:
            return hidden[:, 0]
        if self.answering.summary == "mean":
            return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        last = (mask.sum(1) - 1)[:, None, None].expand(-1, 1, hidden.shape[-1])
        return hidden.gather(1, last)[:, 0]

    def dimensions(self) -> dict[str, dict[int, Any]]:
        """The open axes of each input."""
        batch = torch.export.Dim("batch", min=1, max=_LONGEST_BATCH)
        read = torch.export.Dim("length", min=1, max=self.max_length)
        written = torch.export.Dim("written", min=1, max=self.max_length)
        return {name: {0: batch, 1: written if name == "decoder_input_ids" else read} for name in self.kinds}

    def example(self, batch: int, read: int, written: int, *, seed: int) -> dict[str, Tensor]:
        """Random inputs of a shape, with padding; shorter where the model is."""
        generator = torch.Generator().manual_seed(seed)
        read, written = min(read, self.max_length), min(written, self.max_length)
        made = {}
        for name, size in self.kinds.items():
            length = written if name == "decoder_input_ids" else read
            if name == "attention_mask":
                lengths = torch.randint(1, length + 1, (batch, 1), generator=generator)
                made[name] = (torch.arange(length) < lengths).long()
            else:
                made[name] = torch.randint(0, size, (batch, length), generator=generator)
        return made


def _largest_difference(path: Path, reader: _Reader) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = {given.name for given in session.get_inputs()}
    apart = []
    for seed, shape in enumerate(_CHECKED, start=1):
        inputs = reader.example(*shape, seed=seed)
        given = {name: ids.numpy() for name, ids in inputs.items() if name in names}
        with torch.no_grad():
            expected = reader(*inputs.values())
        # A padding position that sees nothing through its window has no defined value, and nobody reads it.
        wrote = inputs.get("decoder_input_ids")
        is_read = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"]))
        is_text = (is_read if wrote is None else torch.ones_like(wrote)).bool()
        for ours, theirs in zip(expected, session.run(None, given)):
            difference = (ours - torch.from_numpy(theirs)).abs()
            apart.append((difference[is_text] if reader.answers_by_piece else difference).max())
    return float(torch.stack(apart).max())


@contextmanager
def quiet() -> Iterator[None]:
    """Silences remarks of exporters and quantizers inside the block: on packages, names of axes and steps that these
    graphs do not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
