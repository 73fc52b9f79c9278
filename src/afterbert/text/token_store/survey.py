"""The first pass over the texts: which documents there are, which of them or of their sections are held out or seen
twice, and a sample to learn a tokenizer from.

Everything follows from the content of a document, never from its place or from the number of processes.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np

from afterbert.base.rows import starts_of
from afterbert.text.files.documents import LANGUAGES, PAIR, Tally
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.changes import CharacterCounts
from afterbert.text.sources import SourcePart
from afterbert.text.token_store.near_duplicates import NEAR_DUPLICATE, PERMUTATIONS, near_duplicates, sketches_of
from afterbert.text.token_store.sample import LanguageSamples
from afterbert.text.token_store.sections import DROPPED, TRAIN, Contents, hashes_by_section, sections_of
from afterbert.text.token_store.workers import in_order

DUPLICATE = "exact duplicate"


@dataclass(frozen=True)
class PartSurvey:
    """A survey of one part. languages: those named; characters: code point -> count; sketches: uint32 [D, 128], of
    documents where near duplicates are looked for; samples: of its texts."""

    contents: Contents
    languages: frozenset[str]
    characters: Mapping[int, int]
    tally: Tally
    sketches: np.ndarray | None = None
    samples: LanguageSamples | None = None


@dataclass
class Survey:
    """A survey of all parts, in their order, with S sections in all. fates: uint8 [S], one of DROPPED, TRAIN, HELD_OUT;
    part_documents, part_sections: int64 [parts + 1], where the documents and sections of each part start; characters:
    code point -> count, of all that was read; corpus_bytes: of what is kept; sample: texts of the training split."""

    contents: Contents
    fates: np.ndarray
    part_documents: np.ndarray
    part_sections: np.ndarray
    languages: list[str]
    characters: Mapping[int, int]
    tally: Tally
    sample: list[str] = field(default_factory=list)

    @property
    def corpus_bytes(self) -> int:
        return int(self.contents.sizes[self.fates != DROPPED].sum())


def survey(
    parts: Sequence[SourcePart],
    policy: Policy,
    *,
    held_out: float,
    sample_bytes: int,
    smoothing: float | None,
    processes: int,
    progress: Callable[[int], None],
) -> Survey:
    """Reads all parts once. Memory: some 40 bytes for each document and each 4 kB of long ones, and the sample. Raises
    UserError.

    held_out: the share of the text to hold out. smoothing: see `LanguageSamples`. progress: told the bytes of each part
    that was read.
    """
    samples = LanguageSamples(sample_bytes, smoothing)
    tasks = ((part, samples.limits()) for part in parts)
    found: list[PartSurvey] = []
    for part, one in zip(parts, in_order(SurveyPart(policy, sample_bytes, smoothing), tasks, processes=processes)):
        if one.samples is not None:
            samples.join(one.samples)
        found.append(replace(one, samples=None))
        progress(part.num_bytes)
    together = gathered(found, policy, held_out=held_out)
    trained = np.unique(together.contents.section_hashes[together.fates == TRAIN])
    for text in samples.texts():
        sections = sections_of(text.encode())
        is_pair = PAIR in text
        hashes = np.array(hashes_by_section(sections, is_pair=is_pair), np.uint64)
        # sorted once: `np.isin` would sort all sections again for each text
        is_trained = trained.searchsorted(hashes, side="right") > trained.searchsorted(hashes)
        seen = (b"\n" if is_pair else b"").join(compress(sections, is_trained))
        together.sample += [seen.decode()] if seen else []
    return together


def gathered(found: Sequence[PartSurvey], policy: Policy, *, held_out: float) -> Survey:
    """Joins the surveys of all parts, from what each of them holds; without a sample. Raises UserError."""
    tally = sum((one.tally for one in found), Tally())
    policy.check(tally)
    contents = Contents.joined([one.contents for one in found])
    _count_dropped(tally, DUPLICATE, len(contents.hashes) - len(np.unique(contents.hashes)))
    is_near = None
    if policy.near_duplicates is not None:
        sketches = np.concatenate([one.sketches for one in found if one.sketches is not None])
        is_near = near_duplicates(contents, sketches, policy.near_duplicates)
        _count_dropped(tally, NEAR_DUPLICATE, int(is_near.sum()))
    return Survey(
        contents,
        contents.fates(held_out=held_out, is_near=is_near),
        starts_of(np.array([len(one.contents.hashes) for one in found])),
        starts_of(np.array([len(one.contents.section_hashes) for one in found])),
        sorted({name for one in found for name in one.languages}),
        sum((Counter(one.characters) for one in found), Counter()),
        tally,
    )


@dataclass(frozen=True)
class SurveyPart:
    """Surveys one part; the task is the part and the highest sample keys that can still be of use."""

    policy: Policy
    sample_bytes: int
    smoothing: float | None

    def __call__(self, task: tuple[SourcePart, Mapping[str, int]]) -> PartSurvey:
        part, limits = task
        tally, samples = Tally(), LanguageSamples(self.sample_bytes, self.smoothing, limits)
        languages, characters, sketches = set(), CharacterCounts(), list[np.ndarray]()
        looks_for_near = self.policy.near_duplicates is not None

        def documents() -> Iterator[bytes]:
            for document in part.documents(self.policy, tally):
                raw = document.text.encode()
                languages.update((document.language or "").split(LANGUAGES))
                characters.add(document.text)
                if looks_for_near:
                    sketches.append(sketches_of([document.text]))
                samples.offer(document.language or "", raw, document.text)
                yield raw

        contents = Contents.of(documents())
        nothing = np.zeros((0, PERMUTATIONS), dtype=np.uint32)
        together = np.concatenate([nothing, *sketches]) if looks_for_near else None
        return PartSurvey(contents, frozenset(languages), characters.total(), tally, together, samples)


def _count_dropped(tally: Tally, why: str, count: int) -> None:
    if count:
        tally.dropped[why] += count
        tally.kept -= count
