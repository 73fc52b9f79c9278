"""How well fine-tuning works: all-MiniLM-L6-v2 on seven tasks, and what pre-training a small model was worth.

    python benchmarks/fine_tuned_tasks.py --model ../runs/NAME     # everything; NAME: a run of `afterbert pretrain`
    python benchmarks/fine_tuned_tasks.py --parts minilm trainer   # only these
    python benchmarks/fine_tuned_tasks.py --scale 0.02 --work tiny --results tiny.json   # does it run at all
    python benchmarks/fine_tuned_tasks.py --parts table            # the tables again, from what is known

Parts: `trainer`, SST-2 with us and with Hugging Face Trainer, three seeds each (cells of finetune_speed.py);
`minilm`, the other tasks with MiniLM, one seed; `worth`, eight tasks, three seeds, from the pre-trained model and from
random weights. A stopped part goes on where it was; a finished cell is kept in `--results` and not run again. The
tables go into docs/tasks.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cells import ROOT, keep, kept, parser_of_parts, write_between

PAGE = ROOT / "docs" / "tasks.md"
TRAINER_EPOCHS = 5.0


@dataclass(frozen=True)
class Cell:
    """A task as it is trained here. spec: below the tasks' folder; split: the one that is told; share: of the
    training rows."""

    name: str
    spec: str
    split: str
    epochs: float
    learning_rate: float
    length: int = 128
    share: float = 1.0
    batch_size: int = 32


MINILM = (
    Cell("STS-B", "stsb", "dev", 2, 5e-5),
    Cell("QNLI part", "qnli_part", "dev", 2, 5e-5),
    Cell("TREC", "trec", "test", 3, 1e-4),
    Cell("WNUT-17", "wnut17", "dev", 3, 1e-4),
    Cell("UD English tags", "ud_pos", "dev", 1, 1e-4, share=0.25),
    Cell("SQuAD 2.0 part", "squad2_part", "dev", 3, 3e-4, length=192, batch_size=16),
)
WORTH = (
    Cell("SST-2", "sst2", "dev", 3, 5e-4),
    Cell("CoLA", "cola", "dev", 3, 5e-4),
    Cell("TREC", "trec", "test", 5, 1e-3),
    Cell("QNLI part", "qnli_part", "dev", 3, 5e-4),
    Cell("WNUT-17", "wnut17", "dev", 5, 1e-3),
    Cell("UD English tags", "ud_pos", "dev", 3, 1e-3, share=0.25),
    Cell("BANKING77", "banking77", "test", 5, 1e-3, length=64),
    Cell("STS-B", "stsb", "dev", 3, 5e-4),
)


def parse() -> argparse.Namespace:
    parser = parser_of_parts("fine_tuned_tasks", __doc__, ["trainer", "minilm", "worth"], seeds=3)
    parser.add_argument("--tasks", type=Path, default=ROOT.parent / "shared" / "data" / "tasks")
    parser.add_argument("--model", help="for worth: a finished run of `afterbert pretrain`, or its model folder")
    return parser.parse_args()


def main() -> None:
    from afterbert.training.process_setup import set_up_process

    set_up_process()
    options = parse()
    known = kept(options.results)
    for part in options.parts:
        {"trainer": trainer, "minilm": minilm, "worth": worth, "table": lambda *_: None}[part](options, known)
    if options.scale == 1.0:
        write_between(PAGE, "fine-tuned-tasks", "\n".join(page_lines(known)))
    print("\n".join(page_lines(known)))


# The parts


def trainer(options: argparse.Namespace, known: dict[str, Any]) -> None:
    """SST-2 with both, the same hyper-parameters."""
    from finetune_speed import packaged_model, whole

    task = options.tasks / "sst2"
    if options.scale < 1:
        task = excerpt(task, options)
    for seed in range(options.seeds):
        for who in ("ours", "stock"):
            name = f"trainer/{who}/{seed}"
            if name not in known:
                settings = {"model": packaged_model(), "precision": "fp32", "epochs": TRAINER_EPOCHS}
                cells = options.work / "whole" if options.scale < 1 else None
                found = whole({**settings, "task": str(task), "who": who, "seed": seed}, cells)
                keep(options.results, known, name, found)


def excerpt(task: Path, options: argparse.Namespace) -> Path:
    """The first lines of its files."""
    out = options.work / "excerpt"
    out.mkdir(parents=True, exist_ok=True)
    for path in task.iterdir():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        (out / path.name).write_text("".join(lines[: round(options.scale * len(lines))]), encoding="utf-8")
    return out


def minilm(options: argparse.Namespace, known: dict[str, Any]) -> None:
    """Each task once."""
    from afterbert.interop.loading import load_model
    from finetune_speed import packaged_model

    model = load_model(packaged_model())
    for cell in MINILM:
        name = f"minilm/{cell.name}"
        if name not in known:
            begun = time.perf_counter()
            bench, _ = run(options, model, cell, "minilm", num_seeds=1)
            result = json.loads((options.work / "minilm" / slug(cell) / "results.json").read_text())
            figures = result["tasks"][bench.tasks[0].name]["splits"][cell.split]
            keep(options.results, known, name, {**asdict(cell), "seconds": time.perf_counter() - begun, **figures})


def worth(options: argparse.Namespace, known: dict[str, Any]) -> None:
    """The same model, pre-trained and not: the difference over seeds and rows, paired."""
    from afterbert.base.noise import Noise
    from afterbert.downstream.figures.statistics import over_seeds, paired_interval
    from afterbert.interop.loading import load_model

    if options.model is None:
        raise SystemExit("worth: name a pre-trained run with --model")
    model = load_model(options.model)
    for cell in WORTH:
        name = f"worth/{cell.name}"
        if name in known:
            continue
        begun = time.perf_counter()
        bench, trained = run(options, model, cell, "trained", num_seeds=options.seeds)
        _, random = run(options, model.from_scratch(), cell, "random", num_seeds=options.seeds)
        (data,) = bench.tasks
        main, truths = data.task.metrics[0], [example.label for example in data.usable(cell.split)]
        gain = paired_interval(main, trained, random, truths, noise=Noise(0).of("bootstrap"))
        found = {
            **asdict(cell),
            "metric": main.name,
            "rows": len(truths),
            "seconds": time.perf_counter() - begun,
            "guessing": main(data.baseline(cell.split).predictions, truths),
            "trained": asdict(over_seeds([main(one, truths) for one in trained])),
            "random": asdict(over_seeds([main(one, truths) for one in random])),
            "gain": asdict(gain),
        }
        keep(options.results, known, name, found)


def run(
    options: argparse.Namespace, model: Any, cell: Cell, arm: str, *, num_seeds: int
) -> tuple[Any, list[list[Any]]]:
    """The bench, and what each seed predicts for the labelled rows of the cell's split."""
    from afterbert.base.budget import Budget
    from afterbert.base.noise import Noise
    from afterbert.downstream.finetuning.bench import Bench
    from afterbert.downstream.finetuning.runs import predicted, tune
    from afterbert.downstream.finetuning.settings import FineTuning
    from afterbert.downstream.reading.data import read
    from afterbert.downstream.reading.find_task import find_task
    from afterbert.training.optimizers.adamw import AdamW

    data = read(find_task(str(options.tasks / cell.spec)))
    data = replace(
        data, splits={split: data.splits[split] for split in ("train", "dev", cell.split) if split in data.splits}
    )
    if cell.share * options.scale < 1:
        train = data.splits["train"]
        order = Noise(0).of("part").permutation(len(train), np.arange(len(train)))
        chosen = sorted(order[: max(1, round(cell.share * options.scale * len(train)))].tolist())
        data = replace(data, splits={**data.splits, "train": tuple(train[number] for number in chosen)})
    settings = FineTuning(
        budget=Budget(cell.epochs, "epochs"),
        length=cell.length,
        batch_size=cell.batch_size,
        optimizer=AdamW(learning_rate=cell.learning_rate),
        evaluate_every=None,
        num_seeds=num_seeds,
    )
    bench, out = Bench.of(model, [data], settings), options.work / arm / slug(cell)
    done = tune(bench, out)
    if done.outcome is not None:
        raise SystemExit(done.outcome.exit_code)
    (task,) = bench.tasks
    is_labelled = [task.task.is_usable(example) for example in task.readable(cell.split)]
    runs = []
    for seed in range(num_seeds):
        found, _ = predicted(bench, out, seed)
        assert found is not None
        runs.append([one for one, is_asked in zip(found[task.name][cell.split], is_labelled) if is_asked])
    return bench, runs


