"""The token store: a corpus as memory-mapped arrays of pieces and planes, made by `prepare`, read by everything else.

store.json            format, counts, settings, tally, sources, a record of every file
tokenizer/            Hugging Face layout
train/, held_out/     pieces.bin (uint16 or uint32), documents.bin, sentences.bin (int64 offsets, one more than there
                      are), languages.bin (uint8 a document), halves.bin (where there are pairs, uint8 a document: 1 a
                      text, 2 its translation behind it), planes/<name>.bin (packed bits)
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.sealed import check_sealed
from afterbert.base.small_files import read_json
from afterbert.base.vocabulary import Vocabulary
from afterbert.text.files.documents import Tally
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.token_store.array_files import is_mapped, mapped, unpack
from afterbert.text.token_store.verification import Verification

FORMAT = 1
SPLITS = ("train", "held_out")
FILE = "store.json"
_BLOCK = 1 << 24


class Split:
    """One split (train, held_out) of a token store, memory-mapped; cheap to send to other processes.

    num_pieces, num_documents: int; plane_names; plane_widths: bits of each plane; document_starts: int64 [D+1]
    and sentence_starts: int64 [S+1], offsets of pieces (every document start is a sentence start); languages:
    uint8 [D], codes into the store's `languages`; fingerprint: a digest of the contents.
    """

    name: str
    num_pieces: int
    num_documents: int
    plane_names: tuple[str, ...]
    plane_widths: Mapping[str, int]
    fingerprint: str
    #: uint8: the number under which rows tell each of the store's languages; None where they do not tell it
    told_languages: np.ndarray | None = None

    def __init__(
        self, folder: Path, name: str, manifest: Mapping[str, Any], *, told_languages: np.ndarray | None = None
    ):
        record = manifest["splits"][name]
        self._folder, self._dtype = Path(folder) / name, manifest["dtype"]
        self.plane_widths = {plane: kept["width"] for plane, kept in manifest["planes"].items()}
        self.name = name
        self.num_pieces, self.num_documents = record["pieces"], record["documents"]
        self.plane_names = tuple(self.plane_widths)
        self.fingerprint = record["fingerprint"]
        self.told_languages = told_languages

    @cached_property
    def document_starts(self) -> np.ndarray:
        return mapped(self._folder / "documents.bin", "<i8")

    @cached_property
    def sentence_starts(self) -> np.ndarray:
        if "sentence_start" not in self.plane_widths:
            raise UserError(
                f"store {self._folder.parent} has no plane sentence_start; prepare it again with that plane"
            )
        return mapped(self._folder / "sentences.bin", "<i8")

    @cached_property
    def languages(self) -> np.ndarray:
        return mapped(self._folder / "languages.bin", "u1")

    def language_at(self, index: np.ndarray) -> np.ndarray:
        """Returns the number of the language of the pieces at these offsets [N], uint8 [N]."""
        assert self.told_languages is not None, "ask the split of a store that speaks"
        document = np.searchsorted(self.document_starts, index, side="right") - 1
        return self.told_languages[self.languages[document]]

    @property
    def pairs(self) -> tuple[Split, np.ndarray]:
        """The texts with a translation: the split that holds both, and int64 [P], the numbers of the documents there;
        the translation of each is the next document."""
        return self, np.flatnonzero(self._halves == 1)

    @cached_property
    def _halves(self) -> np.ndarray:
        path = self._folder / "halves.bin"
        return mapped(path, "u1") if path.is_file() else np.zeros(0, np.uint8)

    @cached_property
    def piece_counts(self) -> np.ndarray:
        """int64 [V]: how often each id up to the highest occurs; counted once, in one pass."""
        counts = np.zeros(1, dtype=np.int64)
        for block in self.blocks():
            here = np.bincount(_stretch(self, block), minlength=len(counts))
            here[: len(counts)] += counts
            counts = here
        return counts

    def pieces(self, index: np.ndarray) -> np.ndarray:
        """Returns the ids at these offsets [N], int32 [N]."""
        return self._pieces[index].astype(np.int32)

    def blocks(self) -> Iterator[range]:
        """Yields all offsets of pieces, in order, some millions at a time."""
        return (range(at, min(at + _BLOCK, self.num_pieces)) for at in range(0, self.num_pieces, _BLOCK))

    def count(self, piece: int | None) -> int:
        """Returns how often a piece stands in the split."""
        return 0 if piece is None else sum(int((_stretch(self, block) == piece).sum()) for block in self.blocks())

    def plane(self, name: str, index: np.ndarray) -> np.ndarray:
        """Returns a plane's values at these offsets [N]: bool [N], uint8 [N] if of several bits. Raises UserError."""
        if name not in self.plane_widths:
            raise UserError(
                f"store {self._folder.parent} has no plane '{name}' ({did_you_mean(name, list(self.plane_widths))}); "
                "prepare it again with that plane"
            )
        return unpack(self._packed(name), index, self.plane_widths[name])

    @cached_property
    def _pieces(self) -> np.ndarray:
        return mapped(self._folder / "pieces.bin", self._dtype)

    def _packed(self, name: str) -> np.ndarray:
        key = f"_plane_{name}"
        if key not in self.__dict__:
            self.__dict__[key] = mapped(self._folder / "planes" / f"{name}.bin", "u1")
        return self.__dict__[key]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not is_mapped(value)}


class NoText(Split):
    """A split without text, for objectives that bring rows of their own."""

    def __init__(self) -> None:
        self.name, self.fingerprint = "none", ""
        self.num_pieces = self.num_documents = 0
        self.plane_names, self.plane_widths = (), {}

    @property
    def pairs(self) -> tuple[Split, np.ndarray]:
        return self, np.zeros(0, np.int64)


