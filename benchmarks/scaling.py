"""How cost grows with the work: text to prepare, size of the store at the start of training, width, depth, length and
batch of the model, processes.

    python benchmarks/scaling.py --quick                     # minutes: small points only
    python benchmarks/scaling.py                             # everything; goes on where it was stopped
    python benchmarks/scaling.py --only prepare start        # some of it
    python benchmarks/scaling.py --only                      # nothing new: table and plots again

Each point runs in a child process of its own, whose peak memory is told too. What is measured lies in
`results/scaling.json` (a point that is there is not measured again; delete the file to begin anew), the plots in
`results/scaling.svg`; the tables go into docs/speed.md. Larger amounts of text are copies of the same documents, each
with a number of its own before it, so that none is dropped as a duplicate.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from cells import ROOT, write_between

RESULTS = ROOT / "benchmarks" / "results"
BASE = {"hidden": 128, "layers": 2, "length": 128, "batch": 16, "processes": 1}
POINTS: dict[str, dict[str, list[int]]] = {
    "prepare": {"quick": [1, 4, 16], "full": [1, 4, 16, 64, 256, 1000]},
    "start": {"quick": [1, 4, 16], "full": [1, 4, 16, 64, 256, 1000]},
    "hidden": {"quick": [64, 128, 256], "full": [64, 128, 256, 512, 768]},
    "layers": {"quick": [1, 2, 4], "full": [1, 2, 4, 8, 12]},
    "length": {"quick": [64, 128, 256], "full": [64, 128, 256, 512, 1024]},
    "batch": {"quick": [8, 16, 32], "full": [4, 8, 16, 32, 64, 128]},
    "processes": {"quick": [1, 2], "full": [1, 2]},
}
UNITS = {"prepare": "MB of text", "start": "MB of text in the store", "hidden": "hidden size", "layers": "layers"}
UNITS |= {"length": "pieces a row", "batch": "rows a step", "processes": "processes"}
WARM_STEPS, STEPS = 4, 16
WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few and small points")
    parser.add_argument("--only", nargs="*", choices=POINTS, help="which questions; all when not given")
    parser.add_argument("--text", nargs="+", help="files or folders; the documentation that Python carries")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        settings = json.loads(asked.child)
        found = CHILDREN[settings["what"]](settings)
        if int(os.environ.get("RANK", "0")) == 0:
            print(json.dumps(found | {"peak_mb": peak_megabytes()}))
        return
    asked.results.mkdir(parents=True, exist_ok=True)
    kept = Kept(asked.results / "scaling.json")
    with tempfile.TemporaryDirectory() as scratch:
        corpora = Corpora(Path(scratch), asked.text)
        for question in POINTS if asked.only is None else asked.only:
            for value in POINTS[question]["quick" if asked.quick else "full"]:
                if kept.get(question, value) is None:
                    kept.put(question, value, MEASURES.get(question, train)(question, value, corpora))
                    print(f"{question} {value}: {kept.get(question, value)}", flush=True)
    table = "\n\n".join(lines_of(kept))
    if asked.results == RESULTS:
        write_between(ROOT / "docs" / "speed.md", "scaling", table)
    print(table)
    plot(kept, asked.results / "scaling.svg")


class Kept:
    """What was measured, in a file that is whole after every point."""

    def __init__(self, path: Path):
        self.path = path
        self.found: dict[str, dict[str, Figures]] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, question: str, value: int) -> Figures | None:
        return self.found.get(question, {}).get(str(value))

    def put(self, question: str, value: int, figures: Figures) -> None:
        self.found.setdefault(question, {})[str(value)] = figures
        beside = self.path.with_suffix(".tmp")
        beside.write_text(json.dumps(self.found, indent=1) + "\n")
        beside.replace(self.path)

    def points(self, question: str) -> list[tuple[int, Figures]]:
        """(value, figures), by rising value."""
        return sorted((int(value), figures) for value, figures in self.found.get(question, {}).items())


class Corpora:
    """Texts of any size and their stores, made when they are first asked for."""

    def __init__(self, folder: Path, texts: list[str] | None):
        self.folder, self.texts = folder, texts
        self._documents: list[str] = []

    def text(self, megabytes: int) -> Path:
        path = self.folder / f"{megabytes}.txt"
        if not path.exists():
            size, number = 0, 0
            with open(path, "w", encoding="utf-8") as file:
                while size < megabytes * 1_000_000:
                    document = self.documents[number % len(self.documents)]
                    size += file.write(f"{number} {document}\n\n")
                    number += 1
        return path

    def store(self, megabytes: int) -> Path:
        path = self.folder / f"store-{megabytes}"
        if not path.exists():
            child({"what": "prepare", "text": str(self.text(megabytes)), "out": str(path)})
        return path

    @property
    def documents(self) -> list[str]:
        if not self._documents:
            from afterbert.text.from_paths import sources_for
            from afterbert.text.reading import read
            from afterbert.text.sources import Source
            from afterbert.text.sources.python_docs import PythonDocs

            sources: list[Source] = [*sources_for(self.texts)] if self.texts else [PythonDocs()]
            self._documents = [" ".join(document.text.split()) for document in read(sources)]
        return self._documents


def child(settings: dict[str, Any], *, processes: int = 1) -> Figures:
    """What a child process measures; under torchrun for several. Ends with its last words where it fails."""
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // processes))} if processes > 1 else {}
    done = subprocess.run(
        [*launcher, __file__, "--child", json.dumps(settings)],
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false", **threads},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def prepare(question: str, value: int, corpora: Corpora) -> Figures:
    out = corpora.folder / f"store-{value}"
    return child({"what": "prepare", "text": str(corpora.text(value)), "out": str(out)})


def start(question: str, value: int, corpora: Corpora) -> Figures:
    return child({"what": "start", "store": str(corpora.store(value)), **BASE})


def train(question: str, value: int, corpora: Corpora) -> Figures:
    settings = {**BASE, question: value, "what": "train", "store": str(corpora.store(4))}
    return child(settings, processes=settings["processes"])


def prepared_by_child(settings: dict[str, Any]) -> Figures:
    from afterbert.text.from_paths import sources_for
    from afterbert.text.token_store.prepare import prepare
    from afterbert.text.tokenizers.wordpiece import WordPiece
    from prepare_speed import Clock

    clock, begun = Clock(), time.perf_counter()
    store = prepare(
        sources_for([settings["text"]]),
        Path(settings["out"]),
        tokenizer=WordPiece(vocab_size=8000, lowercase=True),
        processes=os.cpu_count() or 1,
        progress=clock,
    )
    seconds = time.perf_counter() - begun
    clock(1, 1, "")
    phases = {name.replace(" ", "_"): spent for name, spent in clock.seconds.items() if name}
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    megabytes = store.tally.bytes / 1e6
    return {
        "seconds": seconds,
        "cpu_seconds": sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in WHO),
        "mb_per_second": megabytes / seconds,
        "mb_per_second_encoding": megabytes / phases["encoding"],
        "largest_worker_mb": workers,
        **phases,
    }


def recipe_of(settings: dict[str, Any]) -> Any:
    from afterbert.recipes import resolve

    heads = max(1, settings["hidden"] // 64)
    overrides = {
        "model.hidden_size": settings["hidden"],
        "model.num_attention_heads": heads,
        "model.intermediate_size": 4 * settings["hidden"],
        "model.num_hidden_layers": settings["layers"],
        "model.max_position_embeddings": max(512, settings["length"]),
        "length": settings["length"],
        "training.batch_size": settings["batch"],
        "training.budget": f"{STEPS}steps",
        "training.log_every": 1,
        "objective.pretext.pairing.bounds": "cross",
    }
    written = [(key, str(value)) for key, value in overrides.items()]
    return resolve("bert-mlm", size="tiny", overrides=written).recipe


def started_by_child(settings: dict[str, Any]) -> Figures:
    """Seconds from a store on the disk to an open one, to rows that are planned, to the first batch."""
    from afterbert.text.token_store.store import Store
    from afterbert.workflows.pretraining import feed_of

    recipe, begun = recipe_of(settings), time.perf_counter()
    store = Store.open(Path(settings["store"]))
    split = store.split("train")
    opened = time.perf_counter()
    _ = store.vocabulary
    ready = time.perf_counter()
    feed_of(recipe, store, split).step(0)
    first = time.perf_counter()
    return {
        "open_seconds": opened - begun,
        "tokenizer_seconds": ready - opened,
        "first_batch_seconds": first - ready,
        "pieces": split.num_pieces,
        "documents": split.num_documents,
    }


def trained_by_child(settings: dict[str, Any]) -> Figures:
    """Pieces a second of all processes, by the median of the steps after the first ones."""
    import torch

    from afterbert.base.runs import RunFolder
    from afterbert.text.token_store.store import Store
    from afterbert.training.checkpoints.identity import RunIdentity
    from afterbert.training.distribution.distributed import joined
    from afterbert.training.distribution.launch import launched
    from afterbert.training.observers import Observer
    from afterbert.training.process_setup import keep_memory_between_steps
    from afterbert.training.trainer import train
    from afterbert.workflows.pretraining import feed_of

    times: list[float] = []

    class Clock(Observer):
        def on_step(self, record: Any) -> None:
            times.append(time.perf_counter())

    keep_memory_between_steps()
    store, recipe = Store.open(Path(settings["store"])), recipe_of(settings)
    torch.manual_seed(0)
    module, launch = recipe.objective.build(recipe.model, store.vocabulary), launched()
    feed = feed_of(recipe, store, store.split("train"))
    context = nullcontext() if launch is None else joined(launch, device=torch.device("cpu"), timeout=120.0)
    with context as processes:
        train(
            RunFolder.create(Path(settings["store"]).parent, f"run-{os.environ.get('MASTER_PORT', os.getpid())}"),
            module,
            feed,
            recipe.training,
            identity=RunIdentity({}, store.fingerprint, store.tokenizer.digest),
            observers=[Clock()],
            processes=processes,
        )
    if not times:  # only the first process is told of steps
        return {}
    spent = statistics.median(b - a for a, b in zip(times[WARM_STEPS:], times[WARM_STEPS + 1 :]))
    pieces = settings["batch"] * settings["length"]
    forward = recipe.model.flops_per_token(store.vocabulary.size, settings["length"])
    chosen = round(0.15 * settings["length"]) / settings["length"]
    flops = 3 * (forward + chosen * recipe.model.lm_head_flops(store.vocabulary.size))
    return {"tokens_per_second": pieces / spent, "flops_per_token": flops, "gigaflops": pieces / spent * flops / 1e9}


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


MEASURES: dict[str, Callable[[str, int, Corpora], Figures]] = {"prepare": prepare, "start": start}
CHILDREN: dict[str, Callable[[dict[str, Any]], Figures]] = {
    "prepare": prepared_by_child,
    "start": started_by_child,
    "train": trained_by_child,
}
# What a table shows, and the plot (the first of them).
COLUMNS = {"prepare": ["mb_per_second", "mb_per_second_encoding", "seconds", "cpu_seconds", "peak_mb"]}
COLUMNS["prepare"] += ["largest_worker_mb"]
COLUMNS |= {"start": ["first_batch_seconds", "open_seconds", "tokenizer_seconds", "pieces", "peak_mb"]}
TRAINING = ["tokens_per_second", "gigaflops", "peak_mb"]


def lines_of(kept: Kept) -> Iterator[str]:
    """A table in Markdown for each question; `growth` is the exponent of the cost between two neighbouring points: 1 is
    linear (for the model: in its FLOPs; for `prepare`: CPU seconds of all processes), above it is worse."""
    for question in POINTS:
        points = kept.points(question)
        if points:
            columns = COLUMNS.get(question, TRAINING)
            rows = [
                f"| {UNITS[question]} | {' | '.join(columns).replace('_', ' ')} | growth |",
                "|---" * (len(columns) + 2) + "|",
            ]
            for before, (value, figures) in zip([None, *points], points):
                shown = " | ".join(_shown(figures[column]) for column in columns)
                rows.append(f"| {value} | {shown} | {growth(question, before, (value, figures))} |")
            yield "\n".join(rows)


def _shown(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}"


def growth(question: str, before: tuple[int, Figures] | None, now: tuple[int, Figures]) -> str:
    import math

    if before is None or question == "processes":
        return ""
    (work_before, cost_before), (work, cost) = (work_and_cost(question, *point) for point in (before, now))
    return f"{math.log(cost / cost_before) / math.log(work / work_before):.2f}"


def work_and_cost(question: str, value: int, figures: Figures) -> tuple[float, float]:
    if question == "prepare":
        return value, figures["cpu_seconds"]  # of all processes: the same on a busy machine
    if question == "start":
        return value, figures["open_seconds"] + figures["first_batch_seconds"]
    tokens = value if question in ("batch", "length") else 1  # a step has more of them
    return tokens * figures["flops_per_token"], tokens / figures["tokens_per_second"]


def plot(kept: Kept, path: Path) -> None:
    """One panel a question, both axes by powers."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    asked = [question for question in POINTS if kept.points(question)]
    if not asked:
        return
    figure, panels = plt.subplots(-(-len(asked) // 2), 2, figsize=(9, 3 * -(-len(asked) // 2)), squeeze=False)
    for panel, question in zip(panels.flat, asked):
        column = COLUMNS.get(question, TRAINING)[0]
        values, figures = zip(*kept.points(question))
        panel.plot(values, [one[column] for one in figures], "o-")
        panel.set(xlabel=UNITS[question], ylabel=column.replace("_", " "), xscale="log")
        panel.set_xticks(values, [f"{value:,}" for value in values])
        panel.minorticks_off()
        if column == "first_batch_seconds":
            panel.set_yscale("log")
        else:
            panel.set_ylim(bottom=0)
    for panel in panels.flat[len(asked) :]:
        panel.axis("off")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