def slug(cell: Cell) -> str:
    return cell.name.lower().replace(" ", "-")


# The page


def page_lines(known: dict[str, Any]) -> list[str]:
    """All tables that there are cells for."""
    return [*trainer_lines(known), *minilm_lines(known), *worth_lines(known)]


def trainer_lines(known: dict[str, Any]) -> list[str]:
    sides = {
        "afterbert": [cell for name, cell in known.items() if name.startswith("trainer/ours/")],
        "Hugging Face Trainer": [cell for name, cell in known.items() if name.startswith("trainer/stock/")],
    }
    if not all(sides.values()):
        return []
    lines = [
        f"SST-2, {TRAINER_EPOCHS:g} epochs, MiniLM, the same hyper-parameters (`benchmarks/finetune_speed.py`):",
        "",
        "| | dev accuracy | by seed | test accuracy |",
        "|---|---|---|---|",
    ]
    for side, cells in sides.items():
        scores, tested = ([cell[split] for cell in cells] for split in ("dev", "test"))
        by_seed = ", ".join(percent(score) for score in scores)
        lines.append(f"| {side} | {mean_and_spread(scores)} | {by_seed} | {mean_and_spread(tested)} |")
    return [*lines, ""]


def minilm_lines(known: dict[str, Any]) -> list[str]:
    cells = {name.removeprefix("minilm/"): cell for name, cell in known.items() if name.startswith("minilm/")}
    if not cells:
        return []
    lines = [
        "MiniLM, one seed:",
        "",
        "| task | epochs | rows | metric | guessing | fine-tuned | 95% interval | gain over guessing |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, cell in cells.items():
        metric = next(iter(cell["metrics"]))
        part = "" if cell["share"] == 1 else f" on {cell['share']:.0%} of the training rows"
        lines.append(
            f"| {name} {cell['split']} | {cell['epochs']:g}{part} | {cell['rows']:,} | {metric.replace('_', ' ')} | "
            f"{percent(cell['baseline_metrics'][metric])} | {percent(cell['metrics'][metric]['mean'])} | "
            f"{span(cell['interval'])} | {signed(cell['gain'])} |"
        )
    return [*lines, ""]


def worth_lines(known: dict[str, Any]) -> list[str]:
    cells = {name.removeprefix("worth/"): cell for name, cell in known.items() if name.startswith("worth/")}
    if not cells:
        return []
    seeds = len(next(iter(cells.values()))["trained"]["values"])
    beyond = sum(cell["gain"]["low"] > 0 for cell in cells.values())
    lines = [
        f"The laptop recipe, pre-trained, against the same model from random weights ({seeds} seeds; beyond the "
        f"interval on {beyond} of {len(cells)} tasks):",
        "",
        "| task | epochs | rows | metric | guessing | random weights | pre-trained | difference, 95% interval |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, cell in cells.items():
        lines.append(
            f"| {name} {cell['split']} | {cell['epochs']:g} | {cell['rows']:,} | {cell['metric'].replace('_', ' ')} | "
            f"{percent(cell['guessing'])} | {mean_and_spread(cell['random']['values'])} | "
            f"{mean_and_spread(cell['trained']['values'])} | {signed(cell['gain'])} |"
        )
    return [*lines, ""]


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def mean_and_spread(values: list[float]) -> str:
    spread = f" ± {percent(statistics.stdev(values))}" if len(values) > 1 else ""
    return percent(statistics.mean(values)) + spread


def span(interval: dict[str, float]) -> str:
    return f"{percent(interval['low'])} to {percent(interval['high'])}"


def signed(interval: dict[str, float]) -> str:
    return f"{100 * interval['estimate']:+.1f} ({100 * interval['low']:+.1f} to {100 * interval['high']:+.1f})"


if __name__ == "__main__":
    main()
