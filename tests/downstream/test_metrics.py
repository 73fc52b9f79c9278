"""Metrics against scikit-learn, scipy, and definitions written out by hand."""

import importlib.util
import math
import random
import re
import string
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterbert.base.errors import UserError
from afterbert.base.plugins import find, names
from afterbert.downstream.example import AnswerSpan
from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics.accuracy import Accuracy
from afterbert.downstream.metrics.answer_f1 import AnswerF1
from afterbert.downstream.metrics.bleu import Bleu
from afterbert.downstream.metrics.chrf import ChrF
from afterbert.downstream.metrics.entity_f1 import EntityF1, entities
from afterbert.downstream.metrics.exact_match import ExactMatch
from afterbert.downstream.metrics.f1 import F1
from afterbert.downstream.metrics.matthews import Matthews
from afterbert.downstream.metrics.pearson import Pearson
from afterbert.downstream.metrics.rouge import Rouge, common_subsequence
from afterbert.downstream.metrics.spearman import Spearman
from afterbert.downstream.metrics.squared_error import SquaredError

classes = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=2, max_size=40)


@settings(deadline=None, max_examples=25)
@given(classes)
def test_classification_agrees_with_scikit_learn(pairs):
    from sklearn import metrics as score

    predicted, true = map(list, zip(*pairs))
    assert Accuracy()(predicted, true) == pytest.approx(score.accuracy_score(true, predicted))
    for average in ("macro", "micro"):
        expected = score.f1_score(true, predicted, average=average, zero_division=0)
        assert F1(average)(predicted, true) == pytest.approx(expected)
    expected = score.f1_score([t == "a" for t in true], [p == "a" for p in predicted], zero_division=0)
    assert F1(positive="a")(predicted, true) == pytest.approx(expected)
    if len({*predicted, *true}) > 1:
        assert Matthews()(predicted, true) == pytest.approx(score.matthews_corrcoef(true, predicted))


numbers = st.lists(st.tuples(st.integers(-5, 5), st.floats(-100, 100)), min_size=3, max_size=30)


@given(numbers)
def test_correlations_agree_with_scipy(pairs):
    import scipy.stats
    import sklearn.metrics

    predicted, true = map(list, zip(*pairs))
    if len(set(predicted)) == 1 or np.ptp(true) < 1e-6:
        return
    assert Pearson()(predicted, true) == pytest.approx(scipy.stats.pearsonr(predicted, true)[0], abs=1e-9)
    assert Spearman()(predicted, true) == pytest.approx(scipy.stats.spearmanr(predicted, true)[0], abs=1e-9)
    assert SquaredError()(predicted, true) == pytest.approx(sklearn.metrics.mean_squared_error(true, predicted))


def test_a_constant_guess_correlates_with_nothing():
    for constant in (0.0, 2.7, 1e9 + 0.1):
        assert Pearson()([constant] * 5, [1, 2, 3, 4, 5]) == 0.0
        assert Spearman()([constant] * 5, [1, 2, 3, 4, 5]) == 0.0
    assert Matthews()(["a"] * 3, ["a", "b", "a"]) == 0.0


def test_pearson_far_from_zero_loses_no_digits():
    values = [1e8 + x for x in (1.0, 2.0, 3.0, 5.0)]
    assert Pearson()(values, [1, 2, 3, 5]) == pytest.approx(1.0, abs=1e-9)


def conlleval(tags: list[str]) -> list[tuple[str, int, int]]:
    """Chunks by conlleval's two tables, word by word: does a chunk end before this word, does one begin at
    it?"""
    ends = {"BB", "BS", "BO", "IB", "IS", "IO"} | {p + n for p in "ES" for n in "BIESO"}
    begins = {p + n for p in "BIESO" for n in "BS"} | {p + n for p in "ESO" for n in "IE"}
    found, start, before, before_type = [], None, "O", ""
    for i, tag in enumerate([*tags, "O"]):
        prefix, kind = (tag[0], tag[2:]) if tag != "O" else ("O", "")
        changed = before_type != kind
        if start is not None and (before + prefix in ends or (before != "O" and changed)):
            found.append((before_type, start, i))
            start = None
        if before + prefix in begins or (prefix != "O" and changed):
            start = i
        before, before_type = prefix, kind
    return found


