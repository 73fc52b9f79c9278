"""Training of a new vocabulary's rows alone: what is new learns its place, and the model that is there stays."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from afterbert.base.budget import Budget
from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.interop.loaded import LoadedModel
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.wrapping import WrappingModule
from afterbert.recipes.recipe import resolve
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.vocabulary_change import Change
from afterbert.text.sources import Source
from afterbert.text.token_store.prepare import prepare
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.training.checkpoints.identity import RunIdentity
from afterbert.training.config import Training
from afterbert.training.devices import default_device
from afterbert.training.feed import feed_for
from afterbert.training.observers import Observer
from afterbert.training.optimizers.adamw import AdamW
from afterbert.training.schedules.constant import Constant
from afterbert.training.trainer import train
from afterbert.workflows.usual_recipes import usual_recipe

_RATE, _BATCH, _LENGTH = 1e-3, 16, 128

#: Parameters with a row for each piece.
_TABLES = ("backbone.embeddings.token.weight", "lm_head.bias", "lm_head.decoder.weight")


class NewRows(WrappingModule):
    """Trains the rows of new pieces and nothing else of the objective inside.

    rows: bool [V], which pieces are new; on the device of `inner`. The gradient of all other rows is zero, so an
    optimizer without weight decay leaves them as they are, bit for bit.
    """

    def __init__(self, inner: ObjectiveModule, rows: Tensor):
        super().__init__(inner)
        for name, parameter in inner.named_parameters():
            parameter.requires_grad_(name in _TABLES)
            if name in _TABLES:
                is_new = rows.view(-1, *[1] * (parameter.ndim - 1))
                parameter.register_hook(lambda gradient, is_new=is_new: gradient * is_new)


def warm_up(
    new: LoadedModel,
    parts: Mapping[str, nn.Module],
    change: Change,
    sources: Sequence[Source],
    *,
    steps: int,
    policy: Policy | None = None,
) -> None:
    """Trains the new rows of `parts` (`backbone` and `lm_head` of `new`) at the task that the model's kind is usually
    trained at, by the trainer that every run has.

    Raises UserError if no row is new or the texts give no row to train on, KeyboardInterrupt when a signal stops it.
    """
    if not change.new_rows:
        raise UserError("the vocabulary has no new piece, so --warm-up has nothing to train; leave it out")
    with tempfile.TemporaryDirectory() as scratch:
        change.tokenizer.save(Path(scratch, "tokenizer"))
        recipe = PretrainedTokenizer(name=str(Path(scratch, "tokenizer")))
        store = prepare(sources, Path(scratch, "store"), tokenizer=recipe, policy=policy, processes=1)
        run = RunFolder.create(Path(scratch), "run")
        train_rows(new, parts, change.new_rows, store, run, steps=steps)


def train_rows(
    new: LoadedModel,
    parts: Mapping[str, nn.Module],
    rows: Sequence[int],
    store: Store,
    run: RunFolder,
    *,
    steps: int,
    observers: Sequence[Observer] = (),
) -> None:
    """Trains only these rows of the tables, on a store made with the tokenizer of `new`, in a run folder, where it goes
    on with what was begun. Raises as `warm_up` does."""
    device, architecture = default_device(), new.architecture
    split, vocabulary = store.split("train"), store.vocabulary
    objective = resolve(usual_recipe(architecture, vocabulary)).recipe.objective
    length = min(_LENGTH, architecture.max_position_embeddings)
    training = Training(
        budget=Budget(steps, "steps"),
        optimizer=AdamW(learning_rate=_RATE, weight_decay=0.0),
        schedule=Constant(),
        batch_size=_BATCH,
        keep_checkpoints=1,
    )
    feed = feed_for(objective, split, training, vocabulary=vocabulary, length=length)
    if not len(feed.epochs.plan(0)):
        raise UserError("the texts are too short for a warm-up; leave --warm-up out, or name more text")
    inner = objective.build(architecture, vocabulary)
    inner.start_from({name: part.state_dict() for name, part in parts.items()})
    inner.to(device)
    is_new = torch.zeros(architecture.table_size(vocabulary), dtype=torch.bool, device=device)
    is_new[list(rows)] = True
    identity = RunIdentity(to_plain(objective), store.fingerprint, store.tokenizer.digest)
    module = NewRows(inner, is_new)
    outcome = train(run, module, feed, training, identity=identity, observers=observers)
    if outcome.state == "preempted":
        raise KeyboardInterrupt
    for name, trained in {"backbone": inner.backbone, **inner.saved_heads}.items():
        if name in parts:
            parts[name].load_state_dict(trained.state_dict())
