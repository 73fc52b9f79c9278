"""Quality per minute: the same text, the same wall-clock time, two ways to use Hugging Face's Trainer and ours.

    python benchmarks/learning.py speed                    # tokens a second of every side, in turn: on an idle machine
    python benchmarks/learning.py tune                     # the tuned side's learning rate, by masked accuracy
    python benchmarks/learning.py run --seeds 0 1 2        # 10 minutes of each
    python benchmarks/learning.py run --minutes 60 --sides stock
    python benchmarks/learning.py table                    # what is known so far, into docs/learning.md

A minute of training is a number of steps: those that the side does in a minute at the speed that `speed` measured,
each side in its faster precision. So a cell may be run on a busy machine, stopped (`run` again goes on) and compared
with one run later. Each finished cell is kept in benchmarks/results/learning.json and not run again.

All read the same rows' worth of the same pieces (WordPiece, 8,000, trained on the text). Stock: BertForMaskedLM of the
size `tiny` (2 layers, width 128, 4 x 128 feed-forward), learned positions, dropout 0.1, 15% by transformers' collator,
Trainer's AdamW with 10% warm-up and linear decay, weight decay 0.01, batch 32 x 128; its learning rate is ten times
BERT's, since 1e-4 hardly moves so small a model. Tuned: the most that we know how to get from transformers without
other code: ModernBertForMaskedLM of the same size and width of the gated unit, attention to the whole row, the head at
masked positions only, 30% masks, AdamW with betas 0.9 and 0.98, the best of the rates in TUNED_RATES after two minutes'
worth of steps, and memory kept between steps. Ours: the recipe `laptop`, with the growing batches that `--budget 10min`
gives it. Measured on each: masked accuracy and bits per byte at the same fixed held-out masks, BLiMP's minimal pairs,
and tasks fine-tuned alike.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cells import write_between

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "learning.json"
PAGE = ROOT / "docs" / "learning.md"
DATA = ROOT.parent / "shared" / "data"
LENGTH, STOCK_BATCH, STOCK_RATE = 128, 32, 1e-3
SIDES = ("ours", "tuned", "stock")
TUNED_RATES = (1e-3, 3e-3, 6e-3)
TASKS = {
    "sst2": {"rows": None, "epochs": "2", "metric": "accuracy"},
    "trec": {"rows": None, "epochs": "4", "metric": "accuracy"},
}
MEASURES = ("masked_accuracy", "bits_per_byte", "minimal_pairs", *TASKS)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["speed", "tune", "run", "table"])
    parser.add_argument("--text", type=Path, default=DATA / "pretrain_en")
    parser.add_argument("--tasks", type=Path, default=DATA / "tasks")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "learning", help="stores and checkpoints")
    parser.add_argument("--minutes", type=float, default=10, help="of training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--sides", nargs="+", default=[*SIDES], choices=SIDES)
    parser.add_argument("--repeats", type=int, default=5, help="of speed")
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"], help="that speed measures")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), help="for ours")
    parser.add_argument("--name", default="ours", help="what to call ours with other settings")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.child:
        return child(json.loads(options.child), options)
    if options.verb == "speed":
        measure_speed(options)
    elif options.verb == "tune":
        tune(options)
    elif options.verb == "run":
        for seed in options.seeds:
            for side in options.sides:
                run_cell(options, side, options.minutes, seed)
    print(write_table())
    return None


def known() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"speed": {}, "cells": {}}


def keep(found: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def in_child(options: argparse.Namespace, **settings: Any) -> dict[str, Any]:
    """A fresh process, so that neither side inherits the other's memory or threads."""
    command = [sys.executable, __file__, options.verb, "--child", json.dumps(settings), "--work", str(options.work)]
    command += ["--text", str(options.text), "--tasks", str(options.tasks)]
    for key, value in options.set:
        command += ["--set", key, value]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure_speed(options: argparse.Namespace) -> None:
    """Tokens a second of each side and precision, in turn; medians of medians."""
    found = known()
    prepared(options)
    measured: dict[str, list[float]] = {}
    for _ in range(options.repeats):
        for side in SIDES:
            for precision in options.precisions:
                one = in_child(options, do="speed", side=side, precision=precision)
                measured.setdefault(f"{side} {precision}", []).append(one["tokens_per_second"])
    found["speed"] = {name: round(statistics.median(values)) for name, values in measured.items()}
    found["speed_on"] = {"processor": processor(), "repeats": options.repeats, "load": os.getloadavg()[0]}
    keep(found)


def processor() -> str:
    """What stands behind a figure: cores, model, and whether the processor multiplies bf16 in tiles."""
    import torch

    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    model = re.search(r"model name\s*: *(.*)", info)
    tiles = "with" if torch.cpu.get_capabilities().get("amx_bf16") else "without"
    return f"{os.cpu_count()} cores, {model[1] if model else 'unknown'}, {tiles} AMX"


