"""A tiny model with a tokenizer that knows the invented rows of every task."""

import pytest
import torch

from afterbert.base.plugins import find, names
from afterbert.downstream.example import Example
from afterbert.downstream.reading.data import TaskData
from afterbert.downstream.tasks import Task
from afterbert.interop.loaded import LoadedModel
from afterbert.models.encoder import Encoder
from afterbert.nn.position_embeddings.learned import Learned
from afterbert.text.tokenizers.wordpiece import WordPiece
from invented_examples import invented


def invented_texts():
    texts = []
    for name in names(Task):
        for row in invented(find(Task, name)()):
            texts += row.texts
            texts += row.label if name == "text_to_text" else ()
    return texts


@pytest.fixture(scope="session")
def tiny_tokenizer():
    recipe = WordPiece(vocab_size=420, min_frequency=1, lowercase=True)
    return recipe.make(invented_texts() * 3, corpus_bytes=sum(map(len, invented_texts())))


@pytest.fixture(scope="session")
def tiny_model(tiny_tokenizer, tmp_path_factory):
    """A BERT of two layers with fixed random weights."""
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_tokenizer.save(folder)
    architecture = Encoder(
        vocab_size=tiny_tokenizer.vocabulary.size,
        hidden_size=48,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=96,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    assert isinstance(architecture.embeddings.positions, Learned)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        weights = architecture.build(tiny_tokenizer.vocabulary).state_dict()
    return LoadedModel("tiny", architecture, tiny_tokenizer, {"backbone": weights}, folder)


@pytest.fixture(scope="session")
def data_of():
    """A task's rows, the invented ones unless others are given, as training rows and again as dev rows."""

    def made(task, name="toy", rows=None):
        rows = tuple(rows or invented(task))
        dev = tuple(Example("d" + row.key, row.texts, row.label) for row in rows)
        return TaskData(name, task.settled(rows), {"train": rows, "dev": dev}, ())

    return made
