"""Prepares a store in a process of its own, slowly and in small parts, so that it can be disturbed.

    python prepare_in_child.py SOURCE OUT PROCESSES SECONDS_PER_PART PART_BYTES

Prints the phase as it begins. What is set here also holds in the worker processes, which import this file.
"""

import sys
import time
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.text.sources.jsonl import Jsonl
from afterbert.text.token_store import corpus, parts
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE

WRITE = parts.EncodePart._write


def slowly(self, documents, codes, writer):
    time.sleep(float(sys.argv[4]))
    WRITE(self, documents, codes, writer)


if __name__ in ("__main__", "__mp_main__"):
    parts.EncodePart._write = slowly  # type: ignore[method-assign]

if __name__ == "__main__":
    source, out, processes, _, part_bytes = sys.argv[1:]
    corpus._PART_BYTES = int(part_bytes)
    told = set()

    def tell(done: float, total: float, phase: str) -> None:
        if phase not in told:
            told.add(phase)
            print(phase, flush=True)

    try:
        prepare(
            [Jsonl(path=source, language_key="language")],
            Path(out),
            tokenizer=ByteLevelBPE(vocab_size=400, sample_megabytes=1),
            processes=int(processes),
            progress=tell,
        )
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
