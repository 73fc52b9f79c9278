"""Many tasks in one model: MT-DNN from all-MiniLM-L6-v2, and T5's strategies on a small text-to-text model of our own.

    python benchmarks/many_tasks.py                      # everything
    python benchmarks/many_tasks.py --parts mt_dnn       # only that
    python benchmarks/many_tasks.py --scale 0.05 --work tiny --results tiny.json   # does it run at all
    python benchmarks/many_tasks.py --parts table        # the tables again, from what is known

Parts: `mt_dnn`, three tasks each on its own, together, and together then fine-tuned; `t5`, a small T5 pre-trained on
running text, then the five strategies and the control on three tasks as text. Every model that answers has had the same
number of steps: alone it has them for one task, together three tasks share them. A stopped part goes on where it was; a
finished strategy is kept in `--results` and not run again. The tables go into docs/many-tasks.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cells import ROOT, keep, kept, parser_of_parts, write_between

DATA = ROOT.parent / "shared" / "data"
PAGE = ROOT / "docs" / "many-tasks.md"
MT_DNN = ("alone", "multi_task", "supervised")
T5 = ("alone", "unsupervised", "multi_task", "multi_task_finetune", "leave_one_out", "supervised")
TASKS = {"sst2": "sst2", "stsb": "stsb", "qnli": "qnli_part"}
TITLES = {
    "mt_dnn": "MT-DNN: three tasks from all-MiniLM-L6-v2",
    "t5": "T5's strategies: three tasks as text, a small model of our own",
}


def parse() -> argparse.Namespace:
    parser = parser_of_parts("many_tasks", __doc__, ["mt_dnn", "t5"], seeds=2)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with tasks/ and pretrain_en/")
    return parser.parse_args()


def main() -> None:
    from afterbert.training.process_setup import set_up_process

    set_up_process()
    options = parse()
    known = kept(options.results)
    for part in options.parts:
        {"mt_dnn": mt_dnn, "t5": t5, "table": lambda *_: None}[part](options, known)
    lines = page_lines(known)
    if options.scale == 1.0:
        write_between(PAGE, "many-tasks", "\n".join(["", *lines]))
    print("\n".join(lines))


def mt_dnn(options: argparse.Namespace, known: dict[str, Any]) -> None:
    """The paper's heads and optimizer; a higher learning rate and shorter rows, since there are fewer steps."""
    from afterbert.base.config import build, to_plain
    from afterbert.base.tree import merge, override
    from afterbert.downstream.finetuning.bench import Bench
    from afterbert.downstream.finetuning.saving import located
    from afterbert.downstream.finetuning.settings import FineTuning
    from afterbert.interop.loading import load_model
    from afterbert.workflows.many_tasks import paper
    from finetune_speed import packaged_model

    tree = merge(located(to_plain(FineTuning()), "defaults"), paper("mt-dnn"))
    changed = {
        "budget": f"{scaled(60, options)}steps",
        "length": "64",
        "optimizer.learning_rate": "5e-4",
        "evaluate_every": "null",
        "num_seeds": str(options.seeds),
    }
    for key, value in changed.items():
        tree = override(tree, key, value)
    model = replace(load_model(packaged_model()), name="all-MiniLM-L6-v2")
    bench = Bench.of(model, tasks_of(options, train=2000, others=300), build(FineTuning, tree))
    carry_out("mt_dnn", MT_DNN, bench, options, known)


def t5(options: argparse.Namespace, known: dict[str, Any]) -> None:
    """Pre-trained a little on running text, which is one of the sources again."""
    from afterbert.base.budget import Budget
    from afterbert.base.mixing.proportional import Proportional
    from afterbert.downstream.finetuning.bench import Bench
    from afterbert.downstream.finetuning.settings import FineTuning
    from afterbert.downstream.finetuning.unlabelled import Unlabelled
    from afterbert.downstream.heads.text import Text
    from afterbert.interop.loading import load_model
    from afterbert.recipes.recipe import resolve
    from afterbert.training.optimizers.adafactor import Adafactor
    from afterbert.training.schedules.linear import Linear

    store = prepared(options)
    model = replace(load_model(pretrained(store, options)), name="T5 of two layers, from this text alone")
    settings = FineTuning(
        budget=Budget(scaled(600, options), "steps"),
        batch_size=32,
        length=64,
        optimizer=Adafactor(learning_rate=1e-2),
        schedule=Linear(warmup=0.05),
        head=Text(target_length=8),
        mixing=Proportional(limit=6000),
        evaluate_every=None,
        num_seeds=options.seeds,
    )
    text = Unlabelled.of(store, resolve("t5").recipe.objective, model, length=64, name="unlabelled")
    bench = Bench.of(model, tasks_of(options, train=7000, others=300), settings, texts=[text])
    carry_out("t5", T5, bench, options, known, groups={"stsb": "pairs", "qnli": "pairs"})


