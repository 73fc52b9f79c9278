"""From sources to a token store: get a tokenizer, encode the parts, settle what becomes of their documents, merge them.

Streaming, parallel, restartable: same texts and settings, same bytes, whatever the number of processes and
however often it was interrupted. While it works, `.work` in the store's folder holds what is done so far;
store.json is written last.
"""

import shutil
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

from afterbert.base import plugins
from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.sealed import digest_of, write_sealed
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.planes import Plane
from afterbert.text.planes.document_start import DocumentStart
from afterbert.text.planes.sentence_start import SentenceStart
from afterbert.text.planes.word_start import WordStart
from afterbert.text.sources import Source
from afterbert.text.token_store.corpus import Corpus, Progress, silent, stamps_of
from afterbert.text.token_store.coverage import warn_of_nothing_found
from afterbert.text.token_store.finishing import StoreContents, by_name, described, finish, finished_before
from afterbert.text.token_store.merging import Merge, Merged
from afterbert.text.token_store.sections import FATES
from afterbert.text.token_store.store import FILE, Store
from afterbert.text.token_store.workers import ended_by_sigterm
from afterbert.text.token_store.workplace import WORK, locked, refusing, work_folder
from afterbert.text.tokenizers import TokenizerRecipe

PLANES: tuple[Plane, ...] = (WordStart(), SentenceStart(), DocumentStart())


def prepare(
    sources: Sequence[Source],
    out: Path,
    *,
    tokenizer: TokenizerRecipe,
    planes: Sequence[Plane] = PLANES,
    policy: Policy | None = None,
    held_out: float = 0.02,
    processes: int = 1,
    least_pieces: int = 128,
    max_unknown: float = 0.1,
    smoothing: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Store:
    """Returns the token store of these sources, made in the folder `out`. Called again after an interruption it goes
    on; called again when all is done it opens what is there.

    held_out: the share of the text kept for evaluation, chosen by its content. least_pieces: fewer to train on are an
    error, and so is a larger share of unknown pieces than max_unknown. smoothing: the power S to which the languages'
    shares of the text are raised, for the tokenizer's sample and, unless another law is named, for training. overwrite:
    replaces a store that was made otherwise, once the new one is encoded. Raises UserError; SystemExit(143) on SIGTERM,
    after putting everything away.
    """
    if not sources:
        raise UserError("no sources are given; name files or folders")
    corpus = Corpus(tuple(sources), policy or Policy(), held_out, processes, progress or silent, smoothing)
    named = by_name(planes)
    stamps, settings = stamps_of(corpus.parts), corpus.settings(tokenizer, named)
    out = Path(out)
    with ended_by_sigterm(), locked(out):
        if (store := finished_before(out, settings, overwrite=overwrite)) is not None:
            return store
        work = work_folder(out, settings, last_file=FILE, overwrite=overwrite)
        with refusing(work):
            made = _tokenizer(corpus, tokenizer, work)
            corpus.check_pieces(made)
            parts = corpus.joined(corpus.encode(made, named, work, stamps=stamps), made)
            encoded = StoreContents(
                parts=parts,
                tokenizer=made,
                kind=plugins.name_of(tokenizer),
                planes=described(named),
                sources=corpus.described(parts.found),
                settings=settings,
            )
            return finish(out, encoded, least_pieces=least_pieces, max_unknown=max_unknown, progress=corpus.progress)


def add_plane(
    folder: Path, sources: Sequence[Source], plane: Plane, *, processes: int = 1, progress: Progress | None = None
) -> Store:
    """Returns a store with one more plane: its sources are read and encoded again, the ids stay. Raises UserError if
    the texts, or what is made of them, are not those of the store."""
    name, store = plugins.name_of(plane), Store.open(folder)
    settings = store.manifest["settings"]
    if name in store.planes:
        raise UserError(f"store {folder} has a plane '{name}' already; prepare a new store to make it anew")
    corpus = Corpus(tuple(sources), Policy(**settings["policy"]), settings["held_out"], processes, progress or silent)
    stamps = stamps_of(corpus.parts)
    if [digest_of(digest) for digest in corpus.digests] != settings["sources"]:
        raise UserError(f"store {folder} was not made from these texts as they are now; prepare a new store")
    with ended_by_sigterm(), locked(store.folder):
        settled = {"plane": to_plain(plane.settled()), "store": store.fingerprint}
        work = work_folder(store.folder, settled, last_file=FILE)
        merged = Merged(deepcopy(store.manifest["files"]), deepcopy(store.manifest["splits"]))
        with refusing(work):
            done = corpus.encode(store.tokenizer, {name: plane}, work, stamps=stamps)
            merge = Merge(corpus.joined(done, store.tokenizer), store.folder, {name: plane.width})
            for split in FATES:
                if merge.pieces_digest(split) != merged.files[f"{split}/pieces.bin"]["sha256"]:
                    raise UserError(
                        f"the texts no longer make the pieces of store {folder} (another version of a library?); "
                        "prepare a new store"
                    )
        for split in FATES:
            merge.planes(split, merged)
        changed = {"planes": {**store.planes, **described({name: plane})}, **vars(merged)}
        write_sealed(store.folder / FILE, {**store.manifest, **changed})
        shutil.rmtree(store.folder / WORK)
        store = Store.open(store.folder)
        warn_of_nothing_found(store, [name])
        return store


def make_tokenizer(
    sources: Sequence[Source],
    out: Path,
    *,
    tokenizer: TokenizerRecipe,
    policy: Policy | None = None,
    held_out: float = 0.02,
    processes: int = 1,
    smoothing: float | None = None,
    progress: Progress | None = None,
) -> Tokenizer:
    """Returns the tokenizer that `prepare` would make of these sources, made in the folder `out`. Raises UserError."""
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is there already and not empty; name a new folder for the tokenizer")
    corpus = Corpus(tuple(sources), policy or Policy(), held_out, processes, progress or silent, smoothing)
    with TemporaryDirectory() as work, ended_by_sigterm():
        made = _tokenizer(corpus, tokenizer, Path(work))
    made.save(out)
    return made


def _tokenizer(corpus: Corpus, recipe: TokenizerRecipe, work: Path) -> Tokenizer:
    """The tokenizer, trained on a sample of the texts unless it is there or that was done before."""
    folder, beside = work / "tokenizer", work / ".tmp-tokenizer"
    if not folder.exists():
        wanted = recipe.sample_bytes(corpus.total_bytes)
        found = corpus.survey(sample_bytes=wanted) if wanted else None
        corpus.progress(0, 1, "making the tokenizer")
        made = recipe.make(found.sample, corpus_bytes=found.corpus_bytes) if found else recipe.make([], corpus_bytes=0)
        made.save(beside)
        beside.rename(folder)
        corpus.progress(1, 1, "making the tokenizer")
    return Tokenizer.load(folder)
