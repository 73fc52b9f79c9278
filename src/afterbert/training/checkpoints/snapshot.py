"""What must be remembered of a module, its optimizer and the generators, as named tensors and JSON; and back."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from afterbert.base.errors import UserError
from afterbert.objectives.modules import ObjectiveModule
from afterbert.training.checkpoints.generators import Generators
from afterbert.training.distribution.pieces import any_piece, in_one, is_piece, like


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and persistent buffers by name; tied ones once, under their first name."""
    found: dict[str, torch.Tensor] = {}
    seen: set[tuple] = set()
    first_names = dict(module.named_parameters())
    for name, tensor in module.state_dict().items():
        if is_piece(tensor):  # has no place of its own in memory
            found |= {name: tensor} if name in first_names else {}
            continue
        place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device)
        if tensor.numel() and place in seen:
            continue
        seen.add(place)
        found[name] = tensor
    return found


def whole_weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """Gathers the weights of a module in shards, in one piece. Collective; all processes get all."""
    return {name: in_one(tensor) for name, tensor in weights(module).items()}


@torch.no_grad()
def restore_weights(module: nn.Module, saved: Mapping[str, torch.Tensor]) -> None:
    """Copies saved weights into the module's own memory. Raises UserError when names or shapes differ."""
    own = weights(module)
    expected = {name: tuple(tensor.shape) for name, tensor in own.items()}
    found = {name: tuple(tensor.shape) for name, tensor in saved.items()}
    if expected != found:
        name = next(n for n in [*expected, *found] if expected.get(n) != found.get(n))
        raise UserError(
            f"the checkpoint does not fit the model: weight '{name}' is {found.get(name, 'absent')} there, "
            f"{expected.get(name, 'absent')} here; resume with the recipe and the version that began the run"
        )
    for name, tensor in own.items():
        tensor.copy_(like(saved[name], tensor))


def placed(module: nn.Module) -> Callable[[str, torch.Size], torch.Tensor | None] | None:
    """Tells where the tensors of a checkpoint belong, for a module in shards; None for a whole one."""
    own = weights(module)
    if not any_piece(own):
        return None

    def place(name: str, shape: torch.Size) -> torch.Tensor | None:
        tensor = own.get(name, own.get(name.rpartition(".")[0]))  # an optimizer's are called parameter.key
        return tensor if tensor is not None and is_piece(tensor) and tensor.shape == shape else None

    return place


@dataclass(frozen=True)
class OptimizerState:
    """An optimizer's per-parameter state by parameter name: tensors as `name.key`, all else as name -> key -> value."""

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    scalars: dict[str, dict[str, Any]] = field(default_factory=dict)


def optimizer_state(optimizer: torch.optim.Optimizer, module: nn.Module) -> OptimizerState:
    """Returns the state of all parameters that have one."""
    names: dict[torch.Tensor, str] = {parameter: name for name, parameter in module.named_parameters()}
    state = OptimizerState()
    for parameter, entries in optimizer.state.items():
        for key, value in entries.items():
            if isinstance(value, torch.Tensor):
                state.tensors[f"{names[parameter]}.{key}"] = value
            else:
                state.scalars.setdefault(names[parameter], {})[key] = value
    return state


def restore_optimizer(optimizer: torch.optim.Optimizer, module: nn.Module, saved: OptimizerState) -> None:
    """Puts saved state in place of the optimizer's own; hyper-parameters stay as they are.

    Raises UserError if the state belongs to parameters that the module does not have.
    """
    by_name: dict[str, dict[str, Any]] = {name: dict(entries) for name, entries in saved.scalars.items()}
    for full_name, tensor in saved.tensors.items():
        name, key = full_name.rsplit(".", 1)
        by_name.setdefault(name, {})[key] = tensor
    plain = optimizer.state_dict()  # its numbering of parameters, group by group
    numbers = [number for group in plain["param_groups"] for number in group["params"]]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    number_of = dict(zip(parameters, numbers))
    named = {name: number_of[p] for name, p in module.named_parameters() if p in number_of}
    strange = sorted(by_name.keys() - named.keys())
    if strange:
        raise UserError(
            f"the checkpoint's optimizer knows a parameter '{strange[0]}' that is not trained here; "
            "resume with the recipe and the version that began the run"
        )
    own = dict(module.named_parameters())
    state = {
        named[name]: {
            key: like(value, own[name]) if isinstance(value, torch.Tensor) else value for key, value in entries.items()
        }
        for name, entries in by_name.items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": plain["param_groups"]})


@contextmanager
def undisturbed(module: ObjectiveModule, device: torch.device) -> Iterator[None]:
    """Puts the module in eval mode, without gradients, inside the block; then module and generators are as before."""
    modes = {part: part.training for part in module.modules()}
    generators, memory = Generators.now(device), module.carried_state()
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, was_training in modes.items():
            part.training = was_training
        module.load_carried_state(memory)
        generators.put_back(device)
