"""Pre-training from end to end: a recipe and a store become a run folder with a model that others can load."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.runs import RunFolder, write_atomically
from afterbert.base.sealed import sealed
from afterbert.interop.auto_class import auto_class
from afterbert.interop.families import Family
from afterbert.interop.folder import export_beside, export_folder
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.own import Own
from afterbert.interop.sentences import Sentences
from afterbert.interop.written_out import heads_left_out
from afterbert.models import Architecture
from afterbert.nn.recurrence import halting_statistics
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.meaning import meaning_of_loss, told
from afterbert.pretext.posed import Posed
from afterbert.pretext.statistics import statistics_of
from afterbert.probes.held_out import HeldOutScore, held_out_score
from afterbert.probes.masked_prediction import MaskedPrediction
from afterbert.probes.picture import pictures_of
from afterbert.probes.samples import filled_sentences
from afterbert.recipes.recipe import Recipe, Resolved, resolve
from afterbert.text.pieces.spelling import piece_texts
from afterbert.text.token_store.store import Split, Store
from afterbert.training.checkpoints.checkpoint import Checkpoints
from afterbert.training.checkpoints.identity import RunIdentity
from afterbert.training.checkpoints.snapshot import restore_weights, whole_weights
from afterbert.training.devices import default_device, device_of
from afterbert.training.distribution.processes import Processes, SingleProcess
from afterbert.training.feed import Feed, feed_for
from afterbert.training.observers import Observer
from afterbert.training.trainer import Outcome, train
from afterbert.workflows.closing import Closing, closing_figures_without_training, shared_figure
from afterbert.workflows.first_look import first_look
from afterbert.workflows.gallery import gallery, plain, sample_text
from afterbert.workflows.memory import check_memory
from afterbert.workflows.model_card import model_card
from afterbert.workflows.run_folders import remember_store, store_of_run


@dataclass(frozen=True)
class PretrainingResult:
    """The outcome of a run. evaluation: the closing figures; None if it was stopped before its end."""

    run: RunFolder
    outcome: Outcome
    module: ObjectiveModule
    evaluation: Mapping[str, Any] | None


def pretrain(
    resolved: Resolved,
    store: Store,
    run: RunFolder,
    *,
    observers: Sequence[Observer] = (),
    weights: Mapping[str, Mapping[str, Tensor]] | None = None,
    device: torch.device | str | None = None,
    allow_changes: bool = False,
    processes: Processes | None = None,
    closing: Closing | None = None,
) -> PretrainingResult:
    """Trains, or goes on training, the recipe on the store, in the run folder. Several processes call it alike;
    process 0 writes what it comes to.

    weights: states to start from in place of fresh ones, see `ObjectiveModule.start_from`. closing: labelled data for
    the closing figures, besides the text itself; a run that is gone on with remembers its own. device: the GPU where
    there is one if it is None. Raises UserError for whatever the user can mend, before the first step.
    """
    processes, device = processes or SingleProcess(), torch.device(device or default_device())
    with store.verification.explains(), run.unless_refused():
        recipe = resolved.recipe
        closing = (closing or Closing()).kept_in(run, writes=processes.leads)
        closing.read()
        store = store.telling(recipe.model.languages)
        vocabulary, train_split = store.vocabulary, store.split("train")
        for task in recipe.objective.pretexts().values():
            for _, length in recipe.row_lengths:
                task.pretext.check(vocabulary, task.pretext.row_length(length))
            task.pretext.pairing.check_text(train_split)
        check_memory(recipe, vocabulary.size, device=device, processes=processes.size)
        torch.manual_seed(recipe.training.seed)
        module = recipe.objective.build(recipe.model, vocabulary).to(device)
        if not run.has_learned:  # else a checkpoint has its weights
            recipe.objective.begin(module, train_split)
        notes = [*module.start_from(weights), *_left_out(weights, module)] if weights else []
        feed = feed_of(recipe, store, train_split)
        if not run.course.exists():
            notes += first_look(recipe.objective, feed, vocabulary, seed=recipe.training.seed)
        if processes.size > 1 and recipe.training.parallel == "fsdp":
            recipe.objective.check_shards()
        if processes.leads:
            write_atomically(run.recipe, resolved.text())
            remember_store(run, store)
            known = module.meanings()
            named = {"loss": meaning_of_loss(module.loss_weights, known), "others": known}
            write_atomically(run.path / "figures.json", json.dumps(to_plain(named), indent=1))
        outcome = train(
            run,
            module,
            feed,
            recipe.training,
            identity=RunIdentity(to_plain(recipe), store.fingerprint, store.tokenizer.digest),
            evaluate=lambda trained, _: evaluate_held_out(trained, recipe, store).figures,
            observers=observers,
            flops_per_step=flops_per_step(recipe, store),
            allow_changes=allow_changes,
            processes=processes,
            notes=notes,
            check_data=store.verification.wait,
        )
        evaluation = None
        if outcome.state == "finished" and processes.size > 1 and recipe.training.parallel == "fsdp":
            state = whole_weights(module)
            module = recipe.objective.build(recipe.model, vocabulary).to(device)
            restore_weights(module, state)
        if outcome.state == "finished" and processes.leads:
            evaluation = finish(run, module, recipe, store, closing=closing)
        return PretrainingResult(run, outcome, module, evaluation)


def _left_out(weights: Mapping[str, Any], module: ObjectiveModule) -> list[str]:
    """A sentence for each head that nothing goes on from; of a pooler nobody misses it."""
    left = [name for name in weights if "." not in name and name not in module.saved_heads]
    words = [name.replace("lm_head", "language-model head").replace("_", " ") for name in left]
    return [
        f"the {word} of the weights to start from has no place in this task, so it is left out"
        for word in words
        if word not in ("backbone", "pooler")
    ]


def feed_of(recipe: Recipe, store: Store, split: Split) -> Feed:
    """Returns the training batches of a recipe."""
    rows: Any = {"length": recipe.length, "long_rows": recipe.long_rows}
    return feed_for(recipe.objective, split, recipe.training, vocabulary=store.vocabulary, **rows)


def flops_per_step(recipe: Recipe, store: Store) -> float:
    """Returns the operations of forward and backward of one step of full rows. Backward counts as twice forward (Kaplan
    et al. 2020, Section 2.1); heads, which run at chosen places only, are left out."""
    size, total = store.vocabulary.size, 0.0
    for share, rows, length in recipe.batches:
        per_token = recipe.model.flops_per_token(size, length)
        per_token += recipe.objective.flops_beside(recipe.model, size, length)
        total += share * 3.0 * per_token * rows * length
    return total


def evaluate_held_out(module: ObjectiveModule, recipe: Recipe, store: Store) -> HeldOutScore:
    """Returns the objective's own score on held-out rows; for a masked language model also `masked_accuracy` at the
    fixed question that every one is asked, whatever it was trained on. Empty if the store holds no text out."""
    split = store.split("held_out")
    if split.num_pieces == 0:
        return HeldOutScore({}, {})
    figures, counts = held_out_score(module, recipe.objective, split, store.vocabulary, length=recipe.length)
    figures |= halting_statistics(module.backbone)
    if fills_masks(module, store):
        was_training = module.training
        module.eval()
        question = MaskedPrediction(length=recipe.length)
        measured = question(module.name_pieces, split, store.tokenizer, device=device_of(module))
        figures["masked_accuracy"] = measured["measures"]["masked_accuracy"]
        module.train(was_training)
    return HeldOutScore(figures, counts)


def fills_masks(module: ObjectiveModule, store: Store) -> bool:
    """Returns whether the fixed question about masked pieces can be put to what was trained."""
    found = module.language_model
    return found is not None and found.fills_masks and store.vocabulary.mask is not None


def finish(
    run: RunFolder, module: ObjectiveModule, recipe: Recipe, store: Store, *, closing: Closing | None = None
) -> dict[str, Any]:
    """Writes what a finished run leaves for others: `model/`, the closing figures, samples and statistics
    for the report."""
    module.eval()
    family = _export(run.model, module, recipe.model, store)
    figures, counts = evaluate_held_out(module, recipe, store)
    known = module.meanings()
    own = told(known, meaning_of_loss(module.loss_weights, known), figures, counts)
    evaluation: dict[str, Any] = {"objective": figures, "own": own}
    samples: dict[str, Any] = {"corrupted": [], "filled": []}
    texts = piece_texts(store.tokenizer)
    split = store.split("held_out") if store.split("held_out").num_pieces else store.split("train")
    found = module.language_model
    if found is not None and fills_masks(module, store) and split.name == "held_out":
        device, question = device_of(module), MaskedPrediction(length=recipe.length)
        longest = found.architecture.max_position_embeddings
        evaluation |= question.of_store(module.name_pieces, store, split, device=device) | {"asked": found.said}
        samples["filled"] = filled_sentences(
            module.name_pieces, split, store.vocabulary, texts, longest=longest, device=device
        )
    asked = closing_figures_without_training(
        recipe.model, module.backbone, module.language_model, store, closing or Closing()
    )
    shared = shared_figure(recipe.model, module.backbone, store, length=min(recipe.length, 128))
    if shared is not None:
        evaluation["shared"] = asdict(shared)
    evaluation["without_training"] = [asdict(figure) for figure in asked]
    tasks = first_batches(recipe, store, split)
    for posed in tasks.values():
        drawn = pictures_of(posed, texts, count=max(1, 4 // len(tasks)))
        samples["corrupted"] += [picture.cut(60).plain() for picture in drawn]
    if tasks:
        counted = {name: statistics_of(posed) for name, posed in tasks.items()}
        write_atomically(run.path / "statistics.json", json.dumps(counted.get("", counted), indent=1))
    card = model_card(
        recipe,
        store,
        evaluation,
        notes=heads_left_out(family, tuple(module.saved_heads), run.model),
        imports="afterbert" if isinstance(family, Own) else "",
        loader=auto_class(run.model),
    )
    write_atomically(run.model / "README.md", card)
    write_atomically(run.path / "evaluation.json", json.dumps(sealed(evaluation), indent=1))
    write_atomically(run.path / "samples.json", json.dumps(samples, ensure_ascii=False))
    text = sample_text(store, split)
    exhibits = plain(gallery(text, store.folder / "tokenizer") if text else [])
    write_atomically(run.path / "tasks.json", json.dumps({"text": text, "exhibits": exhibits}, ensure_ascii=False))
    return evaluation


def first_batches(recipe: Recipe, store: Store, split: Split, *, rows: int = 64) -> dict[str, Posed]:
    """Returns each of the recipe's pretext tasks posed to some held-out rows, for samples and statistics."""
    noise, found = Noise(recipe.training.seed).of("samples"), {}
    for name, task in recipe.objective.pretexts().items():
        plan = task.plan(split, length=recipe.length, vocabulary=store.vocabulary, noise=noise)
        found[name] = task.posed(plan, np.arange(min(rows, len(plan))), noise, store.vocabulary)
    return found


