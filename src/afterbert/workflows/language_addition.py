"""What `add-language` does: a model learns one more language, in pieces of its own, and keeps those that it has.

Everything lies in one folder, stage by stage (stores, the model to start from, the run), so that the same call goes on
after a kill where it was.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from afterbert.base.config import to_plain
from afterbert.base.destination import folder_claimed, folder_written
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.base.sealed import digest_of, read_sealed, write_sealed
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.loading import load_model
from afterbert.interop.revocabulary import with_language, with_sums, with_vocabulary
from afterbert.probes.masked_model import MaskedModel
from afterbert.probes.masked_prediction import MaskedPrediction
from afterbert.text.language_codes import check_code
from afterbert.text.languages import sources_by_language
from afterbert.text.pieces.unknown import MOST_UNKNOWN
from afterbert.text.pieces.vocabulary_change import Units, extended
from afterbert.text.sources import Source
from afterbert.text.token_store.by_language import by_language, figures_by_language
from afterbert.text.token_store.corpus import Corpus, silent
from afterbert.text.token_store.decoded import decoded_texts
from afterbert.text.token_store.mixture import is_store, open_store
from afterbert.text.token_store.prepare import prepare
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.training.devices import default_device
from afterbert.workflows.evaluation import told_to
from afterbert.workflows.loading import load_finished
from afterbert.workflows.matching_pursuit import by_company
from afterbert.workflows.observer import NOBODY, WorkObserver
from afterbert.workflows.pretrain_request import PretrainRequest, resolved_for, run_request
from afterbert.workflows.pretraining import PretrainingResult
from afterbert.workflows.stores import prepared, unknown_in
from afterbert.workflows.text_options import TextOptions
from afterbert.workflows.vocabulary_adaptation import write_model
from afterbert.workflows.warm_up import train_rows

_SAMPLE_BYTES = 50_000_000
_ASKED_ROWS = 256
_RATE = 1 / 6  # of a recipe's learning rate, which is one for new models: at all of it Japanese lost 17%, so 3%
_STARTS = {"mean": "the mean of their parts", "pursuit": "sums of pieces in like company (matching pursuit)"}

#: Language -> measure -> value.
Figures = dict[str, dict[str, float]]


@dataclass(frozen=True)
class AdditionRequest:
    """A request for one more language, as a user makes it."""

    model: str
    """A run or model folder, or a hub name."""
    texts: tuple[str, ...]
    """Files and folders in the new language."""
    language: str
    """Its code."""
    replay: tuple[str, ...] = ()
    """Text in the languages that are not to be forgotten: `en=PATH`, or a store."""
    replay_share: float = 0.8
    """The share of the rows that is replayed."""
    pieces: int = 1000
    """New pieces, at most."""
    units: Units = "pieces"
    """What becomes a piece, see `extended`."""
    warm_up: int = 200
    """Steps in which the rows of new pieces learn alone, the body frozen."""
    recipe: str = "laptop"
    """Whose task and optimizer train the whole model then."""
    overrides: tuple[tuple[str, str], ...] = ()
    """Its settings, budget and seed among them; without a learning rate a sixth of the recipe's is taken."""
    held_out: float = 0.1
    """The share of each text on which is measured what was won and lost."""
    out: Path = Path("added")
    reading: TextOptions = field(default_factory=TextOptions)
    """How the texts of the new language are read."""


@dataclass(frozen=True)
class Added:
    """start: what the new pieces began as, and the bits per byte of each way to begin. before, after: of each language;
    after is empty for a run that a signal stopped."""

    language: str
    start: str
    starts: Mapping[str, float]
    sizes: tuple[int, int]
    before: Figures
    after: Figures
    result: PretrainingResult


