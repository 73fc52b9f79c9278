"""Figures of a finished model that need no fine-tuning: broken sentences from its own text, minimal pairs, and linear
probes on frozen states. Cheap enough for the end of every run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.runs import RunFolder
from afterbert.base.sealed import read_sealed, write_sealed
from afterbert.base.vocabulary import Vocabulary
from afterbert.downstream.example import Example
from afterbert.downstream.reading.data import TaskData, read
from afterbert.downstream.reading.find_task import find_task
from afterbert.downstream.tasks.minimal_pairs import MinimalPairs
from afterbert.downstream.tasks.pair_classification import PairClassification
from afterbert.downstream.tasks.regression import Regression
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.tagging import Tagging
from afterbert.models import Architecture, Backbone, LanguageModel
from afterbert.probes.broken_sentences import BrokenSentences
from afterbert.probes.figure import Figure
from afterbert.probes.frozen_features import FrozenFeatures, FrozenModel
from afterbert.probes.minimal_pairs import MinimalPairsProbe, Preferences, room_for_text, short_enough
from afterbert.probes.missing_word import MissingWord
from afterbert.probes.readings import reading_of
from afterbert.text.pieces.frame import Frame
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.token_store.store import Store
from afterbert.training.devices import device_of
from afterbert.workflows.alignment import mirrored_figure, parallel_figure, read_pairs

_ADVICE = re.compile(r";[^;]*--.*", re.DOTALL)
_SENTENCES = (SentenceClassification, PairClassification, Regression)


@dataclass(frozen=True)
class Closing:
    """The questions asked at the end of a run besides the text itself: data as `--task` names it."""

    pairs: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    parallel: tuple[str, ...] = ()
    """Tables of translations, whose sentences are looked for."""

    def read(self) -> tuple[list[TaskData], list[TaskData]]:
        """Returns all of the data. Raises UserError for whatever cannot be used, before the first step."""
        try:
            pairs = [read(find_task(spec, kind="minimal_pairs"), needs_training=False) for spec in self.pairs]
            probes = [read(find_task(spec)).with_dev() for spec in self.probes]
        except UserError as error:  # it may advise options, which a verb that asks several tasks does not have
            lines = [_ADVICE.sub("; say it in a task file, as docs/tasks.md shows", line) for line in error.lines]
            raise UserError(*lines) from error
        for data in probes:
            check_probe(data)
        for name in self.parallel:
            read_pairs((name,), 1000)
        return pairs, probes

    def kept_in(self, run: RunFolder, *, writes: bool = True) -> Closing:
        """Returns this, noted in the run folder for a resume; when it is empty, what was noted there before."""
        path = run.path / "closing.json"
        if self != Closing():
            if writes:
                write_sealed(path, asdict(self))
            return self
        if not path.is_file():
            return self
        kept = read_sealed(path, remedy="name the data again: --pairs, --probe")
        return Closing(tuple(kept["pairs"]), tuple(kept["probes"]), tuple(kept.get("parallel", ())))


def closing_figures_without_training(
    architecture: Architecture,
    backbone: Backbone,
    language_model: LanguageModel | None,
    store: Store,
    closing: Closing = Closing(),
) -> list[Figure]:
    """Returns the figures. language_model: what was trained to name pieces; None for nothing, and then no pairs are
    asked. The probes look at the backbone."""
    pairs, probes = closing.read()
    figures: list[Figure] = []
    if language_model is not None:
        asked = broken_figures(language_model, store)
        for data in pairs:
            asked += pair_figures(language_model, store.tokenizer, data)
        by = f" (by {language_model.said})" if language_model.said else ""
        figures += [replace(figure, name=figure.name + by) for figure in asked]
    looked_at = FrozenModel(architecture, backbone, store.tokenizer)
    for data in probes:
        figures += probe_figures(looked_at, data)
    found = [parallel_figure(looked_at, name) for name in closing.parallel]
    mirrored = mirrored_figure(looked_at, store.split("held_out"))
    return figures + found + ([mirrored] if mirrored else [])


def shared_figure(architecture: Architecture, backbone: Backbone, store: Store, *, length: int) -> Figure | None:
    """Returns the figure that runs of all objectives share, see `probes.missing_word`; None if nothing is held out or
    too little was asked."""
    if store.split("held_out").num_pieces == 0:
        return None
    control = _random(architecture, store.vocabulary, device_of(backbone))
    return MissingWord.of_length(length)(
        backbone, control, store.split("train"), store.split("held_out"), store.vocabulary
    )


def broken_figures(language_model: LanguageModel, store: Store) -> list[Figure]:
    """Returns the figures of held-out sentences against themselves with something broken. There are none when nothing
    is held out, when the store does not know sentences and words, when the vocabulary has no mark for what is hidden,
    or when the model reads both ways and never learned what a mask hides."""
    split, vocabulary, architecture = store.split("held_out"), store.vocabulary, language_model.architecture
    reading = reading_of(architecture)
    lacks_mark = vocabulary.mask is None and not vocabulary.sentinels and reading != "left_to_right"
    knows = {"sentence_start", "word_start"} <= set(split.plane_names)
    is_blind = architecture.is_encoder and not language_model.fills_masks
    if split.num_pieces == 0 or not knows or lacks_mark or is_blind or architecture.languages:
        return []
    room, asked = room_for_text(Frame.of(store.tokenizer), architecture.max_position_embeddings), BrokenSentences()
    return replace(asked, longest=min(asked.longest, room))(probe_of(language_model), store)


def probe_of(language_model: LanguageModel) -> MinimalPairsProbe:
    """What asks this model how likely sentences are."""
    reading = reading_of(language_model.architecture)
    return MinimalPairsProbe(language_model.predict, reading, device_of(language_model.backbone))


def pair_figures(language_model: LanguageModel, tokenizer: Tokenizer, data: TaskData) -> list[Figure]:
    """Returns one figure for each file of pairs, over pairs that are not too long for the model."""
    figures = []
    for split in data.splits:
        rows = readable(data.usable(split), tokenizer, language_model.architecture)
        if rows:
            found, shorter = preferred(language_model, tokenizer, rows)
            beside = {"chance": 0.5, "the shorter one": shorter.count(0) / len(shorter)}
            name = data.name if len(data.splits) == 1 else f"{data.name} {split}"
            figures.append(Figure(f"pairs of {name}", found.accuracy, beside, len(rows)))
    return figures


def readable(rows: Sequence[Example], tokenizer: Tokenizer, architecture: Architecture) -> list[Example]:
    """Returns the pairs that are not too long for a model."""
    pairs = [(row.texts[0], row.texts[1]) for row in rows]
    kept = short_enough(pairs, tokenizer, longest=architecture.max_position_embeddings)
    return [rows[number] for number in kept]


def preferred(
    language_model: LanguageModel, tokenizer: Tokenizer, rows: Sequence[Example]
) -> tuple[Preferences, Sequence[int]]:
    """Asks which sentence of each pair is likelier, and which is the shorter one."""
    pairs, groups = [(row.texts[0], row.texts[1]) for row in rows], [row.group for row in rows]
    found = probe_of(language_model)(tokenizer, pairs, groups)
    return found, MinimalPairs().baseline((), rows).predictions


def check_probe(data: TaskData) -> None:
    """Raises UserError for a kind of task that no linear probe answers."""
    if not isinstance(data.task, (*_SENTENCES, Tagging)):
        raise UserError(
            f"{data.name} is {name_of(data.task).replace('_', ' ')}; a probe answers sentence classification, pair "
            "classification, regression and tagging, name rows of one of these"
        )


def probe_figures(model: FrozenModel, data: TaskData, probe: FrozenFeatures | None = None) -> list[Figure]:
    """Returns the task's main metric on each labelled split besides its training rows, beside the same probe on random
    weights and the task's own baseline. When there is no other split, some training rows are held out."""
    check_probe(data)
    probe = probe or FrozenFeatures()
    if probe.layer is not None and probe.layer > model.num_layers:
        raise UserError(f"--probe.layer {probe.layer}: the model has {model.num_layers} layers (0 for its embeddings)")
    splits = [split for split in data.splits if split != "train" and any(map(data.task.is_usable, data.splits[split]))]
    if not splits:
        data, splits = data.with_dev(), ["dev"]
    train, metric = _some(data.usable("train"), probe.most_rows), data.task.metrics[0]
    asked = [row for split in splits for row in data.usable(split)]
    ends = np.cumsum([len(data.usable(split)) for split in splits])
    fresh = _random(model.architecture, model.tokenizer.vocabulary, device_of(model.backbone))
    models = {"": model, "random weights": replace(model, backbone=fresh)}
    answers = {name: _answers(one, probe, data.task, train, asked) for name, one in models.items()}
    where, figures = "the last layer" if probe.layer is None else f"layer {probe.layer}", []
    for split, end in zip(splits, ends):
        rows, baseline = data.usable(split), data.baseline(split)
        here, truths = slice(int(end) - len(rows), int(end)), [row.label for row in rows]
        beside = {
            "random weights": float(metric(answers["random weights"][here], truths)),
            baseline.name: float(metric(baseline.predictions, truths)),
        }
        of = data.name if split == "dev" else f"{data.name} {split}"
        name = f"probe of {of} on {where}, {metric.name}"
        figures.append(Figure(name, float(metric(answers[""][here], truths)), beside, len(rows)))
    return figures


