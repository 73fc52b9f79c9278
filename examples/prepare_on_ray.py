"""Prepare a store on a Ray cluster: Ray Data hands out the shards, every task prepares one of them.

    pip install 'afterbert[ray]'                 # on every machine
    python examples/prepare_on_ray.py my_texts/ --tokenizer tokenizer --shards 64 --out store

Texts, tokenizer, shards and store lie on a file system that all machines see under the same path. Called again
after an interruption, finished shards are not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ray

from afterbert.text.from_paths import sources_for
from afterbert.text.token_store.joining import merge_shards
from afterbert.text.token_store.shards import Shard, prepare_shard
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer


class PrepareShard:
    """One shard a row, in a process of its own that Ray places where a core is free."""

    def __init__(self, texts: list[str], tokenizer: str, shards: int, folder: str):
        self.texts, self.tokenizer, self.shards, self.folder = texts, tokenizer, shards, folder

    def __call__(self, row: dict[str, int]) -> dict[str, str]:
        shard = Shard(row["id"] + 1, self.shards)
        out = Path(self.folder, f"{shard.number}-of-{shard.total}")
        prepare_shard(sources_for(self.texts), out, shard, tokenizer=PretrainedTokenizer(self.tokenizer))
        return {"folder": str(out)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--tokenizer", required=True, help="a folder; `prepare --tokenizer-only` makes one")
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2, help="shards at the same time, a core each")
    parser.add_argument("--out", type=Path, default=Path("store"))
    asked = parser.parse_args()
    texts = [str(Path(text).absolute()) if Path(text).exists() else text for text in asked.texts]
    folder = asked.out.absolute().with_name(asked.out.name + "-shards")
    arguments = (texts, str(Path(asked.tokenizer).absolute()), asked.shards, str(folder))

    ray.init(ignore_reinit_error=True)
    tasks = ray.data.range(asked.shards, override_num_blocks=asked.shards)
    done = tasks.map(PrepareShard, fn_constructor_args=arguments, num_cpus=1, concurrency=asked.workers)
    folders = [Path(row["folder"]) for row in done.take_all()]
    store = merge_shards(folders, asked.out)
    print(store.tally.table())
    print(f"tokens: {asked.out} ({store.fingerprint})")


if __name__ == "__main__":
    main()
