"""Eight examples for each kind of task, learnable in a minute, each label more than once."""

from collections.abc import Callable

from afterbert.base.plugins import name_of
from afterbert.downstream.example import AnswerSpan, Example
from afterbert.downstream.tasks import Task


def invented(task: Task) -> tuple[Example, ...]:
    """The examples of the task's kind."""
    return _ROWS[name_of(task)]()


def _minimal_pairs() -> tuple[Example, ...]:
    rows = [
        ("The dogs bark .", "The dogs barks .", "agreement"),
        ("The dog barks .", "The dog bark .", "agreement"),
        ("The girls sing .", "The girls sings .", "agreement"),
        ("A child sleeps .", "A child sleep .", "agreement"),
        ("She reads a book .", "She a book reads .", "order"),
        ("He drinks cold water .", "He drinks water cold .", "order"),
        ("They live in Rome .", "They live Rome in .", "order"),
        ("We saw the red door .", "We saw the door red .", "order"),
    ]
    return tuple(Example(f"invented:{i}", (a, b), 0, group) for i, (a, b, group) in enumerate(rows))


def _multi_label() -> tuple[Example, ...]:
    rows = [
        ("the bed was hard and the street loud", ("bed", "noise")),
        ("a hard bed", ("bed",)),
        ("loud music all night", ("noise",)),
        ("we liked it", ()),
        ("too dear , and a loud street", ("noise", "price")),
        ("a fair house , we liked all of it", ()),
        ("far too dear for a hard bed", ("bed", "price")),
        ("dear , hard and loud", ("bed", "noise", "price")),
    ]
    return tuple(Example(f"invented:{i}", (text,), labels) for i, (text, labels) in enumerate(rows))


def _multiple_choice() -> tuple[Example, ...]:
    rows = [
        ("She was thirsty , so she", ("drank water", "sold a chair", "was a tree"), 0),
        ("He was tired , so he", ("painted a fish", "went to bed", "ate the clock"), 1),
        ("It was dark , so they", ("swam in bread", "were seven", "lit a lamp"), 2),
        ("They were hungry , so they", ("cooked rice", "read a wall", "fell in blue"), 0),
        ("The cup fell , so it", ("sang aloud", "broke", "married"), 1),
        ("The snow was deep , so we", ("ate a hammer", "flew a stone", "took the sledge"), 2),
        ("The baby cried , so he", ("held her", "counted to rain", "closed the sea"), 0),
        ("The door was locked , so I", ("drank it", "looked for the key", "was a spoon"), 1),
    ]
    return tuple(Example(f"invented:{i}", (p, *choices), right) for i, (p, choices, right) in enumerate(rows))


def _pair_classification() -> tuple[Example, ...]:
    rows = [
        ("a dog runs on the beach", "an animal is outside", "follows"),
        ("a dog runs on the beach", "the dog is asleep", "contradicts"),
        ("two girls eat apples", "children eat fruit", "follows"),
        ("two girls eat apples", "nobody eats", "contradicts"),
        ("the old man reads a letter", "someone reads", "follows"),
        ("the old man reads a letter", "the man is young", "contradicts"),
        ("it rains on the green hill", "the hill is wet", "follows"),
        ("it rains on the green hill", "the sun shines and it is dry", "contradicts"),
    ]
    return tuple(Example(f"invented:{i}", (a, b), label) for i, (a, b, label) in enumerate(rows))


def _question_answering() -> tuple[Example, ...]:
    bridge = "The old bridge was built in 1880 by Anna Holm. It is made of stone and leads to the mill."
    garden = "In spring Paul planted ten apple trees behind the school. The pupils water them on Mondays."
    rows = [
        ("Who built the bridge?", bridge, "Anna Holm"),
        ("When was the bridge built?", bridge, "1880"),
        ("What is the bridge made of?", bridge, "stone"),
        ("Who repaired the bridge?", bridge, None),
        ("Who planted the trees?", garden, "Paul"),
        ("How many trees are there?", garden, "ten"),
        ("When are the trees watered?", garden, "Mondays"),
        ("Who cut the trees?", garden, None),
    ]
    return tuple(
        Example(f"invented:{i}", (question, context), (AnswerSpan(a, context.index(a)),) if a else ())
        for i, (question, context, a) in enumerate(rows)
    )