def _some(rows: Sequence[Example], most: int) -> Sequence[Example]:
    """So many rows, drawn by chance: the first ones of a file may all be of one class."""
    if len(rows) <= most:
        return rows
    drawn = Noise(0).of("probe").permutation(len(rows), np.arange(most))
    return [rows[int(number)] for number in np.sort(drawn)]


def _answers(
    model: FrozenModel, probe: FrozenFeatures, task: Any, train: Sequence[Any], dev: Sequence[Any]
) -> list[Any]:
    if isinstance(task, Tagging):
        learned, asked = (probe.words(model, [row.texts for row in rows]) for rows in (train, dev))
        labels = [tag for row in train for tag in row.label]
        flat = probe.classify(np.concatenate(learned), labels, np.concatenate(asked))
        ends = np.cumsum([len(row.texts) for row in dev])
        return [tuple(flat[end - len(row.texts) : end]) for row, end in zip(dev, ends)]
    learned_rows, asked_rows = (probe.sentences(model, [row.texts for row in rows]) for rows in (train, dev))
    labels = [row.label for row in train]
    if isinstance(task, Regression):
        return probe.regress(learned_rows, labels, asked_rows)
    return probe.classify(learned_rows, labels, asked_rows)


def _random(architecture: Architecture, vocabulary: Vocabulary, device: torch.device) -> Backbone:
    """The same architecture, as it is before training. Leaves torch's generator untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return architecture.build(vocabulary).to(device).eval()
