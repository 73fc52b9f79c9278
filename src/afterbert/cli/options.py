"""Options that several verbs share: a recipe, its size, how texts are read; dotted overrides."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.plugins import listed

# Settings of a recipe that stand outside any node.
_TOP_LEVEL = ("length", "title", "paper", "tokenizer", "model", "objective")


def plugins_in(folder: str) -> str:
    """Returns the names of the plug-ins in a folder of the package, for a help text. Nothing is imported, which would
    take a second."""
    return ", ".join(listed(f"afterbert.{folder}"))


Size = Annotated[
    str | None,
    typer.Option("--size", "-s", help="How large the model is: tiny, mini, small or base.", rich_help_panel="Recipe"),
]
_NEWEST = "A run or model folder; the newest finished run when not given."
ModelOrNewest = Annotated[str | None, typer.Option("--model", "-m", help=_NEWEST)]
AnswersAs = Annotated[str | None, typer.Option("--as", help="Which of the model's tasks, where it answers several.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Also replace what afterbert did not make.")]
_UNKNOWN = "Stop when more than this share of the pieces is unknown to the tokenizer."
MaxUnknown = Annotated[float, typer.Option(help=_UNKNOWN)]

#: An option of a verb: its type with what typer is told of it, and its default.
Option = tuple[Any, Any]


def option(kind: Any, said: str, *flags: str, default: Any = None, panel: str | None = None, **more: Any) -> Option:
    """Returns an option for `also_takes`. said: its help text; flags: where they are not made of the name; more:
    further arguments of typer's `Option`."""
    return Annotated[kind, typer.Option(*flags, help=said, rich_help_panel=panel, **more)], default


