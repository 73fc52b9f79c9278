"""The model card of a fine-tuned model: which task it answers, how well, and how it is called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from afterbert import __version__
from afterbert.base.markdown import in_markdown
from afterbert.base.plugins import name_of
from afterbert.downstream.tasks import Task, labels_of
from afterbert.interop.task_class import TaskKind

# What the hub calls each kind, and how the folder is loaded.
_CALLED: Mapping[TaskKind, tuple[str, str]] = {
    "sequence": ("text-classification", "AutoModelForSequenceClassification"),
    "token": ("token-classification", "AutoModelForTokenClassification"),
    "span": ("question-answering", "AutoModelForQuestionAnswering"),
    "choice": ("multiple-choice", "AutoModelForMultipleChoice"),
}
_PIPELINES = ("sequence", "token")


@dataclass(frozen=True)
class SplitFigures:
    """The figures of one split, beside what guessing is worth."""

    rows: int
    metrics: Mapping[str, float]
    """The main one first."""
    guessing: str = ""
    """How was guessed."""
    guessed: Mapping[str, float] = field(default_factory=dict)
    """What that scores."""


def task_card(
    tasks: Mapping[str, Task],
    figures: Mapping[str, Mapping[str, SplitFigures]],
    *,
    length: int,
    kind: TaskKind | None,
    notes: Sequence[str] = (),
) -> str:
    """Returns a model card: Markdown with a YAML head, as Hugging Face reads it. figures: task -> split -> figures.
    kind: the kind of class that the folder is written for; None if no class holds the heads."""
    kinds = list(dict.fromkeys(name_of(task) for task in tasks.values()))
    head: dict[str, Any] = {"library_name": "transformers", "tags": ["afterbert", *kinds]}
    if kind is not None:
        head["pipeline_tag"] = _CALLED[kind][0]
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False, allow_unicode=True).strip(),
        "---",
        "",
        f"# {', '.join(map(in_markdown, tasks))}",
        "",
        f"Fine-tuned with afterbert {__version__} on rows of at most {length} pieces.",
        "",
        "```python",
        *_call(kind),
        "```",
        "",
    ]
    for name, task in tasks.items():
        lines += _task_lines(name, task, figures.get(name, {}))
    lines += [line for note in notes for line in (f"Note: {in_markdown(note)}.", "")]
    lines.append("The rows it learned from decide what it knows; it was not checked for bias or for private facts.")
    return "\n".join(lines) + "\n"


def _task_lines(name: str, task: Task, figures: Mapping[str, SplitFigures]) -> list[str]:
    labels = labels_of(task)
    lines = [f"## {in_markdown(name)}: {name_of(task).replace('_', ' ')}", ""]
    lines += [f"Labels: {', '.join(map(in_markdown, labels))}.", ""] if labels else []
    for split, found in figures.items():
        lines += [f"On the {found.rows:,} labelled rows of {in_markdown(split)}:", ""]
        lines += ["| | model | guessing |", "|---|---|---|"]
        for metric, value in found.metrics.items():
            guessed = f"{found.guessed[metric]:.4g}" if metric in found.guessed else ""
            lines.append(f"| {in_markdown(metric.replace('_', ' '))} | {value:.4g} | {guessed} |")
        lines += ["", f"Guessing: {in_markdown(found.guessing)}.", ""] if found.guessing else [""]
    return lines


def _call(kind: TaskKind | None) -> list[str]:
    if kind is None:
        return ["from afterbert.downstream.finetuning.saving import load_finetuned", 'model = load_finetuned(".")']
    tag, auto = _CALLED[kind]
    if kind in _PIPELINES:
        return ["from transformers import pipeline", f'answer = pipeline("{tag}", model=".")']
    return [
        f"from transformers import {auto}, AutoTokenizer",
        f'model, tokenizer = {auto}.from_pretrained("."), AutoTokenizer.from_pretrained(".")',
    ]
