"""Whether a recipe fits into the memory of this machine, reckoned from its numbers before anything is allocated."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

import torch

from afterbert.base.errors import UserError
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.recipes.recipe import Recipe
from afterbert.training.devices import default_device

_FLOAT = 4  # bytes of a weight, a gradient, a number that an optimizer keeps
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class MemoryNeed:
    """The least memory that training needs, in bytes."""

    parameters: int
    fixed: int
    """For weights, gradients, what the optimizer keeps and, in XLNet, the segments remembered."""
    row: int
    """For what the backward pass needs of each row in memory."""

    def of(self, rows: int) -> int:
        """Returns the bytes needed with this many rows in memory at once."""
        return self.fixed + rows * self.row


def memory_need(recipe: Recipe, vocab_size: int, *, processes: int = 1) -> MemoryNeed:
    """Returns the need of the recipe's model with a vocabulary of this many pieces. It is a lower bound, since what an
    objective has beside the model, and what kernels take for a moment, are left out. processes: how many share the
    rows.

    Of each layer the backward pass keeps at least the queries, keys, values, their mean, the input of each of the two
    parts before and after its norm (8 times the width), and the feed-forward part before and after its activation.
    """
    model, training = recipe.model, recipe.training
    parameters = model.num_parameters(vocab_size) + model.num_lm_head_parameters(vocab_size)
    longest = max(length for _, length in recipe.row_lengths)
    slots = -(-training.batch_size // processes)  # each remembers the segment before
    carried = slots * getattr(model, "mem_len", 0) * model.num_hidden_layers * model.hidden_size * _FLOAT
    kept = 2 + training.optimizer.numbers_per_weight + (training.average is not None)
    fixed = carried + round(parameters * _FLOAT * kept)
    stacks = 2 if isinstance(model, EncoderDecoder) else 1
    per_piece = 8 * model.hidden_size + 2 * getattr(model, "intermediate_size", 0)
    bytes_of = 2 if training.precision == "bf16" else _FLOAT
    return MemoryNeed(parameters, fixed, stacks * model.num_hidden_layers * longest * per_piece * bytes_of)


def machine_memory(device: torch.device) -> int:
    """Returns the bytes that a process may use on this device: for a processor the least of what is built in, what a
    container is given and what `ulimit -v` says."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in map(Path, _CGROUPS):
        written = path.read_text().strip() if path.is_file() else ""
        limits += [int(written)] if written.isdigit() else []
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return min([*limits, *([soft] if soft != resource.RLIM_INFINITY else [])])


def check_memory(recipe: Recipe, vocab_size: int, *, device: torch.device | None = None, processes: int = 1) -> None:
    """Raises UserError with the figures where the recipe does not fit into this machine.

    processes: how many share the rows, and the model where `training.parallel` is fsdp. Rows that do not fit are
    refused on a processor only: a GPU says when its memory runs out, and the micro-batch is halved then.
    """
    device = device or default_device()
    need, there = memory_need(recipe, vocab_size, processes=processes), machine_memory(device)
    if recipe.training.parallel == "fsdp":
        need = MemoryNeed(need.parameters, need.fixed // processes, need.row)
    rows = recipe.training.rows_at_once
    rows = max(1, rows // processes)
    longest = max(length for _, length in recipe.row_lengths)
    model = (
        f"a model of {need.parameters / 1e6:,.1f} million parameters takes {_gb(need.fixed)} to train (weights, "
        f"gradients, {type(recipe.training.optimizer).__name__})"
    )
    if need.of(1) > there:
        raise UserError(
            f"{model} and {_gb(need.row)} for each row of {longest} pieces, this machine has {_gb(there)}; "
            "take a smaller --size, or shorter rows"
        )
    if device.type == "cpu" and need.of(rows) > there:
        fitting = (there - need.fixed) // need.row
        raise UserError(
            f"{model} and {_gb(rows * need.row)} for {rows} rows of {longest} pieces at once, this machine has "
            f"{_gb(there)}; --training.micro_batch_size {1 << (fitting.bit_length() - 1)} gives the same updates"
        )


def _gb(size: int) -> str:
    """
    >>> _gb(1_500_000_000), _gb(20_000_000)
    ('1.5 GB', '0.02 GB')
    """
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e9:.2g} GB"