def add_language(request: AdditionRequest, observer: WorkObserver = NOBODY) -> Added:
    """Adds the language, or goes on with it; the run lies in `out/run`. Raises UserError for whatever the user can
    mend."""
    out = request.out
    old = with_language(load_finished(request.model), check_code(request.language))
    MaskedModel.of(old)  # refuses what cannot be asked about held-out text
    if not 0 < request.replay_share < 1:
        raise UserError(f"--replay-share is {request.replay_share:g}, must be between 0 and 1; 0.8 is usual")
    named = [f"{request.language}={path}" for path in request.texts]
    texts = sources_by_language(named, **request.reading.source_options)
    replayed = _replayed(request)
    new = _by_content(texts)
    if both := [path for content, path in _by_content(replayed).items() if content in new]:
        raise UserError(
            f"--replay names {both[0]}, which is named as {request.language} too; name each file under one language"
        )
    overrides = _gentle(request, old)
    made_of = {**asdict(request), "out": "", "overrides": (), "model": old.digests}
    made_of["texts"] = [source.digest() for source in texts]
    made_of["replayed"] = [source.digest() for source in replayed]
    made_of["replayed"] += [open_store(Path(one)).fingerprint for one in request.replay if is_store(Path(one))]
    with folder_claimed(out, made_by="add-language"):
        record = _record(out / "added.json", digest_of(to_plain(made_of)))
        replayed += _written_out(request)
        sources = {request.language: texts} | ({"replay": replayed} if replayed else {})
        if not replayed:
            observer.on_note(
                "no text of the old languages is named, so what the model forgets is not measured; name some: --replay"
            )
        if "start" not in record:
            _begin(request, old, sources, record, observer)
            write_sealed(out / "added.json", record)
        sizes = (old.tokenizer.vocabulary.size, load_model(str(out / "start")).tokenizer.vocabulary.size)
        ways = ", ".join(f"{_STARTS[way]}: {value:.3f}" for way, value in record["starts"].items())
        begun = f"new pieces begin as {_STARTS[record['start']]}"
        observer.on_line(f"{begun} (bits per byte of hidden words before any step: {ways})")
        stores = [out / "stores" / name for name in sources]
        weights = {request.language: 1 - request.replay_share, "replay": request.replay_share}
        result = run_request(
            PretrainRequest(
                texts=tuple(map(str, stores)),
                recipe=request.recipe,
                overrides=overrides,
                out=out,
                name="run",
                start=str(out / "start"),
                mixing=(("mixing", "fixed"), ("mixing.weights", json.dumps(weights))) if replayed else (),
            ),
            observer=observer,
        )
        after: Figures = {}
        if result.outcome.state == "finished":
            after = _measured(load_model(str(result.run.model)), [open_store(one) for one in stores])
            write_sealed(result.run.path / "languages.json", record | {"after": after, "added": request.language})
        return Added(request.language, record["start"], record["starts"], sizes, record["before"], after, result)


def _by_content(sources: Sequence[Source]) -> dict[str, str]:
    """A digest of what each file holds, and the file."""
    return {told.split()[0]: path for source in sources for path, told in source.digest().items()}


def _gentle(request: AdditionRequest, old: LoadedModel) -> tuple[tuple[str, str], ...]:
    """The settings, with a share of the recipe's learning rate where none is said. Raises UserError for what is
    mistyped."""
    resolved = resolved_for(PretrainRequest(recipe=request.recipe, overrides=request.overrides), old)
    rate = getattr(resolved.recipe.training.optimizer, "learning_rate", None)
    if rate is None or any(name.endswith(("learning_rate", "training.optimizer")) for name, _ in request.overrides):
        return request.overrides
    return (*request.overrides, ("training.optimizer.learning_rate", f"{rate * _RATE:.2g}"))


def _record(path: Path, made_of: str) -> dict[str, Any]:
    """What is done already. Raises UserError where another language, or other texts, are being added here."""
    if not path.is_file():
        write_sealed(path, {"made_of": made_of})
    found = read_sealed(path, remedy="delete the folder, or name another --out")
    if found["made_of"] != made_of:
        raise UserError(f"{path.parent} holds another addition (other texts or settings); name another --out")
    return found


def _replayed(request: AdditionRequest) -> list[Source]:
    """The sources of what is replayed, but for stores. Raises UserError."""
    named = [one for one in request.replay if not is_store(Path(one))]
    for one in named:
        if one.partition("=")[0] == request.language:
            raise UserError(f"--replay {one} is in the language that is added; name texts in the model's own languages")
    return sources_by_language(named)


def _written_out(request: AdditionRequest) -> list[Source]:
    """The sources of what is replayed from stores, whose texts are written out, for they are cut into other pieces."""
    named: list[str] = []
    for number, path in enumerate(map(Path, request.replay)):
        if is_store(path):
            decoded = decoded_texts(open_store(path), request.out / "replayed" / str(number))
            named += [f"{code}={file}" for code, file in decoded.items() if code != request.language]
    return sources_by_language(named)


