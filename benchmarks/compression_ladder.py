"""Every way to make a model smaller, on all-MiniLM-L6-v2 fine-tuned on three tasks, with several seeds.

    python benchmarks/compression_ladder.py --parts sts-b --seeds 3       # one task
    python benchmarks/compression_ladder.py --parts speed                 # latencies, on an idle machine
    python benchmarks/compression_ladder.py --parts table                 # the tables again, from what is known

A seed is a fine-tuned model and all that is made of it. Each chain of methods is carried out as `afterbert compress`
does it, one after the other; a finished one is kept and not made again. What the answers of all seeds come to, with an
interval over rows and seeds, and the difference to a chain's control, paired by rows, goes into the results; the tables
go into docs/compression.md. `speed` times the models of the first seed in turns with the model they came from, for one
row and 32 rows of 16, 64 and 128 pieces.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cells import ROOT, keep, kept, parser_of_parts, write_between

PAGE = ROOT / "docs" / "compression.md"


@dataclass(frozen=True)
class Task:
    """A task as the model learns it. spec: below the tasks' folder; epochs: of methods that learn again."""

    name: str
    spec: str
    first_epochs: float
    learning_rate: float
    length: int
    epochs: float = 3


TASKS = {
    "sst-2": Task("SST-2", "sst2", 2, 1e-4, 64),
    "sts-b": Task("STS-B", "stsb", 2, 5e-5, 64),
    "wnut-17": Task("WNUT-17", "wnut17", 3, 1e-4, 64),
}
HALF = ("layers:3,drop=alternate",)
CHAINS: tuple[tuple[str, ...], ...] = (
    ("quantize",),
    ("bits:8",),
    ("bits:4,block=128",),
    ("vocabulary",),
    ("vocabulary", "bits:4,block=128"),
    ("heads:0.25",),
    ("heads:0.5",),
    ("heads:0.5,by=chance",),
    ("neurons:0.5",),
    ("neurons:0.5,by=chance",),
    ("magnitude:0.6",),
    ("low_rank:0.5",),
    ("low_rank:0.5,weighted=true",),
    ("low_rank:0.5,of=table",),
    HALF,
    ("static",),
    (*HALF, "retrain:{epochs}"),
    (*HALF, "distil:{epochs}"),
    (*HALF, "distil:{epochs}", "quantize"),
    ("layers:2,drop=alternate", "distil:{epochs}", "quantize"),
    ("vocabulary", "layers:4,drop=alternate", "retrain:{epochs}", "quantize"),
    ("vocabulary", *HALF, "retrain:{epochs}", "bits:4,block=64"),
    ("shared", "retrain:{once}"),
    (*HALF, "retrain:{once}"),
    (*HALF, "distil:{once}"),
    (*HALF, "theseus:{once}"),
    (*HALF, "distil:{epochs},hidden=1,attention=1"),
    (*HALF, "distil:{once},augment=2"),
    ("gradual:{once},sparsity=0.8",),
    ("gradual:{once},sparsity=0.8,by=soft_movement",),
    ("round_aware:{once}", "quantize"),
    ("openvino",),
)
CONTROLS = {  # what a chain is laid beside, to see what it earned
    "heads:0.5": "heads:0.5,by=chance",
    "neurons:0.5": "neurons:0.5,by=chance",
    "low_rank:0.5,weighted=true": "low_rank:0.5",
    " + ".join((*HALF, "distil:{epochs}")): " + ".join((*HALF, "retrain:{epochs}")),
    " + ".join((*HALF, "distil:{epochs},hidden=1,attention=1")): " + ".join((*HALF, "retrain:{epochs}")),
    # as many steps: three rows that differ, told by the teacher alone, in place of one row three times
    " + ".join((*HALF, "distil:{once},augment=2")): " + ".join((*HALF, "retrain:{epochs}")),
    " + ".join((*HALF, "distil:{once}")): " + ".join((*HALF, "retrain:{once}")),
    " + ".join((*HALF, "theseus:{once}")): " + ".join((*HALF, "retrain:{once}")),
    "gradual:{once},sparsity=0.8": " + ".join(("magnitude:0.6",)),
}


