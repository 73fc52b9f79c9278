"""The heads that a model folder may hold beside its backbone, each declared once: its name, and how it is built.

A family gives each a place in its table of weights (`NAME.dense.weight`, ...) and in one of its classes, where it has
any; shapes are those of what is built here.
"""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture, Backbone
from afterbert.nn.heads import DetectionHead, Pooler
from afterbert.nn.skeleton import skeleton

#: An architecture and its backbone -> the head with fresh weights.
Builder = Callable[[Architecture, Backbone], nn.Module]

HEADS: Mapping[str, Builder] = {
    "lm_head": lambda architecture, backbone: architecture.build_lm_head(backbone),
    "pooler": lambda architecture, backbone: Pooler().build(architecture.hidden_size),
    "pair_head": lambda architecture, backbone: nn.Linear(architecture.hidden_size, 2),
    "detection_head": lambda architecture, backbone: DetectionHead(architecture.hidden_size),
}


#: Folders of other models that a model's folder may hold: what an objective trained beside its backbone.
BESIDE = ("generator",)


def shapes_of(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Returns `backbone.NAME` and `HEAD.NAME` -> the shape of every tensor that a folder of this architecture may hold.
    It allocates nothing."""
    with skeleton():
        backbone = architecture.build(Vocabulary(size=architecture.vocab_size or 1))
        parts = {"backbone": backbone, **{name: build(architecture, backbone) for name, build in HEADS.items()}}
    return {
        f"{part}.{name}": tuple(tensor.shape)
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }


def tensors_of(backbone: nn.Module, heads: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Returns the tensors of a model on the processor, under the names of `shapes_of`."""
    return {
        f"{part}.{name}": tensor.detach().cpu()
        for part, module in {"backbone": backbone, **heads}.items()
        for name, tensor in module.state_dict().items()
    }
