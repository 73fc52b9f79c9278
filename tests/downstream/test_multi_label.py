"""Several labels a row: read however they are written, scored as scikit-learn does, never one column in silence."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.prediction import Answerer
from afterbert.downstream.finetuning.runs import finetune
from afterbert.downstream.finetuning.saving import load_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.heads.each_label import EachLabel, best_threshold
from afterbert.downstream.metrics.accuracy import Accuracy
from afterbert.downstream.metrics.f1 import F1
from afterbert.downstream.reading.data import read
from afterbert.downstream.reading.find_task import find_task
from afterbert.downstream.tasks.multi_label import MultiLabel
from afterbert.objectives.parts.distillation import DistillationModule, Losses

NAMES = ("gleði", "reiði", "ótti")
SETS = [("gleði",), ("gleði", "reiði"), (), ("reiði", "ótti"), ("ótti",), ("gleði", "reiði", "ótti")] * 4


def rows(wanted=SETS):
    return [(f"Þetta er texti númer {number}, langur.", labels) for number, labels in enumerate(wanted)]


def flags(labels):
    return [str(int(name in labels)) for name in NAMES]


def as_csv(cell, header="text;labels", quote='"'):
    lines = [f"{quote}{text}{quote};{cell(labels)}" for text, labels in rows()]
    return "\n".join([header, *lines]) + "\n"


FILES = {
    "flags.csv": as_csv(lambda labels: ";".join(flags(labels)), f"text;{';'.join(NAMES)}"),
    "bars.csv": as_csv("|".join),
    "commas.csv": as_csv(",".join),
    "pandas.csv": as_csv(lambda labels: repr(list(labels))),
    "unnamed.csv": as_csv("|".join, "umsögn;tilfinningar"),
    "lists.jsonl": "".join(json.dumps({"text": t, "labels": list(names)}) + "\n" for t, names in rows()),
    "booleans.jsonl": "".join(
        json.dumps({"comment": t} | {name: name in names for name in NAMES}) + "\n" for t, names in rows()
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_several_labels_are_told_however_they_are_written(tmp_path, name):
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    source = find_task(str(tmp_path / name))
    assert name_of(source.task) == "multi_label", source.why
    data = read(source)
    assert data.task.labels == NAMES
    assert [row.label for row in data.splits["train"]] == [labels for _, labels in rows()]


def test_numbers_of_labels_are_no_decimals(tmp_path):
    """GoEmotions' simplified files: text, numbers of emotions, an id; no header."""
    cells = ["27", "3,27", "4", "0,3,27", "0"] * 8
    lines = [f"a text of number {i}\t{cell}\teebb{i}x" for i, cell in enumerate(cells)]
    (tmp_path / "train.tsv").write_text("\n".join(lines))
    data = read(find_task(str(tmp_path)))
    assert data.task.labels == ("0", "3", "4", "27") and data.splits["train"][3].label == ("0", "27", "3")


@pytest.mark.parametrize(
    ("header", "cells"),
    [("text,country,mood", ["is,good", "is,bad", "no,good", "no,bad"]), ("text,a,b", ["1,5", "2,6", "3,5", "1,6"])],
)
def test_of_several_columns_of_classes_none_is_taken_in_silence(tmp_path, header, cells):
    lines = [f"a text of number {number},{cell}" for number, cell in enumerate(cells * 6)]
    (tmp_path / "a.csv").write_text("\n".join([header, *lines]))
    with pytest.raises(UserError, match="cannot be told from its columns"):
        find_task(str(tmp_path / "a.csv"))
    with pytest.raises(UserError, match="say --columns label="):
        find_task(str(tmp_path / "a.csv"), kind="sentence_classification")


