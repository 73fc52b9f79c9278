"""A kind of task, a head and a metric, each as one file in a folder of one's own, from the command line."""

import json
import re
import sys
import textwrap

import pytest

from afterbert.base import plugins
from afterbert.cli.main import run
from afterbert.downstream import heads, metrics, tasks
from afterbert.downstream.reading.columns import known_names
from afterbert.downstream.reading.guess import guess
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.interop.folder import export_folder
from afterbert.models.encoder import Encoder
from afterbert.text.tokenizers.wordpiece import WordPiece

WORDS = ["calm", "cross", "glad", "sad", "very", "hardly", "the", "dog", "cat", "is"]
TEXTS = [f"the {who} is {much} {how}" for who in WORDS[7:9] for much in WORDS[4:6] for how in WORDS[:4]]

METRIC = '''
    """The share of guesses at most one off."""
    from dataclasses import dataclass
    import numpy as np
    from afterbert.downstream.metrics import MeanMetric

    @dataclass(frozen=True)
    class Near(MeanMetric):
        def of_each(self, predictions, truths):
            return np.abs(np.array(predictions, float) - np.array(truths, float)) <= 1
'''

HEAD = '''
    """A number from the first piece, without a layer before it."""
    from dataclasses import dataclass
    from typing import ClassVar
    import numpy as np
    from torch import nn
    from afterbert.downstream.heads import Head, HeadModule
    from afterbert.downstream.heads.pooled import text_rows
    from afterbert.downstream.posing.prepared import one_row_each
    from afterbert.downstream.prediction import Prediction

    @dataclass(frozen=True)
    class Gauge(Head):
        answers: ClassVar[tuple[str, ...]] = ("strength",)

        def prepare(self, task, examples, formatter):
            rows, cut = text_rows(examples, formatter)
            labels = np.array([-1 if e.label is None else e.label for e in examples], np.float32)
            arrays = {"strength": labels}
            return one_row_each(task, examples, rows, asked=labels >= 0, row_arrays=arrays, cut=cut)

        def build(self, task, on):
            return _Module(on.model)

        def answered(self, asked, outputs):
            return [Prediction(float(output)) for output in outputs]

    class _Module(HeadModule):
        def __init__(self, model):
            super().__init__()
            self.last = nn.Linear(model.architecture.hidden_size, 1)

        def output(self, hidden, arrays):
            return self.last(hidden[:, 0])[:, 0].float()

        def score(self, hidden, arrays):
            return ((self.output(hidden, arrays) - arrays["strength"]) ** 2).sum()
'''

TASK = '''
    """How strong an emotion is in a text, from 0 to 4."""
    from dataclasses import dataclass
    from typing import ClassVar
    from afterbert.downstream.example import Baseline, Example
    from afterbert.downstream.metrics.near import Near
    from afterbert.downstream.tasks import Task

    @dataclass(frozen=True)
    class EmotionStrength(Task):
        parts: ClassVar = ("text", "emotion", "strength")
        column_names: ClassVar = {"text": ("text",), "emotion": ("feeling",), "strength": ("strength",)}
        label_part: ClassVar = "strength"
        answer: ClassVar = "strength"
        usual_head: ClassVar = "gauge"
        precedence: ClassVar = 6
        text_names: ClassVar = ("text", "emotion")
        metrics: tuple = (Near(),)

        def example(self, record, columns, key, findings):
            written = record.get(columns.get("strength"))
            texts = (str(record[columns["text"]]), str(record[columns["emotion"]]))
            return Example(key, texts, int(written) if written else None)

        def settled(self, examples):
            return self

        def baseline(self, train, examples):
            return Baseline("always 2", (2,) * len(examples))

        def target_text(self, label):
            return str(label)

        def read_answer(self, written):
            return int(written) if written.isdigit() else -1
'''


@pytest.fixture
def own_plugins(tmp_path, monkeypatch):
    """One file for each of the three, found beside the package's own."""

    def forget():
        for cached in (plugins.names, plugins.find, known_names):
            cached.cache_clear()

    for package, name, source in ((metrics, "near", METRIC), (heads, "gauge", HEAD), (tasks, "emotion_strength", TASK)):
        folder = tmp_path / package.__name__.rsplit(".", 1)[-1]
        folder.mkdir()
        (folder / f"{name}.py").write_text(textwrap.dedent(source).strip() + "\n")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        monkeypatch.setattr(package.__spec__, "submodule_search_locations", package.__path__)
    forget()
    yield
    for module in ("metrics.near", "heads.gauge", "tasks.emotion_strength"):
        sys.modules.pop(f"afterbert.downstream.{module}", None)
    sys.modules.pop("afterbert.cli.verbs.finetune", None)  # whose help lists what the folders held
    forget()


@pytest.fixture
def model(tmp_path):
    tokenizer = WordPiece(vocab_size=120, min_frequency=1).make(TEXTS * 3, corpus_bytes=9999)
    tokenizer.save(tmp_path / "tokenizer")
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64, "max_position_embeddings": 64}
    architecture = Encoder(vocab_size=tokenizer.vocabulary.size, **sizes)
    backbone = architecture.build(tokenizer.vocabulary)
    out = tmp_path / "model"
    export_folder(out, architecture, backbone, {}, vocabulary=tokenizer.vocabulary, tokenizer=tmp_path / "tokenizer")
    return out


def test_each_is_one_file_and_is_used_from_the_command_line(own_plugins, model, tmp_path, capsys):
    rows = [f"{text},{text.split()[-1]},{number % 5}" for number, text in enumerate(TEXTS)]
    for split in ("train", "dev"):
        path = tmp_path / "data" / f"{split}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(["text,feeling,strength", *rows]) + "\n")
    words = ["finetune", "-m", str(model), "-t", f"felt:{tmp_path / 'data'}", "--epochs", "1"]
    assert run([*words, "--out", str(tmp_path / "out")]) == 0
    told = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "felt: emotion strength (guessed: csv with header, by column names)" in told
    assert "near" in told
    assert "guessing for felt: always 2" in told
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert 0 <= written["tasks"]["felt"]["splits"]["dev"]["metrics"]["near"]["mean"] <= 1
    assert run([*words, "--head", "gauge", "--dry-run"]) == 0
    assert run(["finetune", "-m", str(model), "-t", f"felt:{tmp_path / 'data'}", "--head", "pooled"]) == 2
    assert "head pooled cannot answer emotion strength; leave it out, or choose: gauge" in " ".join(
        capsys.readouterr().err.split()
    )


def test_a_new_kind_leaves_the_guesses_of_other_files_alone(own_plugins, tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("text,label\n" + "".join(f"{text},{number % 2}\n" for number, text in enumerate(TEXTS)))
    assert isinstance(guess(path).task, SentenceClassification)
    bare = tmp_path / "bare.csv"
    bare.write_text("".join(f"{text},{number % 2}\n" for number, text in enumerate(TEXTS)))
    assert isinstance(guess(bare).task, SentenceClassification)
    assert "feeling" in known_names()


def test_help_lists_what_the_folders_hold(capsys):
    assert run(["finetune", "--help"]) == 0
    told = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    for interface in (tasks.Task, heads.Head):
        assert ", ".join(plugins.names(interface)) in told
