"""A toy objective with everything that makes exact resume hard, and the child processes of the fault tests.

Dropout, tied weights, ragged rows, two parts of the score, memory carried from step to step.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from afterbert.base.budget import Budget
from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, starts_of
from afterbert.base.runs import RunFolder
from afterbert.objectives import Batch
from afterbert.objectives.modules import ObjectiveModule
from afterbert.pretext.pairings import Plan
from afterbert.training.checkpoints.identity import RunIdentity
from afterbert.training.config import Training
from afterbert.training.distribution.distributed import joined
from afterbert.training.distribution.launch import Launch
from afterbert.training.feed import Feed
from afterbert.training.loop import Outcome
from afterbert.training.observers import Observer
from afterbert.training.optimizers.adamw import AdamW
from afterbert.training.trainer import train

PIECES, HIDDEN, LENGTH = 40, 16, 12


class ToyPlan(Plan):
    """`size` rows of 3 to 12 pieces; the next piece is mostly the last one plus one, so there is something to learn."""

    def __init__(self, size: int, noise: Noise):
        self._size, self._noise = size, noise

    def __len__(self) -> int:
        return self._size

    def rows(self, numbers: np.ndarray) -> Rows:
        keys = np.asarray(numbers, np.uint64)
        lengths = self._noise.of("length").integers(LENGTH - 2, keys) + 3
        starts = starts_of(lengths)
        offsets = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
        first = self._noise.of("first").integers(PIECES, keys)
        ids = (np.repeat(first, lengths) + offsets) % (PIECES - 2) + 2  # 0 fills up, 1 masks
        return Rows(ids.astype(np.int32), starts, keys)


def pose(plan: Plan, numbers: np.ndarray, noise: Noise) -> Batch:
    """Guess 30% of the pieces, and for rows with an even key whether the row is long."""
    rows = plan.rows(numbers)
    chosen = np.flatnonzero(noise.of("select").uniform(rows.keys_of, rows.position_in_row) < 0.3)
    shown = rows.piece_ids.copy()
    shown[chosen] = 1
    length = int(rows.lengths.max())
    asked = np.flatnonzero(rows.keys % np.uint64(2) == 0)
    arrays = {
        "piece_ids": rows.padded(shown, fill=0, length=length),
        "positions": rows.flat_to_padded(chosen, length=length),
        "target_ids": rows.piece_ids[chosen].astype(np.int64),
        "asked_rows": asked,
        "is_long": (rows.lengths[asked] > 7).astype(np.int64),
    }
    return Batch(arrays, {"masked": len(chosen), "long": len(asked)}, rows.num_pieces, rows.keys)


class ToyBackbone(nn.Module):
    def __init__(self, dropout: float):
        super().__init__()
        self.hidden_matrices = {"mix": 1}
        self.embedding = nn.Embedding(PIECES, HIDDEN)
        self.mix = nn.Linear(HIDDEN, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN)
        self.dropout = nn.Dropout(dropout)

    def forward(self, piece_ids: torch.Tensor) -> torch.Tensor:
        is_piece = (piece_ids > 0).unsqueeze(2)
        shown = nn.functional.pad(self.dropout(self.embedding(piece_ids)) * is_piece, (0, 0, 1, 1))
        around = shown[:, :-2] + shown[:, 1:-1] + shown[:, 2:]
        return self.norm(self.dropout(torch.tanh(self.mix(around)))) * is_piece


class ToyModule(ObjectiveModule):
    """`memory`: a running mean that the next step sees, neither parameter nor buffer."""

    slot_axis = None

    def __init__(self, *, dropout: float = 0.1, carries: bool = False):
        super().__init__()
        self.backbone = ToyBackbone(dropout)
        self.decoder = nn.Linear(HIDDEN, PIECES)
        self.decoder.weight = self.backbone.embedding.weight
        self.pair = nn.Linear(HIDDEN, 2)
        self.loss_weights = {"masked": 1.0, "long": 0.5}
        self.carries = carries
        self.memory = torch.zeros(HIDDEN)

    def forward(self, arrays: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        hidden = self.backbone(arrays["piece_ids"])
        if self.carries:
            memory = self.memory.to(hidden.device)
            hidden = hidden + memory
            self.memory = 0.9 * memory + 0.1 * hidden.detach().float().mean((0, 1))
        chosen = hidden.reshape(-1, HIDDEN)[arrays["positions"]]
        masked = nn.functional.cross_entropy(self.decoder(chosen).float(), arrays["target_ids"], reduction="sum")
        long = nn.functional.cross_entropy(
            self.pair(hidden.sum(1)[arrays["asked_rows"]] / LENGTH).float(), arrays["is_long"], reduction="sum"
        )
        return {"masked": masked, "long": long}

    def predict(self, arrays: Mapping[str, torch.Tensor]) -> torch.Tensor:
        hidden = self.backbone(arrays["piece_ids"])
        return self.decoder(hidden.reshape(-1, HIDDEN)[arrays["positions"]])

    def carried_state(self) -> dict[str, torch.Tensor]:
        return {"memory": self.memory} if self.carries else {}

    def load_carried_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.memory = state.get("memory", torch.zeros(HIDDEN))


def toy_module(**options) -> ToyModule:
    """With the same fresh weights each time."""
    torch.manual_seed(5)
    return ToyModule(**options)


TWELVE = Budget(12, "steps")


def toy_training(budget: Budget = TWELVE, **changes) -> Training:
    settings = {"batch_size": 8, "log_every": 1, "optimizer": AdamW(learning_rate=0.01), "views": None, "workers": 0}
    return Training(budget=budget, **{**settings, **changes})


def toy_feed(training: Training, *, size: int = 27, pose=pose) -> Feed:
    """27 rows in batches of 8: epochs end inside batches."""
    return Feed(
        plan=lambda noise: ToyPlan(size + noise.view % 2, Noise(1)),
        pose=pose,
        noise=Noise(training.seed),
        batch_sizes=training.batch_sizes,
        views=training.views,
        order=training.order,
    )


def toy_identity(training: Training) -> RunIdentity:
    return RunIdentity({"training": to_plain(training)}, store="store-a", tokenizer="tokenizer-a")


def toy_evaluate(module: ObjectiveModule, step: int) -> dict[str, float]:
    """Draws from all generators, as a careless evaluation may."""
    torch.rand(3)
    np.random.rand()
    assert not module.training
    return {"score": float(module.decoder.bias.square().sum()), "step": float(step)}


def run_toy(
    path: Path, training: Training | None = None, *, module: ToyModule | None = None, feed=None, **options
) -> Outcome:
    """One call of train on toys, in the folder `path`."""
    training = training or toy_training()
    return train(
        RunFolder.create(path.parent, path.name),
        module or toy_module(),
        feed or toy_feed(training),
        training,
        **{"identity": toy_identity(training), **options},
    )


def losses(path: Path) -> dict[int, tuple[str, ...]]:
    """Step -> every bit of its loss, parts and gradient norm; a step that is there twice is a failure."""
    found = {}
    for record in RunFolder(path).metrics.read():
        if record["kind"] == "step":
            assert record["step"] not in found, f"step {record['step']} is there twice"
            values = [record["loss"], *record["parts"].values(), record["grad_norm"]]
            found[record["step"]] = tuple(float(value).hex() for value in values)
    return found


def weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights of the newest checkpoint, optimizer and memory beside them."""
    from afterbert.training.checkpoints.checkpoint import Checkpoints

    saved, _ = Checkpoints(path / "checkpoints", keep=1).latest()
    assert saved is not None
    files = {name: saved.tensors(name) for name in ("model", "optim", "carried", "average")}
    return {f"{file}.{name}": tensor for file, tensors in files.items() for name, tensor in tensors.items()}


