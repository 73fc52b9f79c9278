"""A store's texts written out again, a file for each language, so that another tokenizer can cut them."""

import json
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import numpy as np

from afterbert.text.pieces.decoding import PieceDecoder
from afterbert.text.token_store.store import SPLITS, Store

#: ISO 639's code for a language that is not told.
UNDETERMINED = "und"


def decoded_texts(store: Store, folder: Path) -> dict[str, Path]:
    """Returns language -> JSONL file below `folder` with the documents of both splits, as their pieces spell them.
    Raises UserError for a tokenizer whose pieces cannot be turned back into text."""
    decoder = PieceDecoder(store.tokenizer)
    folder.mkdir(parents=True, exist_ok=True)
    names = [code or UNDETERMINED for code in store.languages]
    paths = {name: folder / f"{quote(name, safe='')}.jsonl" for name in names}
    with ExitStack() as stack:
        files = {name: stack.enter_context(path.open("w", encoding="utf-8")) for name, path in paths.items()}
        for split in map(store.split, SPLITS):
            for number, (begin, end) in enumerate(zip(split.document_starts[:-1], split.document_starts[1:])):
                ids = split.pieces(np.arange(begin, end))
                text, _ = decoder.text(ids[~decoder.is_special[ids]])
                files[names[split.languages[number]]].write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    return paths
