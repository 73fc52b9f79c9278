"""How far a model, or two, put texts and words that translate each other in the same place, layer by layer."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.noise import Noise
from afterbert.interop.loaded import LoadedModel
from afterbert.probes.alignment import Measure, found_both_ways, linear_cka, normalized, rotation
from afterbert.probes.figure import Figure
from afterbert.probes.frozen_features import FrozenModel
from afterbert.probes.layer_means import Grouped, ReadTexts, layer_means
from afterbert.probes.minimal_pairs import room_for_text
from afterbert.probes.translations import translations
from afterbert.text.language_codes import check_code
from afterbert.text.parallel import numbered_lines, reader_of
from afterbert.text.parallel.table import PairTable
from afterbert.text.pieces.frame import Frame
from afterbert.text.token_store.store import Split
from afterbert.text.word_pairs import read_dictionary
from afterbert.training.devices import default_device
from afterbert.workflows.loading import load_model_or_checkpoint
from afterbert.workflows.observer import WorkObserver

#: What is compared -> in words.
LEVELS = {"sentences": "sentences (mean of their pieces)", "words": "words (mean wherever they stand)"}
LEVELS["in context"] = "words where they stand, in pairs of sentences"
_SHARE_LEARNED, _FEWEST = 0.5, 20


@dataclass(frozen=True)
class AlignmentRequest:
    """The request for a comparison."""

    model: str
    """A run or model folder, or a hub name."""
    texts: tuple[str, ...]
    """One table of pairs, a tab between, or two files that belong together line by line; one file without tabs is its
    own translation, for a model of mirrored languages."""
    other: str | None = None
    """The model that reads the second language; the same one where it is None."""
    words: str | None = None
    """A dictionary; None counts one in the texts."""
    languages: tuple[str, str] | None = None
    """Codes of both, for a model that is told languages; None takes them from a file name like `x.en-de.tsv`."""
    most: int = 1000
    length: int = 128
    layer: int | None = None
    """One layer alone, 0 for the embeddings; None for all."""


@dataclass(frozen=True)
class LayerAlignment:
    """The figures of one level at one layer: how many are found forth and back, by cosine and by CSLS; linear CKA,
    which has no interval. Beside each stands chance, and what random weights reach."""

    level: str
    layer: int
    cosine: tuple[Figure, Figure]
    csls: tuple[Figure, Figure]
    cka: Figure

    @property
    def both_ways(self) -> float:
        """The mean of forth and back by CSLS."""
        return (self.csls[0].value + self.csls[1].value) / 2


@dataclass(frozen=True)
class Alignment:
    """rotated: whether a rotation was learned on half of the pairs, as between two models it is."""

    title: str
    languages: tuple[str, str]
    rotated: bool
    layers: tuple[LayerAlignment, ...]
    notes: tuple[str, ...] = ()

    def best(self, level: str = "sentences") -> LayerAlignment:
        """Returns the layer at which most is found."""
        return max((one for one in self.layers if one.level == level), key=lambda one: one.both_ways)


def aligned(request: AlignmentRequest, observer: WorkObserver | None = None) -> Alignment:
    """Measures it. Raises UserError for models and texts that cannot be compared."""
    observer = observer or WorkObserver()
    for code in request.languages or ():
        check_code(code)
    pairs, named = read_pairs(request.texts, request.most, request.languages)
    models = [load_model_or_checkpoint(name) for name in filter(None, (request.model, request.other))]
    asked = read_dictionary(Path(request.words)) if request.words else None
    depth = models[0].architecture.num_hidden_layers
    if not 0 <= (request.layer or 0) <= depth:
        raise UserError(f"--layer {request.layer}: the model has {depth} layers; name one of 0 (embeddings) to {depth}")
    found = align_models(
        models, pairs, languages=request.languages or named, dictionary=asked, length=request.length, observer=observer
    )
    return (
        found
        if request.layer is None
        else replace(found, layers=tuple(one for one in found.layers if one.layer == request.layer))
    )


def read_pairs(
    texts: Sequence[str], most: int, languages: tuple[str, str] | None = None
) -> tuple[list[tuple[str, str]], tuple[str, str] | None]:
    """Returns at most this many pairs of any layout that `prepare` reads, drawn at random, and the languages in a
    file's name. Raises UserError."""
    if len(texts) not in (1, 2):
        raise UserError(f"{len(texts)} files of texts are named; name one table of pairs, or two files line by line")
    codes = re.search(r"\b([a-z]{2,3})-([a-z]{2,3})\b", Path(texts[0]).name) if len(texts) == 1 else None
    named = (codes[1], codes[2]) if codes else None
    reader = reader_of(tuple(texts))
    if isinstance(reader, PairTable) and not any("\t" in line for _, line in numbered_lines(texts[0])):
        pairs = [(line, line) for _, line in numbered_lines(texts[0])]
    else:
        found = reader(tuple(texts), languages or named or ("first", "second"))
        pairs = [(unicodedata.normalize("NFC", one.one), unicodedata.normalize("NFC", one.other)) for one in found]
    pairs = list(dict.fromkeys(pair for pair in pairs if pair[0].strip() and pair[1].strip()))
    if len(pairs) < _FEWEST:
        raise UserError(
            f"{texts[0]} holds {len(pairs)} pairs of texts, too few to look for one among others; give more"
        )
    drawn = Noise(0).of("pairs").permutation(len(pairs), np.arange(min(most, len(pairs))))
    return [pairs[int(number)] for number in np.sort(drawn)], named


