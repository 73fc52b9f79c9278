"""Weights and what they multiply in eight bits, as a graph for OpenVINO, quantized by NNCF.

The arithmetic is theirs. NNCF sees training rows on their way through the graph and fixes the scale of what each
product reads by them.
"""

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.base.extras import from_extra, need_extra
from afterbert.base.numbers import CountFromZero
from afterbert.compression.methods import Method, Setting
from afterbert.compression.parts.graphs import answering_of
from afterbert.compression.subject import Form, Subject
from afterbert.interop.graph_folder import Graph
from afterbert.interop.onnx import export_onnx


@dataclass(frozen=True)
class Openvino(Method):
    """Turns the model into an int8 graph for OpenVINO."""

    saves = frozenset(("bytes",))
    at_zero = "rows=0"
    must_be_faster = True

    rows: CountFromZero = 300
    """How many training rows fix the scales; 0 leaves the graph in float32."""

    def check(self, form: Form) -> Form:
        form.need_weights("openvino")
        form.need_task("openvino")
        need_extra("openvino", "openvino", "nncf", "onnx", "onnxscript", "onnxruntime", needed_by="openvino")
        if form.architecture.reads == "by_order":
            raise UserError("openvino: a permutation model (XLNet) has no graph here; take another method")
        return replace(form, kind="graph")

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        subject = subject.only(setting.task)
        nncf, openvino = (from_extra(name, "openvino", needed_by="openvino") for name in ("nncf", "openvino"))
        tuned = subject.tuned
        assert tuned is not None, "it needs a task"
        backbone, answering = tuned.module.backbone.cpu().eval(), answering_of(tuned)
        exported = export_onnx(setting.folder / "plain.onnx", subject.model.architecture, backbone, answering)
        model = openvino.convert_model(str(exported.path))
        whole = _graph_of(subject, model, setting.folder)
        if not self.rows:
            return subject.finished(whole)
        batches = [whole.feeds(batch) for batch in setting.batches(subject, most=self.rows)]
        kind = nncf.ModelType.TRANSFORMER
        with redirect_stdout(sys.stderr):  # its progress bars
            int8 = nncf.quantize(model, nncf.Dataset(batches), model_type=kind, subset_size=len(batches))
        return subject.finished(_graph_of(subject, int8, setting.folder))


def _graph_of(subject: Subject, model: Any, folder: Path) -> Graph:
    openvino = from_extra("openvino", "openvino", needed_by="openvino")
    path = folder / "openvino_model.xml"
    openvino.save_model(model, path, compress_to_fp16=False)
    parameters, nonzero = subject.num_parameters(), subject.num_parameters(zeros=False)
    beside = {path.name: path.read_bytes()}
    return Graph(path.with_suffix(".bin").read_bytes(), parameters, nonzero, beside=beside, runtime="openvino")