def assert_same_weights(one: Path, other: Path) -> None:
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        assert torch.equal(tensor, theirs[name]), name


#: How far a loss may be from that of the same run in other micro-batches or numbers of processes, as its share.
ROUNDING = {"fp32": 1e-5, "bf16": 1e-2}


class Ticks:
    """Stands for the module `time` where work is timed: each look at it is 10 ms later than the one before."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 0.01
        return self._now


class Stopped(Exception):
    """What a test throws to end a run without warning."""


@dataclass
class StopAt(Observer):
    """Ends the run after a logged step, as a crash would: nothing is saved."""

    step: int
    seen: list[str] = field(default_factory=list)

    def on_step(self, record) -> None:
        if record["step"] == self.step:
            raise Stopped

    def on_note(self, text: str) -> None:
        self.seen.append(text)


@dataclass
class Slowly(Observer):
    """Makes steps last, so that a kill strikes somewhere inside."""

    seconds: float

    def on_step(self, record) -> None:
        time.sleep(self.seconds)


def child(path: str, settings: dict, *, environment: dict | None = None, slow: float = 0.0, **options) -> None:
    """The body of a child process: one run, its outcome as the exit code."""
    os.environ.update(environment or {})
    torch.set_num_threads(1)
    training = toy_training(**settings)
    outcome = run_toy(Path(path), training, module=toy_module(carries=True), observers=[Slowly(slow)], **options)
    raise SystemExit(outcome.exit_code)


def member(path: str, settings: dict, *, rank: int, size: int, port: int, timeout: float = 20.0, **options) -> None:
    """The body of one of several processes of a run; what is printed about an error stands beside the run."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    launch = Launch(rank=rank, size=size, local_rank=rank, address="127.0.0.1", port=port)
    training = toy_training(**settings)
    module = toy_module(**options.pop("module", {}))
    observers = [observer() for observer in options.pop("observers", ())]
    try:
        with joined(launch, device=torch.device("cpu"), timeout=timeout) as processes:
            outcome = run_toy(Path(path), training, module=module, observers=observers, processes=processes, **options)
    except UserError as error:
        Path(f"{path}-said-{rank}").write_text("\n".join(error.lines))
        raise SystemExit(2) from None
    raise SystemExit(outcome.exit_code)
