"""`afterbert predict`: what a fine-tuned model says of new rows, or of a text."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from afterbert.cli.options import AnswersAs, MaxUnknown, Overwrite, also_takes, of_data, option

PLACE = 160


# By the names of `PredictRequest`.
_OF_FILES = {
    "out": option(Path | None, "The file to write, .csv, .tsv or .jsonl; printed when not given.", "--out", "-o"),
    "columns": option(str | None, "Which column is what, if the names of the training are not there: text=review."),
    "kind": option(
        Literal["csv", "tsv", "jsonl", "txt", "conll"] | None,
        "The file's layout, where the guess is wrong.",
        "--format",
    ),
    **of_data("header", "records"),
}


@also_takes(_OF_FILES)
def predict(
    model: Annotated[
        str, typer.Argument(help="A folder that `finetune` made, of one seed or of all, or an exported one.")
    ],
    rows: Annotated[
        list[str],
        typer.Argument(
            help="A file of rows, `-` for standard input, or a text (several texts where the task reads a pair).",
            metavar="FILE_OR_TEXT...",
        ),
    ],
    as_: AnswersAs = None,
    language: Annotated[
        str | None, typer.Option(help="The language of the rows, for a model with parts for each language.")
    ] = None,
    max_unknown: MaxUnknown = 0.1,
    overwrite: Overwrite = False,
    **of_files: Any,
) -> None:
    """Answer the rows of a file, or a text, with a fine-tuned model.

    The same rows come out in the same order, with their columns and new ones after them: the prediction, how sure
    it is, the probability of each class, the place of an answer, the entities with their places. Files of any length
    may be csv, tsv, JSON lines, one text on each line, or one word on each line; spreadsheets are read as exported.

    Examples:

    `afterbert predict runs/finetune-reviews-1a2b3c4d "What a lovely day"`

    `afterbert predict runs/finetune-reviews-1a2b3c4d new.csv --out answered.csv`

    `zcat new.jsonl.gz | afterbert predict runs/finetune-reviews-1a2b3c4d - > answered.jsonl`
    """
    from afterbert.cli.predicting import predict_rows, predict_text
    from afterbert.downstream.reading.find_task import parse_header
    from afterbert.workflows.prediction import PredictRequest, names_file

    if len(rows) == 1 and names_file(rows[0]):
        of_files["header"] = parse_header(of_files["header"])
        others: Any = {"overwrite": overwrite, "task": as_, "max_unknown": max_unknown, "language": language}
        predict_rows(PredictRequest(model, rows[0], **of_files, **others))
    else:
        unheeded = {f"--{'format' if name == 'kind' else name}": value for name, value in of_files.items()}
        predict_text(model, rows, as_, unheeded, max_unknown=max_unknown, language=language)
