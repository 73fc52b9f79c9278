"""What `finetune` and `score` print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from rich.table import Table

from afterbert.api.finetuning import carry_out
from afterbert.api.tables import drawn
from afterbert.api.terminal import console, safe
from afterbert.api.watch import Watch
from afterbert.base.config import digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.visible import visible
from afterbert.downstream.example import Example
from afterbert.downstream.finetuning.evaluation import evaluate, task_name, write_evaluated
from afterbert.downstream.finetuning.saving import load_finetuned
from afterbert.downstream.reading.data import TaskData, read
from afterbert.downstream.reading.find_task import find_task, named_path, parse_columns
from afterbert.downstream.reading.source import TaskSource
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks.minimal_pairs import MinimalPairs
from afterbert.interop.loaded import LoadedModel
from afterbert.probes.minimal_pairs import MinimalPairsProbe, short_enough
from afterbert.probes.readings import reading_of
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.pieces.unknown import UnknownPieces
from afterbert.training.devices import default_device
from afterbert.workflows.finetune_request import FinetuneRequest, set_up
from afterbert.workflows.loading import load_model_or_checkpoint


def fine_tune(request: FinetuneRequest, *, dry_run: bool) -> int:
    """The exit status: 0 finished, 143 or 130 stopped by a signal with everything saved."""
    if dry_run:
        with Watch() as watch:
            setup = set_up(request, watch)
        plain = to_plain(setup.bench.settings)
        print(visible(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)), end="")
        return 0
    done = carry_out(request)
    if done.exit_code:
        where = "in the search" if done.step is None else f"at step {done.step}"
        console.print(f"stopped {where}, everything saved; the same command goes on")
        return done.exit_code
    if done.model is not None:
        every = f" (and {len(done.models) - 1} more seeds beside it)" if len(done.models) > 1 else ""
        console.print(f"model:       {safe(str(done.model))}{every}")
        console.print(f"predictions: {safe(str(done.model.parent / 'predictions'))}")
    console.print(f"figures:     {safe(str(done.figures))}")
    console.print(f"report:      {safe(str(done.report))}")
    return 0


def score_task(
    folder: str, spec: str, *, task: str | None, kind: str | None, columns: str | None, max_unknown: float
) -> None:
    """A fine-tuned model's figures on the rows of a task file, as a table; its predictions, also for rows without
    labels, are saved."""
    loaded = load_finetuned(folder, device=default_device())
    asked: str | Task | None = kind
    if kind is None and named_path(spec)[1].suffix not in (".yaml", ".yml"):
        asked = loaded.tasks[task_name(loaded, task)]
    source = _found(spec, asked, None, columns, needs_label=False)
    done = evaluate(loaded, source, task=task, device=default_device())
    _say_notes(done.data.notes)
    say_unknown(done.data, loaded.model.tokenizer, max_unknown)
    if done.result.splits:
        console.print(drawn((done.result,)))
    else:
        console.print("no row has a label, so nothing can be scored")
    made_of = {
        "model": str(Path(folder).resolve()),
        "task": spec,
        "as": task,
        "kind": kind,
        "columns": columns,
    }
    out = Path("runs", f"score-{done.data.name}-{digest(made_of, length=8)}")
    write_evaluated(out, done, model=folder)
    console.print(f"predictions: {safe(str(out / 'predictions'))}")
    console.print(f"figures:     {safe(str(out / 'results.json'))}")


def score_pairs(
    name: str, spec: str, *, columns: str | None, max_pairs: int | None, max_unknown: float
) -> None:
    """How often a model finds the better sentence of a pair likelier, overall and by group. Raises UserError."""
    source = _found(spec, "minimal_pairs", None, columns)
    data = read(source, needs_training=False)
    loaded = load_model_or_checkpoint(name)
    language_model = loaded.language_model(device=default_device())
    predict = language_model.predict
    _say_notes([*loaded.notes, *filter(None, [language_model.note]), *data.notes])
    say_unknown(data, loaded.tokenizer, max_unknown)
    question = MinimalPairsProbe(reading=reading_of(loaded.architecture))
    table = Table(box=None, header_style="bold", title_justify="left")
    for column in ("pairs of", "count", "right", "the shorter one"):
        table.add_column(column, justify="left" if column == "pairs of" else "right")
    for split in data.splits:
        rows = _readable_pairs(loaded, data, split, max_pairs)
        pairs = [(row.texts[0], row.texts[1]) for row in rows]
        groups = [row.group for row in rows]
        found = question(predict, loaded.tokenizer, pairs, groups, device=default_device())
        guesses = MinimalPairs().baseline((), rows).predictions
        for group in [*filter(None, found.by_group), ""]:
            mine = [guess for guess, one in zip(guesses, groups) if not group or one == group]
            right = found.by_group[group] if group else found.accuracy
            table.add_row(
                safe(group or f"{data.name} {split}"),
                f"{len(mine):,}",
                f"{right:.1%}",
                f"{mine.count(0) / len(mine):.1%}",
            )
    console.print(table)
    console.print(f"read {question.reading.replace('_', ' ')}; likelihoods are sums over pieces")


def _readable_pairs(loaded: LoadedModel, data: TaskData, split: str, most: int | None) -> list[Example]:
    """The first `most` pairs of a split, without those that are too long; how many that were is said. Raises UserError
    where none is left."""
    rows, longest = data.usable(split)[:most], loaded.longest
    kept = short_enough([(row.texts[0], row.texts[1]) for row in rows], loaded.tokenizer, longest=longest)
    if len(kept) < len(rows):
        said = f"{split}: {len(rows) - len(kept):,} of {len(rows):,} pairs are longer than the {longest} pieces that"
        if not kept:
            raise UserError(f"{said} the model reads; nothing is left to ask")
        _say_notes([f"{said} the model reads, and left out"])
    return [rows[number] for number in kept]


def _found(
    spec: str, kind: str | Task | None, format: str | None, columns: str | None, *, needs_label: bool = True
) -> TaskSource:
    given = parse_columns(columns) if columns else None
    source = find_task(spec, kind=kind, format=format, columns=given, needs_label=needs_label)
    console.print(safe(source.why))
    return source


def say_unknown(data: TaskData, tokenizer: Tokenizer, most: float) -> None:
    """Prints how many pieces of the rows the tokenizer does not know, where it does not know some. Raises UserError for
    a larger share than `most`."""
    texts = [text for rows in data.splits.values() for row in rows for text in row.texts]
    found = UnknownPieces.in_texts(texts, tokenizer)
    remedy = "ask a model whose tokenizer knows this text"
    _say_notes(found.check(most, whose=f"the rows of {data.name}", remedy=remedy))


def _say_notes(notes: Sequence[str]) -> None:
    for note in notes:
        console.print(f"note: {safe(note)}")
