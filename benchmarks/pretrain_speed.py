"""Pre-training speed: afterbert against Hugging Face Trainer; same text, rows, architecture, batch, optimizer.

    python benchmarks/pretrain_speed.py                        # tiny, mini and small, 8k pieces, rows of 128
    python benchmarks/pretrain_speed.py --sizes mini --vocab-sizes 8000 30000 --lengths 128 512 --repeats 5

Each cell runs in a child process of its own, ours and theirs in turn, and is given as tokens a second (median
of the steps after the first ones), as the median of the ratios of neighbouring runs, and as peak memory. Rows:

- stock: Trainer with its defaults, its collator, and bf16;
- tuned: the same without dropout, and with the C library told to keep freed memory, as a careful user would run it;
- compiled: stock with torch_compile.

Ours trains the recipe `bert-mlm` at the same dropout as theirs in every row but `tuned` against ours without.
Needs `pip install accelerate` for Trainer.
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
from pathlib import Path

WARM_STEPS = 4


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["tiny", "mini", "small"])
    parser.add_argument("--vocab-sizes", nargs="+", type=int, default=[8000])
    parser.add_argument("--lengths", nargs="+", type=int, default=[128])
    parser.add_argument("--rows", nargs="+", default=["stock", "tuned", "equal dropout"])
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--text", help="text to prepare; the documentation that Python carries if not given")
    parser.add_argument("--json", type=Path, help="also write all figures there")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


# Row -> (settings of theirs, settings of ours).
ROWS = {
    "stock": ({"dropout": 0.1}, {"dropout": 0.0}),
    "tuned": ({"dropout": 0.0, "keep_memory": True}, {"dropout": 0.0}),
    "equal dropout": ({"dropout": 0.1}, {"dropout": 0.1}),
    "compiled": ({"dropout": 0.1, "compile": True}, {"dropout": 0.0}),
}


def main() -> None:
    options = parse()
    if options.child:
        return run_child(json.loads(options.child))
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        print(
            f"{'size':6} {'pieces':>6} {'length':>6}  {'row':14} {'theirs tok/s':>12} {'ours tok/s':>12} {'ratio':>6} "
            f"{'theirs MB':>9} {'ours MB':>8} {'share of peak':>13}"
        )
        for vocab_size in options.vocab_sizes:
            store = prepared(options, vocab_size, Path(scratch))
            for length in options.lengths:
                for size in options.sizes:
                    for row in options.rows:
                        results.append(compare(options, store, vocab_size, length, size, row))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return None


def prepared(options: argparse.Namespace, vocab_size: int, scratch: Path) -> str:
    from afterbert.text.from_paths import sources_for
    from afterbert.text.policy import Policy
    from afterbert.text.prepare import prepare
    from afterbert.text.sources.python_docs import PythonDocs
    from afterbert.text.tokenizers.wordpiece import WordPiece

    out = scratch / f"store-{vocab_size}"
    sources = sources_for([options.text]) if options.text else [PythonDocs(packages=("numpy", "scipy"))]
    prepare(
        sources,
        out,
        tokenizer=WordPiece(vocab_size=vocab_size),
        policy=Policy(),
        processes=os.cpu_count() or 1,
    )
    return str(out)


def compare(
    options: argparse.Namespace, store: str, vocab_size: int, length: int, size: str, row: str
) -> dict:
    theirs_settings, ours_settings = ROWS[row]
    common = {
        "store": store,
        "length": length,
        "size": size,
        "batch_size": options.batch_size,
        "steps": options.steps,
    }
    ours, theirs = [], []
    for _ in range(options.repeats):
        theirs.append(in_child({**common, **theirs_settings, "who": "theirs"}))
        ours.append(in_child({**common, **ours_settings, "who": "ours"}))
    ratio = statistics.median(o["tokens_per_second"] / t["tokens_per_second"] for o, t in zip(ours, theirs))
    middle = {
        who: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for who, runs in (("ours", ours), ("theirs", theirs))
    }
    print(
        f"{size:6} {vocab_size:6} {length:6}  {row:14} {middle['theirs']['tokens_per_second']:12,.0f} "
        f"{middle['ours']['tokens_per_second']:12,.0f} {ratio:5.2f}x {middle['theirs']['peak_mb']:9,.0f} "
        f"{middle['ours']['peak_mb']:8,.0f} {middle['ours']['share_of_peak']:12.0%}",
        flush=True,
    )
    return {
        "size": size,
        "vocab_size": vocab_size,
        "length": length,
        "row": row,
        "ratio": ratio,
        "ours": ours,
        "theirs": theirs,
    }


def in_child(settings: dict) -> dict:
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    if settings.get("keep_memory"):
        environment |= {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 31)}
    done = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(settings)],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def run_child(settings: dict) -> None:
    times, flops_per_token = (ours if settings["who"] == "ours" else theirs)(settings)
    spent = [after - before for before, after in zip(times[WARM_STEPS:], times[WARM_STEPS + 1 :])]
    tokens_per_second = settings["batch_size"] * settings["length"] / statistics.median(spent)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "tokens_per_second": tokens_per_second,
                "peak_mb": peak_mb,
                "share_of_peak": tokens_per_second * flops_per_token / multiply_peak()
                if flops_per_token
                else 0.0,
            }
        )
    )


def multiply_peak() -> float:
    """FLOP/s of the best of a few large bf16 (or float32, where it is faster) products."""
    import torch

    best = 0.0
    for dtype in (torch.bfloat16, torch.float32):
        left, right = torch.randn(2048, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
        for _ in range(8):
            begun = time.perf_counter()
            left @ right
            best = max(best, 2 * 2048 * 1024 * 1024 / (time.perf_counter() - begun))
    return best


def recipe_for(settings: dict):
    from afterbert.recipes import resolve

    dropout = str(settings["dropout"])
    overrides = [
        ("length", str(settings["length"])),
        ("training.batch_size", str(settings["batch_size"])),
        ("training.budget", f"{settings['steps']}steps"),
        ("training.log_every", "1"),
        ("objective.pretext.pairing.bounds", "cross"),  # full rows, as their packed text has
        ("model.hidden_dropout_prob", dropout),
        ("model.attention_probs_dropout_prob", dropout),
    ]
    return resolve("bert-mlm", size=settings["size"], overrides=overrides).recipe


def ours(settings: dict) -> tuple[list[float], float]:
    import torch

    from afterbert.base.runs import RunFolder
    from afterbert.cli.main import keep_memory_between_steps
    from afterbert.recipes.pretraining import feed_of
    from afterbert.text.store import Store
    from afterbert.training.identity import Identity
    from afterbert.training.observers import Observer
    from afterbert.training.trainer import train

    class Clock(Observer):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_step(self, record) -> None:
            self.times.append(time.perf_counter())

    keep_memory_between_steps()
    store, recipe, clock = Store.open(Path(settings["store"])), recipe_for(settings), Clock()
    torch.manual_seed(0)
    module = recipe.objective.build(recipe.model, store.vocabulary)
    with tempfile.TemporaryDirectory() as scratch:
        train(
            RunFolder.create(Path(scratch), "run"),
            module,
            feed_of(recipe, store, store.split("train")),
            recipe.training,
            identity=Identity({}, store.fingerprint, store.tokenizer.digest),
            observers=[clock],
        )
    chosen = round(0.15 * (settings["length"] - 2)) / settings["length"]
    forward = recipe.model.flops_per_token(store.vocabulary.size, settings["length"])
    forward += chosen * recipe.model.lm_head_flops(store.vocabulary.size)
    return clock.times, 3 * forward


def theirs(settings: dict) -> tuple[list[float], float]:
    import numpy as np
    import torch
    from transformers import (
        AutoTokenizer,
        BertConfig,
        BertForMaskedLM,
        DataCollatorForLanguageModeling,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from afterbert.base.noise import Noise
    from afterbert.text.store import Store

    store, recipe = Store.open(Path(settings["store"])), recipe_for(settings)
    plan = recipe.objective.plan(
        store.split("train"), length=recipe.length, vocabulary=store.vocabulary, noise=Noise(0)
    )
    count = min(len(plan) - 1, settings["batch_size"] * (settings["steps"] + 1))
    rows = plan.rows(np.arange(count)).piece_ids.reshape(count, recipe.length)
    model = recipe.model
    config = BertConfig(
        vocab_size=store.vocabulary.size,
        hidden_size=model.hidden_size,
        num_hidden_layers=model.num_hidden_layers,
        num_attention_heads=model.num_attention_heads,
        intermediate_size=model.intermediate_size,
        max_position_embeddings=model.max_position_embeddings,
        hidden_dropout_prob=settings["dropout"],
        attention_probs_dropout_prob=settings["dropout"],
    )
    torch.manual_seed(0)

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_step_end(self, args, state, control, **_) -> None:
            self.times.append(time.perf_counter())

    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        Trainer(
            BertForMaskedLM(config),
            TrainingArguments(
                scratch,
                per_device_train_batch_size=settings["batch_size"],
                max_steps=settings["steps"],
                learning_rate=1e-4,
                weight_decay=0.01,
                use_cpu=True,
                bf16=True,
                torch_compile=settings.get("compile", False),
                report_to=[],
                save_strategy="no",
                logging_steps=10,
                disable_tqdm=True,
            ),
            train_dataset=[{"input_ids": row.tolist()} for row in rows],
            data_collator=DataCollatorForLanguageModeling(
                AutoTokenizer.from_pretrained(str(store.folder / "tokenizer")), mlm_probability=0.15
            ),
            callbacks=[clock],
        ).train()
    return clock.times, 0.0


if __name__ == "__main__":
    main()