bio = ["O", "B-x", "I-x", "B-y-z", "I-y-z"]
bioes = [*bio, "E-x", "S-x", "E-y-z", "S-y-z"]


@settings(max_examples=settings.default.max_examples * 3)
@given(st.sampled_from([bio, bioes]).flatmap(lambda tags: st.lists(st.sampled_from(tags), max_size=12)))
def test_entities_are_conlleval_s_even_in_broken_schemes(tags):
    assert entities(tags) == conlleval(tags)


def test_entity_f1_by_hand():
    truths = [["B-x", "I-x", "O", "S-y"], ["O", "O"], ["B-x", "O"]]
    predictions = [["B-x", "I-x", "O", "B-x"], ["I-x", "O"], ["B-x", "O"]]
    # 3 true, 4 predicted, 2 right.
    assert EntityF1()(predictions, truths) == pytest.approx(4 / 7)


def official_squad(prediction: str, truth: str) -> tuple[float, float]:
    """EM and F1 of one pair as the published evaluation defines them."""

    def normal(text):
        text = "".join(c for c in text.lower() if c not in string.punctuation)
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    found, wanted = normal(prediction).split(), normal(truth).split()
    same = sum((Counter(found) & Counter(wanted)).values())
    if not found or not wanted:
        return float(found == wanted), float(found == wanted)
    if same == 0:
        return 0.0, 0.0
    precision, recall = same / len(found), same / len(wanted)
    return float(found == wanted), 2 * precision * recall / (precision + recall)


words = st.text(alphabet="ab the.,'-", max_size=14)


@settings(max_examples=settings.default.max_examples * 2)
@given(words, st.lists(words, max_size=3))
def test_answers_are_scored_as_squad_s_script_does(prediction, truths):
    kept = [t for t in truths if official_squad(t, "")[0] == 0.0] or [""]
    answers = tuple(AnswerSpan(text, None) for text in truths)
    assert ExactMatch()([prediction], [answers]) == max(official_squad(prediction, t)[0] for t in kept)
    assert AnswerF1()([prediction], [answers]) == pytest.approx(max(official_squad(prediction, t)[1] for t in kept))


@pytest.mark.parametrize(
    ("prediction", "truth", "exact", "f1"),
    [
        ("光荣和ω-force", "光荣和ω-force", 1.0, 1.0),
        ("《村雨城》。", "村雨城", 1.0, 1.0),
        # Longest common run 3 characters of 5 and of 3.
        ("谜之村雨城", "村雨城", 0.0, 2 * 3 / 8),
        # A run, not a subsequence: 村 and 雨城 do not add up.
        ("村之雨城", "村雨城", 0.0, 2 * 2 / 7),
        ("Windows 10", "windows 10", 1.0, 1.0),
        ("东京", "北海道", 0.0, 0.0),
    ],
)
def test_chinese_answers_are_scored_by_character(prediction, truth, exact, f1):
    assert ExactMatch("cmrc")([prediction], [(truth,)]) == exact
    assert AnswerF1("cmrc")([prediction], [(truth,)]) == pytest.approx(f1)


@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_common_subsequence_is_the_textbook_one(left, right):
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    assert common_subsequence(left, right) == table[-1][-1]


def test_rouge_by_hand():
    summary, reference = "police killed the gunman", "police kill the gunman"
    assert Rouge("1")([summary], [reference]) == 0.75
    assert Rouge("2")([summary], [reference]) == pytest.approx(1 / 3)
    assert Rouge("L")([summary], [reference]) == 0.75
    # Lin (2004), Section 3: same unigrams, another order.
    assert Rouge("L")(["the gunman kill police"], [reference]) == 0.5


