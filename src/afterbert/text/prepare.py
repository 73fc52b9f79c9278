"""From sources to a token store: survey the texts, get a tokenizer, encode the parts, merge them.

Streaming, parallel, restartable: same texts and settings, same bytes, whatever the number of processes and
however often it was interrupted. While it works, `.work` in the store's folder holds what is done so far;
store.json is written last.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from afterbert import __version__
from afterbert.base import plugins
from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.text.corpus import Corpus, EncodedParts, Progress
from afterbert.text.coverage import warn_of_nothing_found
from afterbert.text.merging import Merged
from afterbert.text.parts import FATES
from afterbert.text.planes import Plane
from afterbert.text.planes.document_start import DocumentStart
from afterbert.text.planes.sentence_start import SentenceStart
from afterbert.text.planes.word_start import WordStart
from afterbert.text.policy import Policy
from afterbert.text.shards import record_of
from afterbert.text.sources import Source
from afterbert.text.store import FILE, FORMAT, Store, digest_of, write_manifest
from afterbert.text.survey import Survey
from afterbert.text.tokenizer import FILE as TOKENIZER_FILE
from afterbert.text.tokenizer import SETTINGS_FILE, Tokenizer
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.workers import ended_by_sigterm

PLANES: tuple[Plane, ...] = (WordStart(), SentenceStart(), DocumentStart())
WITHOUT_PIECES = "nothing left by the tokenizer"

_WORK = ".work"


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
    progress: Progress | None = None,
) -> Store:
    """The token store of these sources, in the folder `out`. Called again after an interruption it goes on;
    called again when all is done it opens what is there.

    held_out: the share of documents kept for evaluation, chosen by their content. least_pieces: fewer to
    train on are an error. Raises UserError; SystemExit(143) on SIGTERM, after putting everything away.
    """
    if not 0 <= held_out <= 0.5:
        raise UserError(f"held_out is {held_out:g}, must be between 0 and 0.5; 0.02 is usual")
    if not sources:
        raise UserError("no sources are given; name files or folders")
    corpus = Corpus(tuple(sources), policy or Policy(), held_out, processes, progress or _silent)
    named = {plugins.name_of(plane): plane for plane in planes}
    settings = {
        "made_by": f"afterbert {__version__}",
        "sources": [digest_of(digest) for digest in corpus.digests],
        "tokenizer": to_plain(tokenizer),
        "planes": {name: to_plain(plane.settled()) for name, plane in named.items()},
        "policy": to_plain(corpus.policy),
        "held_out": held_out,
    }
    out = Path(out)
    with ended_by_sigterm(), _locked(out):
        if (out / FILE).exists():
            return _finished_before(out, settings)
        work = _work_folder(out, settings)
        made, found = _survey(corpus, tokenizer, work)
        encoded = corpus.encode(made, named, found, work)
        _check_size(encoded, least_pieces)
        manifest = _merged(corpus, encoded, found, made, named, out)
        manifest["tokenizer"]["kind"] = plugins.name_of(tokenizer)
        write_manifest(out, manifest | {"settings": settings})
        shutil.rmtree(out / _WORK)
        store = Store.open(out)
        warn_of_nothing_found(store, named)
        return store


def add_plane(
    folder: Path,
    sources: Sequence[Source],
    plane: Plane,
    *,
    processes: int = 1,
    progress: Progress | None = None,
) -> Store:
    """A store with one more plane: its sources are read and encoded again, the ids stay. Raises UserError
    when the texts, or what is made of them, are not those of the store."""
    name, store = plugins.name_of(plane), Store.open(folder)
    settings = store.manifest["settings"]
    if name in store.planes:
        raise UserError(f"store {folder} has a plane '{name}' already; prepare a new store to make it anew")
    corpus = Corpus(
        tuple(sources), Policy(**settings["policy"]), settings["held_out"], processes, progress or _silent
    )
    if [digest_of(digest) for digest in corpus.digests] != settings["sources"]:
        raise UserError(f"store {folder} was not made from these texts as they are now; prepare a new store")
    with ended_by_sigterm(), _locked(store.folder):
        work = _work_folder(store.folder, {"plane": to_plain(plane.settled()), "store": store.fingerprint})
        encoded = corpus.encode(store.tokenizer, {name: plane}, corpus.survey(sample_bytes=0), work)
        merge = encoded.merge(store.folder, {name: plane.width}, store.languages)
        merged = Merged(deepcopy(store.manifest["files"]), deepcopy(store.manifest["splits"]))
        for split in FATES:
            if merge.pieces_digest(split) != merged.files[f"{split}/pieces.bin"]["sha256"]:
                raise UserError(
                    f"the texts no longer make the pieces of store {folder} (another version of a library?); "
                    "prepare a new store"
                )
        for split in FATES:
            merge.planes(split, merged)
        changed = {"planes": {**store.planes, name: _described(plane)}, **vars(merged)}
        write_manifest(store.folder, {**store.manifest, **changed})
        shutil.rmtree(store.folder / _WORK)
        store = Store.open(store.folder)
        warn_of_nothing_found(store, [name])
        return store


def _silent(done: float, total: float, phase: str) -> None:
    """Progress that nobody watches."""


def _locked(folder: Path) -> Any:
    """Holds the store's folder, made where it is missing, for this process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}; choose another place") from error
    return RunFolder(folder, kind="store").locked()


