"""From what a user names, texts or stores, to one store."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from afterbert.base.config import build, digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.mixing import Mixing
from afterbert.base.mixing.exponent import Exponent
from afterbert.base.mixing.proportional import Proportional
from afterbert.base.tree import Node, override
from afterbert.downstream.finetuning.mix import TaskMix
from afterbert.objectives.mixture import MixedPlan
from afterbert.objectives.parts.blending import Blend
from afterbert.pretext.pairings import Plan
from afterbert.recipes.recipe import Recipe
from afterbert.text.pieces.unknown import UnknownPieces
from afterbert.text.sources import Source
from afterbert.text.sources._switched import switched_in
from afterbert.text.sources.txt import OF_LINES, OF_PARAGRAPHS
from afterbert.text.token_store.by_language import figures_by_language
from afterbert.text.token_store.leaks import leaks_of
from afterbert.text.token_store.mixture import MixtureStore, is_store, mix_stores, open_store
from afterbert.text.token_store.prepare import prepare
from afterbert.text.token_store.sections import LONG_DOCUMENT_BYTES
from afterbert.text.token_store.store import SPLITS, Store
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.workflows.observer import NOBODY, WorkObserver
from afterbert.workflows.pretraining import feed_of
from afterbert.workflows.text_options import TextOptions


def store_of(
    texts: Sequence[str],
    tokenizer: TokenizerRecipe,
    *,
    out: Path,
    sources: Sequence[Source] = (),
    mixing: Sequence[tuple[str, str]] = (),
    reading: TextOptions | None = None,
    observer: WorkObserver = NOBODY,
    wait: bool = True,
) -> Store:
    """Opens the store named, puts several together, or prepares one from texts.

    sources: in place of texts by name. reading: how texts are read. mixing: the law between several stores, as settings
    (`mixing`, `mixing.exponent`). A store that is prepared lies below `out`, named by what it is made from, so that it
    is found again. wait: as for `open_store`. Raises UserError.
    """
    reading = reading or TextOptions()
    law = mixing_of(mixing) if mixing else None  # refuses what is mistyped before a text is read
    are_stores = [is_store(Path(text)) for text in texts]
    if any(are_stores):
        reading.check_unsaid(texts[are_stores.index(True)])
    if len(are_stores) > 1 and all(are_stores):
        return stores_together(texts, mixing_of(mixing), out)
    if are_stores == [True]:
        store = open_store(Path(texts[0]), wait=wait)
        return store if isinstance(store, MixtureStore) and not mixing else by_its_languages(store, law, out)
    if any(are_stores):
        raise UserError("stores and texts are named together; prepare the texts first, with the stores' tokenizer")
    sources = list(sources) or reading.sources(texts)
    if not sources:
        raise UserError(
            "no text is named; name files or folders (afterbert pretrain my_texts/), or try `afterbert demo`"
        )
    made_from = {"sources": [source.digest() for source in sources], "tokenizer": to_plain(tokenizer)}
    made_from |= reading.stated()
    folder = out / "stores" / digest(made_from)
    if (folder / "store.json").is_file():
        observer.on_line(f"tokens: {folder} (prepared before)")
        return by_its_languages(open_store(folder, wait=wait), law, out)
    made = prepared(sources, folder, tokenizer=tokenizer, reading=reading, observer=observer)
    return by_its_languages(made, law, out)


def prepared(
    sources: Sequence[Source],
    out: Path,
    *,
    tokenizer: TokenizerRecipe,
    reading: TextOptions | None = None,
    observer: WorkObserver = NOBODY,
    **others: Any,
) -> Store:
    """Prepares a store in the folder `out`, telling how it goes and what was read, kept and dropped.

    reading: how texts are read. others: what else `text.token_store.prepare` takes, such as `planes`. Raises UserError.
    """
    reading = reading or TextOptions()
    with observer.working("preparing") as advance:
        options = reading.of_prepare() | others
        store = prepare(sources, out, tokenizer=tokenizer, progress=advance, **options)
    tell_store(store, observer, advises=reading.documents is None)
    for one in reading.switch:
        code = one.partition("=")[0]
        if switched_in(code) not in store.tally.noticed:
            observer.on_note(
                f"--switch {one} replaced no word: no text in {code} holds words of the list, separated by spaces or "
                "marks, or their documents have fewer than seven words"
            )
    for leak in leaks_of(store, sources, reading.policy):
        observer.on_note(str(leak))
    return store


def tell_store(store: Store, observer: WorkObserver, *, advises: bool = True) -> None:
    """Tells what was read, kept and dropped of the texts, how large both sides of the split are, where the store lies,
    and, where it `advises`, how the texts could be divided better."""
    observer.on_line(store.tally.table([*changed_by_tokenizer(store), *sides_of(store), *languages_of(store)]))
    observer.on_line(f"tokens: {store.folder}")
    noticed, documents = store.tally.noticed, sum(store.split(name).num_documents for name in SPLITS)
    if documents > store.tally.kept:
        observer.on_note(
            f"from documents longer than {LONG_DOCUMENT_BYTES:,} bytes single sections are held out, cut at ends of "
            "paragraphs, not whole documents"
        )
    if advises and (files := noticed.get(OF_PARAGRAPHS)):
        observer.on_note(
            f"text files with blank lines were taken as one document each ({files:,}); if blank lines divide "
            "documents, say --documents paragraphs; if these are books, say --documents file"
        )
    if advises and (files := noticed.get(OF_LINES)):
        observer.on_note(
            f"text files without a blank line are one document each ({files:,}); if every line is a document, say "
            "--documents line"
        )


def check_known(store: Store, most: float, *, whose: str = "", remedy: str = "") -> list[str]:
    """Returns a sentence for the user when the tokenizer does not know some pieces of a store, also of one that was
    prepared before these were counted. whose, remedy: of a store that nobody else sees. Raises UserError for a larger
    share than `most`."""
    if isinstance(store, MixtureStore):
        return [said for one in store.stores.values() for said in check_known(one, most)]
    remedy = remedy or "prepare the texts with a tokenizer that knows them (--tokenizer bpe)"
    return unknown_in(store).check(most, whose=whose or str(store.folder), remedy=remedy)


def unknown_in(store: Store) -> UnknownPieces:
    """Returns how many pieces of a store its tokenizer does not know."""
    total = sum(store.split(name).num_pieces for name in SPLITS)
    unknown = store.manifest["tokenizer"].get("unknown")
    if unknown is None:
        unknown = sum(store.split(name).count(store.vocabulary.unk) for name in SPLITS)
    return UnknownPieces(unknown, total)


def changed_by_tokenizer(store: Store) -> list[tuple[str, int, str]]:
    """Gives a row of label, count and remark for each script in whose letters the tokenizer changes something."""
    return [
        (f"  changed by the tokenizer: {script}", changed, f"{changed / total:.1%} of these letters and marks")
        for script, (changed, total) in store.manifest["tokenizer"].get("changes", {}).items()
    ]


def sides_of(store: Store) -> list[tuple[str, int, str]]:
    """Gives a row of label, count and remark for each side of a store's split, counted in pieces."""
    train, held_out = (store.split(name) for name in SPLITS)
    share = held_out.num_pieces / max(1, train.num_pieces + held_out.num_pieces)
    return [
        ("pieces to train on", train.num_pieces, f"{1 - share:.1%}, {train.num_documents:,} documents"),
        ("pieces held out", held_out.num_pieces, f"{share:.1%}, {held_out.num_documents:,} documents"),
    ]


