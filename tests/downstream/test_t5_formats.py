"""Tasks written as T5 writes them: its examples letter for letter, answers read back, anything else wrong."""

import pytest

from afterbert.downstream.example import AnswerSpan, Example
from afterbert.downstream.heads._t5_formats import FORMATS, format_of
from afterbert.downstream.tasks.pair_classification import PairClassification
from afterbert.downstream.tasks.question_answering import QuestionAnswering
from afterbert.downstream.tasks.regression import Regression
from afterbert.downstream.tasks.sentence_classification import SentenceClassification

GRADES = Regression(low=0.0, high=5.0)

# Appendix D of the paper.
WRITTEN = [
    ("cola", ("John made Bill master of himself.",), "cola sentence: John made Bill master of himself."),
    (
        "stsb",
        (
            "Representatives for Puretunes could not immediately be reached.",
            "Puretunes could not be reached.",
        ),
        "stsb sentence1: Representatives for Puretunes could not immediately be reached. "
        "sentence2: Puretunes could not be reached.",
    ),
    (
        "mnli",
        ("The St. Louis Cardinals have always won.", "yeah well losing is i mean i'm"),
        "mnli hypothesis: yeah well losing is i mean i'm premise: The St. Louis Cardinals have always won.",
    ),
    (
        "qnli",
        ("Where did Jebe die?", "Genghis Khan recalled Subutai."),
        "qnli question: Where did Jebe die? sentence: Genghis Khan recalled Subutai.",
    ),
    (
        "qqp",
        ("What attributes would have?", "How do I?"),
        "qqp question1: What attributes would have? question2: How do I?",
    ),
]


@pytest.mark.parametrize(("name", "texts", "written"), WRITTEN)
def test_a_row_is_written_as_in_the_paper(name, texts, written):
    form = FORMATS[format_of(name)]
    assert form.source(Example("k", texts), form.prefix) == written


def test_a_question_has_no_prefix():
    task, example = QuestionAnswering(), Example("k", ("Who?", "He did."), (AnswerSpan("He", 0),))
    assert FORMATS["squad"].source(example, "") == "question: Who? context: He did."
    assert task.target_text(example.label) == "He"


@pytest.mark.parametrize(
    ("name", "task", "label", "word"),
    [
        ("cola", SentenceClassification(labels=("0", "1")), "0", "unacceptable"),
        ("sst2", SentenceClassification(labels=("0", "1")), "1", "positive"),
        ("mnli", PairClassification(labels=("0", "1", "2")), "1", "neutral"),
        ("qnli", PairClassification(labels=("entailment", "not_entailment")), "entailment", "entailment"),
        ("boolq", PairClassification(labels=("false", "true")), "true", "True"),
    ],
)
def test_labels_have_their_words_and_anything_else_is_wrong(name, task, label, word):
    spelled = FORMATS[name].spelled(task)
    assert spelled.target_text(label) == word
    assert spelled.read_answer(word) == label
    for other in ("hamburger", word + "s", ""):
        assert not spelled.is_answer(spelled.read_answer(other))


def test_words_of_ones_own_are_kept():
    own = SentenceClassification(labels=("0", "1"), label_words={"0": "bad", "1": "good"})
    assert FORMATS["sst2"].spelled(own) is own


def test_grades_are_written_in_steps_of_a_fifth():
    """Section 2.4: 2.57 becomes 2.6; 21 classes from 1 to 5, and five more in data that begins at 0."""
    assert GRADES.target_text(2.57) == "2.6"
    assert len({GRADES.target_text(number / 100) for number in range(501)}) == 26
    assert [GRADES.target_text(x) for x in (0.0, 5.0, 3.333)] == ["0.0", "5.0", "3.4"]


@pytest.mark.parametrize("written", ["hamburger", "", "7.0", "-3", "2.6 2.6"])
def test_what_is_no_grade_is_no_rows_truth(written):
    read = GRADES.read_answer(written)
    assert read == -1.0
    assert not GRADES.is_answer(read)


def test_a_grade_is_read():
    assert GRADES.read_answer(" 2.6") == 2.6
    assert all(GRADES.is_answer(GRADES.read_answer(GRADES.target_text(n / 5))) for n in range(26))
