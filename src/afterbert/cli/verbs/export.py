"""`afterbert export`: a run's newest checkpoint, or any model folder, as others load it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    source: Annotated[Path, typer.Argument(help="A run folder, finished or not, or a model folder.")],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    family: Annotated[
        str | None,
        typer.Option(help="A family of Hugging Face's; the one that computes exactly this when not given."),
    ] = None,
    own: Annotated[
        bool, typer.Option("--own", help="Our own layout, for models that no family computes.")
    ] = False,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Only model.onnx and the tokenizer (needs the extra onnx).")
    ] = False,
    sentences: Annotated[
        str | None,
        typer.Option(help="Also for SentenceTransformer(OUT): mean, first, max or last piece's state."),
    ] = None,
) -> None:
    """Write a model as a Hugging Face folder, in our own layout, or as an ONNX graph.

    A finished run already has the first: `RUN/model`. This also serves a run that is still going or was stopped.

    Example: `afterbert export runs/laptop-tiny-1a2b3c4d my-model --sentences mean`
    """
    from afterbert.api.terminal import console
    from afterbert.base.errors import UserError
    from afterbert.cli.preparing import named
    from afterbert.interop.folder import write_tokenizer
    from afterbert.interop.onnx import export_onnx
    from afterbert.interop.sentences import Sentences
    from afterbert.interop.written_out import export_notes, heads_left_out
    from afterbert.workflows.exporting import Export

    if (onnx and (own or family or sentences)) or (own and family):
        raise UserError("--onnx, --own and --family each say how to write the model; give one of them")
    pooling = named(Sentences, {"pooling": sentences}, "--sentences") if sentences else None
    if source.resolve() == out.resolve():
        raise UserError(f"{out} is the folder the model is read from; name another one to write")
    model = Export.of(source)
    loaded = model.loaded
    vocabulary = loaded.tokenizer.vocabulary
    if onnx:
        made = export_onnx(
            out / "model.onnx", loaded.architecture, model.backbone, model.trained.get("lm_head")
        )
        assert loaded.folder is not None, "a loaded model has a tokenizer"
        write_tokenizer(
            out, loaded.folder, loaded.architecture, vocabulary, {"model_input_names": list(made.inputs)}
        )
        console.print(f"{source}: {made.path}, inputs {', '.join(made.inputs)}")
        console.print(f"checked at three other shapes: at most {made.largest_difference:.1e} from the model")
        return
    written = model.write(out, family="afterbert" if own else family)
    console.print(f"{source}, family {written.model_type}: {out}")
    notes = (*loaded.notes, *export_notes(loaded.architecture, written, vocabulary, out))
    for note in (*notes, *heads_left_out(written, model.trained, out)):
        console.print(f"note: {note}")
    loader = "import afterbert; " if written.model_type == "afterbert" else ""
    console.print(f'load it: {loader}AutoModel.from_pretrained("{out}")', markup=False)
    if pooling is not None:
        pooling.write(out, loaded.architecture)
        console.print(f'or: SentenceTransformer("{out}")', markup=False)