def _begin(
    request: AdditionRequest,
    old: LoadedModel,
    sources: Mapping[str, Sequence[Source]],
    record: dict[str, Any],
    observer: WorkObserver,
) -> None:
    """Everything before the whole model trains: stores under both vocabularies, figures of the old model, the start of
    the new pieces, and their training alone. Leaves `out/start`."""
    out, had = request.out, old.tokenizer
    had.save(out / "tokenizers" / "old")
    plainly: Any = {"held_out": request.held_out, "max_unknown": 1.0, "policy": request.reading.policy}
    plainly["tokenizer"] = PretrainedTokenizer(name=str(out / "tokenizers" / "old"))
    before = [prepare(some, out / "stores" / f"old-{name}", **plainly) for name, some in sources.items()]
    record["before"] = _measured(old, before)
    corpus = Corpus(tuple(sources[request.language]), request.reading.policy, request.held_out, 1, silent)
    found = corpus.survey(sample_bytes=_SAMPLE_BYTES)
    change = extended(had, found.sample, more=request.pieces, units=request.units)
    change.tokenizer.save(out / "tokenizers" / "new")
    recipe = PretrainedTokenizer(name=str(out / "tokenizers" / "new"))
    reading = TextOptions(held_out=request.held_out, policy=request.reading.policy, max_unknown=1.0)
    stores = {
        name: prepared(some, out / "stores" / name, tokenizer=recipe, reading=reading, observer=observer)
        for name, some in sources.items()
    }
    for name, unknown in ((name, unknown_in(store)) for name, store in stores.items()):
        if unknown.unknown > MOST_UNKNOWN * unknown.total:
            words = "--units words makes pieces of whole words; or " if request.units == "pieces" else ""
            raise UserError(
                f"{unknown.of(f'the texts in {name}')}, also with its new pieces, so it would learn little of them; "
                f"{words}give the model a tokenizer that knows every text first: afterbert adapt-vocabulary --how train"
            )
    new_store = stores[request.language]
    ways = {"mean": with_vocabulary(old, change)}
    rows, sums = by_company(new_store.split("train"), len(change.parents), had.vocabulary.size)
    if len(rows):
        ways["pursuit"] = with_sums(ways["mean"], rows, sums)
    asked = {way: _measured(model, [new_store])[request.language] for way, model in ways.items()}
    record["starts"] = {way: one["bits_per_byte_of_words"] for way, one in asked.items()}
    record["start"] = min(record["starts"], key=lambda way: record["starts"][way])
    new = ways[record["start"]]
    backbone, lm_head = new.build()
    if request.warm_up and change.new_rows:
        run = RunFolder.create(out, "warm-up")
        parts = {"backbone": backbone, "lm_head": lm_head}
        observer.on_line(f"the rows of {len(change.new_rows):,} new pieces learn alone, the body frozen")
        train_rows(new, parts, change.new_rows, new_store, run, steps=request.warm_up, observers=[observer])
    with folder_written(out / "start", made_by="add-language", overwrite=True) as aside:
        write_model(aside, new, backbone, lm_head, change.tokenizer)


def _measured(model: LoadedModel, stores: Sequence[Store]) -> Figures:
    """Of each language what the model makes of its held-out text, with pieces hidden and with whole words, and what the
    vocabulary makes of all of it."""
    asked = MaskedModel.of(model, device=default_device())
    found: Figures = {}
    for store in stores:
        counted, split = figures_by_language(store), told_to(store, asked).split("held_out")
        for language, part in by_language(split, store.languages).items():
            figures = counted[language]
            found[language] = {
                "pieces_per_word": figures.pieces / max(1, figures.words),
                "unknown": figures.unknown / max(1, figures.pieces),
            }
            for unit, name in (("piece", ""), ("word", "_of_words")):
                question = MaskedPrediction(unit=unit, length=min(128, model.longest), max_rows=_ASKED_ROWS)
                measured = question(asked.language_model.predict, part, model.tokenizer, device=default_device())
                found[language][f"bits_per_byte{name}"] = measured["measures"]["bits_per_byte"]
    return found