class Store:
    """A finished token store.

    folder: Path; languages: names of the language codes, an empty name for texts that name none; planes: name
    -> width and settings; fingerprint: a digest of pieces, indexes and the planes it was made with.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]):
        self.folder, self.manifest = Path(folder), manifest
        self.fingerprint: str = manifest["fingerprint"]
        self.languages: tuple[str, ...] = tuple(manifest["languages"])
        self.planes: Mapping[str, Any] = manifest["planes"]
        self.verification = Verification(self.folder, manifest["files"])
        self._told_languages: np.ndarray | None = None

    @classmethod
    def open(cls, folder: Path, *, wait: bool = True) -> Store:
        """Opens one store (`open_store` in mixture.py also several as one) and compares every file with store.json.
        wait: False lets a thread compare the bulk of them, the ids and planes, while work begins; whoever relies on
        them asks `verification` before anything of it is kept.

        Raises UserError that names the file, what was expected and what was found.
        """
        store = cls(Path(folder), _read_manifest(Path(folder)))
        store.verification.begin(wait=wait)
        return store

    def split(self, name: str) -> Split:
        """Returns the split `train` or `held_out`. Raises UserError for another name."""
        if name not in SPLITS:
            raise UserError(f"a store has no split '{name}'; {did_you_mean(name, list(SPLITS))}")
        return Split(self.folder, name, self.manifest, told_languages=self._told_languages)

    def telling(self, languages: Sequence[str]) -> Store:
        """Gives the same store, whose rows tell of each piece which of these languages it is in (plane `language`, a
        number into `languages`). Raises UserError if its texts are in another one, or name none."""
        if not languages:
            return self
        strange = [name for name in self.languages if name and name not in languages]
        if strange:
            raise UserError(
                f"store {self.folder} has texts in {', '.join(strange)}, but the model knows {', '.join(languages)}; "
                f"set model.embeddings.languages to [{', '.join(sorted({*self.languages, *languages} - {''}))}], or "
                "leave these texts out"
            )
        if "" in self.languages:
            raise UserError(
                f"store {self.folder} has texts that name no language, which this model must be told; prepare them "
                "with --language"
            )
        told = copy.copy(self)
        told._told_languages = np.array([languages.index(name) for name in self.languages], dtype=np.uint8)
        return told

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that made the pieces. Raises UserError if it is another one now."""
        tokenizer = Tokenizer.load(self.folder / "tokenizer")
        expected = self.manifest["tokenizer"]["digest"]
        if tokenizer.digest != expected:
            raise UserError(
                f"{self.folder / 'tokenizer'} has the digest {tokenizer.digest[:12]}, {FILE} says {expected[:12]}; "
                "it is not the tokenizer of this store, put that one back"
            )
        return tokenizer

    def check_made_with(self, tokenizer: Tokenizer, *, whose: str, remedy: str) -> None:
        """Raises UserError if the ids of this store do not mean the pieces of this tokenizer. Whoever brings the ids of
        a store to a table of weights asks this first. whose: the tokenizer's owner, for the message."""
        if self.tokenizer.digest != tokenizer.digest:
            raise UserError(
                f"{self.folder} was made with another tokenizer than {whose} ({self.tokenizer.digest[:12]}, not "
                f"{tokenizer.digest[:12]}), so its ids mean other pieces; {remedy}"
            )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return self.tokenizer.vocabulary

    @cached_property
    def tally(self) -> Tally:
        """The account of what was read, kept, dropped and repaired."""
        return Tally.from_json(self.manifest["tally"])

    def summary(self) -> dict[str, Any]:
        """Returns the store in a few numbers, for reports: where it is, splits, tally, sources, tokenizer."""
        manifest = self.manifest
        return {
            "store": str(self.folder),
            "fingerprint": self.fingerprint,
            "splits": {
                name: {key: record[key] for key in ("documents", "pieces", "sentences", "languages")}
                for name, record in manifest["splits"].items()
            },
            "tally": self._account(),
            "sources": [{key: s[key] for key in ("name", "bytes", "documents")} for s in manifest["sources"]],
            "tokenizer": {key: manifest["tokenizer"][key] for key in ("kind", "vocab_size", "digest")},
        }

    def _account(self) -> dict[str, Any]:
        """The tally in a few numbers."""
        tally = self.tally
        return {
            "read": tally.documents + tally.pieces,
            "kept": tally.kept,
            "dropped": dict(tally.dropped),
            "repaired": dict(tally.repaired),
            "bytes": tally.bytes,
        }


def _stretch(split: Split, block: range) -> np.ndarray:
    """The pieces of a block, without a copy where the split has a file of its own."""
    return split._pieces[block.start : block.stop] if hasattr(split, "_folder") else split.pieces(np.array(block))


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    if not path.exists():
        unfinished = "its preparation was not finished; start it again, it goes on where it was"
        missing = "name a folder that `afterbert prepare` made"
        if (folder / "shard.json").exists():
            missing = "it is one shard of a store; put all of them together by `afterbert prepare --merge`"
        why = unfinished if (folder / ".work").is_dir() else missing
        raise UserError(f"{path} does not exist; {why}")
    remedy = "copy the store again or prepare it anew"
    manifest = read_json(path, remedy=remedy)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise UserError(f"{path} is no store.json of afterbert; name a folder that `afterbert prepare` made")
    if manifest["format"] > FORMAT:
        raise UserError(
            f"{path} has format {manifest['format']}, made by a newer version of afterbert; this one reads up to "
            f"{FORMAT}: upgrade it"
        )
    check_sealed(path, manifest, remedy=remedy)
    return manifest
