"""How well a model's vectors hold meaning: grades of similarity, and search beside BM25.

    python benchmarks/meaning.py MODEL [MODEL ...] --sts stsb/en.test.csv --texts held_out_texts/

STS: Spearman's correlation of the cosine of two vectors with the grades people gave; a file `sentence1,sentence2,score`
without a header. Search: a sentence is taken out of the middle of each passage, and asked for; counted is how often the
passage it was taken from is among the first ten, by vectors, by words (BM25) and by both. Titles: the title of each
article of a file in WikiText's layout is asked for, and counted is how often one of the first ten passages is of that
article. Intervals are of 2,000
bootstrap samples over pairs or passages, with seed 0; of each further model also of the difference from the first one,
on the same pairs and passages.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from afterbert.probes.sentence_encoder import SentenceEncoder
from afterbert.probes.word_index import WordIndex
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.from_paths import sources_for
from afterbert.text.passages import Passages
from afterbert.workflows.loading import load_model_or_checkpoint

_SENTENCE = re.compile(r"[^.!?]+[.!?]+[\"'”’]?\s*")
_TITLE = re.compile(r" = ([^=].*?) = $")
_LEAST_WORDS = 20
_TOP = 10


class Intervals:
    """Tells figures with their 95% intervals, and how far they are from those of the first model."""

    def __init__(self) -> None:
        self.first: dict[str, np.ndarray] = {}

    def tell(self, name: str, values: np.ndarray, figure: Callable[[np.ndarray], float]) -> None:
        """Prints the figure of rows [N, ...]."""
        of_first = self.first.setdefault(name, values)
        draw = np.random.default_rng(0)
        drawn = [draw.integers(len(values), size=len(values)) for _ in range(2000)]
        figures = np.array([figure(values[index]) for index in drawn])
        said = f"{figure(values):6.3f}  {_between(figures)} of {len(values):,}"
        if of_first is not values:
            apart = figures - np.array([figure(of_first[index]) for index in drawn])
            said += f"; {figure(values) - figure(of_first):+.3f}  {_between(apart)} from the first"
        print(f"  {name:38}{said}", flush=True)


def _between(figures: np.ndarray) -> str:
    low, high = np.quantile(figures, (0.025, 0.975))
    return f"({low:.3f} to {high:.3f})"


def similarity(encoder: SentenceEncoder, path: Path, intervals: Intervals) -> None:
    """Tells Spearman's correlation on a file of graded pairs."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if len(row) == 3]
    first, second = encoder([row[0] for row in rows]), encoder([row[1] for row in rows])
    values = np.stack([(first * second).sum(1), [float(row[2]) for row in rows]], axis=1)
    intervals.tell("STS, Spearman", values, lambda drawn: float(spearmanr(drawn[:, 0], drawn[:, 1]).statistic))


def asked_of(texts: list[str], most: int) -> tuple[list[str], list[str]]:
    """Passages without a sentence from their middle, and these sentences."""
    draw = np.random.default_rng(0)
    rests, sentences, seen = [], [], set()
    for number in draw.permutation(len(texts)):
        found = _SENTENCE.findall(texts[number])
        if len(found) < 3 or texts[number] in seen:
            continue
        seen.add(texts[number])
        at = len(found) // 2
        sentences.append(found[at].strip())
        rests.append("".join(found[:at] + found[at + 1 :]).strip())
    return rests, sentences[:most]


def recall(encoder: SentenceEncoder, texts: list[str], most: int, intervals: Intervals) -> None:
    """Tells recall at 10 by each way of searching."""
    rests, sentences = asked_of(texts, most)
    cosines = encoder(sentences) @ encoder(rests).T
    index = WordIndex.of(rests)
    words = np.stack([index.scores(sentence) for sentence in sentences])
    ranks = {"vectors": _ranks(cosines), "words (BM25)": _ranks(words)}
    ranks["both"] = _ranks(sum(1 / (61 + rank) for rank in ranks.values()))
    own = np.arange(len(sentences))
    for name, rank in ranks.items():
        is_found = (rank[own, own] < _TOP).astype(float)
        intervals.tell(f"search, recall at {_TOP}, {name}", is_found, lambda drawn: float(drawn.mean()))


def titles(encoder: SentenceEncoder, path: Path, intervals: Intervals) -> None:
    """Tells how often a title has a passage of its article among the first ten, by each way of searching."""
    names: list[str] = []
    passages, article_of = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := _TITLE.match(line):
            names.append(found[1])
        elif names and len(line.split()) >= _LEAST_WORDS:
            passages.append(line.strip())
            article_of.append(len(names) - 1)
    index = WordIndex.of(passages)
    ways = {"vectors": encoder(names) @ encoder(passages).T, "words (BM25)": np.stack([*map(index.scores, names)])}
    ranks = {name: _ranks(scores) for name, scores in ways.items()}
    ranks["both"] = _ranks(sum(1 / (61 + rank) for rank in ranks.values()))
    is_own = np.array(article_of) == np.arange(len(names))[:, None]
    for name, rank in ranks.items():
        is_found = (is_own & (rank < _TOP)).any(axis=1).astype(float)
        intervals.tell(f"titles, recall at {_TOP}, {name}", is_found, lambda drawn: float(drawn.mean()))


def _ranks(scores: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--sts", type=Path)
    parser.add_argument("--texts")
    parser.add_argument("--titles", type=Path, help="a file in WikiText's layout")
    parser.add_argument("--most", type=int, default=1000, help="sentences asked for")
    chosen = parser.parse_args()
    intervals = Intervals()
    for name in chosen.models:
        encoder = SentenceEncoder.of(load_model_or_checkpoint(name))
        print(name)
        if chosen.sts:
            similarity(encoder, chosen.sts, intervals)
        if chosen.texts:
            tally, policy = Tally(), Policy()
            parts = [part for source in sources_for([chosen.texts]) for part in source.parts(1 << 24)]
            documents = (document for part in parts for document in part.documents(policy, tally))
            texts = [passage.text for passage in Passages()(documents)]
            recall(encoder, texts, chosen.most, intervals)
        if chosen.titles:
            titles(encoder, chosen.titles, intervals)


if __name__ == "__main__":
    main()