def languages_of(store: Store) -> list[tuple[str, int, str]]:
    """Gives a row of label, pieces and remark for each language, where there are several; with the share that it is
    trained at where the store was made with a smoothing."""
    if len(store.languages) < 2:
        return []
    found, smoothing = figures_by_language(store), store.manifest["settings"].get("smoothing")
    sizes = {name: one.pieces for name, one in found.items()}
    shares, drawn = Proportional().shares(sizes), Exponent(smoothing or 0.0).shares(sizes)
    return [
        (
            f"  pieces in {name or 'no language told'}",
            one.pieces,
            f"{shares[name]:.1%}{'' if smoothing is None else f', trained at {drawn[name]:.1%}'}, {one}",
        )
        for name, one in found.items()
    ]


def mixing_of(settings: Sequence[tuple[str, str]]) -> Mixing:
    """Reads a law from `--mixing NAME` and `--mixing.KEY VALUE`; by size where none is given. Raises UserError."""
    tree = Node({"mixing": Node({"type": Node("proportional", "default")}, "default")}, "default")
    for key, value in settings:
        tree = override(tree, key, value)
    return build(Mixing, tree.value["mixing"])


def by_its_languages(store: Store, mixing: Mixing | None, root: Path) -> Store:
    """Gives the store with a law between its languages: this one, else the smoothing it was prepared with; without
    both the store itself. A folder below `root` names it. Raises UserError."""
    smoothing = store.manifest["settings"].get("smoothing")
    if mixing is None and (smoothing is None or len(store.languages) < 2):
        return store
    if isinstance(store, MixtureStore):
        raise UserError(f"{store.folder} is a mixture already; name what it mixes instead")
    return _mixed({store.folder.name: store}, mixing or Exponent(smoothing), root)


def stores_together(texts: Sequence[str], mixing: Mixing, root: Path) -> Store:
    """Makes one store of those named; a folder below `root` names them. Raises UserError."""
    paths = [Path(text) for text in texts]
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    stores = {name: open_store(path) for name, path in zip(names, paths)}
    if any(isinstance(store, MixtureStore) for store in stores.values()):
        raise UserError("one of the stores is a mixture already; name what it mixes instead")
    return _mixed(stores, mixing, root)


def _mixed(stores: Mapping[str, Store], mixing: Mixing, root: Path) -> Store:
    made_of = {"mixing": to_plain(mixing), "stores": {n: s.fingerprint for n, s in stores.items()}}
    return mix_stores(stores, mixing, root / "stores" / f"mix-{digest(made_of)}")


def mix_of(recipe: Recipe, store: Store, steps: int | None = None) -> TaskMix:
    """Counts the rows of each store in the first `steps` of a run: of so many as its budget says, or of one epoch
    where that is not said in steps or epochs."""
    training, feed = recipe.training, feed_of(recipe, store, store.split("train"))
    budget, per_epoch = training.budget, feed.steps_per_epoch
    if steps is None:
        amount = budget.amount * per_epoch if budget.unit == "epochs" else per_epoch
        steps = int(budget.amount) if budget.unit == "steps" else max(1, math.ceil(amount - 1e-9))
    blend = _blend(feed.epochs.plan(0))
    sizes = {name: len(own) for name, own in blend.plans.items()}
    drawn = np.zeros(len(sizes), dtype=np.int64)
    for begin, end, own in feed.parts:
        rows = round(round((end - begin) * steps) * own.batch_sizes.mean(begin, end))
        for part in own.epochs.parts(range(rows)):
            blend = _blend(own.epochs.plan(part.epoch))
            drawn += np.bincount(blend.sources(part.numbers % len(blend)), minlength=len(sizes))
    return TaskMix(steps, sizes, dict(zip(sizes, drawn.tolist())))


def _blend(plan: Plan) -> Blend:
    own = next(iter(plan.plans.values())) if isinstance(plan, MixedPlan) else plan
    assert isinstance(own, Blend), "the store is a mixture"
    return own
