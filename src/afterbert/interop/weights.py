"""One line of a family's table of weights: a tensor of ours and the tensors of theirs that together are it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from afterbert.nn.sharing import SharingPlan

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Weight:
    """`theirs` are laid one below the other (along the first axis) in equal parts; None of ours: they hold
    zeros where we hold nothing.

    rows_before: rows that only theirs begins with; transposed: theirs is a matrix the other way round
    (GPT-2's); shape: of each of theirs, where it has more axes than ours (XLNet's heads) or ours is None.

    >>> packed = Weight("qkv.weight", ("q.weight", "k.weight", "v.weight"))
    >>> {name: tensor.tolist() for name, tensor in packed.to_theirs(torch.arange(6).view(3, 2)).items()}
    {'q.weight': [[0, 1]], 'k.weight': [[2, 3]], 'v.weight': [[4, 5]]}
    """

    ours: str | None
    theirs: tuple[str, ...]
    rows_before: int = 0
    transposed: bool = False
    shape: Shape = ()

    def to_theirs(self, tensor: Tensor | None) -> dict[str, Tensor]:
        """Returns the family's tensors, contiguous, made from ours (None where ours is None)."""
        if tensor is None:
            return {name: torch.zeros(self.shape) for name in self.theirs}
        if self.rows_before:
            tensor = torch.cat((tensor.new_zeros(self.rows_before, *tensor.shape[1:]), tensor))
        parts = [part.T if self.transposed else part for part in tensor.chunk(len(self.theirs))]
        return {
            name: part.reshape(self.shape or part.shape).clone(memory_format=torch.contiguous_format)
            for name, part in zip(self.theirs, parts)
        }

    def to_ours(self, found: Mapping[str, Tensor]) -> Tensor:
        """Returns our tensor from the family's, in float32."""
        parts = [found[name].float() for name in self.theirs]
        if self.shape:
            parts = [part.flatten(1) for part in parts]
        whole = torch.cat([part.T if self.transposed else part for part in parts])
        return whole[self.rows_before :].clone()

    def shape_of_theirs(self, ours: Shape) -> Shape:
        """Returns the shape that each of the family's tensors must have, given ours."""
        if self.shape:
            return self.shape
        shape = (ours[0] // len(self.theirs) + self.rows_before, *ours[1:])
        return shape[::-1] if self.transposed else shape


#: What they call a layer of ours; several names where they keep in pieces what we pack.
Theirs = str | tuple[str, ...]
#: A layer of ours -> what they call it.
Names = Mapping[str, Theirs]


def lines(
    ours: str, theirs: Theirs, held: Mapping[str, Shape], *, rows_before: int = 0, transposed: bool = False
) -> list[Weight]:
    """Returns a line for the weight and for the bias of a layer, as far as it is `held`: our tensors and their shapes.
    A bias is never transposed.

    >>> [line.theirs for line in lines("dense", "cls.dense", {"dense.weight": (2, 2), "dense.bias": (2,)})]
    [('cls.dense.weight',), ('cls.dense.bias',)]
    """
    names = (theirs,) if isinstance(theirs, str) else theirs
    return [
        Weight(own, tuple(f"{name}.{end}" for name in names), rows_before, transposed and len(held[own]) == 2)
        for end in ("weight", "bias")
        if (own := f"{ours}.{end}") in held
    ]


def layer_lines(
    ours: str, plan: SharingPlan, prefix: str, parts: Names, held: Mapping[str, Shape], *, transposed: bool = False
) -> list[Weight]:
    """Returns lines for every layer of a stack of ours. A part that layers share is written once for each layer.

    parts: `attention.NAME` or `feed_forward.NAME` -> what they call it behind `prefix`; `{i}` stands for the layer.

    >>> plan = SharingPlan(attention=(0, 0), feed_forward=(0, 1))
    >>> parts = {"attention.norm": "norm", "feed_forward.norm": "out"}
    >>> held = dict.fromkeys(("attention.0.norm.bias", "feed_forward.0.norm.bias", "feed_forward.1.norm.bias"), (2,))
    >>> [(line.ours, *line.theirs) for line in layer_lines("", plan, "layer.{i}.", parts, held)][2:]
    [('attention.0.norm.bias', 'layer.1.norm.bias'), ('feed_forward.1.norm.bias', 'layer.1.out.bias')]
    """
    table: list[Weight] = []
    for layer, (attends, transforms) in enumerate(zip(plan.attention, plan.feed_forward)):
        for part, named in parts.items():
            kind, _, name = part.partition(".")
            number = transforms if kind == "feed_forward" else attends
            names = (named,) if isinstance(named, str) else named
            theirs = tuple(f"{prefix}{one}".replace("{i}", str(layer)) for one in names)
            table += lines(f"{ours}{kind}.{number}.{name}", theirs, held, transposed=transposed)
    return table
