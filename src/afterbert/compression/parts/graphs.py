"""From a model with weights to a graph, and from a graph to one of fewer bits."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.base.extras import need_extra
from afterbert.base.plugins import name_of
from afterbert.compression.subject import Form, Subject
from afterbert.downstream.finetuning.saving import Loaded
from afterbert.interop.fused_graph import check_fusible, fused_graph
from afterbert.interop.graph_folder import Graph
from afterbert.interop.onnx import quiet
from afterbert.interop.task_class import Answering


def check_graph(form: Form, method: str) -> Form:
    """Returns the form of the graph that a model becomes. Raises UserError if it has none, if nothing says which of its
    heads is meant, or if the extra is missing."""
    form.need_weights(method)
    if form.task is None and form.num_tasks > 1:
        raise UserError(
            f"{method} leaves a graph with one head, but the model answers {form.num_tasks} tasks; name rows of one "
            "with --task, and it with --as"
        )
    need_extra("onnx", "onnx", "onnxruntime", needed_by=method)
    check_fusible(form.architecture)
    return replace(form, kind="graph")


def graph_of(subject: Subject) -> Graph:
    """Returns the fused graph in float32 of a model, with its task's head. Raises UserError for a head that has no
    graph."""
    if subject.tuned is None:
        content = fused_graph(subject.model.architecture, subject.model.backbone().eval(), None)
    else:
        backbone = subject.tuned.module.backbone.cpu()
        content = fused_graph(subject.model.architecture, backbone, answering_of(subject.tuned))
    return Graph(content, subject.num_parameters(), subject.num_parameters(zeros=False))


def answering_of(tuned: Loaded) -> Answering:
    """Returns the head of the first task. Raises UserError for one that has no graph."""
    name = next(iter(tuned.tasks))
    found = tuned.answering(name)
    if found is None:
        raise UserError(f"the head {name_of(tuned.heads[name])} of {name} has no graph here")
    return found


def quantize_file(
    source: Path,
    out: Path,
    *,
    narrow: bool = True,
    left: Sequence[str] = (),
    rows: Any = None,
    kinds: Sequence[str] = ("MatMul", "Gather"),
) -> None:
    """Writes a graph's products and tables, or one kind of them, in eight bits. narrow: seven, so that sums do not
    overflow without VNNI; left: nodes that stay as they are; rows: what is seen on the way in, whose largest numbers
    then fix the scales of what comes in."""
    from onnxruntime import quantization

    usual: dict[str, Any] = {
        "op_types_to_quantize": list(kinds),
        "per_channel": True,
        "reduce_range": narrow,
        "nodes_to_exclude": list(left),
        "extra_options": {"DefaultTensorType": 1, "MatMulConstBOnly": True},
    }
    with quiet():
        if rows is None:
            quantization.quantize_dynamic(source, out, **usual)
        else:
            quantization.quantize_static(source, out, rows, **usual)
