"""A model in pieces: each process holds a part of every weight, gradient and optimizer state (torch's FSDP2,
`fully_shard`; the idea is ZeRO's, 1910.02054, Section 5)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from afterbert.models import Backbone
from afterbert.nn.stack import StackModule
from afterbert.objectives.modules import ObjectiveModule
from afterbert.training.distribution.parallel import Parallel
from afterbert.training.distribution.pieces import is_piece
from afterbert.training.distribution.processes import Processes

_CALLED_TOO = ("measure", "predict", "name_pieces")  # what evaluations call beside the module itself


class Shards(Parallel):
    """Shards the module in place; its parameters are then DTensors, so the optimizer is built afterwards.

    Every layer is gathered when it is used and let go; embeddings and heads, and layers that are used more than
    once or in parts, stay gathered from the forward pass to the end of the backward pass.
    """

    meets_in_passes = True

    def __init__(self, module: ObjectiveModule, *, device: torch.device, processes: Processes):
        self.module = module
        mesh = init_device_mesh(device.type, (processes.size,))
        for layer in _layers(module):
            fully_shard(layer, mesh=mesh)
        self._root = fully_shard(module, mesh=mesh)
        for name in _CALLED_TOO:
            if hasattr(module, name):
                register_fsdp_forward_method(module, name)
        for part in module.modules():  # the room for gathered weights must not be made inside inference mode
            if isinstance(part, FSDPModule):
                part.unshard()
                part.reshard()

    def scores(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        scores = self.module(arrays)
        if len(self.module.loss_weights) > 1 and scores:
            # Processes must have gradients of the same weights: a head unused here may be in use elsewhere.
            gathered = [p for p in self.module.parameters() if p.requires_grad and not is_piece(p)]
            unused = torch.stack([p.flatten()[:1].sum() for p in gathered]).sum()
            name = next(iter(scores))
            scores[name] = scores[name] + 0 * unused
        return scores

    @contextmanager
    def apart(self) -> Iterator[None]:
        self._root.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            self._root.set_requires_gradient_sync(True)

    def idle_passes(self, own: int, processes: Processes) -> int:
        return round(processes.most(own)) - own

    def settle(self) -> None:
        self._root.reshard()


def _layers(module: nn.Module) -> list[list[nn.Module]]:
    """The parts of each layer that runs once a pass, by calling its parts as modules."""
    parts = list(module.modules())
    if any(isinstance(part, Backbone) and not part.calls_layers_once for part in parts):
        return []
    return [
        [attention, feed_forward]
        for stack in parts
        if isinstance(stack, StackModule) and not stack.cross_attention and stack.recurrence is None
        for attention, feed_forward in zip(stack.attention, stack.feed_forward)
        if len(stack.attention) == len(stack.feed_forward) == len(stack.layer_types)
    ]
