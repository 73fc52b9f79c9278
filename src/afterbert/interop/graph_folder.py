"""A finished graph as a folder: `model.onnx` or the two files of OpenVINO as Optimum names them, the tokenizer, and
what is known of the model it was made from.

Such a model answers its task and nothing else: it has no weights that could be read, asked for pieces or trained.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import torch
import xxhash
from torch import Tensor

from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.extras import from_extra
from afterbert.base.sealed import read_sealed, write_sealed
from afterbert.interop.folder import write_tokenizer
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.own import architecture_in

Runtime = Literal["onnxruntime", "openvino"]
TOLD = "graph.json"
_CONTENT: Mapping[Runtime, str] = {"onnxruntime": "model.onnx", "openvino": "openvino_model.bin"}
_DESCRIBED = "openvino_model.xml"
# Of OpenVINO the layers; of vectors of pieces what sentence-transformers reads.
_BESIDE = (_DESCRIBED, "modules.json", "0_StaticEmbedding/model.safetensors", "0_StaticEmbedding/tokenizer.json")
_LARGEST = 2_000_000_000  # bytes that one file may hold


@dataclass(frozen=True)
class Graph:
    """A graph in memory, and what it was made from."""

    content: bytes
    """The file, of OpenVINO the one with the weights. Inputs: `input_ids`, `attention_mask`, perhaps `token_type_ids`,
    all [B, T]."""
    parameters: int
    """Numbers that the model consists of, however few bits each takes."""
    nonzero: int
    """Those of them that are not 0."""
    flops: float | None = None
    """Multiply-adds, times two, for each piece; None: those of the architecture."""
    beside: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Further files of the folder: path -> content. Of OpenVINO the layers, others for readers other than ours."""
    runtime: Runtime = "onnxruntime"
    """What computes it."""

    @cached_property
    def session(self) -> Any:
        """ONNX Runtime's session or OpenVINO's compiled model, on as many threads as PyTorch uses. Raises UserError if
        it is not installed."""
        if self.runtime == "openvino":
            openvino = from_extra("openvino", "openvino", needed_by="this graph")
            model = openvino.Core().read_model(self.beside[_DESCRIBED], self.content)
            how = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
            return openvino.compile_model(model, "CPU", how)
        onnxruntime = from_extra("onnxruntime", "onnx", needed_by="a graph")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        return onnxruntime.InferenceSession(self.content, options, providers=["CPUExecutionProvider"])

    @cached_property
    def _inputs(self) -> frozenset[str]:
        if self.runtime == "openvino":
            return frozenset(one.any_name for one in self.session.inputs)
        return frozenset(one.name for one in self.session.get_inputs())

    def feeds(self, arrays: Mapping[str, Tensor]) -> dict[str, Any]:
        """Returns a batch of a task as the graph reads it: `input_ids` [B, T] and `last` [B], the place of each row's
        last piece."""
        ids = arrays["input_ids"].cpu()
        mask = torch.arange(ids.shape[1]) <= arrays["last"].cpu()[:, None]
        found = {"input_ids": ids, "attention_mask": mask.long()}
        if "token_type_ids" in self._inputs:
            found["token_type_ids"] = arrays.get("token_type_ids", torch.zeros_like(ids)).cpu()
        return {name: one.numpy() for name, one in found.items() if name in self._inputs}

    def run(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns the graph's output for a batch; where it has two, the ends of a span, [B, T, 2]."""
        feeds = self.feeds(arrays)
        outputs = self.session(feeds).to_tuple() if self.runtime == "openvino" else self.session.run(None, feeds)
        return (
            torch.stack([torch.from_numpy(one) for one in outputs], -1) if outputs[1:] else torch.from_numpy(outputs[0])
        )


def is_graph(folder: Path) -> bool:
    """Returns whether a folder holds a finished graph."""
    return (folder / TOLD).is_file() and any((folder / name).is_file() for name in _CONTENT.values())


def write_graph(out: Path, model: LoadedModel, graph: Graph, *, longest: int | None = None) -> int:
    """Writes the folder; returns the bytes of the graph. longest: pieces at which the tokenizer is told to cut. Raises
    UserError."""
    assert model.folder is not None, "a loaded model has a tokenizer"
    out.mkdir(parents=True, exist_ok=True)
    said = {"model_input_names": ["input_ids", "attention_mask"] + ["token_type_ids"] * model.architecture.has_segments}
    write_tokenizer(out, model.folder, model.architecture, model.tokenizer.vocabulary, said, longest=longest)
    plain = to_plain(replace(cast(Any, model.architecture), vocab_size=None))
    told = {
        "architecture": plain,
        "vocab_size": model.architecture.table_size(model.tokenizer.vocabulary),
        "parameters": graph.parameters,
        "nonzero": graph.nonzero,
        "flops": graph.flops,
        "runtime": graph.runtime,
        "graph": xxhash.xxh3_128_hexdigest(graph.content),
    }
    write_sealed(out / TOLD, told)
    (out / _CONTENT[graph.runtime]).write_bytes(graph.content)
    for path, content in graph.beside.items():
        (out / path).parent.mkdir(exist_ok=True)
        (out / path).write_bytes(content)
    return len(graph.content)


def read_graph(folder: Path) -> tuple[LoadedModel, Graph]:
    """Reads what `write_graph` wrote. The model has an architecture and a tokenizer, and no weights. Raises
    UserError."""
    told = read_sealed(folder / TOLD, remedy="copy the folder again")
    found: Any = architecture_in(told.get("architecture"), str(folder / TOLD))
    runtime: Runtime = told.get("runtime", "onnxruntime")
    path = folder / _CONTENT[runtime]
    if path.stat().st_size > _LARGEST:
        raise UserError(f"{path} is larger than 2 GB, more than one file of this kind may hold")
    beside = {name: (folder / name).read_bytes() for name in _BESIDE if (folder / name).is_file()}
    content = path.read_bytes()
    if told.get("graph") not in (None, xxhash.xxh3_128_hexdigest(content)):
        raise UserError(f"{path} was changed after it was written; copy the folder again")
    if runtime == "openvino" and _DESCRIBED not in beside:
        raise UserError(f"{folder} has no {_DESCRIBED}, which belongs to {path.name}; copy the folder again")
    graph = Graph(content, told["parameters"], told["nonzero"], told["flops"], beside, runtime)
    architecture = replace(found, vocab_size=told["vocab_size"])
    return LoadedModel(str(folder), architecture, None, {}, folder, is_graph=True), graph
