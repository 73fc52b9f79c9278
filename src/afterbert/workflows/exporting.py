"""What `export` starts from: a run or a model folder, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Family, family_named
from afterbert.interop.folder import export_folder
from afterbert.interop.importing import Imported, import_folder
from afterbert.interop.own import Own
from afterbert.models import Architecture
from afterbert.nn.heads import Pooler
from afterbert.objectives.heads.detection import DetectionHead
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.workflows.pretraining import newest_checkpoint


@dataclass(frozen=True)
class Exportable:
    """A model to be written. heads: beside the language-model head; trained: the names
    of those that were trained, the language-model head among them; said: where it is from; notes: for the user."""

    architecture: Architecture
    backbone: nn.Module
    lm_head: nn.Module
    heads: Mapping[str, Any]
    trained: tuple[str, ...]
    vocabulary: Vocabulary
    tokenizer: Path
    said: str
    notes: tuple[str, ...] = ()

    @staticmethod
    def of(source: Path) -> Exportable:
        """From the newest checkpoint of a run, or a model folder. Raises UserError."""
        return _of_folder(source) if (source / "config.json").is_file() else _of_run(source)

    def write(self, out: Path, *, family: str | None = None) -> Family:
        """As a folder of this family; None for the one that computes exactly this. Raises UserError."""
        chosen = Own() if family == Own().model_type else family_named(family) if family else None
        return export_folder(
            out,
            self.architecture,
            self.backbone,
            self.lm_head,
            vocabulary=self.vocabulary,
            tokenizer=self.tokenizer,
            family=chosen,
            **self.heads,
        )


def _of_run(source: Path) -> Exportable:
    trained = newest_checkpoint(source)
    module, model = trained.module, trained.recipe.model
    heads = dict(module.saved_heads)
    names = tuple(heads)
    lm_head = heads.pop("lm_head", None) or model.build_lm_head(module.backbone)
    return Exportable(
        model,
        module.backbone,
        lm_head,
        heads,
        names,
        trained.store.vocabulary,
        trained.store.folder / "tokenizer",
        f"step {trained.step}",
    )


def _of_folder(source: Path) -> Exportable:
    imported = import_folder(source)
    if imported.tokenizer is None:
        raise UserError(f"{source} has no tokenizer.json, so its pieces are unknown; add it to the folder")
    backbone, lm_head = imported.build()
    vocabulary = PretrainedTokenizer(name=str(imported.tokenizer)).make().vocabulary
    heads = heads_of(imported)
    return Exportable(
        imported.architecture,
        backbone.eval(),
        lm_head.eval(),
        heads,
        (*heads, *(("lm_head",) if imported.lm_head is not None else ())),
        vocabulary,
        imported.tokenizer,
        str(source),
        imported.notes,
    )


def heads_of(imported: Imported) -> dict[str, Any]:
    """The heads a folder holds beside the language-model head, with their weights."""
    width = imported.architecture.hidden_size
    states = {name: getattr(imported, name) for name in ("pooler", "pair_head", "detection_head")}
    fresh = {
        "pooler": Pooler().build(width),
        "pair_head": nn.Linear(width, 2),
        "detection_head": DetectionHead(width),
    }
    heads = {name: fresh[name] for name, state in states.items() if state is not None}
    for name, head in heads.items():
        head.load_state_dict(states[name])
    return heads
