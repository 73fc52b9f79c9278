"""How fast rows become tasks on one core, beside the collators that others use for the same task.

    python benchmarks/pretext_speed.py
    python benchmarks/pretext_speed.py --store my_store --length 128 --rows 16

All measure the same tokens in turn, several times; figures are medians, by the processor's clock (so other work on
the machine counts only through its caches). Ours is given twice: `task` makes the posed task of rows in memory;
`all` goes from the token store to padded arrays. Theirs get their rows as Python lists, as transformers' Trainer
feeds them, and give padded arrays. `--recipes` adds the task of every recipe, beside what a tiny model consumes.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models
from transformers import (
    DataCollatorForLanguageModeling,
    DataCollatorForPermutationLanguageModeling,
    PreTrainedTokenizerFast,
)

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.answers.missing_spans import MissingSpans
from afterbert.pretext.answers.whole_text import WholeText
from afterbert.pretext.corruptions import Corruption
from afterbert.pretext.corruptions.keep import Keep
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.corruptions.one_mask_per_span import OneMaskPerSpan
from afterbert.pretext.corruptions.sentinels import Sentinels
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.posed import AskedInPlace, Posed, WrittenText
from afterbert.pretext.selections import Selection
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.selections.permutation_tail import PermutationTail
from afterbert.pretext.selections.poisson_spans import PoissonSpans
from afterbert.pretext.selections.t5_partition import T5Partition
from afterbert.pretext.sight import Sight
from afterbert.pretext.task import Pretext
from afterbert.recipes import known, resolve
from afterbert.text.token_store.store import Split, Store

VOCAB_SIZE, SPECIAL = 30_000, 110
VOCABULARY = Vocabulary(
    size=VOCAB_SIZE,
    pad=0,
    unk=1,
    cls=2,
    sep=3,
    mask=4,
    bos=5,
    eos=6,
    sentinels=tuple(range(109, 9, -1)),
    special_ids=tuple(range(SPECIAL)),
)


class InventedSplit(Split):
    """Pieces by Zipf's law in memory; three of four begin a word, one of twenty a sentence, one of four
    hundred a document.
    """

    def __init__(self, num_pieces: int):
        draw = np.random.default_rng(0)
        self.ids = (SPECIAL + draw.zipf(1.2, num_pieces) % (VOCAB_SIZE - SPECIAL)).astype(np.uint16)
        begins = {name: draw.random(num_pieces) < rate for name, rate in (("document", 1 / 400), ("sentence", 1 / 20))}
        begins["document"][0] = True
        begins["sentence"] |= begins["document"]
        begins["word"] = begins["sentence"] | (draw.random(num_pieces) < 0.75)
        self._planes = {f"{name}_start": plane for name, plane in begins.items()}
        for name in ("phrase", "entity"):
            self._planes |= {f"{name}_start": begins["word"] & (draw.random(num_pieces) < 0.1)}
            self._planes |= {f"{name}_inside": ~begins["word"] & np.roll(self._planes[f"{name}_start"], 1)}
        self.name, self.fingerprint, self.plane_names = "train", "invented", tuple(self._planes)
        self.plane_widths = dict.fromkeys(self._planes, 1)
        self.num_pieces, self.num_documents = num_pieces, int(begins["document"].sum())
        starts = {name: np.append(np.flatnonzero(begins[name]), num_pieces) for name in ("document", "sentence")}
        vars(self).update({f"{name}_starts": values for name, values in starts.items()})

    def pieces(self, index: np.ndarray) -> np.ndarray:
        return self.ids[index].astype(np.int32)

    def plane(self, name: str, index: np.ndarray) -> np.ndarray:
        return self._planes[name][index]


@dataclass(frozen=True)
class Ours:
    """Batch n of a task: of rows in memory, and all the way from the store to arrays; tokens in a batch."""

    task: Callable[[int], Any]
    all: Callable[[int], Any]
    tokens: int


@dataclass(frozen=True)
class Contest:
    """A task, ours and theirs; goal: how many times faster we mean to be."""

    name: str
    ours: Ours
    theirs: Callable[[int], Any] | None
    goal: str


def padded(posed: Posed, length: int) -> list[np.ndarray]:
    """The arrays of a batch, as a model takes them."""
    shown, found = posed.shown, []
    found.append(shown.padded(shown.piece_ids, fill=0, length=length).astype(np.int64))
    found.append(shown.lengths)
    for asked in posed.asked:
        if isinstance(asked, AskedInPlace):
            found += [shown.flat_to_padded(asked.positions, length=length), asked.target_ids.astype(np.int64)]
        elif isinstance(asked, WrittenText):
            target = asked.target
            width = int(target.lengths.max(initial=0))
            found.append(target.padded(target.piece_ids, fill=-100, length=width).astype(np.int64))
    if posed.visibility.rank is not None:
        found.append(shown.padded(posed.visibility.rank, fill=0, length=length))
    return found


def batches(pretext: Pretext, split: Split, vocabulary: Vocabulary, rows: int, length: int) -> Ours:
    """Both ways to a batch of this task."""
    plan = pretext.pairing.plan(split, length=pretext.row_length(length), vocabulary=vocabulary, noise=Noise(0))
    noise = Noise(0, "task")

    def numbers(batch: int) -> np.ndarray:
        return (np.arange(rows) + batch * rows) % len(plan)

    def posed(batch: int, read: Rows) -> Posed:
        return pretext.pose(read, noise, vocabulary, plan.labels(numbers(batch)))

    def task(batch: int) -> Posed:
        kept = in_memory[batch % 4]
        return posed(batch % 4, Rows(kept.piece_ids, kept.row_starts, kept.keys, kept.planes))

    def everything(batch: int) -> list[np.ndarray]:
        return padded(posed(batch, plan.rows(numbers(batch))), length)

    in_memory = [plan.rows(numbers(batch)) for batch in range(4)]
    return Ours(task, everything, in_memory[0].num_pieces)


def t5_spans(examples: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Span corruption, written step by step from the published algorithm (`random_spans_noise_mask` and
    `noise_span_to_unique_sentinel` of 1910.10683), which takes one row at a time.
    """
    inputs, targets = [], []
    for example in examples:
        ids = np.array(example)
        is_noise = t5_noise_mask(len(ids))
        inputs.append(np.append(with_sentinels(ids, is_noise), VOCABULARY.eos))
        targets.append(np.append(with_sentinels(ids, ~is_noise), VOCABULARY.eos))
    return np.stack(inputs), np.stack(targets)