def align_models(
    models: Sequence[LoadedModel],
    pairs: Sequence[tuple[str, str]],
    *,
    languages: tuple[str, str] | None = None,
    dictionary: Sequence[tuple[str, str]] | None = None,
    length: int = 128,
    observer: WorkObserver | None = None,
) -> Alignment:
    """Compares the first texts under the first model with the second ones under the last. dictionary: None counts one.
    Raises UserError."""
    observer = observer or WorkObserver()
    sides, is_two = (models[0], models[-1]), len(models) > 1
    _check(sides, languages)
    same = all(a == b for a, b in pairs)
    if same and not (languages and languages[0] != languages[1]) and not is_two:
        raise UserError("the texts have no translation beside them, so there is nothing to find; name pairs of texts")
    texts = [[pair[side] for pair in pairs] for side in (0, 1)]
    longest = min(length, *(model.longest for model in sides))
    codes = languages or ("first", "second")
    told = [model.architecture.languages.index(code) if model.architecture.languages else None
            for model, code in zip(sides, codes)]  # fmt: skip
    frozen = [_frozen(model, number) for model, number in zip(sides, told)]
    readings = [ReadTexts.of(some, model, length=longest) for some, model in zip(texts, frozen)]
    counted = translations(*texts) if dictionary is None else dictionary
    groups, sizes = _groups(readings, counted)
    vectors = []
    with observer.working("reading texts") as advance:
        for random in (False, True):
            for side, model in enumerate(sides):
                reader = _frozen(model.from_scratch(), told[side]) if random else frozen[side]
                vectors.append(layer_means(reader, readings[side], groups[side]))
                advance(len(vectors), 4, "")
    layers = tuple(
        _compared(level, layer, [found[level][layer] for found in vectors], codes, rotates=is_two)
        for level in LEVELS
        if level in groups[0]
        for layer in range(frozen[0].num_layers + 1)
    )
    notes = [", ".join([f"{len(pairs):,} pairs of texts", *(f"{count:,} {name}" for name, count in sizes.items())])]
    notes += ["a rotation was learned on half of them, and the other half is asked"] if is_two else []
    notes += ["too few words translate each other to compare them"] if len(groups[0]) == 1 else []
    return Alignment(" and ".join(model.name for model in models), codes, is_two, layers, tuple(notes))


def parallel_figure(model: FrozenModel, file: str, *, most: int = 1000) -> Figure:
    """Returns how many sentences of a table are found, both ways, at the best layer. Raises UserError."""
    pairs, codes = read_pairs((file,), most)
    known = model.architecture.languages
    told = [known.index(code) if code in known else None for code in codes or ()] or [None, None]
    sides = [replace(model, language=number) for number in told]
    length = min(128, model.architecture.max_position_embeddings)
    readings = [ReadTexts.of([pair[n] for pair in pairs], model, length=length) for n in (0, 1)]
    return _best_found(f"sentences found of {Path(file).name}", sides, readings)


def mirrored_figure(model: FrozenModel, split: Split, *, most: int = 500) -> Figure | None:
    """Aligns held-out sentences with their mirror image: the same pieces, told as the model's other language. None if
    it has no two languages of which one is called after the other (`en`, `en-mirror`), or no sentences."""
    codes = model.architecture.languages
    if not model.architecture.is_routed or not codes[1].startswith(f"{codes[0]}-"):
        return None
    frame, starts = Frame.of(model.tokenizer), split.sentence_starts
    sizes, room = np.diff(starts), room_for_text(frame, model.architecture.max_position_embeddings)
    some = np.flatnonzero((sizes >= 6) & (sizes <= min(60, room)))
    some = some[np.unique(np.linspace(0, len(some) - 1, most).astype(int))] if len(some) else some
    if len(some) < _FEWEST:
        return None
    rows = [[*frame.before, *split.pieces(np.arange(starts[n], starts[n + 1])).tolist(), *frame.behind] for n in some]
    sides = [replace(model, language=number) for number in (0, 1)]
    return _best_found("mirrored sentences found", sides, [ReadTexts(rows, [])] * 2)


def _best_found(name: str, sides: Sequence[FrozenModel], readings: Sequence[ReadTexts]) -> Figure:
    x, y = (
        layer_means(side, reading, {"": reading.sentences})[""] for side, reading in zip(sides, readings, strict=True)
    )
    hits = [np.add(*(way.astype(int) for way in found_both_ways(here, there))) for here, there in zip(x, y)]
    best = max(range(len(hits)), key=lambda layer: hits[layer].sum())
    rows = tuple((int(right), 2) for right in hits[best])
    found = f"{name}, both ways by CSLS, at layer {best}, the best"
    return Figure(found, float(hits[best].mean() / 2), {"chance": 1 / len(rows)}, len(rows), rows=rows)


