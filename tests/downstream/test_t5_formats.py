"""Tasks written as T5 writes them: its examples letter for letter, answers read back, anything else wrong."""

from pathlib import Path

import pytest

from afterbert.downstream.example import AnswerSpan, Example, Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.heads._t5_formats import FORMATS, format_of
from afterbert.downstream.tasks.pair_classification import PairClassification
from afterbert.downstream.tasks.question_answering import QuestionAnswering
from afterbert.downstream.tasks.regression import Regression
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.text_to_text import TextToText

GRADES = Regression(low=0.0, high=5.0)

# Appendix D of the paper.
WRITTEN = [
    ("cola", ("John made Bill master of himself.",), "cola sentence: John made Bill master of himself."),
    (
        "stsb",
        ("Representatives for Puretunes could not immediately be reached.", "Puretunes could not be reached."),
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


# Rows that Appendix D of the paper and the release's docstrings show, in the forms of the release.
SUPERGLUE = [
    (
        "wic",
        {
            "word": "deliberation",
            "sentence1": "It was the deliberation of his act that was insulting .",
            "sentence2": "The deliberations of the jury .",
            "label": 0,
        },
        "wic sentence1: It was the deliberation of his act that was insulting . "
        "sentence2: The deliberations of the jury . word: deliberation",
        ("False",),
    ),
    (
        "copa",
        {
            "premise": "Political violence broke out in the nation.",
            "choice1": "Many citizens relocated to the capitol.",
            "choice2": "Many citizens took refuge in other territories.",
            "question": "effect",
            "label": 1,
        },
        "copa choice1: Many citizens relocated to the capitol. "
        "choice2: Many citizens took refuge in other territories. "
        "premise: Political violence broke out in the nation. question: effect",
        ("choice2",),
    ),
    (
        "multirc",
        {
            "paragraph": "<b>Sent 1: </b>Once upon a time, there was a squirrel named Joey.<br>"
            "<b>Sent 2: </b>Joey loved to go.",
            "question": "Why was Joey surprised the morning he woke up for breakfast?",
            "answer": "There was only pie to eat",
            "label": 1,
        },
        "multirc question: Why was Joey surprised the morning he woke up for breakfast? "
        "answer: There was only pie to eat "
        "paragraph: Sent 1: Once upon a time, there was a squirrel named Joey. Sent 2: Joey loved to go.",
        ("True",),
    ),
    (
        "wsc",
        {
            "text": "The stable was very roomy, with four good stalls; a large swinging window opened into the yard , "
            "which made it pleasant and airy.",
            "span1_text": "stable",
            "span2_text": "it",
            "span2_index": 20,
            "label": 1,
        },
        "wsc: The stable was very roomy, with four good stalls; a large swinging window opened into the yard , "
        "which made *it* pleasant and airy.",
        ("stable",),
    ),
    (
        "record",
        {
            "passage": "This is the passage.\n@highlight\nAnd more\n@highlight\nThe end",
            "query": "A @placeholder is a bird.",
            "entities": ["penguin", "potato", "pigeon"],
            "answers": ["penguin", "pigeon"],
        },
        "record query: A @placeholder is a bird. entities: penguin, potato, pigeon "
        "passage: This is the passage. And more. The end",
        ("penguin", "pigeon"),
    ),
]


@pytest.mark.parametrize(("name", "record", "read", "written"), SUPERGLUE, ids=[row[0] for row in SUPERGLUE])
def test_rows_of_superglue_are_written_as_in_the_paper(name, record, read, written):
    task = TextToText()
    columns = task.match(Table(Path(name), "jsonl", tuple(record), (record,), (name,)), {})
    assert columns is not None
    example = task.example(record, columns, f"{name}:1", Findings())
    form = FORMATS[format_of(name)]
    assert form.source(example, form.prefix) == read
    assert example.label == written
    unlabelled = task.example({**record, "label": -1, "answers": []}, columns, f"{name}:1", Findings())
    assert unlabelled.label is None and unlabelled.texts == example.texts


def test_a_noun_that_the_pronoun_does_not_mean_is_nothing_to_write():
    record = {**SUPERGLUE[3][1], "label": 0}
    columns = TextToText().match(Table(Path("wsc"), "jsonl", tuple(record), (record,), ("wsc",)), {})
    assert TextToText().example(record, columns, "wsc:1", Findings()).label is None
