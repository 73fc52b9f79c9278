"""An encoder with its task's head as an ONNX graph of fused operators, laid down from the weights directly.

`interop.onnx` traces any model; this writes the few operators that ONNX Runtime has for encoders (`com.microsoft`:
MultiHeadAttention, SkipLayerNormalization, BiasGelu, RotaryEmbedding), so nothing has to be found and fused afterwards,
weights that layers share stand in the file once, and where one piece speaks for a row, the last layer computes that
piece alone.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.interop.task_class import Answering
from afterbert.models import Architecture, Backbone
from afterbert.models.parts.single_stack import SingleStack
from afterbert.nn.activations import Activation
from afterbert.nn.feed_forwards.gated import Gated
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.norms.identity import Identity
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.position_embeddings.learned import Learned
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.positions.none import NoPositions
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.residuals.post_norm import PostNorm
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.task_head import TaskHeadModule

_OURS = "com.microsoft"
_MOST_PLACES = 8192
_OPSET, _FORMAT = 20, 9


def check_fusible(architecture: Architecture) -> SingleStack:
    """Raises UserError for a model that these operators do not compute."""
    if not isinstance(architecture, SingleStack) or not architecture.is_encoder:
        raise UserError(f"a model of type {name_of(architecture)} has no fused graph here; only encoders have one")
    stack, embeddings = architecture.stack, architecture.embeddings
    for part, known in (
        (stack.attention.positions, (NoPositions, Rotary)),
        (stack.feed_forward, (Plain, Gated)),
        (stack.residual, (PostNorm, PreNorm)),
        (embeddings.positions, (Learned, NoPositionEmbedding)),
        (architecture.norm, (LayerNorm, Identity)),
    ):
        if not isinstance(part, known):
            raise UserError(f"a model with {name_of(part)} has no fused graph here")
    if stack.windows is not None or stack.recurrence is not None or embeddings.languages:
        raise UserError("a model with windows, halting or languages has no fused graph here")
    return architecture


def fused_graph(architecture: Architecture, backbone: Backbone, answering: Answering | None) -> bytes:
    """Returns the graph in float32. Inputs: `input_ids` and `attention_mask` [B, T] with padding on the right, and
    `token_type_ids` of a model with segments. Outputs: `logits` [B, K] for rows, [B, T, K] for pieces and spans, or
    without a head `last_hidden_state` [B, T, D]. Raises UserError."""
    return _Writer(check_fusible(architecture), backbone, answering).written()


class _Operators:
    """Operators as they are laid down one by one, and the weights that they hold; each method returns the name of what
    it computes."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: dict[str, Tensor] = {}

    def op(self, kind: str, inputs: Sequence[str], *, name: str = "", domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def held(self, name: str, tensor: Tensor | np.ndarray | list[int]) -> str:
        if name not in self.tensors:
            found = tensor if isinstance(tensor, Tensor) else torch.from_numpy(np.asarray(tensor))
            self.tensors[name] = found.contiguous()
        return name

    def norm(self, norm: nn.Module, name: str, hidden: str) -> str:
        if not isinstance(norm, nn.LayerNorm):
            return hidden
        weights = [self.held(f"{name}.norm", norm.weight)]
        weights += [] if norm.bias is None else [self.held(f"{name}.norm.bias", norm.bias)]
        return self.op("LayerNormalization", [hidden, *weights], epsilon=norm.eps)

    def linear(self, layer: Any, name: str, hidden: str, rows: slice = slice(None), *, biased: bool = True) -> str:
        """A linear layer, full or thin; some of its outputs only. biased: False leaves the bias to who comes next."""
        span = "" if rows == slice(None) else f".{rows.start}"
        if hasattr(layer, "up"):
            hidden = self.op("MatMul", [hidden, self.held(f"{name}.down", layer.down.weight.T)])
            layer, name = layer.up, f"{name}.up"
        hidden = self.op("MatMul", [hidden, self.held(f"{name}{span}", layer.weight[rows].T)])
        if layer.bias is None or not biased:
            return hidden
        return self.op("Add", [hidden, self.held(f"{name}{span}.bias", layer.bias[rows])])

    def split(self, packed: str, sizes: str, count: int) -> list[str]:
        from onnx import helper

        names = [f"Split_{len(self.nodes)}.{place}" for place in range(count)]
        self.nodes.append(helper.make_node("Split", [packed, sizes], names, name=names[0], axis=-1))
        return names

    def activated(self, hidden: str, activation: Activation) -> str:
        if activation in ("gelu", "gelu_new"):
            return self.op("Gelu", [hidden], approximate="none" if activation == "gelu" else "tanh")
        if activation == "silu":
            return self.op("Mul", [hidden, self.op("Sigmoid", [hidden])])
        return self.op({"relu": "Relu", "tanh": "Tanh"}[activation], [hidden])


def _outgoing(layer: Any) -> Any:
    """Of a layer that may be two thin ones: the one that gives its outputs."""
    return layer.up if hasattr(layer, "up") else layer


class _Writer:
    """From a model to its graph; each method returns the name of what it computes."""

    def __init__(self, architecture: SingleStack, backbone: Any, answering: Answering | None):
        self.architecture, self.backbone, self.answering = architecture, backbone, answering
        self.lay = _Operators()
        self.by_row = answering is not None and answering.kind in ("sequence", "choice")

    def written(self) -> bytes:
        from onnx import TensorProto, helper, numpy_helper

        self.lay.op("Cast", ["attention_mask"], name="mask", to=6)  # int32 [B, T], as MultiHeadAttention reads it
        hidden = self._embedded()
        count = self.architecture.num_hidden_layers
        plan = self.architecture.stack.sharing.plan(count)
        for layer, (attends, transforms) in enumerate(zip(plan.attention, plan.feed_forward)):
            is_last = layer == count - 1
            asks = hidden
            if is_last and self.by_row and self.answering is not None and self.answering.summary != "mean":
                asks = self._spoken_for(hidden)
            hidden = self._attended(self.backbone.stack.attention[attends], f"a{attends}", hidden, asks)
            hidden = self._transformed(self.backbone.stack.feed_forward[transforms], f"f{transforms}", hidden)
        hidden = self.lay.norm(self.backbone.stack.final_norm, "final", hidden)
        name, width = "last_hidden_state", self.architecture.hidden_size
        if self.answering is not None:
            hidden, name, width = self._answered(hidden), "logits", self.answering.num_outputs
        self.lay.op("Identity", [hidden], name=name)
        rows: list[Any] = ["batch"] if self.by_row else ["batch", "length"]
        names = ["input_ids", "attention_mask"] + ["token_type_ids"] * self.architecture.has_segments
        ids = [helper.make_tensor_value_info(one, TensorProto.INT64, ["batch", "length"]) for one in names]
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, [*rows, width])
        held = [numpy_helper.from_array(one.detach().cpu().numpy(), name) for name, one in self.lay.tensors.items()]
        graph = helper.make_graph(self.lay.nodes, "afterbert", ids, [out], held)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_OURS, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_FORMAT, producer_name="afterbert")
        found: bytes = model.SerializeToString()
        return found

    def _embedded(self) -> str:
        part = self.backbone.embeddings
        if hasattr(part.token, "narrow"):
            narrow = self.lay.op("Gather", [self.lay.held("token", part.token.narrow.weight), "input_ids"])
            hidden = self.lay.op("MatMul", [narrow, self.lay.held("token.widen", part.token.widen.weight.T)])
        else:
            hidden = self.lay.op("Gather", [self.lay.held("token", part.token.weight), "input_ids"])
        if part.scale != 1.0:
            hidden = self.lay.op("Mul", [hidden, self.lay.held("token.scale", torch.tensor(part.scale))])
        if part.segment is not None:
            table = self.lay.held("segment", part.segment.weight)
            if self.architecture.has_segments:
                hidden = self.lay.op("Add", [hidden, self.lay.op("Gather", [table, "token_type_ids"])])
            else:
                hidden = self.lay.op("Add", [hidden, self.lay.held("segment.0", part.segment.weight[0])])
        if isinstance(part.position, nn.Embedding):
            length = self.lay.op("Shape", ["input_ids"], start=1, end=2)
            places = [self.lay.held("places", part.position.weight), self.lay.held("zero", [0]), length]
            hidden = self.lay.op("Add", [hidden, self.lay.op("Slice", [*places, self.lay.held("zero", [0])])])
        hidden = self.lay.norm(part.norm, "embeddings", hidden)
        return hidden if isinstance(part.widen, nn.Identity) else self.lay.linear(part.widen, "widen", hidden)

    def _joined(self, part: Any, name: str, inner: str, layer: Any, hidden: str) -> str:
        """`inner`, the outcome of `layer` without its bias, added to the residual stream; norms where the model has
        them."""
        bias = _outgoing(layer).bias
        norm = part.norm
        if isinstance(self.architecture.stack.residual, PostNorm) and isinstance(norm, nn.LayerNorm):
            weights = [self.lay.held(f"{name}.norm", norm.weight)]
            weights.append("" if norm.bias is None else self.lay.held(f"{name}.norm.bias", norm.bias))
            weights += [] if bias is None else [self.lay.held(f"{name}.output.bias", bias)]
            inputs = [inner, hidden, *weights]
            while not inputs[-1]:
                inputs.pop()
            return self.lay.op("SkipLayerNormalization", inputs, domain=_OURS, epsilon=norm.eps)
        if bias is not None:
            inner = self.lay.op("Add", [inner, self.lay.held(f"{name}.output.bias", bias)])
        return self.lay.op("Add", [hidden, inner])

    def _read(self, part: Any, name: str, hidden: str) -> str:
        """What a part of a layer reads: the stream, or its norm."""
        is_normed = isinstance(self.architecture.stack.residual, PreNorm)
        return self.lay.norm(part.norm, name, hidden) if is_normed else hidden

    def _attended(self, part: Any, name: str, hidden: str, asks: str) -> str:
        inner, read = part.inner, self._read(part, name, hidden)
        width = inner.width
        if asks == hidden:
            packed = self.lay.linear(inner.qkv, f"{name}.qkv", read)
            sizes = self.lay.held(f"{name}.sizes", [width] * 3)
            parts = self.lay.split(packed, sizes, 3)
        else:
            query = self.lay.linear(inner.qkv, f"{name}.q", self._read(part, name, asks), slice(0, width))
            packed = self.lay.linear(inner.qkv, f"{name}.kv", read, slice(width, 3 * width))
            parts = [query, *self.lay.split(packed, self.lay.held(f"{name}.sizes2", [width] * 2), 2)]
        if isinstance(self.architecture.stack.attention.positions, Rotary):
            query = self._turned(parts[0], inner, first=asks != hidden)
            parts = [query, self._turned(parts[1], inner, first=False), parts[2]]
        mixed = self.lay.op(
            "MultiHeadAttention",
            [*parts, "", "mask"],
            domain=_OURS,
            num_heads=inner.num_heads,
            scale=float(inner.scale),
        )
        out = self.lay.linear(inner.output, f"{name}.output", mixed, biased=False)
        return self._joined(part, name, out, inner.output, asks)

    def _turned(self, vectors: str, inner: Any, *, first: bool) -> str:
        """Rotary positions; of the first piece alone they are no turn at all."""
        summary = self.answering.summary if self.answering is not None else "first"
        if first and summary == "first":
            return vectors
        if first:
            raise UserError("a model with rotary positions that answers from its last piece has no fused graph here")
        positions: Any = self.architecture.stack.attention.positions
        half = inner.head_size // 2
        exponents = torch.arange(0, inner.head_size, 2, dtype=torch.float32) / inner.head_size
        places = min(self.architecture.max_position_embeddings, _MOST_PLACES)
        angles = torch.arange(places)[:, None].float() * (1.0 / positions.theta**exponents)
        assert angles.shape[1] == half
        tables = [self.lay.held("cos", angles.cos()), self.lay.held("sin", angles.sin())]
        start = self.lay.held("zero", [0])
        return self.lay.op(
            "RotaryEmbedding", [vectors, start, *tables], domain=_OURS, num_heads=inner.num_heads, interleaved=0
        )

    def _transformed(self, part: Any, name: str, hidden: str) -> str:
        inner, read = part.inner, self._read(part, name, hidden)
        config: Any = self.architecture.stack.feed_forward
        activation: Activation = config.activation
        if isinstance(config, Gated):
            packed = self.lay.linear(inner.input, f"{name}.input", read)
            halves = self.lay.held(f"{name}.halves", [_outgoing(inner.input).out_features // 2] * 2)
            left, gate = self.lay.split(packed, halves, 2)
            found = self.lay.op("Mul", [self.lay.activated(left, activation), gate])
        else:
            given = _outgoing(inner.input).bias
            if activation == "gelu" and given is not None:
                found = self.lay.linear(inner.input, f"{name}.input", read, biased=False)
                bias = self.lay.held(f"{name}.input.bias", given)
                found = self.lay.op("BiasGelu", [found, bias], domain=_OURS)
            else:
                found = self.lay.activated(self.lay.linear(inner.input, f"{name}.input", read), activation)
        out = self.lay.linear(inner.output, f"{name}.output", found, biased=False)
        return self._joined(part, name, out, inner.output, hidden)

    def _spoken_for(self, hidden: str) -> str:
        """The states [B, 1, D] of the piece that speaks for its row."""
        assert self.answering is not None
        zero, one = self.lay.held("zero", [0]), self.lay.held("one", [1])
        if self.answering.summary == "first":
            return self.lay.op("Slice", [hidden, zero, one, one])
        last = self.lay.op("Sub", [self.lay.op("ReduceSum", ["attention_mask", one], keepdims=1), one])
        last = self.lay.op("Unsqueeze", [last, self.lay.held("minus", [-1])])
        return self.lay.op("GatherND", [hidden, last], batch_dims=1)

    def _answered(self, hidden: str) -> str:
        """The head's answers from the states [B, T, D], or those [B, 1, D] of the pieces that speak."""
        assert self.answering is not None
        head: TaskHeadModule = self.answering.head
        if self.by_row:
            hidden = self._row_states(hidden)
        if head.config.has_dense:
            hidden = self.lay.activated(self.lay.linear(head.dense, "head.dense", hidden), head.config.activation)
            hidden = self.lay.norm(head.norm, "head", hidden)
        return self.lay.linear(head.last, "head.last", hidden)

    def _row_states(self, hidden: str) -> str:
        """[B, D]."""
        assert self.answering is not None
        one = self.lay.held("one", [1])
        if self.answering.summary != "mean":
            return self.lay.op("Squeeze", [hidden, one])
        mask = self.lay.op("Cast", ["attention_mask"], to=1)
        weighed = self.lay.op("Mul", [hidden, self.lay.op("Unsqueeze", [mask, self.lay.held("minus", [-1])])])
        total = self.lay.op("ReduceSum", [weighed, one], keepdims=0)
        return self.lay.op("Div", [total, self.lay.op("ReduceSum", [mask, one], keepdims=1)])
