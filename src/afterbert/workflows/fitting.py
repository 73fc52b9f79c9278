"""A recipe fitted to a time: which size, batch and length some minutes pay for, on this machine and this text.

The rule: of a recipe's sizes, the largest whose time still reads twenty pieces a parameter (Hoffmann et al. 2022,
2203.15556, Section 3: where a fixed amount of computing is spent best); the smallest where none does. In a run of more
than eight thousand steps batches are twice as large after a fifth of it: from there on they teach as much a piece
(measured with `laptop`, docs/log.md), and take less time. They grow further until the run has at most twenty thousand
steps. Rows are no longer than the documents are.
"""

import json
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from afterbert.base.config import digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.runs import write_atomically
from afterbert.base.small_files import read_json_object
from afterbert.recipes.recipe import Resolved
from afterbert.text.token_store.store import Split, Store
from afterbert.training.batch_sizes import BatchSizes
from afterbert.training.config import LargerBatch
from afterbert.training.precision import name_of_device
from afterbert.workflows.memory import check_memory
from afterbert.workflows.step_time import step_times

PIECES_PER_PARAMETER = 20
MANY_STEPS, MOST_STEPS = 8_000, 20_000
_LARGER = LargerBatch(times=2, share=0.8)
GROWTH = f"[{{times: {_LARGER.times}, share: {_LARGER.share}}}]"
LENGTHS = (64, 128)


@dataclass(frozen=True)
class Fit:
    """A size, settings that go with it, and why, in sentences."""

    size: str
    settings: tuple[tuple[str, str], ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """A size of a recipe: what it has, and how fast this machine trains it; 0 if its batch does not fit into memory."""

    name: str
    parameters: int
    pieces_per_second: float


def fit(
    sizes: Sequence[str],
    measured: Callable[[str], Choice],
    split: Split,
    *,
    seconds: float,
    length: int,
    batches: BatchSizes,
    can_grow: bool = True,
    given: Collection[str] = (),
) -> Fit:
    """Returns the fit for this many seconds of training. measured: called for one size after another, smallest first,
    until one is too large. length and batches: the recipe's own; both are lower bounds, except for short documents.
    can_grow: whether batches may become larger in the course of a run. given: the settings that are not left to us."""
    chosen = measured(sizes[0])
    reasons: list[str] = []
    for name in sizes[1:]:
        larger = measured(name)
        reads = larger.pieces_per_second * seconds
        if not larger.pieces_per_second:
            reasons.append(f"not {name}: memory runs out with a batch of {max(batches.sizes)} rows")
            break
        if reads < PIECES_PER_PARAMETER * larger.parameters:
            reasons.append(
                f"not {name}: {_short(reads)} pieces in this time are less than {PIECES_PER_PARAMETER} for each of its "
                f"{_short(larger.parameters)} parameters"
            )
            break
        chosen = larger
    reads = chosen.pieces_per_second * seconds
    reasons.insert(
        0,
        f"size {chosen.name}: {_short(chosen.parameters)} parameters, {_short(reads)} pieces in this time "
        f"({chosen.pieces_per_second:,.0f} a second, {reads / max(split.num_pieces, 1):.1f} times the text)",
    )
    settings = []
    typical = split.num_pieces / max(split.num_documents, 1)
    fitting = next((each for each in LENGTHS if typical + 2 <= each), length)
    if fitting < length and "length" not in given:
        settings.append(("length", str(fitting)))
        reasons.append(f"length {fitting}: a document has {typical:.0f} pieces on average")
        length = fitting
    batch, rows = batches.sizes[0], batches.mean()
    is_free = can_grow and not {"training.batch_size", "training.batch_growth"} & {*given}
    if is_free and reads / (rows * length) > MANY_STEPS:
        settings.append(("training.batch_growth", GROWTH))
        reasons.append(
            f"batches of {_LARGER.times * batch} rows after {1 - _LARGER.share:.0%} of the run: in one of "
            f"{reads / (rows * length):,.0f} steps they teach as much a piece, in less time"
        )
        rows *= 1 + (_LARGER.times - 1) * _LARGER.share
    steps, grown = reads / (rows * length), batch
    while steps > MOST_STEPS and "training.batch_size" not in given:
        steps, grown = steps / 2, grown * 2
    if grown > batch:
        settings.append(("training.batch_size", str(grown)))
        reasons.append(f"batch {grown}: {reads / (rows * length):,.0f} steps would be more than {MOST_STEPS:,}")
    return Fit(chosen.name, tuple(settings), tuple(reasons))


def measured_choice(resolved: Resolved, store: Store, *, device: torch.device, kept: Path) -> Choice:
    """Returns the measurement of this size on this machine, from a few updates. It is noted in the file `kept`, so that
    the same question has the same answer later."""
    recipe, size = resolved.recipe, store.vocabulary.size
    parameters = recipe.model.num_parameters(size) + recipe.model.num_lm_head_parameters(size)
    asked = digest(
        {
            "model": to_plain(recipe.model),
            "objective": to_plain(recipe.objective),
            "rows": [to_plain(recipe.training.batch_sizes), recipe.length, size],
            "precision": recipe.training.precision,
            "machine": [os.cpu_count(), name_of_device(device), torch.get_num_threads()],
        }
    )
    known = read_json_object(kept) if kept.is_file() else {}
    try:
        check_memory(recipe, size, device=device)
        if asked not in known:
            found = step_times({"": resolved}, store, device=device, turns=1)[""]
            known[asked] = found.tokens / found.seconds
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(kept, json.dumps(known, indent=1, sort_keys=True) + "\n")
    except UserError:  # not a single row fits into memory
        return Choice(resolved.size or "", parameters, 0.0)
    return Choice(resolved.size or "", parameters, known[asked])


def _short(number: float) -> str:
    """
    >>> _short(1234567), _short(999)
    ('1.2 million', '999')
    """
    for scale, name in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if number >= scale:
            return f"{number / scale:.1f}{name}"
    return f"{number:.0f}"
