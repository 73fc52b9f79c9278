"""Weights and what they multiply in eight bits, as a graph for ONNX Runtime, fused before it is quantized.

Sources: Q8BERT (1910.06188) for symmetric weights; ONNX Runtime's quantizer for the arithmetic: `dynamic` scales what a
matrix reads by its largest number as it comes, `static` by what was seen on training rows. Weights are scaled by
channel.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from afterbert.base.errors import UserError
from afterbert.base.numbers import CountFromZero
from afterbert.compression.methods import Method, Setting
from afterbert.compression.parts.graphs import check_graph, graph_of, quantize_file
from afterbert.compression.subject import Form, Subject
from afterbert.interop.graph_folder import Graph


@dataclass(frozen=True)
class Quantize(Method):
    """Turns the model into an int8 graph for ONNX Runtime."""

    saves = frozenset(("bytes",))
    at_zero = "mode=none"
    must_be_faster = True

    mode: Literal["dynamic", "static", "none"] = "dynamic"
    """How numbers that come in are scaled; `none` is the fused graph in float32."""
    leave: CountFromZero = 0
    """How many parts of layers stay in float32: those that harm answers on training rows most when they are quantized
    alone."""
    narrow: bool = True
    """Whether weights take seven of the eight bits, so that sums of products do not overflow on processors without
    VNNI."""

    def check(self, form: Form) -> Form:
        if self.mode == "static" or self.leave:
            form.need_task("quantize with mode=static or leave")
        most = 2 * form.architecture.num_hidden_layers
        if self.leave >= most:
            raise UserError(f"quantize: leave is {self.leave} of {most} parts of layers, so nothing is left; take less")
        return check_graph(form, "quantize")

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        subject = subject.only(setting.task)
        whole = graph_of(subject)
        if self.mode == "none":
            return subject.finished(whole)
        skipped = self._most_harmed(subject, setting, whole) if self.leave else []
        return subject.finished(self._quantized(whole, setting, subject, skipped, "model"))

    def _quantized(self, graph: Graph, setting: Setting, subject: Subject, skipped: Sequence[str], name: str) -> Graph:
        import onnx

        model = onnx.load_from_string(graph.content)
        left = [node.name for node in model.graph.node if any(weight in skipped for weight in node.input)]
        source, out = (setting.folder / f"{name}{which}.onnx" for which in ("-float", ""))
        source.write_bytes(graph.content)
        rows = _Calibration(graph, setting, subject) if self.mode == "static" else None
        quantize_file(source, out, narrow=self.narrow, left=left, rows=rows)
        return replace(graph, content=out.read_bytes())

    def _most_harmed(self, subject: Subject, setting: Setting, whole: Graph) -> list[str]:
        """The weights of the parts of layers whose quantization alone moves answers most."""
        import onnx

        parts: dict[str, list[str]] = {}
        nodes = onnx.load_from_string(whole.content).graph.node
        products = [node for node in nodes if node.op_type == "MatMul"]
        for weight in sorted({weight for node in products for weight in node.input}):
            part = weight.partition(".")[0]
            if part[:1] in "af" and part[1:].isdigit():
                parts.setdefault(part, []).append(weight)
        batches = list(setting.batches(subject, most=64))
        right = torch.cat([whole.run(batch).flatten() for batch in batches])
        harm = {}
        for part in parts:
            others = [weight for name, weights in parts.items() if name != part for weight in weights]
            one = self._quantized(whole, setting, subject, [*others, "token"], f"only-{part}")
            harm[part] = float((torch.cat([one.run(batch).flatten() for batch in batches]) - right).norm())
            Path(setting.folder / f"only-{part}.onnx").unlink()
        worst = sorted(harm, key=lambda part: -harm[part])[: self.leave]
        return [weight for part in worst for weight in parts[part]]


class _Calibration:
    """Training rows as ONNX Runtime's calibration asks for them."""

    def __init__(self, graph: Graph, setting: Setting, subject: Subject):
        self._feeds: Iterator[dict[str, Any]] = (graph.feeds(one) for one in setting.batches(subject, most=128))

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)

    def __len__(self) -> int:
        return 0
