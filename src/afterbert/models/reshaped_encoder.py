"""An encoder whose layers have sizes of their own: what is left where heads and neurons were removed, and matrices
were taken apart into thin ones.

No family of Hugging Face's has such layers, so a model of this kind is saved in our own layout or as a graph.
Sources: Michel et al. (1905.10650) for heads; for thin matrices see `nn.low_rank`.
"""

from dataclasses import dataclass, replace

from torch import nn

from afterbert.base.errors import UserError
from afterbert.models.parts.assembled import Size
from afterbert.models.parts.single_stack import SingleStack, SingleStackModule
from afterbert.nn.low_rank import LowRankLinear, LowRankTable
from afterbert.nn.positions.none import NoPositions
from afterbert.nn.positions.rotary import Rotary


@dataclass(frozen=True)
class LayerShape:
    """The sizes of one layer; None: those of the whole model."""

    num_attention_heads: Size | None = None
    """Heads that are left; each is as wide as before."""
    intermediate_size: Size | None = None
    """Neurons of the feed-forward part that are left."""
    qkv_rank: Size | None = None
    """The rank of the packed layer to query, key and value, which two thin layers replace; None: full."""
    mixed_rank: Size | None = None
    """The rank of the layer after the heads; None: full."""
    input_rank: Size | None = None
    """The rank of the first layer of the feed-forward part; None: full."""
    output_rank: Size | None = None
    """The rank of the last layer of the feed-forward part; None: full."""


@dataclass(frozen=True)
class ReshapedEncoder(SingleStack):
    """An encoder; by default exactly one. Its sizes are those that it had before anything was removed.

    >>> ReshapedEncoder(layers=(LayerShape(num_attention_heads=1),))
    Traceback (most recent call last):
    afterbert.base.errors.UserError: layers has 1 shapes for 2 layers with weights of their own; give each one
    """

    reads = "both_ways"
    writes = "nothing"
    summary = "first"
    obeys_visibility = True

    layers: tuple[LayerShape, ...] = ()
    """One shape for each layer that has weights of its own, in their order; empty: all are as the sizes say."""
    table_rank: Size | None = None
    """Width of the narrow table of pieces, which one matrix then widens; None: the table is full."""

    def __post_init__(self) -> None:
        super().__post_init__()
        distinct = len(set(self.plan.attention))
        if self.layers and (len(self.layers) != distinct or self.plan.attention != self.plan.feed_forward):
            raise UserError(
                f"layers has {len(self.layers)} shapes for {distinct} layers with weights of their own; give each one"
            )
        if self.stack.feed_forward.looks_beside:
            raise UserError("convolutions along the row cannot be made narrower; leave this method out")
        positions = self.stack.attention.positions
        if any(shape.num_attention_heads for shape in self.layers) and not isinstance(positions, (NoPositions, Rotary)):
            raise UserError("heads share their knowledge of positions in this model, so none can be removed")
        if self.table_rank is not None and self.embeddings.embedding_size is not None:
            raise UserError("the table of pieces is narrow already; leave table_rank out")

    @property
    def head_size(self) -> int:
        """K, the width of a head."""
        return self.sizes.head_size(self.stack.attention.head_size)

    def shape(self, part: int) -> LayerShape:
        """Returns the shape of a layer with every size filled in; a rank is None if a matrix is full."""
        given = self.layers[part] if self.layers else LayerShape()
        return replace(
            given,
            num_attention_heads=given.num_attention_heads or self.num_attention_heads,
            intermediate_size=given.intermediate_size or self.intermediate_size,
        )

    def module(self, vocab_size: int) -> SingleStackModule:
        made = SingleStackModule(self, vocab_size)
        for part, given in enumerate(self.layers):
            self._reshape(made, part, given)
        if self.table_rank is not None:
            table = LowRankTable(vocab_size, self.hidden_size, rank=self.table_rank)
            made.embeddings.own(table)
        return made

    def _reshape(self, made: SingleStackModule, part: int, given: LayerShape) -> None:
        attends, transforms = made.stack.attention[part], made.stack.feed_forward[part]
        shape = self.shape(part)
        assert shape.num_attention_heads is not None and shape.intermediate_size is not None
        if given.num_attention_heads is not None:
            attention = replace(self.stack.attention, head_size=self.head_size)
            attends.inner = attention.build(replace(self.sizes, num_attention_heads=shape.num_attention_heads))
        if given.intermediate_size is not None:
            built = self.stack.feed_forward.build(self.hidden_size, shape.intermediate_size)
            transforms.inner = built
        for inner, name, rank in (
            (attends.inner, "qkv", given.qkv_rank),
            (attends.inner, "output", given.mixed_rank),
            (transforms.inner, "input", given.input_rank),
            (transforms.inner, "output", given.output_rank),
        ):
            if rank is not None:
                full = getattr(inner, name)
                assert isinstance(full, nn.Linear)
                has_bias = full.bias is not None
                setattr(inner, name, LowRankLinear(full.in_features, full.out_features, rank=rank, bias=has_bias))

    def flops_per_token(self, vocab_size: int, length: int) -> float:
        found = super().flops_per_token(vocab_size, length)
        if self.table_rank is not None:
            found += 2.0 * self.table_rank * self.hidden_size
        attention = replace(self.stack.attention, head_size=self.head_size)
        weights = self.stack.feed_forward.num_weights
        for part in range(len(self.layers)):
            shape = self.shape(part)
            fewer = replace(self.sizes, num_attention_heads=shape.num_attention_heads or 0)
            change = attention.flops_per_token(fewer, length) - attention.flops_per_token(self.sizes, length)
            change += 2.0 * weights(self.hidden_size, shape.intermediate_size or 0)
            change -= 2.0 * weights(self.hidden_size, self.intermediate_size)
            change += 2.0 * self._thinner(part)
            found += self.plan.attention.count(part) * change
        return found

    def matrices(self, layer: int) -> dict[str, tuple[int, int]]:
        """Returns the sizes [out, in] of a layer's four matrices, by the name of their rank."""
        shape = self.shape(layer)
        width, heads = self.hidden_size, (shape.num_attention_heads or 0) * self.head_size
        inner = shape.intermediate_size or 0
        # a gated part packs two matrices into its first
        entries = self.stack.feed_forward.num_weights(width, inner) - width * inner
        return {
            "qkv_rank": (3 * heads, width),
            "mixed_rank": (width, heads),
            "input_rank": (entries // width, width),
            "output_rank": (width, inner),
        }

    def _thinner(self, layer: int) -> int:
        """By how many entries its matrices grow or shrink where they are taken apart."""
        shape, found = self.shape(layer), 0
        for name, (rows, columns) in self.matrices(layer).items():
            rank = getattr(shape, name)
            found += 0 if rank is None else rank * (rows + columns) - rows * columns
        return found
