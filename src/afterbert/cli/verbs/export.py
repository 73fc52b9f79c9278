"""`afterbert export`: a run's newest checkpoint, or any model folder, as others load it."""

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import Overwrite

PLACE = 430


def export(
    source: Annotated[Path, typer.Argument(help="A run folder, finished or not, or a model folder.")],
    out: Annotated[Path | None, typer.Argument(help="The folder to write (not with --page).")] = None,
    family: Annotated[
        str | None, typer.Option(help="The Hugging Face family; the one that computes exactly the same when not given.")
    ] = None,
    own: Annotated[
        bool, typer.Option("--own", help="Write afterbert's own layout, for models that no family computes.")
    ] = False,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write only model.onnx and the tokenizer (needs the extra onnx).")
    ] = False,
    sentences: Annotated[
        str | None,
        typer.Option(
            help="Make SentenceTransformer(OUT) work too; a text's vector is the mean, max, first or last state."
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Write one HTML file with the model inside, which fills blanks without a network."),
    ] = None,
    web: Annotated[
        bool, typer.Option("--web", help="Write a folder that transformers.js loads in a page (needs the extra onnx).")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a model as a Hugging Face folder, in our own layout, as an ONNX graph, or as a page.

    A finished run already has a Hugging Face folder: `RUN/model`. An unfinished run can be exported too.
    A fine-tuned model is written as its family's class for the task, with its labels, so that `pipeline(...)` of
    transformers answers as `score` does; a model of several tasks is written to one folder for each.

    Example: `afterbert export runs/laptop-tiny-1a2b3c4d my-model --sentences mean`

    Example: `afterbert export runs/finetune-reviews-5e6f7a8b my-classifier --onnx`

    Example: `afterbert export runs/laptop-tiny-1a2b3c4d --page model.html`
    """
    from rich.filesize import decimal

    from afterbert.api.terminal import console, safe, tell_notes
    from afterbert.base.errors import UserError
    from afterbert.cli.preparing import built
    from afterbert.interop.sentences import Sentences
    from afterbert.report.model_page import write_model_page
    from afterbert.workflows.exporting import export_model_folder

    layouts = (page, web, onnx, own, family)
    if sum(map(bool, layouts)) > 1:
        raise UserError("--page, --web, --onnx, --own and --family each say how to write the model; give one of them")
    if sentences and (page or web or onnx):
        raise UserError("--sentences makes a folder of weights; leave out --page, --web or --onnx")
    if page is not None:
        if out is not None:
            raise UserError(f"{out} has no effect beside --page, which names the file to write; leave it out")
        size = write_model_page(source, page, overwrite=overwrite)
        console.print(f"page: {safe(str(page))} ({decimal(size)}; open it in a browser)")
        return
    if out is None:
        raise UserError(
            "name the folder to write: afterbert export RUN OUT; or a page: afterbert export RUN --page model.html"
        )
    pooling = built(Sentences, {"pooling": sentences}, "--sentences") if sentences else None
    made = export_model_folder(
        source, out, family="afterbert" if own else family, onnx=onnx, web=web, sentences=pooling, overwrite=overwrite
    )
    for one in made:
        if one.graph is not None:
            console.print(f"{source}: {one.graph.path}, inputs {', '.join(one.graph.inputs)}", markup=False)
            apart = one.graph.largest_difference
            console.print(f"checked at three other shapes: at most {apart:.1e} from the model")
        else:
            console.print(f"{source}, family {one.model_type}: {one.folder}", markup=False)
        tell_notes(one.notes)
        if one.graph is None:
            console.print(f"load it: {_loading(one.model_type, one.loader, one.folder)}", markup=False)
        if pooling is not None:
            console.print(f'or: SentenceTransformer("{one.folder}")', markup=False)


def _loading(model_type: str, loader: str, folder: Path) -> str:
    if loader == "load_finetuned":
        return f'load_finetuned("{folder}") of afterbert.downstream.finetuning.saving'
    first = "import afterbert; " if model_type == "afterbert" else ""
    return f'{first}{loader}.from_pretrained("{folder}")'