def t5_noise_mask(length: int, density: float = 0.15, mean_span: float = 3.0) -> np.ndarray:
    num_noise = min(max(round(length * density), 1), length - 1)
    num_spans = max(round(num_noise / mean_span), 1)
    lengths = np.stack([t5_segments(length - num_noise, num_spans), t5_segments(num_noise, num_spans)], axis=1)
    span_starts = np.cumsum(lengths.ravel())[:-1]
    is_start = np.zeros(length, dtype=np.int64)
    is_start[span_starts] = 1
    return np.cumsum(is_start) % 2 == 1


def t5_segments(num_items: int, num_segments: int) -> np.ndarray:
    is_first = np.arange(num_items - 1) < num_segments - 1
    np.random.shuffle(is_first)
    segment = np.cumsum(np.pad(is_first, (1, 0)))
    return np.bincount(segment, minlength=num_segments)


def with_sentinels(ids: np.ndarray, is_noise: np.ndarray) -> np.ndarray:
    before = np.pad(is_noise[:-1], (1, 0))
    is_first, is_later = is_noise & ~before, is_noise & before
    return np.where(is_first, SPECIAL - np.cumsum(is_first), ids)[~is_later]


def hugging_face_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of the same size; the collators only ask it for ids and padding."""
    names = {0: "[PAD]", 1: "[UNK]", 2: "[CLS]", 3: "[SEP]", 4: "[MASK]"}
    ids = {names.get(number, f"p{number}"): number for number in range(VOCAB_SIZE)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    special = {name[1:-1].lower() + "_token": name for name in names.values()}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def as_examples(rows: Rows) -> list[dict[str, Any]]:
    """Rows as a data set of Hugging Face's hands them out: lists, with the masks and offsets their collators
    ask for.
    """
    word = np.cumsum(rows.planes["word_start"] | rows.planes["special"])
    offsets = np.stack([word * 10 + np.arange(rows.num_pieces), word * 10 + np.arange(rows.num_pieces) + 1], axis=1)
    return [
        {
            "input_ids": rows.piece_ids[low:high].tolist(),
            "attention_mask": [1] * int(high - low),
            "special_tokens_mask": rows.planes["special"][low:high].astype(int).tolist(),
            "offset_mapping": offsets[low:high].tolist(),
        }
        for low, high in zip(rows.row_starts, rows.row_starts[1:])
    ]


def without(examples: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in example.items() if name not in names} for example in examples]


def contests(split: Split, vocabulary: Vocabulary, rows: int, length: int) -> list[Contest]:
    """The tasks that somebody else has too."""
    packed, t5_rows = Packed(), Packed(opens="none", closes="eos", between="none")
    permuted = Sight(("permutation",))

    def ours(selection: Selection, corruption: Corruption, answer: Answer, **more: Any) -> Callable[[int], Any]:
        pretext = Pretext(more.pop("pairing", packed), (Edit(selection, corruption),), (answer,), **more)
        return batches(pretext, split, vocabulary, rows, length)

    plan = packed.plan(split, length=length, vocabulary=vocabulary, noise=Noise(0))
    examples = [as_examples(plan.rows(np.arange(n * rows, (n + 1) * rows) % len(plan))) for n in range(4)]
    for_tokens = [without(batch, "offset_mapping") for batch in examples]
    for_permutation = [without(batch, "offset_mapping", "special_tokens_mask", "attention_mask") for batch in examples]
    raw = T5Partition(roll=False).raw_length(length)
    lines = [split.pieces(np.arange(n * rows * raw, (n + 1) * rows * raw)).reshape(rows, raw) for n in range(4)]
    tokenizer = hugging_face_tokenizer()
    tokens = DataCollatorForLanguageModeling(tokenizer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it never keeps or replaces words
        words = DataCollatorForLanguageModeling(tokenizer, whole_word_mask=True)
    permutation = DataCollatorForPermutationLanguageModeling(tokenizer)
    masked = (Mask(), InPlace())
    t5 = ours(T5Partition(roll=False), Sentinels(), MissingSpans(), pairing=t5_rows)
    return [
        Contest("tokens", ours(FixedCount(), *masked), lambda n: tokens(for_tokens[n % 4]), "30x"),
        Contest("whole words", ours(FixedCount("word"), *masked), lambda n: words(examples[n % 4]), "100x"),
        Contest(
            "permutation",
            ours(PermutationTail(), Keep(), InPlace(), visibility=permuted),
            lambda n: permutation(for_permutation[n % 4]),
            "50x",
        ),
        Contest("T5 spans", t5, lambda n: t5_spans(lines[n % 4]), "8x"),
        Contest("infilling", ours(PoissonSpans(), OneMaskPerSpan(), WholeText()), None, "20 M/s"),
    ]


def measure(sides: dict[str, Callable[[int], Any]], tokens: int, repeats: int, seconds: float) -> dict[str, float]:
    """Tokens a second of each side, in turn, as medians; a turn lasts about `seconds`."""
    calls = {}
    for name, call in sides.items():
        call(0)
        begin = time.process_time()
        call(1)
        calls[name] = max(1, int(seconds / (time.process_time() - begin)))
    found: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats):
        for name, call in sides.items():
            begin = time.process_time()
            for number in range(calls[name]):
                call(repeat * calls[name] + number)
            found[name].append(calls[name] * tokens / (time.process_time() - begin))
    return {name: statistics.median(values) for name, values in found.items()}


def tiny_model_speed(split: Split, vocabulary: Vocabulary, repeats: int, seconds: float) -> float:
    """Tokens a second that the `tiny` model of the default recipe consumes on this core: forward and
    backward, no update.
    """
    recipe = resolve("laptop").recipe
    plan = recipe.objective.plan(split, length=128, vocabulary=vocabulary, noise=Noise(0))
    batch = recipe.objective.pose(plan, np.arange(16), Noise(0), vocabulary=vocabulary, length=128)
    module = recipe.objective.build(replace(recipe.model, vocab_size=vocabulary.size), vocabulary)
    arrays = {name: torch.from_numpy(values) for name, values in batch.arrays.items()}

    def step(_: int) -> None:
        sum(module(arrays).values()).backward()

    return measure({"tiny": step}, batch.num_tokens, repeats, seconds)["tiny"]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="a token store; invented pieces if not given")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each turn")
    parser.add_argument(
        "--recipes", action="store_true", help="also time the task of every recipe, beside a tiny model"
    )
    return parser.parse_args()


def main() -> None:
    options = parse()
    torch.set_num_threads(1)
    split: Split = InventedSplit(2_000_000)
    vocabulary = VOCABULARY
    if options.store:
        store = Store.open(options.store)
        split, vocabulary = store.split("train"), store.vocabulary
    print(f"{options.rows} rows of {options.length}, one core, million tokens a second, medians of {options.repeats}\n")
    print(f"{'':14}{'task':>8}{'all':>8}{'theirs':>9}{'task':>8}{'all':>8}{'goal':>9}")
    for contest in contests(split, vocabulary, options.rows, options.length):
        sides = {"task": contest.ours.task, "all": contest.ours.all}
        if contest.theirs:
            sides["theirs"] = contest.theirs
        found = measure(sides, contest.ours.tokens, options.repeats, options.seconds)
        task, everything = found["task"] / 1e6, found["all"] / 1e6
        versus = " " * 25
        if contest.theirs:
            theirs = found["theirs"] / 1e6
            versus = f"{theirs:9.3f}{task / theirs:7.0f}x{everything / theirs:7.0f}x"
        print(f"{contest.name:14}{task:8.1f}{everything:8.1f}{versus}{contest.goal:>9}", flush=True)
    if options.recipes:
        every_recipe(split, vocabulary, options)


def every_recipe(split: Split, vocabulary: Vocabulary, options: argparse.Namespace) -> None:
    consumed = tiny_model_speed(split, vocabulary, options.repeats, options.seconds) / 1e6
    print(f"\na tiny model consumes {consumed:.3f} million tokens a second on this core\n")
    print(f"{'recipe':22}{'ours':>9}{'times what tiny consumes':>27}")
    for name in known():
        pretext = getattr(resolve(name).recipe.objective, "pretext", None)
        if pretext is None:
            continue
        ours = batches(pretext, split, vocabulary, options.rows, options.length)
        speed = measure({"all": ours.all}, ours.tokens, options.repeats, options.seconds)["all"] / 1e6
        print(f"{name:22}{speed:9.1f}{speed / consumed:26.0f}x", flush=True)


if __name__ == "__main__":
    main()
