"""What `export` does: a run or a model folder, finished or not, pre-trained or fine-tuned, becomes folders that others
load."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from afterbert.base.destination import check_apart, folder_written
from afterbert.base.errors import UserError
from afterbert.base.runs import write_atomically
from afterbert.compression.parts.graphs import quantize_file
from afterbert.downstream.finetuning.saving import Loaded, finetuned_folder, has_answers, load_finetuned
from afterbert.interop.auto_class import auto_class
from afterbert.interop.families import Family
from afterbert.interop.folder import export_folder, write_tokenizer
from afterbert.interop.graph_folder import is_graph
from afterbert.interop.loaded import FINISHED, LoadedModel
from afterbert.interop.onnx import OnnxModel, export_onnx
from afterbert.interop.own import Own, any_family
from afterbert.interop.sentences import Sentences
from afterbert.interop.task_class import Answering
from afterbert.interop.written_out import export_notes, heads_left_out
from afterbert.models import Architecture, Backbone
from afterbert.workflows.loading import load_model_or_checkpoint


@dataclass(frozen=True)
class Exported:
    """One folder that was written."""

    folder: Path
    model_type: str
    """Its family, as Hugging Face spells it; empty for an ONNX graph."""
    loader: str
    """What loads it: a class of transformers, or a function of ours."""
    notes: tuple[str, ...] = ()
    graph: OnnxModel | None = None

    def moved(self, aside: Path, out: Path) -> Exported:
        """Returns this with the places it has once everything in `aside` was moved to `out`."""
        graph = self.graph and replace(self.graph, path=out / self.graph.path.relative_to(aside))
        notes = tuple(note.replace(str(aside), str(out)) for note in self.notes)
        return replace(self, folder=out / self.folder.relative_to(aside), notes=notes, graph=graph)


def export_model_folder(
    source: Path,
    out: Path,
    *,
    family: str | None = None,
    onnx: bool = False,
    web: bool = False,
    sentences: Sentences | None = None,
    overwrite: bool = False,
) -> list[Exported]:
    """Writes what `source` holds: a fine-tuned model as the class of each of its tasks (several tasks below `out`, each
    in a folder of its name), any other model as one folder. Of a fine-tuning run with several seeds, the one that did
    best on dev.

    family: as Hugging Face spells it; None for the one that computes exactly this. onnx: a graph in place of weights.
    web: the same in eight bits, where transformers.js looks for it. sentences: also what makes a sentence-transformers
    model of it. overwrite: also where `out` holds what we did not make. Raises UserError.
    """
    check_apart(out, source)
    with folder_written(out, made_by="export", overwrite=overwrite) as aside:
        made = _written(source, aside, family=family, onnx=onnx, web=web, sentences=sentences)
    return [one.moved(aside, out) for one in made]


def _written(
    source: Path, out: Path, *, family: str | None, onnx: bool, web: bool, sentences: Sentences | None
) -> list[Exported]:
    chosen, notes = finetuned_folder(source)
    if is_graph(chosen):
        raise UserError(f"{source} is {FINISHED}")
    asked = any_family(family) if family else None
    if has_answers(chosen) and sentences is None:
        return _export_tasks(load_finetuned(chosen, device="cpu"), out, family=asked, onnx=onnx, web=web, notes=notes)
    loaded = load_model_or_checkpoint(chosen)
    backbone = loaded.backbone().eval()
    heads = {name: head.eval() for name, head in loaded.heads_on(backbone).items()}
    notes = (*notes, *loaded.notes)
    try:
        trained = loaded.sentences
    except UserError as error:
        trained, notes = None, (*notes, f"its vectors are not carried over: {error}")
    if onnx:
        return [_export_graph(loaded, backbone, heads.get("lm_head"), out, notes)]
    written = export_folder(
        out,
        loaded.architecture,
        backbone,
        heads,
        vocabulary=loaded.tokenizer.vocabulary,
        tokenizer=loaded.folder,
        family=asked,
    )
    said = export_notes(loaded.architecture, written, loaded.tokenizer.vocabulary, out)
    notes = (*notes, *said, *heads_left_out(written, tuple(heads), out))
    if sentences is not None:
        sentences.write(out, loaded.architecture)
    elif trained is not None:
        trained.keep(out, loaded.architecture)
    if web:
        return [_for_web(out, written.model_type, loaded.architecture, backbone, heads.get("lm_head"), notes)]
    return [Exported(out, written.model_type, auto_class(out), notes)]


def _for_web(
    folder: Path,
    model_type: str,
    architecture: Architecture,
    backbone: Backbone,
    head: nn.Module | Answering | None,
    notes: tuple[str, ...],
) -> Exported:
    """A folder of Hugging Face's with a graph in eight bits in place of the weights, where transformers.js looks."""
    graph = export_onnx(folder / "onnx" / "model.onnx", architecture, backbone, head)
    eight_bits = graph.path.with_name("model_quantized.onnx")
    quantize_file(graph.path, eight_bits)
    graph.path.unlink()
    (folder / "model.safetensors").unlink()
    return Exported(folder, model_type, "transformers.js", notes, replace(graph, path=eight_bits))


