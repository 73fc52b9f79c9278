"""How fast texts become a token store, beside `datasets.map` with the same tokenizer in as many processes.

    python benchmarks/prepare_speed.py my_texts/ --processes 2

Ours also finds words and sentences, drops duplicates and holds out documents; theirs makes ids alone. Reading
the files and training the tokenizer are told apart. Without the package `datasets` only ours is measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from afterbert.text.from_paths import sources_for
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.reading import read
from afterbert.text.sources import Source
from afterbert.text.token_store.prepare import prepare
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.text.tokenizers.unigram import Unigram
from afterbert.text.tokenizers.wordpiece import WordPiece

KINDS: dict[str, type[TokenizerRecipe]] = {"wordpiece": WordPiece, "byte_level_bpe": ByteLevelBPE, "unigram": Unigram}


class Clock:
    """Seconds spent in each phase, as progress tells of them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._phase, self._since = "", time.perf_counter()

    def __call__(self, done: float, total: float, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now


def ours(sources: Sequence[Source], folder: Path, recipe: TokenizerRecipe, processes: int) -> tuple[Store, Clock]:
    """A store, and how long each phase took."""
    clock = Clock()
    store = prepare(sources, folder, tokenizer=recipe, processes=processes, progress=clock)
    clock(1, 1, "")
    return store, clock


def theirs(sources: Sequence[Source], folder: Path, tokenizer: Tokenizer, processes: int) -> float:
    """Seconds that `datasets.map` needs for the ids of the same documents."""
    import datasets

    datasets.disable_progress_bars()
    texts = datasets.Dataset.from_generator(
        lambda: ({"text": document.text} for document in read(sources)), cache_dir=str(folder)
    )
    backend = tokenizer.plain

    def encode(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        found = backend.encode_batch(batch["text"], add_special_tokens=False)
        return {"input_ids": [one.ids for one in found]}

    begin = time.perf_counter()
    texts.map(encode, batched=True, batch_size=100, num_proc=processes, remove_columns=["text"])
    return time.perf_counter() - begin


def peak_megabytes() -> tuple[float, float]:
    """Of this process, and of the largest one that ended."""
    own, children = (resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_maxrss / 1024, children.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--tokenizer", choices=KINDS, default="wordpiece")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    sources = sources_for(asked.texts)
    with tempfile.TemporaryDirectory() as folder:
        store, clock = ours(sources, Path(folder) / "store", KINDS[asked.tokenizer](), asked.processes)
        megabytes = store.tally.bytes / 1e6
        own, workers = peak_megabytes()
        print(f"{megabytes:.1f} MB of text, {asked.processes} processes, {asked.tokenizer}")
        for phase in ("reading", "making the tokenizer", "encoding", "writing"):
            seconds = clock.seconds.get(phase, 0.0)
            print(f"  {phase:<22} {seconds:7.1f} s {megabytes / max(seconds, 1e-9):8.1f} MB/s")
        print(f"  peak memory            {own:7.0f} MB, workers {workers:.0f} MB")
        if importlib.util.find_spec("datasets") is None:
            print("datasets is not installed: nothing to compare with")
            return
        seconds = theirs(sources, Path(folder), store.tokenizer, asked.processes)
        print(f"  datasets.map           {seconds:7.1f} s {megabytes / seconds:8.1f} MB/s")
        print(f"encoding is {seconds / clock.seconds['encoding']:.2f} times as fast as datasets.map")


if __name__ == "__main__":
    main()