def fastest(speed: dict[str, float], side: str) -> tuple[str, float]:
    """The precision that this side is faster in, and its tokens a second."""
    name = max((name for name in speed if name.startswith(side)), key=lambda name: speed[name])
    return name.split()[1], speed[name]


def tune(options: argparse.Namespace) -> None:
    """Which of the rates the tuned side learns most from in two minutes' worth of steps; kept for its runs."""
    prepared(options)
    precision, speed = fastest(known()["speed"], "tuned")
    accuracies = {}
    for rate in TUNED_RATES:
        settings = {"side": "tuned", "seed": 0, "precision": precision, "rate": rate, "key": f"tuned rate {rate:g}"}
        made = in_child(options, do="train", tokens=2 * 60 * speed, **settings)
        accuracies[rate] = in_child(options, do="held_out", model=made["model"], **settings)["masked_accuracy"]
    found = known()
    found["tuned_rates"] = accuracies
    keep(found)


def run_cell(options: argparse.Namespace, side: str, minutes: float, seed: int) -> None:
    found = known()
    name = options.name if side == "ours" else side
    key = f"{name}, {minutes:g} min, seed {seed}"
    if key in found["cells"]:
        return
    if not found["speed"]:
        sys.exit("the speed of this machine is not known yet; run `learning.py speed` while it is idle")
    prepared(options)
    precision, speed = fastest(found["speed"], side)
    settings: dict[str, Any] = {"side": side, "seed": seed, "precision": precision, "key": key}
    if side == "tuned":
        settings["rate"] = float(max(found["tuned_rates"], key=found["tuned_rates"].get))
    begun = time.time()
    made = in_child(options, do="train", tokens=minutes * 60 * speed, **settings)
    measured = in_child(options, do="measure", model=made["model"], **settings)
    found = known()
    found["baselines"] = measured.pop("baselines")
    found["cells"][key] = {
        "side": name,
        "minutes": minutes,
        "seed": seed,
        "settings": dict(options.set) if side == "ours" else {"learning_rate": settings.get("rate", STOCK_RATE)},
        "tokens": made["tokens"],
        "real_minutes": round((time.time() - begun) / 60, 1),
        **measured,
    }
    keep(found)
    print(key, json.dumps(measured), flush=True)


def prepared(options: argparse.Namespace) -> Path:
    """The store that all sides read."""
    store = options.work / "store"
    if not (store / "store.json").is_file():
        cli("prepare", str(options.text), "--out", str(store), "--vocab-size", "8000")
    return store


