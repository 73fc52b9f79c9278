"""`afterbert prepare`: texts in, a token store out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def prepare(
    texts: Annotated[
        list[str], typer.Argument(help="Files, folders, `hub:NAME`, or `-` for standard input.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write the store to.")],
    tokenizer: Annotated[
        str,
        typer.Option(
            help="wordpiece, byte_level_bpe or unigram to train one; a folder or hub name to take it."
        ),
    ] = "wordpiece",
    vocab_size: Annotated[
        int | None, typer.Option(help="Pieces to learn; chosen by the size of the text if not given.")
    ] = None,
    planes: Annotated[str, typer.Option(help="Annotations to find, with commas.")] = "word,sentence",
    errors: Annotated[str, typer.Option(help="Broken text: fail, replace or skip-document.")] = "fail",
    normalization: Annotated[str, typer.Option(help="NFC, NFKC or none.")] = "NFC",
    held_out: Annotated[float, typer.Option(help="Share of documents kept for evaluation.")] = 0.02,
    documents: Annotated[
        str | None, typer.Option(help="In .txt files a document is: paragraphs, line or file.")
    ] = None,
    text_key: Annotated[str | None, typer.Option(help="The key or column that holds the text.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Language code of texts that do not say theirs.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes; one a core when not given.")
    ] = None,
) -> None:
    """Turn texts into a token store: pieces and annotations, once, for any number of runs.

    Example: `afterbert prepare my_texts/ --out store --tokenizer unigram --vocab-size 16000`
    """