def main() -> None:
    from afterbert.training.process_setup import set_up_process

    set_up_process()
    parser = parser_of_parts("compression_ladder", __doc__, [*TASKS, "speed"], seeds=3)
    parser.add_argument("--tasks", type=Path, default=ROOT.parent / "shared" / "data" / "tasks")
    parser.add_argument("--only", nargs="+", default=[], help="chains that hold one of these words")
    options = parser.parse_args()
    known = kept(options.results)
    for part in options.parts:
        if part in TASKS:
            task_part(options, known, part)
        elif part == "speed":
            speed(options, known)
    lines = list(page_lines(known))
    if options.scale == 1.0:
        write_between(PAGE, "compression-ladder", "\n".join(lines))
    print("\n".join(lines))


def written(chain: tuple[str, ...]) -> str:
    return " + ".join(chain)


def chosen(options: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    for chain in CHAINS:
        if not options.only or any(word in written(chain) for word in options.only):
            yield chain


def task_part(options: argparse.Namespace, known: dict[str, Any], part: str) -> None:
    """All chains of a task: of the first seed first, so that a run that is stopped leaves a whole column."""
    from afterbert.base.errors import UserError

    work = options.work / part
    for seed in range(options.seeds):
        tuned = fine_tuned(options, TASKS[part], work, seed)
        for chain in chosen(options):
            try:
                made(options, TASKS[part], work, seed, tuned, chain)
            except UserError as error:  # a method that does not fit this kind of task
                print(f"{TASKS[part].name}, {written(chain)}: {error}", flush=True)
                continue
            for cell in ((), chain):
                keep(options.results, known, f"{part}/{written(cell)}", together(options, work, cell))


def fine_tuned(options: argparse.Namespace, task: Task, work: Path, seed: int) -> Path:
    """The folder of the seed's model, fine-tuned by the command."""
    from finetune_speed import packaged_model

    out = work / "tuned" / str(seed)
    command = [sys.executable, "-m", "afterbert", "finetune", "-m", packaged_model(), "-o", str(out)]
    command += ["-t", f"{task.spec}:{options.tasks / task.spec}", "--finetuning.precision", "fp32"]
    command += ["--epochs", str(task.first_epochs * options.scale), "--lr", str(task.learning_rate)]
    command += ["--length", str(task.length), "--seed", str(seed)]
    if not (out / "results.json").exists():
        subprocess.run(command, check=True)
    return next(path for path in (out / f"seed-{seed}", out / "seed-0", out) if (path / "model").exists())


def setup_of(options: argparse.Namespace, task: Task, tuned: Path, chain: tuple[str, ...], out: Path) -> Any:
    from afterbert.workflows.compression import CompressRequest, prepare_compression

    methods = tuple(one.format(epochs=task.epochs * options.scale, once=options.scale) for one in chain) or (
        "quantize:none",
    )
    spec = f"{task.spec}:{options.tasks / task.spec}"
    return prepare_compression(
        CompressRequest(str(tuned), methods, out, task=spec, split="dev", controls=False, timed=False, overwrite=True)
    )


def folder_of(work: Path, seed: int, chain: tuple[str, ...]) -> Path:
    from afterbert.base.config import digest

    return work / f"seed-{seed}" / (digest(written(chain), length=8) if chain else "as-it-was")


def made(options: argparse.Namespace, task: Task, work: Path, seed: int, tuned: Path, chain: tuple[str, ...]) -> None:
    """Carries a chain out, writes its model and what it answers to the rows of dev."""
    from afterbert.base.runs import write_atomically
    from afterbert.workflows.compression import steps
    from afterbert.workflows.observer import WorkObserver

    out, origin = folder_of(work, seed, chain), folder_of(work, seed, ())
    if (out / "answers.json").exists() and (origin / "answers.json").exists():
        return
    setup = setup_of(options, task, tuned, chain, work / f"seed-{seed}" / "steps")  # that chains have in common
    rows, subject = steps(setup, WorkObserver())
    out.mkdir(parents=True, exist_ok=True)
    subject.write(out)
    examination = setup.examination
    told = {"row": rows[-1].plain(), "seconds": sum(row.seconds for row in rows)}
    told["answers"] = examination.answers(subject)
    write_atomically(out / "answers.json", json.dumps(told))
    if not (origin / "answers.json").exists():
        origin.mkdir(parents=True, exist_ok=True)
        told = {"row": rows[0].plain(), "seconds": 0, "answers": examination.answers(setup.before)}
        told["truths"] = [row.label for row in examination.rows]
        write_atomically(origin / "answers.json", json.dumps(told))
    print(f"{task.name}, seed {seed}, {written(chain)}: {rows[-1].quality.score}", flush=True)


def together(options: argparse.Namespace, work: Path, chain: tuple[str, ...]) -> dict[str, Any]:
    """What the seeds come to, with intervals."""
    from afterbert.base.noise import Noise
    from afterbert.base.plugins import find
    from afterbert.downstream.figures.results import tupled
    from afterbert.downstream.figures.statistics import interval, paired_interval
    from afterbert.downstream.metrics import Metric

    def read(of: tuple[str, ...]) -> list[dict[str, Any]]:
        files = [folder_of(work, seed, of) / "answers.json" for seed in range(options.seeds)]
        return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]

    found, origin = read(chain), read(())
    row = found[0]["row"]
    metric, noise = find(Metric, row["quality"]["metric"])(), Noise(0).of("bootstrap")
    truths = [tupled(one) for one in origin[0]["truths"]]
    answers = [[tupled(one) for one in each["answers"]] for each in found]
    before = [[tupled(one) for one in each["answers"]] for each in origin[: len(found)]]
    cell = {name: row[name] for name in ("parameters", "bytes", "sparse_bytes", "flops")}
    cell |= {"metric": metric.name, "rows": len(truths), "seeds": len(found), "seconds": found[0]["seconds"]}
    cell["score"] = asdict(interval(metric, answers, truths, noise=noise))
    cell["before"] = asdict(interval(metric, before, truths, noise=noise))
    control = CONTROLS.get(written(chain))
    beside = read(tuple(control.split(" + ")))[: len(found)] if control else []
    if control and len(beside) == len(found):
        theirs = [[tupled(one) for one in each["answers"]] for each in beside]
        cell["control"] = control
        cell["gain"] = asdict(paired_interval(metric, answers, theirs, truths, noise=noise))
    return cell


