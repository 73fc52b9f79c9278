"""`afterbert pretrain`: text in, a run folder with a model and a report out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import RecipeName, Size, also_takes, own_options, plugins_in, reading, split_arguments

PLACE = 30
TAKES_RECIPE_OPTIONS = True


@also_takes(reading())
def pretrain(
    context: typer.Context,
    texts: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders, `hub:NAME`, `-` for standard input; or stores that `prepare` made."),
    ] = None,
    recipe: RecipeName = "laptop",
    size: Size = None,
    budget: Annotated[
        str | None, typer.Option("--budget", "-b", help="How long: 10min, 500steps, 20Mtokens, 3epochs, 1e15flops.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where run folders are made.")] = Path("runs"),
    name: Annotated[str | None, typer.Option(help="The run's name; made from recipe and data when not given.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run folder.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Start from this Hugging Face folder's weights and tokenizer.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Learn from what this model says to the same rows, too (DistilBERT's losses).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of order, masks and fresh weights.")] = None,
    mixing: Annotated[str | None, typer.Option(help=f"Of several stores: {plugins_in('base.mixing')}.")] = None,
    parallel: Annotated[
        list[str] | None,
        typer.Option("--parallel", help="Translations to be found at the end.", rich_help_panel="Closing"),
    ] = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option("--pairs", help="Minimal pairs (BLiMP's layout) to ask at the end.", rich_help_panel="Closing"),
    ] = None,
    probe: Annotated[
        list[str] | None,
        typer.Option(
            "--probe", help="Labelled rows for a linear probe at the end: NAME:PATH.", rich_help_panel="Closing"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved recipe with origins, and stop.")
    ] = False,
    allow_changes: Annotated[bool, typer.Option("--allow-changes", help="Resume although the recipe changed.")] = False,
    **how_read: Any,
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
    from afterbert.interop.loading import load_model
    from afterbert.training.distribution.processes import Processes
    from afterbert.workflows.closing import Closing
    from afterbert.workflows.pretrain_request import PretrainRequest, resolved_for
    from afterbert.workflows.tokenizer_choice import tokenizer_settings

    def request() -> PretrainRequest:
        plain, overrides = split_arguments([*(texts or ()), *context.args], own_options(context))
        laws, of_policy, of_tokenizer, overrides = divided(overrides, "mixing", "policy", "tokenizer")
        overrides += tokenizer_settings(how_read["tokenizer"], how_read["vocab_size"], of_tokenizer)
        overrides += [("training.budget", budget)] if budget else []
        overrides += [("training.seed", str(seed))] if seed is not None else []
        laws = [*([("mixing", mixing)] if mixing else []), *laws]
        return PretrainRequest(
            texts=tuple(plain),
            mixing=tuple(laws),
            recipe=recipe,
            size=size,
            overrides=tuple(overrides),
            out=out,
            name=name,
            resume=resume,
            start=start,
            teacher=teacher,
            allow_changes=allow_changes,
            closing=Closing(tuple(pairs or ()), tuple(probe or ()), tuple(parallel or ())),
            reading=text_options(how_read, of_policy),
        )

    def work(processes: Processes, device: torch.device) -> int:
        asked = request()
        if dry_run and resume is None:
            if processes.leads:
                print(visible(resolved_for(asked, load_model(start) if start else None).text()), end="")
            return 0
        run = carry_out(asked, processes=processes, device=device)
        if processes.leads:
            print_run(run, processes=processes.size)
        return run.exit_code

    return together(work)
