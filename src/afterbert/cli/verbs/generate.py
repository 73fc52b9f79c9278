"""`afterbert generate`: what a model writes."""

from typing import Annotated, Any, Literal

import typer

from afterbert.cli.options import ModelOrNewest, also_takes, model_or_newest, option

PLACE = 120

# By the names of `Generation`.
_GENERATION = {
    "method": option(
        Literal["sample", "greedy", "beam"],
        "sample: draw each piece; greedy: take the likeliest; beam: follow several texts.",
        default="sample",
    ),
    "temperature": option(float | None, "For draws: below 1 keeps to likely pieces, above 1 dares more."),
    "top_k": option(int | None, "Draw only from this many of the likeliest pieces."),
    "top_p": option(float | None, "Draw only from the likeliest pieces that have this probability together."),
    "num_beams": option(int | None, "How many texts are followed at once (method beam)."),
    "length_penalty": option(float | None, "A higher penalty favours longer texts (method beam)."),
    "seed": option(int, "The seed of the draws.", default=0),
}


@also_takes(_GENERATION)
def generate(
    prompt: Annotated[str, typer.Argument(help="The beginning of a text; `-` reads it from standard input.")] = "",
    model: ModelOrNewest = None,
    longest: Annotated[int, typer.Option("--longest", "-n", min=1, help="How many pieces to write at most.")] = 60,
    stop: Annotated[list[str] | None, typer.Option(help="Stop before this text; may be given several times.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many texts.")] = 1,
    **given: Any,
) -> None:
    """Continue a text (a decoder such as gpt2), or write what a model answers to it (bart, t5).

    For bart and t5 put [MASK] where something is missing: bart writes the whole text, t5 only what is missing.
    Each piece is drawn from the 40 likeliest unless `--top-k` or `--top-p` says otherwise.

    Example: `afterbert generate "The old house" --model runs/gpt2-tiny-1a2b3c4d --count 3`
    """
    import sys

    from afterbert.base.errors import UserError
    from afterbert.cli.preparing import built
    from afterbert.cli.written import print_texts
    from afterbert.downstream.posing.generation import Generation

    method = given["method"]
    for name in ("num_beams", "length_penalty"):
        if given[name] is not None and method != "beam":
            written = f"--{name.replace('_', '-')}"
            raise UserError(f"{written} has no effect on method {method}; set --method beam, or leave it out")
    if given["top_k"] is None and given["top_p"] is None and method == "sample":
        given["top_k"] = 40
    generation = built(Generation, given)
    text = sys.stdin.read() if prompt == "-" else prompt
    print_texts(model_or_newest(model), text, generation, longest=longest, stop=[*(stop or ())], count=count)
