"""`afterbert export`: a run's newest checkpoint, or any model folder, as others load it."""

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import Overwrite

PLACE = 120


def export(
    source: Annotated[Path, typer.Argument(help="A run folder, finished or not, or a model folder.")],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    family: Annotated[
        str | None, typer.Option(help="A family of Hugging Face's; the one that computes exactly this when not given.")
    ] = None,
    own: Annotated[bool, typer.Option("--own", help="Our own layout, for models that no family computes.")] = False,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Only model.onnx and the tokenizer (needs the extra onnx).")
    ] = False,
    sentences: Annotated[
        str | None, typer.Option(help="Also for SentenceTransformer(OUT): mean, first, max or last piece's state.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a model as a Hugging Face folder, in our own layout, or as an ONNX graph.

    A finished run already has the first: `RUN/model`. This also serves a run that is still going or was stopped.
    A fine-tuned model leaves as the class of its family for the task, with its labels, so that `pipeline(...)` of
    transformers answers as `score` does; of several tasks each in a folder of its own.

    Example: `afterbert export runs/laptop-tiny-1a2b3c4d my-model --sentences mean`

    Example: `afterbert export runs/finetune-reviews-5e6f7a8b my-classifier --onnx`
    """
    from afterbert.api.terminal import console, safe
    from afterbert.base.errors import UserError
    from afterbert.cli.preparing import named
    from afterbert.interop.sentences import Sentences
    from afterbert.workflows.exporting import export_model_folder

    if (onnx and (own or family or sentences)) or (own and family):
        raise UserError("--onnx, --own and --family each say how to write the model; give one of them")
    pooling = named(Sentences, {"pooling": sentences}, "--sentences") if sentences else None
    made = export_model_folder(
        source, out, family="afterbert" if own else family, onnx=onnx, sentences=pooling, overwrite=overwrite
    )
    for one in made:
        if one.graph is not None:
            console.print(f"{source}: {one.graph.path}, inputs {', '.join(one.graph.inputs)}", markup=False)
            apart = one.graph.largest_difference
            console.print(f"checked at three other shapes: at most {apart:.1e} from the model")
        else:
            console.print(f"{source}, family {one.model_type}: {one.folder}", markup=False)
        for note in one.notes:
            console.print(f"note: {safe(note)}")
        if one.graph is None:
            console.print(f"load it: {_loading(one.model_type, one.loader, one.folder)}", markup=False)
        if pooling is not None:
            console.print(f'or: SentenceTransformer("{one.folder}")', markup=False)


def _loading(model_type: str, loader: str, folder: Path) -> str:
    if loader == "load_finetuned":
        return f'load_finetuned("{folder}") of afterbert.downstream.finetuning.saving'
    first = "import afterbert; " if model_type == "afterbert" else ""
    return f'{first}{loader}.from_pretrained("{folder}")'