def _ranking() -> tuple[Example, ...]:
    rows = [
        ("where is the key ?", ("under the mat", "on tuesday", "because of rain"), (0,)),
        ("when does it open ?", ("in the cellar", "at nine", "a tall man"), (1,)),
        ("who wrote it ?", ("for the prize", "in may", "my sister"), (2,)),
        ("where is the cup ?", ("on the shelf", "at noon", "the baker"), (0,)),
        ("when was it sold ?", ("to be safe", "last year", "in paris"), (1,)),
        ("who came late ?", ("by train", "near the door", "the teacher"), (2,)),
        ("where do they meet ?", ("in the park", "on monday", "two boys"), (0,)),
        ("when is the feast ?", ("the mayor", "in june", "behind the barn"), (1,)),
    ]
    return tuple(
        Example(f"invented:{i}", (query, *candidates), relevant) for i, (query, candidates, relevant) in enumerate(rows)
    )


def _regression() -> tuple[Example, ...]:
    rows = [
        ("a cat sleeps", "a cat is sleeping", 5.0),
        ("a cat sleeps", "the bank is closed", 0.0),
        ("two men play chess", "men play a game", 3.5),
        ("two men play chess", "two men are playing chess", 4.8),
        ("rain falls on the roof", "it rains", 3.0),
        ("rain falls on the roof", "she sings a song", 0.2),
        ("the train is late", "the bus is late", 2.5),
        ("the train is late", "the train came late", 4.2),
    ]
    return tuple(Example(f"invented:{i}", (a, b), score) for i, (a, b, score) in enumerate(rows))


def _sentence_classification() -> tuple[Example, ...]:
    rows = [
        ("the soup was warm and lovely", "positive"),
        ("cold bread and a rude waiter", "negative"),
        ("we loved every dish", "positive"),
        ("the fish tasted of soap", "negative"),
        ("a charming little place with great coffee", "positive"),
        ("never again , the worst pie in town", "negative"),
        ("friendly people and fresh salad", "positive"),
        ("burnt , late and far too expensive", "negative"),
    ]
    return tuple(Example(f"invented:{i}", (text,), label) for i, (text, label) in enumerate(rows))


def _tagging() -> tuple[Example, ...]:
    rows = [
        ("Ada Berg lives in Oslo .", "B-PER I-PER O O B-LOC O"),
        ("In Oslo it rains .", "O B-LOC O O O"),
        ("Tom sings .", "B-PER O O"),
        ("We saw New Haven with Tom .", "O O B-LOC I-LOC O B-PER O"),
        ("Ada Haven wrote a song .", "B-PER I-PER O O O O"),
        ("New Haven sleeps .", "B-LOC I-LOC O O"),
        ("It rains on Tom .", "O O O B-PER O"),
        ("Ada sings in Oslo .", "B-PER O O B-LOC O"),
    ]
    return tuple(Example(f"invented:{i}", tuple(w.split()), tuple(t.split())) for i, (w, t) in enumerate(rows))


def _text_to_text() -> tuple[Example, ...]:
    rows = [
        ("1 2", "one two"),
        ("2 1", "two one"),
        ("3 1", "three one"),
        ("1 3", "one three"),
        ("2 3", "two three"),
        ("3 2", "three two"),
        ("1 1", "one one"),
        ("2 2", "two two"),
    ]
    return tuple(Example(f"invented:{i}", (source,), (target,)) for i, (source, target) in enumerate(rows))


_ROWS: dict[str, Callable[[], tuple[Example, ...]]] = {
    "minimal_pairs": _minimal_pairs,
    "multi_label": _multi_label,
    "multiple_choice": _multiple_choice,
    "pair_classification": _pair_classification,
    "question_answering": _question_answering,
    "ranking": _ranking,
    "regression": _regression,
    "sentence_classification": _sentence_classification,
    "tagging": _tagging,
    "text_to_text": _text_to_text,
}
