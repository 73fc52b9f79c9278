"""What each lever of speed is worth: our training with it and without it, everything else equal.

    python benchmarks/levers.py                                  # all, mini at 8k pieces: about 20 minutes
    python benchmarks/levers.py --sizes tiny mini --levers "fused attention" --lengths 512

Each run is a child process of its own, with and without in turn; the ratio is the median over pairs, by the wall and by
the processor's clock. Results stand in benchmarks/results/levers.json and are not measured again unless `--anew`;
the table goes to docs/speed.md. A lever that is worth nothing there has no place in the product; the last ones
of the list were tried and not taken, or are bounds of what another one could give.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cells import write_between
from pretrain_speed import HERE, PAGE, in_child, middle, ours, parser_of_speeds, prepared, read, write

RESULTS = HERE / "results" / "levers.json"

# Lever -> (settings with it, settings without it).
LEVERS: dict[str, tuple[dict, dict]] = {
    "no dropout": ({}, {"dropout": 0.1}),
    "dropout from plain random bits": ({"dropout": 0.1}, {"dropout": 0.1, "patch": "Bernoulli dropout"}),
    "head at asked places": ({"patch": "last layer everywhere"}, {"patch": "head everywhere"}),
    "last layer at asked places": ({}, {"patch": "last layer everywhere"}),
    "queries of the last layer at asked places": ({}, {"patch": "all queries"}),
    "cross-entropy in blocks": ({}, {"patch": "all logits"}),
    "fused attention": ({}, {"patch": "two products"}),
    "fused AdamW": ({}, {"patch": "foreach AdamW"}),
    "freed memory kept": ({}, {"keep_memory": False}),
    "batches prepared ahead": ({}, {"overrides": [("training.workers", "0")]}),
    "whole batch at once": ({}, {"overrides": [("training.micro_batch_size", "8")]}),
    "precision auto, not bf16": ({}, {"overrides": [("training.precision", "bf16")]}),
    "no mask where nothing is hidden": ({}, {"patch": "mask of everything"}),
    "all cores, not one": ({}, {"patch": "one thread"}),
    "not taken: torch.compile of each part": ({"patch": "compiled"}, {}),
    "not taken: torch's linear_cross_entropy": ({"patch": "torch's cross-entropy"}, {}),
    "bound of touched rows only: the read embeddings have no gradient": ({"patch": "no gradient of ids"}, {}),
}


def parse() -> argparse.Namespace:
    parser = parser_of_speeds(__doc__)
    parser.add_argument("--levers", nargs="+", choices=LEVERS, default=list(LEVERS))
    parser.add_argument("--sizes", nargs="+", default=["mini"])
    parser.add_argument("--vocab-sizes", nargs="+", type=int, default=[8000])
    parser.add_argument("--lengths", nargs="+", type=int, default=[128])
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.child:
        settings = json.loads(options.child)
        if "patch" in settings:
            PATCHES[settings["patch"]]()
        print(json.dumps(ours(settings)))
        return
    results = read(RESULTS)
    with tempfile.TemporaryDirectory() as scratch:
        for vocab_size in options.vocab_sizes:
            for length in options.lengths:
                for size in options.sizes:
                    for lever in options.levers:
                        key = f"{size}/{vocab_size}/{length}/{options.batch_size}/{lever}"
                        if options.anew or key not in results:
                            store = prepared(options.text, vocab_size, Path(scratch))
                            measured = compare(options, store, size, length, lever)
                            results[key] = measured | {"vocab_size": vocab_size}
                            write(RESULTS, results)
                        print(as_row(results[key]), flush=True)
    write_between(PAGE, "levers", table(results))


def compare(options: argparse.Namespace, store: str, size: str, length: int, lever: str) -> dict:
    common = {"store": store, "task": "masked", "length": length, "size": size, "dropout": 0.0}
    common |= {"batch_size": options.batch_size, "steps": options.steps}
    runs: tuple[list[dict], list[dict]] = ([], [])
    for _ in range(options.repeats):
        for settings, kept in zip(LEVERS[lever], runs):
            kept.append(in_child(__file__, common | settings))
    ratios = {
        clock: statistics.median(one[clock] / other[clock] for one, other in zip(*runs))
        for clock in ("tokens_per_second", "tokens_per_cpu_second")
    }
    found = {"lever": lever, "size": size, "length": length, "ratio": ratios}
    return found | {"with": middle(runs[0]), "without": middle(runs[1])}


def as_row(result: dict) -> str:
    ratio = result["ratio"]
    return (
        f"| {result['lever']} | {result['size']} | {result['vocab_size']} | {result['length']} "
        f"| {ratio['tokens_per_second']:.2f} | {ratio['tokens_per_cpu_second']:.2f} "
        f"| {result['without']['peak_mb']:,.0f} | {result['with']['peak_mb']:,.0f} |"
    )


def table(results: dict[str, dict]) -> str:
    heads = "| lever | size | pieces | length | speed with / without | by cpu time | MB without | MB with |"
    return "\n".join([heads, "|---" * 8 + "|", *(as_row(result) for result in results.values())])


# How a lever is taken out, or put in: methods are replaced, which types do not allow


def last_layer_everywhere() -> None:
    from afterbert.nn.places import at_places
    from afterbert.nn.stack import StackModule

    whole = StackModule.forward

    def forward(self: Any, *read: Any, wanted: Any = None, **others: Any) -> Any:
        return at_places(whole(self, *read, **others), wanted)

    StackModule.forward = forward  # type: ignore[method-assign]


def all_queries() -> None:
    from afterbert.nn import stack

    stack.by_row = lambda *_: None


def head_everywhere() -> None:
    import torch
    from torch.nn import functional as F

    from afterbert.objectives.modules.masked_lm import MaskedLMModule

    def forward(self: Any, arrays: Any) -> dict[str, Any]:
        logits = self.lm_head(self.hidden(arrays)).flatten(0, 1)
        labels = torch.full((len(logits),), -100).index_copy(0, arrays["chosen"], arrays["target_ids"])
        return {"masked": F.cross_entropy(logits.float(), labels, reduction="sum")}

    MaskedLMModule.forward = forward  # type: ignore[method-assign]


def all_logits() -> None:
    from torch.nn import functional as F

    from afterbert.nn.heads import LMHeadModule

    def score(self: Any, hidden: Any, targets: Any) -> Any:
        return F.cross_entropy(self(hidden).float(), targets, reduction="sum")

    LMHeadModule.score = score  # type: ignore[method-assign]


def torchs_cross_entropy() -> None:
    from torch.nn import functional as F

    from afterbert.nn.heads import LMHeadModule

    def score(self: Any, hidden: Any, targets: Any) -> Any:
        hidden = self._before_table(hidden)
        return F.linear_cross_entropy(hidden, self._table, targets, linear_bias=self.bias, reduction="sum").float()

    LMHeadModule.score = score  # type: ignore[method-assign]


def two_products() -> None:
    from afterbert.nn import attention

    def unfused(query: Any, key: Any, value: Any, visible: Any, bias: Any, dropout_rate: float) -> Any:
        scores = attention.attention_scores(query, key, visible=visible, bias=bias)
        return attention.attention_weights(scores, dropout_rate).to(value.dtype) @ value

    attention.fused = unfused


def mask_of_everything() -> None:
    import torch

    from afterbert.nn import attention

    unmasked = attention.fused

    def fused(query: Any, key: Any, value: Any, visible: Any, bias: Any, dropout_rate: float) -> Any:
        shape = (len(query), 1, visible.num_queries, visible.num_keys)
        masked = replace(visible, may_attend=torch.ones(shape, dtype=torch.bool))
        return unmasked(query, key, value, masked, bias, dropout_rate)

    attention.fused = fused


def bernoulli_dropout() -> None:
    from torch.nn import functional as F

    from afterbert.nn import attention, dropout

    dropout.dropped = attention.dropped = F.dropout


def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def no_gradient_of_ids() -> None:
    from afterbert.nn.embeddings import EmbeddingsModule

    looked_up = EmbeddingsModule.forward

    def forward(self: Any, input_ids: Any, **others: Any) -> Any:
        table = self._table
        self._table = (lambda ids: table[0](ids).detach(),)
        try:
            return looked_up(self, input_ids, **others)
        finally:
            self._table = table

    EmbeddingsModule.forward = forward  # type: ignore[method-assign]


def foreach_adamw() -> None:
    from afterbert.training.optimizers import adamw

    adamw._FUSED_ON.clear()


def compiled() -> None:
    from afterbert.nn.stack import StackModule

    build = StackModule.__init__

    def with_compiled_parts(self: Any, *read: Any, **others: Any) -> None:
        build(self, *read, **others)
        for part in [*self.attention, *self.feed_forward]:
            part.compile()

    StackModule.__init__ = with_compiled_parts  # type: ignore[method-assign]


PATCHES: dict[str, Callable[[], None]] = {
    "last layer everywhere": last_layer_everywhere,
    "all queries": all_queries,
    "head everywhere": head_everywhere,
    "all logits": all_logits,
    "torch's cross-entropy": torchs_cross_entropy,
    "two products": two_products,
    "foreach AdamW": foreach_adamw,
    "compiled": compiled,
    "mask of everything": mask_of_everything,
    "Bernoulli dropout": bernoulli_dropout,
    "one thread": one_thread,
    "no gradient of ids": no_gradient_of_ids,
}


if __name__ == "__main__":
    main()
