"""Pre-training speed: afterbert against Hugging Face Trainer; same text, rows, architecture, batch, optimizer.

    python benchmarks/pretrain_speed.py                         # the core rows: about 12 minutes on two quiet cores
    python benchmarks/pretrain_speed.py --all                   # every size, vocabulary and length: hours
    python benchmarks/pretrain_speed.py --tasks masked --sizes mini --vocab-sizes 8000 30000 --rows stock tuned

Each figure comes from a child process of its own, ours and theirs in turn. A cell that stands in
benchmarks/results/pretrain_speed.json is not measured again (`--anew` forgets them), so the benchmark may be
interrupted; the table goes to docs/speed.md. Rows:

- stock: Trainer with its defaults, its collator, and bf16;
- flags: the same with torch_compile, the fused optimizer and two workers for its batches;
- tuned: stock without dropout, and with the C library told to keep freed memory, as a careful user would run it;
- tuned fp32: the same without bf16, which is the better choice where the processor has no unit for it;
- equal dropout: stock, and ours with the same dropout; in all other rows ours has none.

Tasks: `masked` is BERT's architecture under the recipe `bert-mlm`. `electra` and `t5` have no Trainer example in
PyTorch; theirs is made of transformers' classes: an ElectraForMaskedLM that samples for an ElectraForPreTraining with
tied embeddings, and T5ForConditionalGeneration on batches that come ready-made. Needs `pip install accelerate`.
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
from typing import Any

from cells import write_between

WARM_STEPS = 4
HERE = Path(__file__).resolve().parent
RESULTS, PAGE = HERE / "results" / "pretrain_speed.json", HERE.parent / "docs" / "speed.md"
RECIPES = {"masked": "bert-mlm", "electra": "electra", "t5": "t5"}

# Row -> (settings of theirs, settings of ours).
ROWS: dict[str, tuple[dict, dict]] = {
    "stock": ({"dropout": 0.1, "bf16": True}, {"dropout": 0.0}),
    "flags": ({"dropout": 0.1, "bf16": True, "flags": True}, {"dropout": 0.0}),
    "tuned": ({"dropout": 0.0, "bf16": True, "keep_memory": True}, {"dropout": 0.0}),
    "tuned fp32": ({"dropout": 0.0, "bf16": False, "keep_memory": True}, {"dropout": 0.0}),
    "equal dropout": ({"dropout": 0.1, "bf16": True}, {"dropout": 0.1}),
}
# (task, size, vocabulary, length, row)
CORE = [
    *(("masked", size, 8000, 128, row) for size in ("tiny", "mini") for row in ROWS),
    *(("masked", "small", 8000, 128, row) for row in ("stock", "tuned", "tuned fp32")),
    *(("masked", "mini", 30000, 128, row) for row in ("stock", "tuned", "tuned fp32")),
    ("masked", "mini", 8000, 512, "tuned fp32"),
    *((task, "mini", 8000, 128, row) for task in ("electra", "t5") for row in ("stock", "tuned fp32")),
]


def parse() -> argparse.Namespace:
    parser = parser_of_speeds(__doc__)
    parser.add_argument("--all", action="store_true", help="every combination that is not narrowed below")
    parser.add_argument("--tasks", nargs="+", choices=RECIPES)
    parser.add_argument("--sizes", nargs="+")
    parser.add_argument("--vocab-sizes", nargs="+", type=int)
    parser.add_argument("--lengths", nargs="+", type=int)
    parser.add_argument("--rows", nargs="+", choices=ROWS)
    return parser.parse_args()


def parser_of_speeds(description: str | None) -> argparse.ArgumentParser:
    """With the options of every benchmark that measures our pre-training in children."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=14)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--text", help="text to prepare; the documentation that Python carries if not given")
    parser.add_argument("--anew", action="store_true", help="measure again what was measured before")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser


def main() -> None:
    options = parse()
    if options.child:
        return run_child(json.loads(options.child))
    results = read(RESULTS)
    with tempfile.TemporaryDirectory() as scratch:
        for cell in cells(options):
            key = f"{'/'.join(str(part) for part in cell)}/{options.batch_size}"
            if options.anew or key not in results:
                store = prepared(options.text, cell[2], Path(scratch))
                results[key] = compare(options, store, cell)
                write(RESULTS, results)
            print(as_row(results[key]), flush=True)
    write_between(PAGE, "pretrain-speed", table(results))
    return None


