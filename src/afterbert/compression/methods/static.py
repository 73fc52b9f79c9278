"""The end of the ladder: one vector for each piece, whatever stands beside it; a text is the mean of its pieces.

Sources: model2vec (Tulkens and van Dongen 2024) for vectors of pieces that the model reads alone, their principal
components, and weights by frequency as of Arora et al. 2017 ("A simple but tough-to-beat baseline"); SentEval
(1803.05449) for what a classifier reads of a pair. Vectors and classifier then learn the model's own answers to the
training rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.base.extras import need_extra
from afterbert.base.numbers import Count, CountFromZero, Positive
from afterbert.compression.methods import EVERYTHING, Method, Setting, is_piece
from afterbert.compression.subject import Form, Subject
from afterbert.interop.graph_folder import Graph
from afterbert.interop.sentences import chained
from afterbert.nn.inputs import Inputs

_OF_ROWS, _OF_PAIRS = ("sentence_classification", "regression"), ("pair_classification",)
_PIECES_AT_ONCE = 2048
# The graph of a row; {rest} is what becomes of the sum of its vectors.
_READS = """
  codes = Gather (table, input_ids)
  numbers = Cast <to = 1> (codes)
  scale = Gather (scales, input_ids)
  vectors = Mul (numbers, scale)
"""
_MEAN = """
  mask{n} = Cast <to = 1> ({of})
  wide{n} = Unsqueeze (mask{n}, last)
  told{n} = Mul (vectors, wide{n})
  sum{n} = ReduceSum <keepdims = 0> (told{n}, first)
  count{n} = ReduceSum <keepdims = 1> (mask{n}, first)
  some{n} = Clip (count{n}, one)
  mean{n} = Div (sum{n}, some{n})
"""
_PAIR = """
  inverse = Sub (unit, token_type_ids)
  left = Mul (attention_mask, inverse)
  right = Mul (attention_mask, token_type_ids)
{means}
  apart = Sub (meanu, meanv)
  absolute = Abs (apart)
  product = Mul (meanu, meanv)
  read = Concat <axis = -1> (meanu, meanv, absolute, product)
"""


@dataclass(frozen=True)
class Static(Method):
    """Replaces the model by one vector for each piece."""

    saves = EVERYTHING

    width: Count = 256
    """Numbers in a vector, at most those of the model's states."""
    frequency: Positive = 1e-3
    """Where a piece of this share of the training rows weighs half as much as a rare one."""
    epochs: CountFromZero = 10
    """Rounds through the training rows, in which vectors and classifier learn the model's answers."""
    learning_rate: Positive = 2e-3

    def check(self, form: Form) -> Form:
        form.need_weights("static")
        need_extra("onnx", "onnx", "onnxruntime", needed_by="static")
        if form.architecture.writes == "apart":
            raise UserError("static needs an encoder or decoder; an encoder-decoder has no one vector for a text")
        if form.task not in (None, *_OF_ROWS, *_OF_PAIRS):
            raise UserError(f"static answers for whole rows, of {', '.join((*_OF_ROWS, *_OF_PAIRS))}, not {form.task}")
        if form.task in _OF_PAIRS and not form.architecture.has_segments:
            raise UserError("static tells two texts apart by segments, which this model lacks; take quantize")
        if form.task is not None:
            form.need_task("static")
        return replace(form, kind="graph")

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        vectors = _vectors(subject, min(self.width, subject.model.architecture.hidden_size))
        batches = list(setting.batches(subject, most=None)) if setting.task is not None else []
        table = torch.from_numpy(vectors) * _weights(subject, batches, self.frequency)[:, None]
        if setting.task is None:  # a head, where there is one, does not read these vectors
            subject = replace(subject, tuned=None)
            return subject.finished(_graph(table, None, "", _sentence_folder(table, subject.model.folder)))
        with torch.no_grad():
            told = [subject.predict(arrays) for arrays in batches]
        student = _Student(
            table,
            told[0].shape[-1],
            is_pair=any(one["token_type_ids"].any() for one in batches if "token_type_ids" in one),
        )
        self._learn(student, batches, told, setting)
        return subject.only(setting.task).finished(
            _graph(student.table.weight.detach(), student.last, student.reads, {})
        )

    def _learn(self, student: _Student, batches: list[dict[str, Tensor]], told: list[Tensor], setting: Setting) -> None:
        rare = torch.optim.SparseAdam([student.table.weight], lr=self.learning_rate)
        dense = torch.optim.Adam(student.last.parameters(), lr=self.learning_rate)
        for epoch in range(self.epochs):
            for number in setting.noise.of(f"static/{epoch}").order(len(batches)).tolist():
                answers, right = student(batches[number]), told[number]
                if right.shape[-1] == 1:
                    loss = F.mse_loss(answers, right)
                else:
                    loss = F.kl_div(
                        answers.log_softmax(-1), right.log_softmax(-1), reduction="batchmean", log_target=True
                    )
                rare.zero_grad()
                dense.zero_grad()
                loss.backward()
                rare.step()
                dense.step()


