"""The second pass over the texts: each part of a source becomes a folder of plain arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from afterbert.base.errors import UserError
from afterbert.text.files.documents import LANGUAGES, PAIR, Document, Tally
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.decoding import PieceDecoder
from afterbert.text.pieces.encoding import EncodedTexts, PieceEncoder
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.planes import Plane
from afterbert.text.sources import SourcePart
from afterbert.text.token_store.part_files import PartWriter, made_once, part_folder
from afterbert.text.token_store.sections import DROPPED, FATES, SectionRuns, content_hash, sections_of

#: the plane that follows from what is a document of the store, and no more from the text
DOCUMENT_PLANE = "document_start"
_BATCH_CHARACTERS = 1_000_000
_BATCH_DOCUMENTS = 10_000


class PartTask(NamedTuple):
    """A part, and what the survey said of its documents and their sections: hashes uint64 [D], fates uint8 [S]."""

    number: int
    part: SourcePart
    hashes: np.ndarray
    fates: np.ndarray


class PartReport(NamedTuple):
    """documents, pieces: by split; without_pieces: kept documents of which the tokenizer left nothing."""

    documents: dict[str, int]
    pieces: dict[str, int]
    without_pieces: int
    warnings: list[str]


@dataclass(frozen=True)
class EncodePart:
    """Encodes one part into `folder / part-N`, unless it lies there already."""

    tokenizer: Tokenizer
    planes: Mapping[str, Plane]
    policy: Policy
    languages: tuple[str, ...]
    folder: Path
    dtype: str

    def __call__(self, task: PartTask) -> PartReport:
        def encode(writer: PartWriter) -> Sequence[Any]:
            for documents, fates in in_batches(self._kept(task)):
                self._write(documents, np.concatenate(fates), writer)
            return writer.documents, writer.pieces, writer.without_pieces

        return PartReport(*made_once(part_folder(self.folder, task.number), self.dtype, encode))

    @cached_property
    def _encoder(self) -> DocumentEncoder:
        return DocumentEncoder(self.tokenizer)

    def _kept(self, task: PartTask) -> Iterator[tuple[Document, np.ndarray]]:
        """Documents that are kept, and the fates of their sections."""
        seen = sections = 0
        for document in task.part.documents(self.policy, Tally()):
            raw = document.text.encode()
            if seen >= len(task.hashes) or content_hash(raw) != task.hashes[seen]:
                raise UserError(
                    f"{document.id} is not what it was a moment ago; prepare again when nothing writes the texts"
                )
            fates = task.fates[sections : sections + len(sections_of(raw))]
            if fates[0] != DROPPED:
                yield document, fates
            seen, sections = seen + 1, sections + len(fates)
        if seen != len(task.hashes):
            raise UserError("the texts hold fewer documents than a moment ago; prepare again when nothing writes them")

    def _write(self, documents: list[Document], fates: np.ndarray, writer: PartWriter) -> None:
        encoded, counts = self._encoder(documents)
        values = {name: plane(encoded) for name, plane in self.planes.items() if name != DOCUMENT_PLANE}
        lengths = np.diff(encoded.piece_starts)
        code_of = {name: code for code, name in enumerate(self.languages)}
        codes = np.array([code_of[language or ""] for language in encoded.languages])
        is_pair = np.array([PAIR in document.text for document in documents])
        fate_of_piece, runs = np.repeat(fates, lengths), SectionRuns.of(counts, lengths, fates, is_pair)
        halves = runs.halves(is_pair)
        writer.without_pieces += runs.without_pieces()
        for split, fate in FATES.items():
            here, mine = fate_of_piece == fate, runs.in_split(split)
            writer.append(split, "pieces", encoded.piece_ids[here])
            writer.append(split, "documents", runs.lengths[mine])
            writer.append(split, "languages", codes[runs.firsts[mine]])
            writer.append(split, "halves", halves[mine])
            if DOCUMENT_PLANE in self.planes:
                writer.append(split, DOCUMENT_PLANE, runs.begin_at(split))
            for name, value in values.items():
                writer.append(split, name, value[here])


@dataclass(frozen=True)
class DocumentEncoder:
    """The pieces of the sections of documents: those they have, or those the tokenizer makes of their texts; a section
    is a text of its own, whichever side it goes to. Beside them int64 [D], how many sections each document has."""

    tokenizer: Tokenizer

    def __call__(self, documents: Sequence[Document]) -> tuple[EncodedTexts, np.ndarray]:
        sections = [sections_of(document.text.encode()) for document in documents]
        counts = np.fromiter(map(len, sections), np.int64, len(sections))
        languages = [
            language for document, some in zip(documents, sections) for language in _languages_of(document, len(some))
        ]
        given = [document.piece_ids for document in documents if document.piece_ids is not None]
        if not given:
            return self._encoder([one.decode() for some in sections for one in some], languages), counts
        assert len(given) == len(documents), "a source holds texts or pieces, not both"
        cut = [self._cut(np.frombuffer(raw, "<i4"), some) for raw, some in zip(given, sections)]
        return self._decoder([ids for some in cut for ids in some], languages), counts

    def _cut(self, piece_ids: np.ndarray, sections: Sequence[bytes]) -> list[np.ndarray]:
        """The pieces of a document by sections; each belongs to the one in which it begins."""
        if len(sections) == 1:
            return [piece_ids]
        ends = np.cumsum(self._decoder.sizes(piece_ids))
        before = int(ends[-1]) - sum(map(len, sections))  # a space that the tokenizer put before the text
        starts = np.cumsum([len(section) for section in sections[:-1]]) + before
        return np.split(piece_ids, np.searchsorted(ends - self._decoder.sizes(piece_ids), starts))

    @cached_property
    def _encoder(self) -> PieceEncoder:
        return PieceEncoder(self.tokenizer)

    @cached_property
    def _decoder(self) -> PieceDecoder:
        return PieceDecoder(self.tokenizer)


def _languages_of(document: Document, sections: int) -> Sequence[str | None]:
    """The language of each section of a document."""
    if PAIR in document.text:
        return (document.language or "").split(LANGUAGES)
    return [document.language] * sections


def in_batches(items: Iterable[tuple[Document, Any]]) -> Iterator[tuple[list[Document], list[Any]]]:
    """Documents and what goes with each, about a megabyte of text at a time."""
    batch: list[Document] = []
    beside: list[Any] = []
    size = 0
    for document, thing in items:
        batch.append(document)
        beside.append(thing)
        size += len(document.text)
        if size >= _BATCH_CHARACTERS or len(batch) >= _BATCH_DOCUMENTS:
            yield batch, beside
            batch, beside, size = [], [], 0
    if batch:
        yield batch, beside
