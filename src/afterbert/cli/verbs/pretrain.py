"""`afterbert pretrain`: text in, a run folder with a model and a report out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import Size, also_takes, option, own_options, plugins_in, reading, split_arguments

PLACE = 30
TAKES_RECIPE_OPTIONS = True

# By the names of `PretrainRequest`.
_REQUEST = {
    "recipe": option(
        str | None,
        "A recipe's name or a YAML file; laptop when not given, or with --from the usual one for that model.",
        "--recipe",
        "-r",
        panel="Recipe",
    ),
    "size": (Size, None),
    "out": option(Path, "The folder in which run folders are made.", "--out", "-o", default=Path("runs")),
    "name": option(str | None, "The run's name; made from recipe and data when not given."),
    "resume": option(Path | None, "Go on with this run folder."),
    "start": option(
        str | None, "Start from the weights and tokenizer of this Hugging Face folder, run or hub model.", "--from"
    ),
    "teacher": option(str | None, "Learn also from this model's answers to the same rows (DistilBERT's losses)."),
    "allow_changes": option(bool, "Resume even if the recipe has changed.", "--allow-changes", default=False),
}
# By the names of `Closing`.
_CLOSING = {
    "parallel": option(
        list[str] | None, "Translations for the model to find at the end.", "--parallel", panel="Closing"
    ),
    "pairs": option(list[str] | None, "Minimal pairs (BLiMP's layout) to ask at the end.", "--pairs", panel="Closing"),
    "probes": option(
        list[str] | None, "Labelled rows for a linear probe at the end: NAME:PATH.", "--probe", panel="Closing"
    ),
}


@also_takes(_REQUEST | _CLOSING | reading())
def pretrain(
    context: typer.Context,
    texts: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders, `hub:NAME`, `-` for standard input; or stores that `prepare` made."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", "-b", help="How long to train: 10min, 500steps, 20Mtokens, 3epochs, 1e15flops."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of order, masks and fresh weights.")] = None,
    mixing: Annotated[
        str | None, typer.Option(help=f"How often each store or language is drawn: {plugins_in('base.mixing')}.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved recipe with the origin of each value, and stop.")
    ] = False,
    **given: Any,
) -> int:
    """Pre-train a small language model on your text.

    Any setting of the recipe can be given as `--node.key VALUE`; `--dry-run` shows them all.

    Examples:

    `afterbert pretrain my_texts/ --size mini --budget 30min --training.batch_size 32`

    `afterbert pretrain my_texts/ --recipe distilbert --teacher runs/large --from half-of-it`

    `afterbert pretrain stores/en stores/is --mixing exponent --mixing.exponent 0.7`
    """
    import torch

    from afterbert.api.pretraining import carry_out
    from afterbert.base.visible import visible
    from afterbert.cli.figures import print_run
    from afterbert.cli.preparing import divided, text_options
    from afterbert.cli.together import together
    from afterbert.training.distribution.processes import Processes
    from afterbert.workflows.closing import Closing
    from afterbert.workflows.loading import load_finished
    from afterbert.workflows.pretrain_request import PretrainRequest, resolved_for
    from afterbert.workflows.tokenizer_choice import tokenizer_settings

    def request() -> PretrainRequest:
        plain, overrides = split_arguments([*(texts or ()), *context.args], own_options(context))
        laws, of_policy, of_source, of_tokenizer, overrides = divided(
            overrides, "mixing", "policy", "source", "tokenizer"
        )
        overrides += tokenizer_settings(given["tokenizer"], given["vocab_size"], of_tokenizer)
        overrides += [("training.budget", budget)] if budget else []
        overrides += [("training.seed", str(seed))] if seed is not None else []
        laws = [*([("mixing", mixing)] if mixing else []), *laws]
        return PretrainRequest(
            texts=tuple(plain),
            mixing=tuple(laws),
            overrides=tuple(overrides),
            closing=Closing(**{name: tuple(given[name] or ()) for name in _CLOSING}),
            reading=text_options(given, [*of_policy, *of_source]),
            **{name: given[name] for name in _REQUEST},
        )

    def work(processes: Processes, device: torch.device) -> int:
        asked = request()
        if dry_run and asked.resume is None:
            if processes.leads:
                print(visible(resolved_for(asked, load_finished(asked.start) if asked.start else None).text()), end="")
            return 0
        run = carry_out(asked, processes=processes, device=device)
        if processes.leads:
            print_run(run, processes=processes.size)
        return run.exit_code

    return together(work)
