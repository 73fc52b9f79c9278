"""The pairings against the papers, and against BERT's release written out as the loop it is."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from afterbert.base.rows import Rows
from afterbert.pretext.pairings import Pairing
from afterbert.pretext.pairings.doc_sentences import DocSentences
from afterbert.pretext.pairings.full_sentences import FullSentences
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.pairings.segment_pair_nsp import SegmentPairNsp
from afterbert.pretext.pairings.sentence_pair_nsp import SentencePairNsp
from afterbert.pretext.pairings.sop import Sop
from afterbert.pretext.pairings.two_halves import TwoHalves
from afterbert.pretext.pairings.two_segments import TwoSegments
from invented_rows import VOCABULARY, FakeSplit, invented, noise, split_of

CLS, SEP, EOS = 2, 3, 6


def rows_of(pairing: Pairing, split: FakeSplit, length: int = 32) -> tuple[Rows, np.ndarray | None]:
    plan = pairing.plan(split, length=length, vocabulary=VOCABULARY, noise=noise())
    numbers = np.arange(len(plan))
    return plan.rows(numbers), plan.labels(numbers)


def texts(rows: Rows) -> list[list[list[int]]]:
    """The runs of text between the special pieces of each row."""
    found: list[list[list[int]]] = []
    for row in range(len(rows)):
        runs: list[list[int]] = [[]]
        for at in range(rows.row_starts[row], rows.row_starts[row + 1]):
            if rows.planes["special"][at]:
                runs.append([])
            else:
                runs[-1].append(int(rows.piece_ids[at]))
        found.append([run for run in runs if run])
    return found


def documents(split: FakeSplit) -> list[list[list[int]]]:
    """The split as lists of sentences again."""
    ids, starts = split.ids.tolist(), split.sentence_starts.tolist()
    sentences = [ids[a:b] for a, b in itertools.pairwise(starts)]
    ends = np.searchsorted(split.sentence_starts, split.document_starts)
    return [sentences[a:b] for a, b in itertools.pairwise(ends)]


@pytest.mark.parametrize(
    "pairing", [Packed(), Packed(opens="none", closes="eos", between="none"), FullSentences()], ids=str
)
def test_crossing_rows_hold_all_text_once(pairing: Pairing) -> None:
    split = invented(60)
    rows, _ = rows_of(pairing, split)
    ids = rows.piece_ids[~rows.planes["special"]]
    assert sorted(ids.tolist()) == split.ids.tolist()
    assert ids.tolist() != split.ids.tolist(), "documents stand in a new order"
    if isinstance(pairing, Packed):
        assert set(rows.lengths[:-1].tolist()) == {32}


def test_one_separator_between_documents() -> None:
    split = invented(60)
    rows, _ = rows_of(Packed(), split)
    separators = (rows.piece_ids == SEP).sum()
    assert separators == len(rows) + split.num_documents - 1
    inside, _ = rows_of(FullSentences(), split, length=10_000)
    assert len(inside) == 1 and (inside.piece_ids == SEP).sum() == split.num_documents
    assert (
        inside.planes["document"].tolist() == np.cumsum(np.insert(inside.piece_ids[:-1] == SEP, 0, False)).tolist()
    ), "a separator belongs to the document before it"


@pytest.mark.parametrize("pairing", [Packed(bounds="keep"), DocSentences()], ids=str)
def test_no_row_crosses_documents(pairing: Pairing) -> None:
    split = invented(60)
    rows, _ = rows_of(pairing, split)
    ids = rows.piece_ids[~rows.planes["special"]]
    assert sorted(ids.tolist()) == split.ids.tolist()
    document = np.searchsorted(split.document_starts, ids - 100, side="right")
    row = rows.row_of[~rows.planes["special"]]
    assert all(len(set(document[row == n])) == 1 for n in range(len(rows)))


@pytest.mark.parametrize("pairing", [FullSentences(), DocSentences()], ids=str)
def test_sentences_stay_whole_and_rows_are_full(pairing: Pairing) -> None:
    split = invented(60)
    rows, _ = rows_of(pairing, split)
    bounds = set(split.sentence_starts.tolist())
    plan = texts(rows)
    for row, runs in enumerate(plan):
        assert all(run[0] - 100 in bounds and run[-1] - 99 in bounds for run in runs), "no sentence is cut"
        if row + 1 < len(plan):
            first = plan[row + 1][0][0] - 100
            sentence = split.sentence_starts[np.searchsorted(split.sentence_starts, first) + 1] - first
            crosses = first in split.document_starts
            if not (crosses and isinstance(pairing, DocSentences)):
                assert rows.lengths[row] + sentence + crosses > 32, "one more sentence would not have fitted"


def test_a_sentence_longer_than_a_row_is_cut() -> None:
    split = split_of([[list(range(100, 175)), [175, 176]]])
    runs = texts(rows_of(FullSentences(), split, length=32)[0])
    assert [len(run) for (run,) in runs] == [30, 30, 17]


def release_loop(split: FakeSplit, room: int, pairing: SegmentPairNsp) -> list[tuple[list[int], list[int], int]]:
    """`create_instances_from_document` as the loop it is, with this project's draws in place of a random
    generator's: sentence i of the split draws for the chunk that begins there (also its target length, which the
    release draws once a document), and the truncation is left to the caller.
    """
    of = noise().of
    everything, result, sentence = documents(split), [], 0
    for number, document in enumerate(everything):
        i, chunk, chunk_start, target = 0, [], 0, room
        while i < len(document):
            if not chunk:
                chunk_start, target = i, room
                key = np.array([sentence + i], dtype=np.uint64)
                if of("is_short").uniform(key)[0] < pairing.short_rate:
                    target = 2 + int(of("short_length").integers(room - 1, key)[0])
            chunk.append(document[i])
            if i == len(document) - 1 or sum(map(len, chunk)) >= target:
                draw = np.array([sentence + chunk_start], dtype=np.uint64)
                a_end = 1
                if len(chunk) >= 2:
                    a_end = 1 + int(of("a_end").integers(len(chunk) - 1, draw)[0])
                a = [piece for part in chunk[:a_end] for piece in part]
                if len(chunk) == 1 or of("is_random").uniform(draw)[0] < pairing.random_rate:
                    wanted, b = target - len(a), []
                    for attempt in range(10):
                        other = int(of("document").integers(len(everything), draw, np.array([attempt]))[0])
                        if other != number:
                            break
                    begin = int(of("start").integers(len(everything[other]), draw)[0])
                    for part in everything[other][begin:]:
                        b += part
                        if len(b) >= wanted:
                            break
                    i -= len(chunk) - a_end
                    label = 1
                else:
                    b, label = [piece for part in chunk[a_end:] for piece in part], 0
                result.append((a, b, label))
                chunk = []
            i += 1
        sentence += len(document)
    return result


@pytest.mark.parametrize("length", [16, 40, 120])
def test_nsp_as_in_berts_release(length: int) -> None:
    split, pairing = invented(80, sentences=12), SegmentPairNsp(short_rate=0.3)
    rows, labels = rows_of(pairing, split, length)
    assert labels is not None
    expected = release_loop(split, length - 3, pairing)
    assert labels.tolist() == [label for _, _, label in expected]
    for (a, b), (whole_a, whole_b, _) in zip(texts(rows), expected):
        front = [whole_a, whole_b]
        while len(whole_a) + len(whole_b) > length - 3:  # the release's truncation, ends left open
            longer = whole_a if len(whole_a) > len(whole_b) else whole_b
            if longer is whole_a:
                whole_a = whole_a[:-1]
            else:
                whole_b = whole_b[:-1]
        assert (len(a), len(b)) == (len(whole_a), len(whole_b))
        for kept, whole in zip((a, b), front):
            assert "".join(map(chr, kept)) in "".join(map(chr, whole)), "a run of the whole"


def test_truncation_takes_both_ends_evenly() -> None:
    """Two sentences of 150 pieces in a room of 200: 50 pieces go from each, from the front by the throw of a coin."""
    first = [[100 + 150 * n, 250 + 150 * n] for n in range(0, 800, 2)]
    split = split_of([[list(range(start, start + 150)) for start in pair] for pair in first])
    rows, _ = rows_of(SegmentPairNsp(short_rate=0, random_rate=0), split, 203)
    for side in (0, 1):
        fronts = [(runs[side][0] - 100) % 150 for runs in texts(rows)]
        assert {len(runs[side]) for runs in texts(rows)} == {100}
        assert np.mean(fronts) == pytest.approx(25, abs=4.5 * 3.54 / np.sqrt(400))
        assert np.std(fronts) == pytest.approx(3.54, rel=0.15)


def test_nsp_shares() -> None:
    split = invented(400, sentences=20)
    rows, labels = rows_of(SegmentPairNsp(), split, 64)
    assert labels is not None
    foreign = np.zeros(len(rows), dtype=bool)
    foreign[rows.row_of[rows.planes["document"] == 1]] = True
    assert (foreign == (labels == 1)).all()
    for (a, b), label in zip(texts(rows), labels):
        of = np.searchsorted(split.document_starts, [a[0] - 100, b[0] - 100], side="right")
        assert (of[0] == of[1]) == (label == 0)
        assert label == 1 or b[0] > a[-1]
    assert 0.5 < labels.mean() < 0.65, "half, and all chunks of one sentence"
    assert [int(rows.piece_ids[at]) for at in rows.row_starts[:-1]] == [CLS] * len(rows)


def test_sentence_pairs_are_two_single_sentences() -> None:
    split = invented(60)
    rows, labels = rows_of(SentencePairNsp(), split, 64)
    assert labels is not None
    sentences = {tuple(sentence) for document in documents(split) for sentence in document}
    following = {(tuple(a), tuple(b)) for document in documents(split) for a, b in itertools.pairwise(document)}
    for (a, b), label in zip(texts(rows), labels):
        assert tuple(a) in sentences and tuple(b) in sentences
        assert ((tuple(a), tuple(b)) in following) == (label == 0)
    assert set(Counter(labels.tolist())) == {0, 1}


def test_sop_swaps_neighbours_and_never_asks_of_one_segment() -> None:
    split = invented(200, sentences=6)
    rows, labels = rows_of(Sop(), split, 64)
    assert labels is not None
    counts = Counter(labels.tolist())
    assert counts[0] == pytest.approx(counts[1], rel=0.25) and counts[-1] > 0
    for runs, label in zip(texts(rows), labels):
        documents_of = {int(np.searchsorted(split.document_starts, run[0] - 100, side="right")) for run in runs}
        assert len(documents_of) == 1, "never a text from elsewhere"
        assert len(runs) == (1 if label == -1 else 2)
        if label >= 0:
            assert (runs[0][0] > runs[1][0]) == (label == 1)


def test_sop_on_documents_of_one_sentence_asks_nothing() -> None:
    rows, labels = rows_of(Sop(), invented(30, sentences=1), 64)
    assert labels is not None and set(labels.tolist()) == {-1}
    assert not rows.planes["segment"].any()


def electra_loop(split: FakeSplit, length: int, pairing: TwoHalves) -> list[list[list[int]]]:
    """`ExampleBuilder` of ELECTRA's release as the loop it is, with this project's draws: the sentence with which a row
    begins draws for it. A sentence that follows one of B goes to B."""
    of, result, sentence = noise().of, [], 0
    for document in documents(split):
        chunk: list[list[int]] = []
        for number, text in enumerate(document):
            if not chunk:
                key, target = np.array([sentence + number], dtype=np.uint64), length
                if of("is_short").uniform(key)[0] < pairing.short_rate:
                    target = 5 + int(of("short_length").integers(length - 4, key)[0])
            chunk.append(text)
            if sum(map(len, chunk)) >= target or number == len(document) - 1:
                is_single = of("is_single").uniform(key)[0] < pairing.single_rate
                half = 10**6 if is_single else (target - 3) // 2
                a: list[int] = []
                b: list[int] = []
                for part in chunk:
                    coin = of("crosses").uniform(key)[0] < 0.5
                    if not b and (not a or len(a) + len(part) < half or (len(a) < half and coin)):
                        a += part
                    else:
                        b += part
                a = a[: length - 3]
                b = b[: max(0, length - len(a) - 3)]
                result.append([run for run in (a, b) if run])
                chunk = []
        sentence += len(document)
    return result


@pytest.mark.parametrize("length", [16, 40, 120])
def test_two_halves_as_in_electras_release(length: int) -> None:
    split, pairing = invented(80, sentences=30), TwoHalves(single_rate=0.2, short_rate=0.3)
    rows, labels = rows_of(pairing, split, length)
    assert labels is None
    assert texts(rows) == electra_loop(split, length, pairing)


def test_two_halves_have_the_releases_shares() -> None:
    split = invented(100, sentences=200)
    rows, _ = rows_of(TwoHalves(), split, 64)
    runs = [run for run, size in zip(texts(rows), rows.lengths) if size > 62]
    assert np.mean([len(run) == 1 for run in runs]) == pytest.approx(0.1, abs=0.03)
    without, _ = rows_of(TwoHalves(short_rate=0), split, 64)  # only the ends of documents are short
    short, ends = np.mean(rows.lengths < 60), np.mean(without.lengths < 60)
    assert short - ends == pytest.approx(0.05, abs=0.03)
    assert np.mean([len(run[0]) for run in runs if len(run) == 2]) == pytest.approx(30, abs=2)


def test_two_segments_as_in_xlnet() -> None:
    split = invented(100, sentences=10)
    rows, labels = rows_of(TwoSegments(), split, 64)
    assert labels is None
    starts, contiguous = set(split.sentence_starts.tolist()), 0
    for row, (runs, low, high) in enumerate(zip(texts(rows), rows.row_starts, rows.row_starts[1:])):
        a, b = runs if len(runs) == 2 else (runs[0], [])
        expected = [*a, SEP, *b, SEP, CLS]
        assert rows.piece_ids[low:high].tolist() == expected
        assert rows.planes["segment"][low:high].tolist() == [0] * (len(a) + 1) + [1] * (len(b) + 1) + [2]
        if row + 1 < len(rows):
            assert high - low == 64 and b[0] - 100 in starts
        contiguous += bool(b) and b[0] == a[-1] + 1
    assert 0.3 < contiguous / len(rows) < 0.7
    first = [runs[0] for runs in texts(rows)]
    assert first[0][0] == 100 and all(x[0] < y[0] for x, y in itertools.pairwise(first)), "the stream goes on"


def test_two_segments_lose_no_text() -> None:
    split = invented(100, sentences=10)
    for whole in (TwoSegments(0.0), TwoSegments(reuse_share=0.5)):
        rows, _ = rows_of(whole, split, 64)
        assert set(rows.piece_ids[~rows.planes["special"]].tolist()) == set(split.ids.tolist())
    rows, _ = rows_of(TwoSegments(), split, 64)  # as many pieces as there are, those of texts from elsewhere twice
    assert 0 <= (~rows.planes["special"]).sum() - len(split.ids) < 64


def test_packing_for_gpt2_has_no_ends() -> None:
    rows, _ = rows_of(Packed(opens="none", closes="none", between="eos"), invented(30))
    assert (rows.piece_ids == EOS).sum() == 29 and not np.isin(rows.piece_ids, [CLS, SEP]).any()


def test_streams_of_one_language_each() -> None:
    split = invented(40)
    split.told_languages = np.array([7, 1, 4], dtype=np.uint8)
    pairing = Packed(bounds="language", opens="eos", closes="eos", between="eos")
    rows, _ = rows_of(pairing, split)
    assert (np.sort(rows.piece_ids[~rows.planes["special"]]) == np.sort(split.ids)).all(), "all text, once"
    told = rows.planes["language"]
    first = told[rows.row_starts[:-1]]
    assert (told == np.repeat(first, rows.lengths)).all() and set(told.tolist()) == {1, 4, 7}
    where = np.searchsorted(split.document_starts, rows.piece_ids[~rows.planes["special"]] - 100, "right") - 1
    assert (told[~rows.planes["special"]] == split.told_languages[split.languages[where]]).all()
    is_short = rows.lengths < 32
    assert is_short.sum() <= 3, "only the last row of a language may be short"
    inner = rows.planes["special"].copy()
    inner[rows.row_starts[:-1]] = inner[rows.row_starts[1:] - 1] = False
    assert inner.sum() == split.num_documents - 3, "a mark between two documents, none after the last"


@pytest.mark.parametrize("pairing", [Packed(), Packed(bounds="keep"), FullSentences(), DocSentences(), Sop()], ids=str)
def test_every_pairing_tells_languages(pairing: Pairing) -> None:
    split = invented(40)
    split.told_languages = np.array([7, 1, 4], dtype=np.uint8)
    rows, _ = rows_of(pairing, split)
    text = ~rows.planes["special"]
    where = np.searchsorted(split.document_starts, rows.piece_ids[text] - 100, "right") - 1
    assert (rows.planes["language"][text] == split.told_languages[split.languages[where]]).all()