def speed(options: argparse.Namespace, known: dict[str, Any]) -> None:
    """Latencies of the first seed's models of SST-2."""
    from afterbert.compression.latency import Machine
    from afterbert.compression.measuring import latencies
    from afterbert.compression.subject import Subject

    work, machine = options.work / "sst-2", asdict(Machine.here())
    before = Subject.read(fine_tuned(options, TASKS["sst-2"], work, 0))
    for chain in chosen(options):
        folder = folder_of(work, 0, chain)
        if (folder / "answers.json").exists() and f"speed/{written(chain)}" not in known:
            found = latencies(Subject.read(folder), before, None)
            cell = {"machine": machine, "latencies": [asdict(one) for one in found]}
            keep(options.results, known, f"speed/{written(chain)}", cell)


def page_lines(known: dict[str, Any]) -> Iterator[str]:
    """A row a chain, a column a task."""
    there = {part: task for part, task in TASKS.items() if f"{part}/" in known}
    yield f"| method | on disk | {' | '.join(task.name for task in there.values())} |"
    yield "|---" * (len(there) + 2) + "|"
    for chain in ((), *CHAINS):
        cells = [known.get(f"{part}/{written(chain)}") for part in there]
        first = next(filter(None, cells), None)
        if first is not None:
            name = ", ".join(f"`{one.format(epochs='epochs=3', once='epochs=1')}`" for one in chain) or "original"
            sparse = f" (sparse {first['sparse_bytes'] / 1e6:.1f})" if first.get("sparse_bytes") else ""
            yield f"| {name} | {first['bytes'] / 1e6:.1f} MB{sparse} | {' | '.join(map(said, cells))} |"


def said(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return ""
    score, before = cell["score"], cell["before"]["estimate"]
    told = f"{100 * score['estimate']:.1f} ({100 * score['low']:.1f} to {100 * score['high']:.1f})"
    told += f", {score['estimate'] / before:.1%}"
    told += f", {cell['seeds']} seeds" if cell["seeds"] > 1 else ""
    if "gain" in cell:
        gain = cell["gain"]
        told += f"; {100 * gain['estimate']:+.1f} ({100 * gain['low']:+.1f} to {100 * gain['high']:+.1f})"
    return told


if __name__ == "__main__":
    main()
