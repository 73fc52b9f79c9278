"""The texts encoded: each part of a source becomes a folder of plain arrays, with all documents in it. What is held
out, and what was seen twice, is settled when all parts are there (`encoded.py`)."""

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
from afterbert.text.pieces.changes import CharacterCounts
from afterbert.text.pieces.decoding import PieceDecoder
from afterbert.text.pieces.encoding import EncodedTexts, PieceEncoder
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.planes import Plane
from afterbert.text.sources import SourcePart
from afterbert.text.token_store.near_duplicates import sketches_of
from afterbert.text.token_store.part_files import PartWriter, made_once, part_folder
from afterbert.text.token_store.sections import Contents, sections_of

#: the plane that follows from what is a document of the store, and no more from the text
DOCUMENT_PLANE = "document_start"
_BATCH_CHARACTERS = 1_000_000
_BATCH_DOCUMENTS = 10_000
_MOST_LANGUAGES = 256  # a byte a section


class PartReport(NamedTuple):
    """languages: names of the codes in this part alone; characters: (code point, count); tally: of the part, as JSON
    holds it."""

    languages: list[str]
    characters: list[tuple[int, int]]
    tally: dict[str, Any]
    warnings: list[str]


@dataclass(frozen=True)
class EncodePart:
    """Encodes all documents of a part, whatever becomes of them, into `folder / part-N`, unless it lies there."""

    tokenizer: Tokenizer
    planes: Mapping[str, Plane]
    policy: Policy
    folder: Path
    dtype: str

    def __call__(self, task: tuple[int, SourcePart]) -> PartReport:
        number, part = task
        tally, codes, characters = Tally(), dict[str, int](), CharacterCounts()

        def encode(writer: PartWriter) -> Sequence[Any]:
            for documents in _in_batches(part.documents(self.policy, tally)):
                for document in documents:
                    characters.add(document.text)
                self._write(documents, codes, writer)
            return list(codes), list(characters.total().items()), vars(tally)

        return PartReport(*made_once(part_folder(self.folder, number), self.dtype, encode))

    @cached_property
    def _encoder(self) -> DocumentEncoder:
        return DocumentEncoder(self.tokenizer)

    def _write(self, documents: list[Document], codes: dict[str, int], writer: PartWriter) -> None:
        encoded, counts = self._encoder(documents)
        languages = [codes.setdefault(language or "", len(codes)) for language in encoded.languages]
        check_languages(list(codes))
        writer.append("pieces", encoded.piece_ids)
        writer.append("documents", counts)
        writer.append("pairs", np.array([PAIR in document.text for document in documents]))
        writer.append("sections", np.diff(encoded.piece_starts))
        writer.append("languages", np.array(languages))
        contents = Contents.of(document.text.encode() for document in documents)
        for name in ("hashes", "section_hashes", "sizes"):
            writer.append(name, getattr(contents, name))
        if self.policy.near_duplicates is not None:
            writer.append("sketches", sketches_of([document.text for document in documents]).reshape(-1))
        for name, plane in self.planes.items():
            if name != DOCUMENT_PLANE:
                writer.append(name, plane(encoded))


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


def _in_batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """About a megabyte of text at a time."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size >= _BATCH_CHARACTERS or len(batch) >= _BATCH_DOCUMENTS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def check_languages(languages: Sequence[str]) -> None:
    """Raises UserError for more languages than a store can hold."""
    if len(languages) > _MOST_LANGUAGES:
        raise UserError(
            f"the texts name {len(languages)} languages, a store holds {_MOST_LANGUAGES}; check that "
            f"'{languages[-1]}' is a language code"
        )
