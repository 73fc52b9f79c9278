"""BM25 against its formula, text by text."""

import math
from collections import Counter

import numpy as np
import pytest

from afterbert.probes.word_index import WordIndex, words_of

TEXTS = ["the old mill by the river", "the river was old", "a storm at sea", "", "sea sea sea and the mill"]


def by_hand(query, number):
    words = [words_of(text) for text in TEXTS]
    mean = sum(map(len, words)) / len(words)
    total = 0.0
    for word in words_of(query):
        having = sum(word in each for each in words)
        idf = math.log(1 + (len(words) - having + 0.5) / (having + 0.5))
        count = Counter(words[number])[word]
        total += idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(words[number]) / mean))
    return total


@pytest.mark.parametrize("query", ["the sea", "old mill", "nothing of it", "sea sea"])
def test_scores_follow_the_formula(query, tmp_path):
    index = WordIndex.of(TEXTS)
    expected = [by_hand(query, number) for number in range(len(TEXTS))]
    np.testing.assert_allclose(index.scores(query), expected, rtol=1e-5)
    index.write(tmp_path)
    assert np.array_equal(WordIndex.read(tmp_path).scores(query), index.scores(query))


def test_words_of_scripts_without_spaces_are_pairs():
    assert words_of("ข้าว 3 kg 大") == ["ข้", "้า", "าว", "3", "kg", "大"]
    index = WordIndex.of(["北京大学在北京。", "上海有很多学校。"])
    assert index.scores("北京").argmax() == 0 and index.scores("学校").argmax() == 1