def _work_folder(out: Path, settings: Mapping[str, Any]) -> Path:
    """The folder for what is done so far; emptied when it was begun with other texts or settings. Raises
    UserError."""
    work, key = out / _WORK, digest_of(settings)
    others = {path.name for path in out.iterdir()} - {_WORK, ".lock"}
    if others and not work.exists() and FILE not in others:
        raise UserError(f"{out} is not empty ({min(others)}, ...); name a new folder")
    if not (work / key).exists():
        shutil.rmtree(work, ignore_errors=True)
        (work / key).mkdir(parents=True)
    for left in (work / key).glob(".tmp-*"):
        shutil.rmtree(left)
    return work / key


def _finished_before(out: Path, settings: Mapping[str, Any]) -> Store:
    store = Store.open(out)
    before = store.manifest["settings"]
    changed = [name for name in settings if settings[name] != before.get(name) and name != "made_by"]
    if changed:
        raise UserError(
            f"{out} holds a finished store that was made with other {', '.join(changed)}; name a new folder, or "
            "delete that one"
        )
    shutil.rmtree(out / _WORK, ignore_errors=True)  # left where it was killed after its very last step
    return store


def _survey(corpus: Corpus, recipe: TokenizerRecipe, work: Path) -> tuple[Tokenizer, Survey]:
    """The tokenizer, trained unless that was done before, and what the texts hold."""
    folder, beside = work / "tokenizer", work / ".tmp-tokenizer"
    wanted = 0 if folder.exists() else recipe.sample_bytes(corpus.total_bytes)
    found = corpus.survey(sample_bytes=wanted)
    if not folder.exists():
        corpus.progress(0, 1, "making the tokenizer")
        recipe.make(found.sample, corpus_bytes=found.corpus_bytes).save(beside)
        beside.rename(folder)
        found.sample.clear()
        corpus.progress(1, 1, "making the tokenizer")
    return Tokenizer.load(folder), found


def _check_size(encoded: EncodedParts, least_pieces: int) -> None:
    if encoded.pieces["train"] < least_pieces:
        raise UserError(
            f"the texts make only {encoded.pieces['train']:,} pieces to train on, at least {least_pieces:,} are "
            "needed; add more text"
        )


def _merged(
    corpus: Corpus,
    encoded: EncodedParts,
    found: Survey,
    tokenizer: Tokenizer,
    planes: Mapping[str, Plane],
    out: Path,
) -> dict[str, Any]:
    """Writes the files of the store; the manifest that tells of them."""
    tokenizer.save(out / "tokenizer")
    merge = encoded.merge(out, {name: plane.width for name, plane in planes.items()}, tuple(found.languages))
    merged = Merged()
    for number, split in enumerate(FATES):
        merge.split(split, merged)
        corpus.progress(number + 1, len(FATES), "writing")
    for split, record in merged.splits.items():
        digests = {name: file["sha256"] for name, file in merged.files.items() if name.startswith(split)}
        record["fingerprint"] = digest_of([tokenizer.digest, digests])
    for file in (TOKENIZER_FILE, SETTINGS_FILE):
        merged.files[f"tokenizer/{file}"] = record_of(out / "tokenizer" / file)
    tally = found.tally
    if encoded.without_pieces:
        tally.dropped[WITHOUT_PIECES] = encoded.without_pieces
        tally.kept -= encoded.without_pieces
    return {
        "format": FORMAT,
        "fingerprint": digest_of([record["fingerprint"] for record in merged.splits.values()]),
        "dtype": encoded.dtype,
        "tokenizer": {"digest": tokenizer.digest, "vocab_size": tokenizer.vocabulary.size},
        "languages": found.languages,
        "planes": {name: _described(plane) for name, plane in planes.items()},
        "splits": merged.splits,
        "files": merged.files,
        "sources": corpus.described(found),
        "tally": vars(tally),
    }


def _described(plane: Plane) -> dict[str, Any]:
    return {"width": plane.width, "settings": to_plain(plane.settled())}