def cli(*arguments: str) -> str:
    """afterbert as a user calls it; its output."""
    done = subprocess.run([sys.executable, "-m", "afterbert", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"afterbert {' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return done.stdout


def child(settings: dict[str, Any], options: argparse.Namespace) -> None:
    work = {"speed": speed_of, "train": train_cell, "held_out": held_out, "measure": measure_cell}[settings["do"]]
    print("\n" + json.dumps(work(settings, options)))


def speed_of(settings: dict[str, Any], options: argparse.Namespace) -> dict[str, float]:
    """Medians after the first twenty steps: of each stage of the run, weighted by its share of the steps."""
    times: list[float] = []
    steps, starts = 60, (0.0,)
    if settings["side"] == "ours":
        steps, starts = 220, our_stages(settings, options)
    (ours if settings["side"] == "ours" else by_trainer)(settings, options, steps, times)
    stages: list[list[float]] = [[] for _ in starts]
    for number, (before, after) in enumerate(itertools.pairwise(times), 1):
        if number > 20:
            stages[sum(start * steps <= number for start in starts) - 1].append(after - before)
    shares = [after - before for before, after in itertools.pairwise([*starts, 1.0])]
    seconds = sum(share * statistics.median(own) for share, own in zip(shares, stages))
    return {"tokens_per_second": rows_a_step(settings, options) * LENGTH / seconds}


def our_stages(settings: dict[str, Any], options: argparse.Namespace) -> tuple[float, ...]:
    """The shares of a run at which its steps become other ones: another softmax, larger batches."""
    from afterbert.base.stages import moments

    recipe = our_recipe(settings, options, 10).recipe
    return moments([*recipe.objective.course(), recipe.training.batch_sizes.stages])


def rows_a_step(settings: dict[str, Any], options: argparse.Namespace) -> float:
    if settings["side"] == "ours":
        return our_recipe(settings, options, 10).recipe.training.batch_sizes.mean()
    return STOCK_BATCH


def train_cell(settings: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    batch = rows_a_step(settings, options)
    steps = round(settings["tokens"] / batch / LENGTH)
    model = (ours if settings["side"] == "ours" else by_trainer)(settings, options, steps, None)
    return {"model": model, "tokens": round(steps * batch * LENGTH)}


def our_recipe(settings: dict[str, Any], options: argparse.Namespace, steps: int) -> Any:
    from afterbert.recipes import resolve
    from afterbert.workflows.fitting import GROWTH

    overrides = [("training.batch_growth", GROWTH), *(tuple(pair) for pair in options.set)]
    overrides += [("training.budget", f"{steps}steps"), ("training.precision", settings["precision"])]
    overrides += [("training.seed", str(settings.get("seed", 0)))]
    overrides += [("training.log_every", "1")] if settings["do"] == "speed" else []
    return resolve("laptop", overrides=overrides)


class _Clocked(Exception):
    """Every step that was to be timed has been."""


def ours(settings: dict[str, Any], options: argparse.Namespace, steps: int, times: list[float] | None) -> str:
    """Trains our side; gives its model folder. With `times`, only notes when each step ended."""
    import tempfile

    from afterbert.base.runs import RunFolder
    from afterbert.text.token_store.store import Store
    from afterbert.training.observers import Observer
    from afterbert.training.process_setup import keep_memory_between_steps
    from afterbert.workflows.pretraining import pretrain

    class Clock(Observer):
        """Ends the run once every step has been timed: what closes a run is no part of its speed."""

        def on_step(self, record: Any) -> None:
            clocked.append(time.perf_counter())
            if len(clocked) == steps:
                raise _Clocked

    clocked: list[float] = []
    keep_memory_between_steps()
    store, resolved = Store.open(options.work / "store"), our_recipe(settings, options, steps)
    if times is not None:
        with tempfile.TemporaryDirectory() as scratch, contextlib.suppress(_Clocked):
            pretrain(resolved, store, RunFolder.create(Path(scratch), "run"), observers=[Clock()])
        times.extend(clocked)
        return ""
    folder = options.work / re.sub(r"[^A-Za-z0-9.]+", "-", settings["key"])
    run = RunFolder.open(folder) if folder.is_dir() else RunFolder.create(folder.parent, folder.name)
    pretrain(resolved, store, run)
    return str(run.model)


def by_trainer(settings: dict[str, Any], options: argparse.Namespace, steps: int, times: list[float] | None) -> str:
    """Trains one of the two models of transformers with its Trainer; gives its model folder."""
    import numpy as np
    import torch
    from transformers import (
        DataCollatorForLanguageModeling,
        PreTrainedTokenizerFast,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )
    from transformers.trainer_utils import get_last_checkpoint

    from afterbert.text.token_store.store import Store
    from afterbert.training.process_setup import keep_memory_between_steps

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if times is not None:
                times.append(time.perf_counter())

    class PackedRows(torch.utils.data.Dataset):
        """[CLS], 126 pieces of running text, [SEP], as the example scripts of transformers group their texts."""

        def __len__(self) -> int:
            return split.num_pieces // (LENGTH - 2)

        def __getitem__(self, number: int) -> dict[str, list[int]]:
            at = np.arange(number * (LENGTH - 2), (number + 1) * (LENGTH - 2))
            return {"input_ids": [vocabulary.cls, *split.pieces(at).tolist(), vocabulary.sep]}

    store = Store.open(options.work / "store")
    split, vocabulary = store.split("train"), store.vocabulary
    seed = settings.get("seed", 0)
    torch.manual_seed(seed)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(options.work / "store" / "tokenizer")
    is_tuned = settings["side"] == "tuned"
    if is_tuned:
        keep_memory_between_steps()
    model = (modernbert if is_tuned else bert)(our_recipe(settings, options, 10).recipe.model, vocabulary)
    folder = options.work / re.sub(r"[^A-Za-z0-9.]+", "-", settings.get("key", f"{settings['side']}-speed"))
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=STOCK_BATCH,
            learning_rate=settings.get("rate", STOCK_RATE),
            adam_beta2=0.98 if is_tuned else 0.999,
            warmup_steps=round(0.1 * steps),
            weight_decay=0.01,
            bf16=settings["precision"] == "bf16",
            use_cpu=True,
            seed=seed,
            save_steps=500,
            save_total_limit=1,
            save_strategy="no" if times is not None else "steps",
            logging_steps=200,
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=PackedRows(),
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.3 if is_tuned else 0.15),
        callbacks=[Clock()],
    )
    resumed = get_last_checkpoint(str(folder)) if times is None and folder.is_dir() else None
    trainer.train(resume_from_checkpoint=resumed)
    if times is None:
        model.save_pretrained(folder / "model")
        tokenizer.save_pretrained(folder / "model")
    return str(folder / "model")


def bert(sizes: Any, vocabulary: Any) -> Any:
    from transformers import BertConfig, BertForMaskedLM

    return BertForMaskedLM(
        BertConfig(
            vocab_size=vocabulary.size,
            hidden_size=sizes.hidden_size,
            num_hidden_layers=sizes.num_hidden_layers,
            num_attention_heads=sizes.num_attention_heads,
            intermediate_size=4 * sizes.hidden_size,
            max_position_embeddings=512,
        )
    )


def modernbert(sizes: Any, vocabulary: Any) -> Any:
    from transformers import ModernBertConfig, ModernBertForMaskedLM

    return ModernBertForMaskedLM(
        ModernBertConfig(
            vocab_size=vocabulary.size,
            hidden_size=sizes.hidden_size,
            num_hidden_layers=sizes.num_hidden_layers,
            num_attention_heads=sizes.num_attention_heads,
            intermediate_size=sizes.intermediate_size,
            max_position_embeddings=512,
            layer_types=["full_attention"] * sizes.num_hidden_layers,
            sparse_prediction=True,
            pad_token_id=vocabulary.pad,
            cls_token_id=vocabulary.cls,
            sep_token_id=vocabulary.sep,
            bos_token_id=vocabulary.cls,
            eos_token_id=vocabulary.sep,
        )
    )


def held_out(settings: dict[str, Any], options: argparse.Namespace) -> dict[str, float]:
    """Masked accuracy and bits per byte of a saved folder at the fixed held-out masks."""
    measures: dict[str, float] = evaluated(settings["model"], options)["measures"]
    return measures


def evaluated(model: str, options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("evaluate", model, str(options.work / "store"), "--json"))
    return found


def measure_cell(settings: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Everything is measured from the saved folder, the same way for all; `baselines`: what counting gives."""
    model = settings["model"]
    found = evaluated(model, options)
    measured = {name: found["measures"][name] for name in ("masked_accuracy", "bits_per_byte")}
    measured["baselines"] = found["baselines"]
    measured["minimal_pairs"] = minimal_pairs(model, options.tasks / "blimp")
    for task, how in TASKS.items():
        out = Path(model).parent / f"finetune-{task}"
        arguments = ["--model", model, "--task", f"{task}:{options.tasks / task}", "--epochs", how["epochs"]]
        cli("finetune", *arguments, "--learning-rate", "1.8e-3", "--out", str(out), "--seed", str(settings["seed"]))
        measured[task] = task_score(out, task, how["metric"])
    return measured


def minimal_pairs(model: str, folder: Path) -> float:
    from afterbert.interop.loading import load_model
    from afterbert.probes.minimal_pairs import MinimalPairsProbe

    pairs = [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.open(encoding="utf-8")]
    reader = load_model(model)
    sentences = [(pair["sentence_good"], pair["sentence_bad"]) for pair in pairs]
    return MinimalPairsProbe(reader.language_model().predict)(reader.tokenizer, sentences).accuracy


def task_score(out: Path, task: str, metric: str) -> float:
    splits = json.loads((out / "results.json").read_text())["tasks"][task]["splits"]
    split = splits.get("dev") or splits["test"]
    return split["metrics"][metric]["mean"]


def write_table() -> str:
    """The figures that are known, as Markdown; also written between the marks of docs/learning.md."""
    found = known()
    head = ["run", "seeds", "million tokens", *(measure.replace("_", " ") for measure in MEASURES)]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    groups: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for cell in found["cells"].values():
        groups.setdefault((cell["side"], cell["minutes"]), []).append(cell)
    for (side, minutes), cells in sorted(groups.items(), key=lambda item: (item[0][1], item[0][0])):
        row = [f"{side}, {minutes:g} min", str(len(cells)), f"{cells[0]['tokens'] / 1e6:.1f}"]
        for measure in MEASURES:
            values = [cell[measure] for cell in cells]
            scale, unit = (1, "") if measure == "bits_per_byte" else (100, "%")
            digits = 3 if measure == "bits_per_byte" else 1
            spread = f" ± {scale * statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            row.append(f"{scale * statistics.mean(values):.{digits}f}{spread}{unit}")
        lines.append("| " + " | ".join(row) + " |")
    for name, accuracy in found.get("baselines", {}).items():
        row = [name.replace("_", " "), "", "", f"{100 * accuracy:.1f}%"]
        lines.append("| " + " | ".join(row) + " |" + " |" * (len(head) - len(row)))
    table = "\n".join(lines) if groups else "Not measured yet."
    said = ""
    if found["speed"]:
        speeds = ", ".join(f"{side} {fastest(found['speed'], side)[1]:,}" for side in SIDES)
        said = f"Tokens a second: {speeds}, each alone on {found['speed_on']['processor']}.\n\n"
    write_between(PAGE, "learning", said + table)
    return table


if __name__ == "__main__":
    main()