def also_takes(options: Mapping[str, Option]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a verb options besides those that it names itself; it is handed them by name, as `**`. So a table of
    options, named as the fields of a request, serves several verbs."""

    def giving(verb: Callable[..., Any]) -> Callable[..., Any]:
        own = [one for one in inspect.signature(verb, eval_str=True).parameters.values() if one.kind != one.VAR_KEYWORD]
        more = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, (kind, default) in options.items()
        ]
        told: Any = verb
        told.__signature__ = inspect.Signature([*own, *more])  # which typer reads
        return verb

    return giving


def of_data(*names: str, panel: str | None = None) -> dict[str, Option]:
    """Returns the options for files of labelled rows, named as in `DataOptions`: those of these names, or all."""
    kinds, formats = plugins_in("downstream.tasks"), plugins_in("downstream.formats")
    said = {
        "kind": f"The kind of task, where the guess is wrong: {kinds}.",
        "format": f"The files' format, where the guess is wrong: {formats}.",
        "columns": "Which column is what, by name or number: text=review,label=3.",
        "header": "Whether the first line names the columns, where the guess is wrong: yes or no.",
        "records": "Where the rows stand in a JSON file that is one object: data.items.",
    }
    return {name: option(str | None, said[name], panel=panel) for name in names or said}


#: What every verb that reads files of text takes, whether it makes a store of them or not.
OF_FILES = ("kind", "documents", "text_key", "text_column", "errors", "max_dropped_share")


def reading(*names: str) -> dict[str, Option]:
    """Returns the options for reading texts, for verbs that make a store: those of these names, or all."""
    return {name: _READING[name] for name in names or _READING}


def _of_texts(kind: Any, said: str, default: Any = None, **more: Any) -> Option:
    return option(kind, said, default=default, panel="How texts are read", **more)


_READING = {
    "tokenizer": _of_texts(
        str | None,
        "A kind to train (bpe, byte_level_bpe, unigram, wordpiece), or a folder or hub name to take. Its settings: "
        "--tokenizer.lowercase true, --tokenizer.sentinels 100, --tokenizer.ends last.",
    ),
    "vocab_size": _of_texts(int | None, "How many pieces to learn; chosen by the amount of text when not given."),
    "kind": _of_texts(str | None, "What a file holds when its name does not tell, such as txt or jsonl."),
    "documents": _of_texts(str | None, "What is one document of plain text: paragraphs, line or file."),
    "text_key": _of_texts(str | None, "JSONL: the key that holds the text."),
    "text_column": _of_texts(str | None, "CSV, TSV, Parquet: the column that holds the text."),
    "language": _of_texts(
        str | None, "Language code of texts that do not name their own; by-name: taken from file names (de.txt)."
    ),
    "language_key": _of_texts(str | None, "JSONL: the key that holds each text's language."),
    "lang": _of_texts(
        list[str] | None, "Texts with their language, once for each: --lang en=english/ --lang is=a.txt."
    ),
    "switch": _of_texts(
        list[str] | None,
        "Replace some words of a language by translations from a word list: --switch en=muse.en-de.txt.",
    ),
    "smoothing": _of_texts(
        float | None,
        "How often each language is drawn: its share of the text to this power (1: by size; 0.7 is usual).",
    ),
    "errors": _of_texts(str | None, "What to do with broken text: fail (when not given), replace or skip-document."),
    "normalization": _of_texts(str | None, "Unicode form of the text: NFC (when not given), NFKC or none."),
    "max_dropped_share": _of_texts(
        float | None,
        "Stop when more than this share of the documents is dropped, empty ones not counted; 0.1 when not given.",
    ),
    "near_duplicates": _of_texts(
        float | None,
        "Keep only the longest of documents that share this much of their runs of five words (0.8; extra dedup).",
    ),
    "max_unknown": _of_texts(float, _UNKNOWN, default=0.1),
    "held_out": _of_texts(float, "Share of the text kept for evaluation.", default=0.02),
    "processes": option(int | None, "How many processes prepare texts; one for each core when not given.", min=1),
}


def split_arguments(words: Sequence[str], options: Sequence[str] = ()) -> tuple[list[str], list[tuple[str, str]]]:
    """Splits what a verb's parser left over into plain arguments and recipe settings: `--model.num_hidden_layers 4`,
    `--length=64`.

    `options` are the verb's own, for the hint at a mistyped one. Raises UserError at an unknown option.

    >>> split_arguments(["a.txt", "--training.batch_size", "8", "--length=64"])
    (['a.txt'], [('training.batch_size', '8'), ('length', '64')])
    """
    plain, settings = [], []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            plain.append(word)
            continue
        key, equals, value = word.lstrip("-").partition("=")
        if "." not in key and key not in _TOP_LEVEL:
            near = did_you_mean(f"--{key}", list(options)) if options else "--help lists the options"
            raise UserError(
                f"there is no option {word}; {near} (settings are written --node.key VALUE: "
                "finetune --schedule.type linear, pretrain --training.schedule.type linear)"
            )
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"--{key} needs a value; write --{key} VALUE")
            value = rest.pop(0)
        settings.append((key, value))
    return plain, settings


def settings_only(context: typer.Context) -> list[tuple[str, str]]:
    """Returns recipe settings for a verb that takes no further arguments. Raises UserError."""
    words = [word for word in context.params.values() if isinstance(word, str) and word.startswith("-")]
    taken = [word for word in words if word not in context.args]  # by an argument, for good
    plain, settings = split_arguments([*taken, *context.args], own_options(context))
    if plain:
        raise UserError(f"'{plain[0]}' is not expected here; settings are written --node.key VALUE")
    return settings


def own_options(context: typer.Context) -> list[str]:
    """Returns the options that a verb itself has."""
    return [name for parameter in context.command.params for name in parameter.opts if name.startswith("--")]


def given_options(context: typer.Context) -> list[str]:
    """Returns the names of a verb's parameters that were given on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]


def model_or_newest(model: str | None) -> str:
    """Returns the model named; without one that of the run which finished last, and tells so. Raises UserError."""
    if model is not None:
        return model
    from afterbert.api.terminal import console, safe
    from afterbert.workflows.run_folders import newest_model

    found = str(newest_model())
    console.print(f"model: {safe(found)} (the newest finished run; --model names another)")
    return found


def share_of(written: str, option: str, such_as: str = "98%") -> float:
    """Returns a share from how people write it. Raises UserError.

    >>> share_of("98%", "--at-least"), share_of("0.98", "--at-least")
    (0.98, 0.98)
    """
    number, is_percent = written.strip().removesuffix("%"), written.strip().endswith("%")
    try:
        return float(number) / (100 if is_percent else 1)
    except ValueError:
        raise UserError(f"{option} is '{written}'; write a share such as {such_as}") from None