def cells(options: argparse.Namespace) -> list[tuple[str, str, int, int, str]]:
    """The core rows, or all, narrowed to what was asked for."""
    asked = (options.tasks, options.sizes, options.vocab_sizes, options.lengths, options.rows)
    if options.all or any(part is not None for part in asked[1:]):
        kept: tuple = (["masked"], ["tiny", "mini", "small"], [8000, 30000], [128, 512], list(ROWS))
        if not options.all:
            kept = (kept[0], ["mini"], [8000], [128], ["stock", "tuned"])
        grid = [part if part is not None else default for part, default in zip(asked, kept)]
        return [(t, s, v, n, r) for t in grid[0] for v in grid[2] for n in grid[3] for s in grid[1] for r in grid[4]]
    return [cell for cell in CORE if options.tasks is None or cell[0] in options.tasks]


def prepared(text: str | None, vocab_size: int, scratch: Path) -> str:
    """A store with a vocabulary of this size, made once."""
    from afterbert.text.files.policy import Policy
    from afterbert.text.from_paths import sources_for
    from afterbert.text.sources.python_docs import PythonDocs
    from afterbert.text.token_store.prepare import prepare
    from afterbert.text.tokenizers.wordpiece import WordPiece

    out = scratch / f"store-{vocab_size}"
    if not out.exists():
        sources = sources_for([text]) if text else [PythonDocs(packages=("numpy", "scipy"))]
        tokenizer = WordPiece(
            vocab_size=vocab_size, sentinels=100, lowercase=True
        )  # T5 needs them, the others leave them
        prepare(sources, out, tokenizer=tokenizer, policy=Policy(), processes=os.cpu_count() or 1)
    return str(out)


def compare(options: argparse.Namespace, store: str, cell: tuple[str, str, int, int, str]) -> dict:
    task, size, _, length, row = cell
    common = {"store": store, "task": task, "length": length, "size": size}
    common |= {"batch_size": options.batch_size, "steps": options.steps}
    ours, theirs = [], []
    for _ in range(options.repeats):
        theirs.append(in_child(__file__, {**common, **ROWS[row][0], "who": "theirs"}))
        ours.append(in_child(__file__, {**common, **ROWS[row][1], "who": "ours"}))
    ratios = {
        clock: statistics.median(o[clock] / t[clock] for o, t in zip(ours, theirs))
        for clock in ("tokens_per_second", "tokens_per_cpu_second")
    }
    names = ("task", "size", "vocab_size", "length", "row")
    return {**dict(zip(names, cell)), "ratio": ratios, "ours": middle(ours), "theirs": middle(theirs)}


def middle(runs: list[dict]) -> dict:
    """The median of each figure."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def in_child(script: str, settings: dict) -> dict:
    """The figures that `script --child settings` prints last."""
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    if settings.get("keep_memory"):
        environment |= {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 31)}
    command = [sys.executable, script, "--child", json.dumps(settings)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


# Results and their table


def read(path: Path) -> dict[str, dict]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(path: Path, results: dict[str, dict]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def as_row(result: dict) -> str:
    ours, theirs = result["ours"], result["theirs"]
    return (
        f"| {result['task']} | {result['size']} | {result['vocab_size']} | {result['length']} | {result['row']} "
        f"| {theirs['tokens_per_second']:,.0f} | {ours['tokens_per_second']:,.0f} "
        f"| {result['ratio']['tokens_per_second']:.2f} | {result['ratio']['tokens_per_cpu_second']:.2f} "
        f"| {theirs['peak_mb']:,.0f} | {ours['peak_mb']:,.0f} "
        f"| {ours['training_mb'] / max(theirs['training_mb'], 1):.2f} | {ours['share_of_peak']:.0%} |"
    )


def table(results: dict[str, dict]) -> str:
    heads = (
        "task", "size", "pieces", "length", "row", "theirs tok/s", "ours tok/s", "ratio", "ratio of cpu time",
        "theirs MB", "ours MB", "training memory, ours / theirs", "ours, share of multiply peak",
    )  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    return "\n".join(lines + [as_row(result) for result in results.values()])


# In the child


def run_child(settings: dict) -> None:
    print(json.dumps((ours if settings["who"] == "ours" else theirs)(settings)))


class Clocks:
    """Wall and processor time at the end of each step, and memory: before the model, and at most."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []
        self.before_mb = self.peak_mb = 0.0

    def begin(self) -> None:
        self.before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def tick(self) -> None:
        self.times.append((time.perf_counter(), time.process_time()))

    def figures(self, tokens_per_step: int) -> dict[str, float]:
        spent = [
            tuple(after - before for before, after in zip(one, other))
            for one, other in zip(self.times[WARM_STEPS:], self.times[WARM_STEPS + 1 :])
        ]
        wall, cpu = (statistics.median(times) for times in zip(*spent))
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            "tokens_per_second": tokens_per_step / wall,
            "tokens_per_cpu_second": tokens_per_step / cpu,
            "peak_mb": peak_mb,
            "training_mb": peak_mb - self.before_mb,
        }


