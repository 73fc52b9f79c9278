"""What every downstream task promises: eight invented rows, a baseline, metrics, a text form, and that its
own rows written to a file are recognised as what they are."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from afterbert.base import config
from afterbert.base.plugins import find, name_of, names
from afterbert.base.tree import Node
from afterbert.downstream.heads import Head, head_for
from afterbert.downstream.metrics import Metric
from afterbert.downstream.reading.data import read
from afterbert.downstream.reading.guess import guess
from afterbert.downstream.tasks import Task
from invented_examples import invented

TASKS = names(Task)


@pytest.fixture(params=TASKS)
def task(request):
    return find(Task, request.param)()


def test_it_says_what_its_columns_are_called_and_which_head_answers_it(task):
    assert set(task.column_names) == {*task.parts, *task.optional_parts}
    assert all(name == name.lower() for names in task.column_names.values() for name in names)
    if task.usual_head is not None:
        assert head_for(task, None) == find(Head, task.usual_head)()
        assert head_for(task, None).serves(task)


def test_eight_invented_rows_each_label_more_than_once(task):
    rows = invented(task)
    assert len(rows) == 8
    assert len({row.key for row in rows}) == 8
    assert all(task.is_usable(row) for row in rows)
    if getattr(task.settled(rows), "labels", None):
        flat = [row.label if isinstance(row.label, tuple) else (row.label,) for row in rows]
        counts = Counter(label for labels in flat for label in labels)
        assert min(counts.values()) > 1
        assert task.settled(rows).labels == tuple(sorted(counts))


def test_settling_decides_everything_once(task):
    settled = task.settled(invented(task))
    assert settled.metrics
    assert all(isinstance(metric, Metric) for metric in settled.metrics)
    assert settled.settled(invented(task)[:4]) == settled or name_of(task) == "minimal_pairs"
    assert len({metric.name for metric in settled.metrics}) == len(settled.metrics)


def test_a_baseline_guesses_every_row_from_training_rows_alone(task):
    rows = invented(task)
    task = task.settled(rows)
    blind = tuple(replace(row, label=None) for row in rows)
    baseline = task.baseline(rows, rows)
    assert baseline.name
    assert baseline.predictions == task.baseline(rows, blind).predictions
    assert len(baseline.predictions) == len(rows)


def test_a_constant_guess_without_training_rows_says_what_it_was_counted_on(task):
    rows = invented(task)
    task, some = task.settled(rows), rows[-3:]
    blind = task.baseline((), some)
    assert len(blind.predictions) == len(some)
    if task.answer in ("likelihood", "order", "span", "text"):
        return
    assert blind.name.endswith("these rows")
    assert blind.predictions == task.baseline((), some[::-1]).predictions[::-1]
    if task.answer not in ("number", "labels"):
        flat = [one for row in some for one in (row.label if isinstance(row.label, tuple) else (row.label,))]
        best = Counter(flat).most_common(1)[0][1]
        guesses = {one for guess in blind.predictions for one in (guess if isinstance(guess, tuple) else (guess,))}
        assert [flat.count(one) for one in guesses] == [best]


def test_settled_by_training_it_takes_rows_that_teach_nothing(task):
    settled = task.settled(invented(task))
    assert settled.settled(invented(task)[:1]) == settled


def test_right_answers_beat_the_baseline_by_every_metric(task):
    rows = invented(task)
    task = task.settled(rows)
    right = [task.read_answer(task.target_text(row.label)) for row in rows]
    best = task.score(right, rows)
    trivial = task.score(task.baseline(rows, rows).predictions, rows)
    for metric in task.metrics:
        sign = 1 if metric.higher_is_better else -1
        assert sign * best[metric.name] > sign * trivial[metric.name]
        assert best[metric.name] == pytest.approx(1.0 if sign > 0 else 0.0, abs=0.02)


def test_written_nonsense_is_wrong_and_never_an_error(task):
    rows = invented(task)
    task = task.settled(rows)
    for written in ("", "zzz", "-1", "99", "１"):
        scores = task.score([task.read_answer(written)] * len(rows), rows)
        metric = task.metrics[0]
        assert scores[metric.name] < 1.0 if metric.higher_is_better else scores[metric.name] > 0.0


def test_its_settled_form_survives_a_recipe(task):
    settled = task.settled(invented(task))
    plain = json.loads(json.dumps(config.to_plain(settled)))
    assert config.build(Task, _node(plain)) == settled


def test_its_rows_are_recognised_in_a_file(task, tmp_path):
    """The rows as jsonl, under the likeliest names of their columns, come back as the same task and the same
    rows."""
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records(task)), encoding="utf-8")
    source = guess(path, task=None if task.precedence else task)
    assert name_of(source.task) == name_of(task)
    data = read(source)
    assert [row.texts for row in data.splits["train"]] == [row.texts for row in invented(task)]
    assert [row.label for row in data.splits["train"]] == [row.label for row in invented(task)]
    assert [row.group for row in data.splits["train"]] == [row.group for row in invented(task)]


def records(task):
    """Invented rows as a data set would have them."""
    name = {part: names[0] for part, names in task.column_names.items()}
    for row in invented(task):
        match name_of(task):
            case "ranking":
                for number, candidate in enumerate(row.texts[1:]):
                    label = int(number in row.label)
                    yield {"query": row.texts[0], "candidate": candidate, "label": label}
            case "question_answering":
                answers = [{"text": answer.text, "answer_start": answer.start} for answer in row.label]
                yield {"question": row.texts[0], "context": row.texts[1], "answers": answers}
            case "multiple_choice":
                yield {"prompt": row.texts[0], "choices": list(row.texts[1:]), "label": row.label}
            case "multi_label":
                yield {"text": row.texts[0], "labels": list(row.label)}
            case "tagging":
                yield {"tokens": list(row.texts), "tags": list(row.label)}
            case "minimal_pairs":
                yield {"sentence_good": row.texts[0], "sentence_bad": row.texts[1], "UID": row.group}
            case _:
                label = row.label[0] if isinstance(row.label, tuple) else row.label
                parts = (*task.parts, *task.optional_parts)
                texts = [name[part] for part in parts if part != task.label_part]
                yield dict(zip(texts, row.texts)) | {name[task.label_part]: label}


def _node(plain):
    if isinstance(plain, dict):
        return Node({key: _node(value) for key, value in plain.items()}, "x")
    if isinstance(plain, list):
        return Node([_node(value) for value in plain], "x")
    return Node(plain, "x")