@pytest.mark.parametrize("text", ["Кошка спит дома", "我爱北京", "ねこがいる", "แมวนอน", "बिल्ली सोती है", "החתול ישן"])
def test_rouge_reads_other_scripts(text):
    assert Rouge("1")([text], [text]) == 1.0
    assert Rouge("L")([text], ["plain English"]) == 0.0
    assert 0 < Rouge("2")([f"{text}, {text}"], [text]) < 1


# Figures of sacrebleu 2.6.0, corpus_chrf and corpus_bleu.
PAIRS = [
    ("the cat sat on the mat today", ["the cat is sitting on the mat", "a cat sat on the mat"]),
    ("", ["empty guess", "nothing"]),
    ("ein Haus", ["das Haus ist groß", "ein Haus"]),
]
GOLD_CHRF, GOLD_BLEU = 0.6591686566315211, 0.6187291014750445


def test_chrf_equals_sacrebleu_s_figure():
    guesses, references = zip(*PAIRS)
    assert ChrF()(guesses, references) == pytest.approx(GOLD_CHRF, abs=1e-9)


def test_bleu_equals_sacrebleu_s_figure_or_says_what_to_install():
    guesses, references = zip(*PAIRS)
    if importlib.util.find_spec("sacrebleu") is None:
        with pytest.raises(UserError, match=r"afterbert\[mt\]"):
            Bleu()(guesses, references)
    else:
        assert Bleu()(guesses, references) == pytest.approx(GOLD_BLEU, abs=1e-9)


@pytest.mark.parametrize("name", [n for n in names(Metric) if n != "bleu"])
def test_a_metric_adds_up_over_examples(name):
    """Doubling every example changes nothing but the correlations' mean ranks; permuting never does."""
    metric = find(Metric, name)()
    predictions, truths = EXAMPLES[name]
    assert math.isfinite(metric(predictions, truths))
    order = list(range(len(truths)))
    random.Random(0).shuffle(order)
    again = metric([predictions[i] for i in order], [truths[i] for i in order])
    assert again == pytest.approx(metric(predictions, truths))
    doubled = metric([*predictions, *predictions], [*truths, *truths])
    assert doubled == pytest.approx(metric(predictions, truths))
    assert metric([], []) == 0.0
    if name not in ("squared_error",):
        perfect = metric(PERFECT.get(name, truths), truths)
        assert perfect == pytest.approx(1.0)
        assert perfect > metric(predictions, truths)


LABELS = (["1", "0", "1"], ["1", "1", "0"])
NUMBERS = ([1.0, 3.0, 2.0], [1.0, 2.0, 3.0])
TAGS = ([["B-x", "O"], ["O"]], [["B-x", "I-x"], ["S-y"]])
TEXTS = (["the cat", "a dog ran"], ["the cat sat", "dog"])
RANKS = ([(1, 0), (0, 1)], [(0,), (0, 1)])
EXAMPLES = {
    "accuracy": LABELS,
    "f1": LABELS,
    "matthews": LABELS,
    "pearson": NUMBERS,
    "spearman": NUMBERS,
    "squared_error": NUMBERS,
    "tag_accuracy": TAGS,
    "entity_f1": TAGS,
    "exact_match": (["x", "y"], [("x",), ("z",)]),
    "answer_f1": (["x", "y"], [("x",), ("z",)]),
    "rouge": TEXTS,
    "chrf": TEXTS,
    "reciprocal_rank": RANKS,
    "first_relevant": RANKS,
}
PERFECT = {
    "exact_match": ["x", "z"],
    "answer_f1": ["x", "z"],
    "reciprocal_rank": [(0, 1), (1, 0)],
    "first_relevant": [(0, 1), (1, 0)],
}