def multiply_peak() -> float:
    """FLOP/s of the best of a few large products, in bf16 or float32, whichever is faster."""
    import torch

    best = 0.0
    for dtype in (torch.bfloat16, torch.float32):
        left, right = torch.randn(2048, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
        for _ in range(8):
            begun = time.perf_counter()
            left @ right
            best = max(best, 2 * 2048 * 1024 * 1024 / (time.perf_counter() - begun))
    return best


def recipe_for(settings: dict) -> Any:
    from afterbert.recipes import resolve

    task, dropout = settings["task"], str(settings["dropout"])
    overrides = [
        ("length", str(settings["length"])),
        ("training.batch_size", str(settings["batch_size"])),
        ("training.budget", f"{settings['steps']}steps"),
        ("training.log_every", "1"),
        ("model.hidden_dropout_prob", dropout),
        ("model.attention_probs_dropout_prob", dropout),
    ]
    if task == "masked":
        # full rows, as their packed text has
        overrides.append(("objective.pretext.pairing.bounds", "cross"))
    if task == "t5":  # as theirs; the recipe has AdaFactor
        overrides.append(("training.optimizer", "{type: adamw, learning_rate: 1e-4}"))
        overrides.append(("model.stack.feed_forward.inner_dropout", dropout))
    if settings["length"] > 512:
        overrides.append(("model.max_position_embeddings", str(settings["length"])))
    overrides += settings.get("overrides", [])
    return resolve(RECIPES[task], size=settings["size"], overrides=overrides).recipe


def ours(settings: dict) -> dict[str, float]:
    import torch

    from afterbert.base.runs import RunFolder
    from afterbert.text.token_store.store import Store
    from afterbert.training.checkpoints.identity import RunIdentity
    from afterbert.training.observers import Observer
    from afterbert.training.process_setup import keep_memory_between_steps
    from afterbert.training.trainer import train
    from afterbert.workflows.pretraining import feed_of

    class Clock(Observer):
        def on_step(self, record: Any) -> None:
            clocks.tick()

    if settings.get("keep_memory", True):
        keep_memory_between_steps()
    store, recipe, clocks = Store.open(Path(settings["store"])), recipe_for(settings), Clocks()
    feed = feed_of(recipe, store, store.split("train"))
    first = feed.step(0)
    clocks.begin()
    torch.manual_seed(0)
    module = recipe.objective.build(recipe.model, store.vocabulary)
    with tempfile.TemporaryDirectory() as scratch:
        identity = RunIdentity({}, store.fingerprint, store.tokenizer.digest)
        folder = RunFolder.create(Path(scratch), "run")
        train(folder, module, feed, recipe.training, identity=identity, observers=[Clock()])
    found = clocks.figures(settings["batch_size"] * settings["length"])
    rate = found["tokens_per_second"] / (settings["batch_size"] * settings["length"])
    return found | {"share_of_peak": rate * flops_of_step(module, first) / multiply_peak()}


def flops_of_step(module: Any, batches: list) -> float:
    """Floating-point operations of the products of a forward and backward pass, counted as they happen."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from afterbert.training.step import to_tensors

    with FlopCounterMode(display=False) as counter:
        for batch in batches:
            scores = module(to_tensors(batch.arrays, torch.device("cpu")))
            torch.stack([score.float() for score in scores.values()]).sum().backward()
    return float(counter.get_total_flops())


def theirs(settings: dict) -> dict[str, float]:
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from afterbert.text.token_store.store import Store

    store, recipe, clocks = Store.open(Path(settings["store"])), recipe_for(settings), Clocks()
    rows, collator = their_rows(settings, store, recipe)
    clocks.begin()
    torch.manual_seed(0)

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            clocks.tick()

    flags = {"torch_compile": True, "optim": "adamw_torch_fused", "dataloader_num_workers": 2}
    with tempfile.TemporaryDirectory() as scratch:
        Trainer(
            THEIR_MODELS[settings["task"]](recipe, store.vocabulary, settings["dropout"]),
            TrainingArguments(
                scratch,
                per_device_train_batch_size=settings["batch_size"],
                max_steps=settings["steps"],
                learning_rate=1e-4,
                weight_decay=0.01,
                use_cpu=True,
                bf16=settings["bf16"],
                report_to=[],
                save_strategy="no",
                logging_steps=10,
                disable_tqdm=True,
                remove_unused_columns=False,
                **(flags if settings.get("flags") else {}),
            ),
            train_dataset=rows,
            data_collator=collator,
            callbacks=[Clock()],
        ).train()
    return clocks.figures(settings["batch_size"] * settings["length"]) | {"share_of_peak": 0.0}


def their_rows(settings: dict, store: Any, recipe: Any) -> tuple[list[dict], Any]:
    """As many rows as the steps need, of the same text, and what makes batches of them."""
    import numpy as np
    from transformers import AutoTokenizer, DataCollatorForLanguageModeling, default_data_collator

    from afterbert.base.noise import Noise
    from afterbert.workflows.pretraining import feed_of

    count = settings["batch_size"] * (settings["steps"] + 1)
    if settings["task"] == "t5":
        rows = []
        for number in range(settings["steps"] + 1):
            for batch in feed_of(recipe, store, store.split("train")).step(number):
                written = batch.arrays["decoder_input_ids"]
                labels = np.full(written.size, -100)
                labels[batch.arrays["chosen"]] = batch.arrays["target_ids"]
                labels = labels.reshape(written.shape)
                rows += [
                    {"input_ids": read, "decoder_input_ids": wrote, "labels": label}
                    for read, wrote, label in zip(batch.arrays["input_ids"], written, labels)
                ]
        widest = max(len(row["labels"]) for row in rows)
        return [row for row in rows if len(row["labels"]) == widest], default_data_collator
    plan = recipe.objective.plan(
        store.split("train"), length=recipe.length, vocabulary=store.vocabulary, noise=Noise(0)
    )
    ids = plan.rows(np.arange(min(len(plan) - 1, count))).piece_ids.reshape(-1, recipe.length)
    tokenizer = AutoTokenizer.from_pretrained(str(store.folder / "tokenizer"))
    return [{"input_ids": row.tolist()} for row in ids], DataCollatorForLanguageModeling(
        tokenizer, mlm_probability=0.15
    )


def their_bert(recipe: Any, vocabulary: Any, dropout: float) -> Any:
    from transformers import BertConfig, BertForMaskedLM

    return BertForMaskedLM(BertConfig(**their_sizes(recipe.model, vocabulary, dropout)))


def their_electra(recipe: Any, vocabulary: Any, dropout: float) -> Any:
    """Both models of ELECTRA with tied embeddings, as one module with a loss."""
    import torch
    from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

    model, small = recipe.model, recipe.objective.generator.of(recipe.model)
    width = model.embeddings.width(model.sizes)

    class Electra(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = their_sizes(model, vocabulary, dropout), their_sizes(small, vocabulary, dropout)
            self.discriminator = ElectraForPreTraining(ElectraConfig(embedding_size=width, **sizes[0]))
            self.generator = ElectraForMaskedLM(ElectraConfig(embedding_size=width, **sizes[1]))
            mine, theirs = self.discriminator.electra.embeddings, self.generator.electra.embeddings
            theirs.word_embeddings, theirs.position_embeddings = (mine.word_embeddings, mine.position_embeddings)
            theirs.token_type_embeddings, theirs.LayerNorm = mine.token_type_embeddings, mine.LayerNorm
            self.generator.generator_lm_head.weight = mine.word_embeddings.weight

        def forward(self, input_ids: Any, labels: Any, **_: Any) -> dict:
            guessed = self.generator(input_ids=input_ids, labels=labels)
            is_asked = labels >= 0
            with torch.no_grad():
                drawn = torch.distributions.Categorical(logits=guessed.logits[is_asked].float()).sample()
                shown = input_ids.masked_scatter(is_asked, drawn)
                is_replaced = is_asked & (shown != labels)
            return {"loss": guessed.loss + 50.0 * self.discriminator(input_ids=shown, labels=is_replaced.long()).loss}

    return Electra()


def their_t5(recipe: Any, vocabulary: Any, dropout: float) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    model = recipe.model
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=vocabulary.size,
            d_model=model.hidden_size,
            d_kv=model.sizes.head_size(model.stack.attention.head_size),
            d_ff=model.intermediate_size,
            num_layers=model.num_hidden_layers,
            num_heads=model.num_attention_heads,
            dropout_rate=dropout,
            use_cache=False,
            decoder_start_token_id=vocabulary.pad,
            pad_token_id=vocabulary.pad,
        )
    )


def their_sizes(model: Any, vocabulary: Any, dropout: float) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary.size,
        "hidden_size": model.hidden_size,
        "num_hidden_layers": model.num_hidden_layers,
        "num_attention_heads": model.num_attention_heads,
        "intermediate_size": model.intermediate_size,
        "max_position_embeddings": model.max_position_embeddings,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }


THEIR_MODELS = {"masked": their_bert, "electra": their_electra, "t5": their_t5}


if __name__ == "__main__":
    main()
