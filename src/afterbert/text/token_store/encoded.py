"""The parts of a corpus, encoded, as the columns of a store: which documents are held out, and which were seen twice,
is settled here, when all of them are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from afterbert.base.rows import starts_of
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.token_store.near_duplicates import PERMUTATIONS
from afterbert.text.token_store.part_files import column_dtype
from afterbert.text.token_store.parts import DOCUMENT_PLANE, PartReport, check_languages
from afterbert.text.token_store.sections import FATES, Contents, SectionRuns
from afterbert.text.token_store.survey import PartSurvey, Survey, gathered

_READ_VALUES = 1 << 22


class EncodedPart(NamedTuple):
    """A part that lies encoded in a folder."""

    folder: Path
    report: PartReport


@dataclass(frozen=True)
class EncodedParts:
    """Parts that hold all their documents, and what the survey of all of them says of each document."""

    parts: tuple[EncodedPart, ...]
    found: Survey
    dtype: str

    @staticmethod
    def of(parts: Sequence[EncodedPart], policy: Policy, *, held_out: float, dtype: str) -> EncodedParts:
        """Settles what becomes of the documents of all parts, given in their order. Raises UserError.

        Memory: some 40 bytes for each document and each 4 kB of long ones.
        """
        surveys = [
            PartSurvey(
                Contents(*(_whole(part.folder, name) for name in ("hashes", "documents", "section_hashes", "sizes"))),
                frozenset(part.report.languages),
                dict(part.report.characters),
                Tally.from_json(part.report.tally),
                _whole(part.folder, "sketches").reshape(-1, PERMUTATIONS),
            )
            for part in parts
        ]
        found = gathered(surveys, policy, held_out=held_out)
        check_languages(found.languages)
        return EncodedParts(tuple(parts), found, dtype)

    def column(self, split: str, name: str) -> Iterator[np.ndarray]:
        """Yields the values of a column for the documents of a split, through all parts, in blocks of bounded size."""
        for number, part in enumerate(self.parts):
            lengths, fates, is_pair, runs = self._sections(number)
            mine = runs.in_split(split)
            if not mine.any():
                continue
            if name == "documents":
                yield runs.lengths[mine]
            elif name == "languages":
                codes = [self.found.languages.index(language) for language in part.report.languages]
                yield np.array(codes)[_whole(part.folder, "languages")[runs.firsts[mine]]]
            elif name == "halves":
                yield runs.halves(is_pair)[mine]
            elif name == DOCUMENT_PLANE:
                yield runs.begin_at(split)
            else:
                yield from _pieces_of(part.folder, name, self.dtype, lengths, fates == FATES[split])

    def documents_by_part(self, split: str) -> list[int]:
        """Returns how many documents of the store each part has on this side."""
        return [int(self._sections(number)[-1].in_split(split).sum()) for number in range(len(self.parts))]

    @cached_property
    def counts(self) -> tuple[int, int]:
        """Pieces to train on; documents that are kept but have no piece."""
        pieces = without = 0
        for number in range(len(self.parts)):
            *_, runs = self._sections(number)
            pieces += int(runs.lengths[runs.in_split("train")].sum())
            without += runs.without_pieces()
        return pieces, without

    def _sections(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, SectionRuns]:
        """int64 [S]: how many pieces each section of a part has; uint8 [S]: what becomes of it; bool [D]: which
        documents are pairs; the documents of the store that they make."""
        fates = self.found.fates[slice(*self.found.part_sections[[number, number + 1]])]
        counts, lengths, pairs = (
            _whole(self.parts[number].folder, name) for name in ("documents", "sections", "pairs")
        )
        return lengths, fates, pairs > 0, SectionRuns.of(counts, lengths, fates, pairs > 0)


def _whole(folder: Path, name: str) -> np.ndarray:
    """One value a document or a section: all of a column of a part."""
    kind, path = column_dtype(name, ""), folder / name
    return np.fromfile(path, kind) if path.exists() else np.zeros(0, kind)


def _pieces_of(folder: Path, name: str, dtype: str, lengths: np.ndarray, wanted: np.ndarray) -> Iterator[np.ndarray]:
    """A column of pieces for the sections [S] that are wanted, some megabytes at a time."""
    kind, starts = np.dtype(column_dtype(name, dtype)), starts_of(lengths)
    cuts = np.searchsorted(starts, np.arange(0, starts[-1], _READ_VALUES))
    with open(folder / name, "rb") as file:
        for begin, end in pairwise([*np.unique(cuts), len(lengths)]):
            if wanted[begin:end].any():
                file.seek(int(starts[begin]) * kind.itemsize)
                block = np.fromfile(file, kind, int(starts[end] - starts[begin]))
                yield block[np.repeat(wanted[begin:end], lengths[begin:end])]
