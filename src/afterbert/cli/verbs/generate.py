"""`afterbert generate`: what a model writes."""

from typing import Annotated, Literal

import typer

PLACE = 120


def generate(
    prompt: Annotated[str, typer.Argument(help="The beginning of a text; `-` reads it from standard input.")] = "",
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A run or model folder; the newest finished run when not given.")
    ] = None,
    longest: Annotated[int, typer.Option("--longest", "-n", min=1, help="Pieces to write at most.")] = 60,
    method: Annotated[Literal["sample", "greedy", "beam"], typer.Option(help="How each piece is chosen.")] = "sample",
    temperature: Annotated[
        float | None, typer.Option(help="Of draws: below 1 keeps to what is likely, above 1 dares more.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Draw from this many of the likeliest pieces.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Draw from the likeliest pieces that hold this share.")] = None,
    num_beams: Annotated[int | None, typer.Option(help="Texts kept side by side (method beam).")] = None,
    length_penalty: Annotated[float | None, typer.Option(help="Higher favours longer texts (method beam).")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="End before this text; may be given several times.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many texts.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """Continue a text (a decoder such as gpt2), or write what a model answers to it (bart, t5).

    For bart and t5 write [MASK] where something is missing: bart writes the whole text, t5 what is missing.
    Draws are from the 40 likeliest pieces unless `--top-k` or `--top-p` says otherwise.

    Example: `afterbert generate "The old house" --model runs/gpt2-tiny-1a2b3c4d --count 3`
    """
    import sys

    from afterbert.api.terminal import console, safe
    from afterbert.base.config import build
    from afterbert.base.errors import UserError
    from afterbert.base.tree import Node
    from afterbert.cli.written import print_texts
    from afterbert.downstream.posing.generation import Generation
    from afterbert.workflows.run_folders import newest_model

    for option, value in (("--num-beams", num_beams), ("--length-penalty", length_penalty)):
        if value is not None and method != "beam":
            raise UserError(f"{option} has no effect on method {method}; set --method beam, or leave it out")
    given = {
        "temperature": temperature,
        "top_k": 40 if top_k is None and top_p is None and method == "sample" else top_k,
        "top_p": top_p,
        "num_beams": num_beams,
        "length_penalty": length_penalty,
        "seed": seed,
        "method": method,
    }
    tree = {key: Node(value, f"--{key.replace('_', '-')}") for key, value in given.items() if value is not None}
    generation = build(Generation, Node(tree, "generate"))
    text = sys.stdin.read() if prompt == "-" else prompt
    taken = model or str(newest_model())
    if model is None:
        console.print(f"model: {safe(taken)} (the newest finished run; --model names another)")
    print_texts(taken, text, generation, longest=longest, stop=[*(stop or ())], count=count)