def carry_out(
    part: str,
    strategies: Sequence[str],
    bench: Any,
    options: argparse.Namespace,
    known: dict[str, Any],
    *,
    groups: dict[str, str] | None = None,
) -> None:
    """Each strategy whose figures are not known yet."""
    from afterbert.base.plugins import find
    from afterbert.downstream.finetuning.strategy_runs import StrategyRun, follow
    from afterbert.downstream.strategies import Strategy

    for name in strategies:
        key = f"{part}/{name}"
        if key in known:
            continue
        out, before = options.work / part / name, time.process_time()
        done = follow(StrategyRun.of(find(Strategy, name)(), bench, groups=groups), out)
        if done.outcome is not None:
            raise SystemExit(done.outcome.exit_code)
        found = json.loads((out / "results.json").read_text(encoding="utf-8"))
        cell = found | {"cpu_seconds": time.process_time() - before}
        keep(options.results, known, key, cell)


def tasks_of(options: argparse.Namespace, *, train: int, others: int) -> list[Any]:
    """The three tasks, with at most so many rows."""
    from afterbert.downstream.reading.data import read
    from afterbert.downstream.reading.find_task import find_task

    found = []
    for name, folder in TASKS.items():
        data = read(find_task(f"{name}:{options.data / 'tasks' / folder}")).with_dev()
        sizes = {split: scaled(train if split == "train" else others, options) for split in data.splits}
        splits = {
            split: rows[:: max(1, len(rows) // sizes[split])][: sizes[split]]
            for split, rows in data.splits.items()
            if split in ("train", "dev", "test")
        }
        found.append(replace(data, splits=splits, notes=()))
    return found


def prepared(options: argparse.Namespace) -> Any:
    """Running text and texts of the tasks' kind, with a tokenizer of its own."""
    from afterbert.recipes.recipe import resolve
    from afterbert.text.from_paths import sources_for
    from afterbert.text.token_store.prepare import prepare
    from afterbert.text.tokenizers.unigram import Unigram

    recipe = resolve("t5").recipe.tokenizer
    assert isinstance(recipe, Unigram)
    texts = options.data / "pretrain_en" / "wikitext2.valid.txt"
    books = options.data / "pretrain_en" / "standardebooks.jsonl"
    sources = sources_for([str(texts)] if options.scale < 1 else [str(texts), str(books)])
    return prepare(sources, options.work / "store", tokenizer=replace(recipe, vocab_size=8000))


def pretrained(store: Any, options: argparse.Namespace) -> Path:
    """A small T5, in a run folder; without dropout, for which it is too small and its text too short."""
    from afterbert.base.runs import RunFolder
    from afterbert.recipes.recipe import resolve
    from afterbert.workflows.pretraining import pretrain

    budget = f"{scaled(6000, options)}steps"
    shares = ("hidden_dropout_prob", "attention_probs_dropout_prob", "stack.feed_forward.inner_dropout")
    overrides = [("training.budget", budget), ("length", "64"), *((f"model.{name}", "0") for name in shares)]
    resolved = resolve("t5", size="tiny", overrides=overrides)
    run = RunFolder.create(options.work, "t5-tiny")
    if not (run.path / "model" / "config.json").is_file():
        pretrain(resolved, store, run)
    return run.path


def scaled(number: int, options: argparse.Namespace) -> int:
    return max(8, round(number * options.scale))


def page_lines(known: dict[str, Any]) -> list[str]:
    """For each part the tables of its report."""
    from afterbert.report.task_report import answers_grids, mix_grids, results_grid, steps_notes

    lines: list[str] = []
    for part, title in TITLES.items():
        arms = {key.split("/")[1]: found for key, found in known.items() if key.startswith(f"{part}/")}
        if not arms:
            continue
        minutes = sum(found["cpu_seconds"] for found in arms.values()) / 60
        lines += [f"### {title}", "", *steps_notes(arms), f"CPU time: {minutes:.0f} minutes.", ""]
        for grid in (results_grid(arms), *answers_grids(arms), *mix_grids(arms)):
            lines += [grid.markdown().replace("## ", "#### ", 1), ""]
    return lines


if __name__ == "__main__":
    main()