def _check(sides: tuple[LoadedModel, LoadedModel], languages: tuple[str, str] | None) -> None:
    """Raises UserError where two models, or a model and the languages, do not go together."""
    one, other = (model.architecture for model in sides)
    for what, here, there in (
        ("numbers wide", one.hidden_size, other.hidden_size),
        ("layers deep", one.num_hidden_layers, other.num_hidden_layers),
    ):
        if here != there:
            raise UserError(
                f"{sides[0].name} is {here} {what} and {sides[1].name} {there}, so no layer can be turned into the "
                "other's; name two models of one size"
            )
    for model, code in zip(sides, languages or ("", "")):
        known = model.architecture.languages
        if known and code not in known:
            if code:
                raise UserError(f"{model.name} does not know the language '{code}'; {did_you_mean(code, list(known))}")
            two = ",".join(known[:2])
            raise UserError(f"{model.name} must be told the languages of its texts; name both, as in --languages {two}")


def _frozen(model: LoadedModel, language: int | None) -> FrozenModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of random weights
        return FrozenModel(model.architecture, model.backbone().to(default_device()).eval(), model.tokenizer, language)


def _groups(
    readings: Sequence[ReadTexts], dictionary: Sequence[tuple[str, str]]
) -> tuple[list[dict[str, Grouped]], dict[str, int]]:
    """For each side level -> its groups, matched by number; and how many there are of each."""
    seen = [[{word for word, _ in row} for row in reading.words] for reading in readings]
    anywhere = [set().union(*side) for side in seen]
    pairs, taken = [], [set[str](), set[str]()]
    for pair in dictionary:  # each word once, with its likeliest translation
        if all(word in known and word not in used for word, known, used in zip(pair, anywhere, taken)):
            pairs.append(pair)
            for word, used in zip(pair, taken):
                used.add(word)
    groups = [{"sentences": reading.sentences} for reading in readings]
    if len(pairs) >= _FEWEST:
        partner = dict(pairs)
        rows = [
            (number, word, partner[word])
            for number, (here, there) in enumerate(zip(*seen))
            for word in sorted(here & partner.keys())
            if partner[word] in there
        ]
        some = np.sort(Noise(0).of("words").permutation(len(rows), np.arange(min(len(rows), len(seen[0])))))
        for side, (reading, group) in enumerate(zip(readings, groups)):
            group["words"] = reading.types({pair[side]: number for number, pair in enumerate(pairs)})
            if len(rows) >= _FEWEST:
                group["in context"] = reading.occurrences([(rows[at][0], rows[at][1 + side]) for at in some])
    sizes = {level: one.count for level, one in groups[0].items() if level != "sentences"}
    return groups, sizes


def _compared(
    level: str, layer: int, vectors: Sequence[np.ndarray], codes: tuple[str, str], *, rotates: bool
) -> LayerAlignment:
    """vectors: [G, D] each, of both sides under the models, then under random weights."""
    (x, y), (x_random, y_random) = (_ready(vectors[at], vectors[at + 1], rotates=rotates) for at in (0, 2))
    where = f"{level}, layer {layer}"
    made: dict[Measure, tuple[Figure, Figure]] = {}
    measures: tuple[Measure, ...] = ("cosine", "csls")
    for measure in measures:
        floor = found_both_ways(x_random, y_random, measure)
        one, other = (
            _figure(
                f"{where}, {measure}, {here} to {there}", hits, {"chance": 1 / len(x), "random weights": below.mean()}
            )
            for hits, below, here, there in zip(found_both_ways(x, y, measure), floor, codes, codes[::-1])
        )
        made[measure] = (one, other)
    cka, floor_cka = (linear_cka(vectors[at], vectors[at + 1]) for at in (0, 2))
    figure = Figure(f"{where}, linear CKA", cka, {"random weights": floor_cka}, len(vectors[0]))
    return LayerAlignment(level, layer, made["cosine"], made["csls"], figure)


def _ready(x: np.ndarray, y: np.ndarray, *, rotates: bool) -> tuple[np.ndarray, np.ndarray]:
    """Both as they are compared: where a rotation is learned, the half that it was not learned on."""
    if not rotates:
        return x, y
    order = Noise(0).of("halves").permutation(len(x), np.arange(len(x)))
    learned, asked = np.split(order, [round(_SHARE_LEARNED * len(x))])
    x, y = normalized(x), normalized(y)
    return x[asked] @ rotation(x[learned], y[learned]), y[asked]


def _figure(name: str, hits: np.ndarray, beside: dict[str, float]) -> Figure:
    """A share with Wilson's interval."""
    from scipy.stats import binomtest  # takes a while to import

    found = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    interval = (float(found.low), float(found.high))
    return Figure(name, float(hits.mean()), {key: float(value) for key, value in beside.items()}, len(hits), interval)