class _Student(nn.Module):
    """What the graph computes, while it learns."""

    def __init__(self, table: Tensor, answers: int, *, is_pair: bool):
        super().__init__()
        self.table = nn.Embedding.from_pretrained(table.clone(), freeze=False, sparse=True)
        self.last = nn.Linear(table.shape[1] * (4 if is_pair else 1), answers)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        means = [_MEAN.format(n=n, of=of) for n, of in (("u", "left"), ("v", "right"))]
        self.reads = _PAIR.format(means="".join(means)) if is_pair else ""
        self.is_pair = is_pair

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        vectors = self.table(arrays["input_ids"])
        mask = is_piece(arrays).float()
        if not self.is_pair:
            return self.last(_mean(vectors, mask))
        second = arrays["token_type_ids"].float()
        one, other = _mean(vectors, mask * (1 - second)), _mean(vectors, mask * second)
        return self.last(torch.cat([one, other, (one - other).abs(), one * other], dim=-1))


def _mean(vectors: Tensor, mask: Tensor) -> Tensor:
    return (vectors * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)


@torch.no_grad()
def _vectors(subject: Subject, width: int) -> np.ndarray:
    """float32 [V, width]: the principal components of what the model makes of each piece alone, in its frame of special
    pieces; zeros for those."""
    vocabulary, backbone = subject.model.tokenizer.vocabulary, subject.model.backbone().eval()
    size = subject.model.architecture.table_size(vocabulary)
    around = (vocabulary.cls, None, vocabulary.sep) if vocabulary.cls is not None else (vocabulary.bos, None)
    states = []
    for ids in torch.arange(size).split(_PIECES_AT_ONCE):
        columns = [ids if one is None else torch.full_like(ids, one) for one in around]
        states.append(backbone.read(Inputs(torch.stack(columns, dim=1))).mean(1))
    found = torch.cat(states).double()
    found -= found.mean(0)
    _, directions = torch.linalg.eigh(found.T @ found)
    chosen = (found @ directions.flip(1)[:, :width]).float().numpy()
    chosen[sorted(vocabulary.special_ids)] = 0
    return chosen / np.linalg.norm(chosen, axis=1).mean()


def _weights(subject: Subject, batches: list[dict[str, Tensor]], half: float) -> Tensor:
    """float32 [V]: of each piece, by how often it stands in the training rows; by Zipf's law where there are none."""
    size = subject.model.architecture.table_size(subject.model.tokenizer.vocabulary)
    counts = torch.zeros(size)
    for arrays in batches:
        counts += torch.bincount(arrays["input_ids"][is_piece(arrays)], minlength=size)
    if not batches:
        counts = 1 / torch.arange(1, size + 1)  # vocabularies list frequent pieces first
    return half / (half + counts / counts.sum())


def _graph(table: Tensor, last: nn.Linear | None, reads: str, beside: Mapping[str, bytes]) -> Graph:
    """Rows of eight bits with a scale each, and what becomes of them."""
    from onnx import numpy_helper, parser

    scales = table.abs().amax(1).clamp_min(1e-8) / 127
    held: dict[str, Any] = {"table": (table / scales[:, None]).round().to(torch.int8), "scales": scales[:, None]}
    held |= {"first": torch.tensor([1]), "last": torch.tensor([-1]), "one": torch.tensor(1.0), "unit": torch.tensor(1)}
    inputs = ["input_ids", "attention_mask"] + ["token_type_ids"] * bool(reads)
    body, answers = _READS + (reads or _MEAN.format(n="", of="attention_mask")), "sentence_embedding"
    body += "" if reads else "  read = Identity (mean)\n"
    if last is None:
        body += f"  {answers} = LpNormalization <axis = -1, p = 2> (read)\n"
    else:
        answers = "logits"
        held |= {"weight": last.weight.detach(), "bias": last.bias.detach()}
        body += f"  {answers} = Gemm <transB = 1> (read, weight, bias)\n"
    signature = ", ".join(f"int64[B, T] {name}" for name in inputs)
    model = parser.parse_model(
        f'<ir_version: 9, opset_import: ["": 20]>\nstatic ({signature}) => (float[B, K] {answers}) {{{body}}}'
    )
    used = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(
        numpy_helper.from_array(one.numpy(), name) for name, one in held.items() if name in used
    )
    numbers = table.numel() + (0 if last is None else last.weight.numel() + last.bias.numel())
    return Graph(model.SerializeToString(), numbers, numbers, 2.0 * table.shape[1], beside)


def _sentence_folder(table: Tensor, tokenizer: Path | None) -> dict[str, bytes]:
    """The files by which sentence-transformers opens the folder. Raises UserError for a tokenizer of other files."""
    from safetensors.torch import save

    if tokenizer is None or not (tokenizer / "tokenizer.json").is_file():
        raise UserError("static writes a folder for sentence-transformers, which needs a tokenizer.json; this has none")

    modules = chained([("0_StaticEmbedding", "StaticEmbedding"), ("1_Normalize", "Normalize")])
    return {
        "modules.json": json.dumps(modules, indent=2).encode(),
        "0_StaticEmbedding/model.safetensors": save({"embedding.weight": table.contiguous()}),
        "0_StaticEmbedding/tokenizer.json": (tokenizer / "tokenizer.json").read_bytes(),
    }