def _export(out: Path, module: ObjectiveModule, architecture: Architecture, store: Store) -> Family:
    """Writes the trained backbone with its heads as a Hugging Face folder, in our own layout where no family
    computes exactly this, and in folders inside it what was trained beside it. Returns the family."""
    made_of: Any = {"vocabulary": store.vocabulary, "tokenizer": store.folder / "tokenizer"}
    family = export_folder(out, architecture, module.backbone, module.saved_heads, **made_of, or_own=True)
    for name, model in module.beside().items():
        export_beside(out / name, model, **made_of, like=family)
    if module.sentence_pooling is not None:
        Sentences(module.sentence_pooling).keep(out, architecture)
    return family


def newest_checkpoint(path: Path) -> LoadedModel:
    """Returns the model in the newest whole checkpoint of a run, finished or not. Raises UserError."""
    run = RunFolder.open(path)
    resolved = resolve(str(run.recipe))
    store = store_of_run(run)
    model, vocabulary = resolved.recipe.model, store.vocabulary
    module = resolved.recipe.objective.build(model, vocabulary)
    saved, _ = Checkpoints(run.checkpoints, keep=1).latest()
    if saved is None:
        raise UserError(f"{path} has no checkpoint yet; wait for the first one")
    restore_weights(module, {**saved.tensors("model"), **saved.tensors("average")})
    weights = _states({"backbone": module.backbone, **module.saved_heads})
    notes = (f"the run has not finished; this is its checkpoint of step {saved.step}",)
    architecture = replace(cast(Any, model), vocab_size=model.table_size(vocabulary))
    tokenizer = store.folder / "tokenizer"
    beside = {
        name: LoadedModel(f"{path} ({name})", found.architecture, store.tokenizer, _states(found.parts()), tokenizer)
        for name, found in module.beside().items()
    }
    found = LoadedModel(str(path), architecture, store.tokenizer, weights, tokenizer, notes=notes, beside=beside)
    return replace(found, pooling=module.sentence_pooling)


def _states(parts: Mapping[str, nn.Module]) -> dict[str, dict[str, Tensor]]:
    """The tensors of each part on the processor, by name."""
    return {
        part: {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}
        for part, module in parts.items()
    }