def _export_tasks(
    tuned: Loaded, out: Path, *, family: Family | None, onnx: bool, web: bool, notes: tuple[str, ...]
) -> list[Exported]:
    """Each task in its class; what no class holds in our layout, with a note; tasks that are answered by writing
    together, as the model that writes."""
    if web and tuned.lm_head is not None:
        raise UserError("a model that writes its answers has no graph for the web here; export it as a folder")
    if tuned.lm_head is not None or isinstance(family, Own):
        return [_export_whole(tuned, out, own=isinstance(family, Own), onnx=onnx, notes=notes)]
    made = []
    for name in tuned.tasks:
        folder = out if len(tuned.tasks) == 1 else out / name
        answering = tuned.answering(name)
        if onnx:
            if answering is None:
                raise UserError(f"the head of {name} has no ONNX graph here; export it as a folder")
            made.append(_export_graph(tuned.model, tuned.module.backbone, answering, folder, notes, tuned.length))
            continue
        try:
            written = tuned.export(folder, name, family=family)
        except UserError as reason:
            if family is not None or web:
                raise
            said = tuned.only(name).save(folder)
            made.append(Exported(folder, tuned.model.family, "load_finetuned", (*notes, *(said or (str(reason),)))))
            continue
        if web:
            model = tuned.model
            made.append(
                _for_web(folder, written.model_type, model.architecture, tuned.module.backbone, answering, notes)
            )
            continue
        their_class = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"][0]
        full_length = export_notes(tuned.model.architecture, written, tuned.model.tokenizer.vocabulary, folder)
        made.append(Exported(folder, written.model_type, their_class, (*notes, *full_length)))
    return made


def _export_whole(tuned: Loaded, out: Path, *, own: bool, onnx: bool, notes: tuple[str, ...]) -> Exported:
    """A model that writes its answers, as what it is; or one in our own layout."""
    if onnx:
        return _export_graph(tuned.model, tuned.module.backbone, tuned.lm_head, out, notes)
    said = tuned.save(out, own=own)
    return Exported(out, Own().model_type if own else tuned.model.family, auto_class(out), (*notes, *said))


def _export_graph(
    loaded: LoadedModel,
    backbone: Backbone,
    head: nn.Module | Answering | None,
    out: Path,
    notes: tuple[str, ...],
    longest: int | None = None,
) -> Exported:
    """`model.onnx`, the tokenizer, and where a task is answered a `config.json` with its labels."""
    graph = export_onnx(out / "model.onnx", loaded.architecture, backbone, head)
    assert loaded.folder is not None, "a loaded model has a tokenizer"
    vocabulary = loaded.tokenizer.vocabulary
    said = {"model_input_names": list(graph.inputs)}
    write_tokenizer(out, loaded.folder, loaded.architecture, vocabulary, said, longest=longest)
    if isinstance(head, Answering):
        write_atomically(out / "config.json", json.dumps(head.settings(), indent=2, ensure_ascii=False) + "\n")
    return Exported(out, "", "onnxruntime.InferenceSession", notes, graph)
