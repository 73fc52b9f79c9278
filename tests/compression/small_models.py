"""Tiny models that answer a task, with random weights, for tests of compression."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from afterbert.base.noise import Noise
from afterbert.base.plugins import find
from afterbert.compression.methods import Setting
from afterbert.compression.subject import Subject
from afterbert.downstream.finetuning.objective import TaskObjective
from afterbert.downstream.finetuning.saving import save_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.reading.data import TaskData
from afterbert.downstream.tasks import Task
from afterbert.interop.loaded import LoadedModel
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder
from afterbert.nn.feed_forwards.gated import Gated
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.text.tokenizers.wordpiece import WordPiece
from invented_examples import invented

SIZES: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 64,
}
BERT = Encoder(**SIZES)


def like_the_laptop_recipe() -> Encoder:
    """Rotary positions, gated units, norms first."""
    stack = replace(
        BERT.stack,
        attention=replace(BERT.stack.attention, positions=Rotary(), bias=False),
        feed_forward=Gated(),
        residual=PreNorm(has_first_norm=False),
    )
    embeddings = replace(BERT.embeddings, positions=NoPositionEmbedding(), type_vocab_size=0)
    return replace(BERT, stack=stack, embeddings=embeddings)


def answering(
    folder: Path, architecture: Architecture = BERT, *, kind: str = "sentence_classification", other: str = ""
) -> Subject:
    """A model of this architecture with a head for the task, as it is read from disk. Weights are large enough that
    answers differ. other: the kind of another task that it answers before this one."""
    task = find(Task, kind)()
    rows = tuple(invented(task))
    texts = [text for row in rows for text in row.texts]
    tokenizer = WordPiece(vocab_size=300, min_frequency=1).make(texts * 3, corpus_bytes=sum(map(len, texts)))
    (folder / "tokenizer").mkdir(parents=True)
    tokenizer.save(folder / "tokenizer")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        sized = replace(architecture, vocab_size=tokenizer.vocabulary.size)  # type: ignore[type-var]
        state = sized.build(tokenizer.vocabulary).state_dict()
        state = {name: one * 4 if one.dim() == 2 else one for name, one in state.items()}
        model = LoadedModel("tiny", sized, tokenizer, {"backbone": state}, folder / "tokenizer")
        tasks = [TaskData("toy", task.settled(rows), {"train": rows, "dev": rows}, (), {"text": "opinion"})]
        if other:
            known = tuple(invented(find(Task, other)()))
            tasks.insert(
                0, TaskData("other", find(Task, other)().settled(known), {"train": known, "dev": known}, (), {})
            )
        asked = TaskObjective.of(model, tasks, FineTuning(length=32))
        save_finetuned(folder / "model", asked.build(sized, tokenizer.vocabulary), asked)
    return Subject.read(folder / "model")


def setting_for(subject: Subject, folder: Path) -> Setting:
    """What methods may look at: the task's invented rows."""
    assert subject.tuned is not None
    folder.mkdir(parents=True)
    task = subject.tuned.tasks["toy"]
    return Setting(folder, "toy", {"train": tuple(invented(task))}, Noise(0), teacher=subject)


def outputs(subject: Subject, setting: Setting) -> torch.Tensor:
    """What the head says to the training rows [N, K]."""
    with torch.inference_mode():
        return torch.cat([subject.predict(arrays) for arrays in setting.batches(subject)])