def test_lists_of_one_are_classes(tmp_path):
    """doccano's export of a classification."""
    lines = [json.dumps({"id": i, "text": f"a text {i}", "label": [["pos"], ["neg"]][i % 2]}) for i in range(20)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    data = read(find_task(str(tmp_path / "a.jsonl")))
    assert (name_of(data.task), data.task.labels) == ("sentence_classification", ("neg", "pos"))


def test_a_place_is_not_a_separator(tmp_path):
    lines = [f"a text {i}\t{['Paris, FR', 'Oslo, NO', 'Rome, IT'][i % 3]}" for i in range(30)]
    (tmp_path / "a.tsv").write_text("\n".join(lines))
    assert name_of(find_task(str(tmp_path / "a.tsv")).task) == "sentence_classification"


def test_a_test_set_without_its_labels_and_unknown_flags(tmp_path):
    (tmp_path / "train.csv").write_text(FILES["flags.csv"])
    (tmp_path / "dev.csv").write_text(f"text;{';'.join(NAMES)}\n" + "annar texti;-1;-1;-1\nþriðji texti;1;0;1\n" * 3)
    (tmp_path / "test.csv").write_text("id;text\n" + "1;enn einn texti\n2;og annar texti\n")
    data = read(find_task(str(tmp_path)))
    assert [row.label for row in data.splits["dev"][:2]] == [None, ("gleði", "ótti")]
    assert [row.label for row in data.splits["test"]] == [None, None]


def test_f1_and_accuracy_are_scikit_learns():
    chance = np.random.default_rng(0)
    names = [f"l{i}" for i in range(7)]
    truths, guesses = ([tuple(name for name in names if chance.random() < 0.3) for _ in range(60)] for _ in range(2))
    binarizer = MultiLabelBinarizer(classes=names)
    true, guessed = binarizer.fit_transform(truths), binarizer.transform(guesses)
    for average in ("micro", "macro"):
        expected = f1_score(true, guessed, average=average)
        assert F1(average)(guesses, truths) == pytest.approx(expected, abs=1e-12)
    assert Accuracy()(guesses, truths) == accuracy_score(true, guessed)


def test_a_threshold_is_the_best_of_all():
    chance = np.random.default_rng(1)
    for _ in range(4):
        chances, is_true = chance.random(30).round(1), chance.random(30) < 0.3
        found = best_threshold(chances, is_true)
        scores = [f1_score(is_true, chances >= cut, zero_division=0) for cut in [found, *np.linspace(0.05, 1, 20)]]
        assert scores[0] == max(scores) or not is_true.any()


def test_it_learns_and_answers_with_its_thresholds(tiny_model, data_of, tmp_path):
    data = data_of(MultiLabel())
    data = replace(data, splits={**data.splits, "test": data.splits["dev"]})
    settings = FineTuning(budget=Budget(150, "epochs"), batch_size=8, length=48, precision="fp32")
    settings = settings.with_learning_rate(2e-3)
    (result,) = finetune(tiny_model, [data], tmp_path, settings).results
    assert result.splits["test"].metrics["f1_micro"].mean == 1.0
    assert result.splits["test"].baseline_metrics["f1_micro"] < 0.8
    loaded = load_finetuned(tmp_path / "seed-0")
    told = json.loads((tmp_path / "seed-0" / "predictions" / "thresholds.json").read_text())["toy"]
    assert list(loaded.heads["toy"].thresholds) == told["thresholds"]
    assert "labels are given from these chances on: bed 0." in (tmp_path / "seed-0" / "model" / "README.md").read_text()
    assert json.loads((tmp_path / "seed-0" / "model" / "config.json").read_text())["problem_type"] == (
        "multi_label_classification"
    )
    (one,) = Answerer(loaded, "toy").rows(["a hard bed"])
    assert one.value == ("bed",) and set(one.probabilities) == {"bed", "noise", "price"}


def test_dev_rows_without_labels_choose_no_thresholds_and_wrong_heads_are_refused(tiny_model, data_of):
    data = data_of(MultiLabel())
    unlabelled = tuple(replace(row, label=None) for row in data.splits["dev"])
    bench = Bench.of(tiny_model, [replace(data, splits={**data.splits, "dev": unlabelled})], FineTuning())
    assert bench.asked.calibrated(bench.module().eval()).heads == bench.asked.heads
    with pytest.raises(UserError, match="2 thresholds for 3 labels"):
        Bench.of(tiny_model, [data], FineTuning(heads={"toy": EachLabel(thresholds=(0.3, 0.4))})).module()


def test_a_row_of_totals_hides_no_labels(tmp_path):
    """A spreadsheet's last row holds the sums of the columns above."""
    cells = [(number % 2, number % 3 > 0) for number in range(8)]
    lines = [f"a text of number {number},{one:d},{other:d}" for number, (one, other) in enumerate(cells)]
    totals = ",".join(["Total", *(str(sum(column)) for column in zip(*cells))])
    (tmp_path / "a.csv").write_text("\n".join(["text,rude,wrong", *lines, totals]))
    source = find_task(str(tmp_path / "a.csv"))
    assert "above the last row, a.csv:10" in source.why
    data = read(source)
    assert (name_of(data.task), data.task.labels) == ("multi_label", ("rude", "wrong"))
    assert "1 rows without a label (first: a.csv:10)" in " ".join(data.notes)


def test_a_teacher_tells_the_chance_of_each_label_by_itself(tiny_model, data_of):
    """Not shares of all labels: two may be sure at once."""
    bench = Bench.of(tiny_model, [data_of(MultiLabel())], FineTuning())
    module, prepared = bench.module().eval(), bench.asked.prepared["toy"]["train"]
    batch = prepared.batch(np.arange(4), pad=0, has_segments=True, name="toy")
    arrays = {key: torch.as_tensor(value) for key, value in batch.arrays.items()}
    with torch.no_grad():
        chances, output = module.predict(arrays).softmax(-1)[..., 0], module.answer(arrays)
        torch.testing.assert_close(chances, output.sigmoid())
        mine, theirs = torch.randn(4, 3), torch.randn(4, 3)
        said = [torch.stack((one, torch.zeros_like(one)), -1) for one in (mine, theirs)]
        found = DistillationModule._soft(SimpleNamespace(losses=Losses(temperature=1.0)), *said)
        p, q = theirs.sigmoid(), mine.sigmoid()
        expected = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean(-1).sum()
    torch.testing.assert_close(found, expected)
