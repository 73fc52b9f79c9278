"""What `export` starts from, finished or not: a run, or a model folder, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from afterbert.interop.families import Family
from afterbert.interop.folder import export_beside, export_folder
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.own import any_family
from afterbert.models import Backbone
from afterbert.workflows.loading import load_model_or_checkpoint


@dataclass(frozen=True)
class Export:
    """A model to be written, its parts in evaluation mode. trained: its trained heads by name."""

    loaded: LoadedModel
    backbone: Backbone
    trained: dict[str, nn.Module]

    @staticmethod
    def of(source: Path) -> Export:
        """Of a finished run its model, of another its newest checkpoint, or a model folder. Raises UserError."""
        loaded = load_model_or_checkpoint(source)
        backbone = loaded.backbone().eval()
        return Export(
            loaded, backbone, {name: head.eval() for name, head in loaded.heads_on(backbone).items()}
        )

    def write(self, out: Path, *, family: str | None = None) -> Family:
        """As a folder of this family; None for the one that computes exactly this. What was trained beside the model
        goes into folders inside. Raises UserError."""
        vocabulary, tokenizer = self.loaded.tokenizer.vocabulary, self.loaded.folder
        written = export_folder(
            out,
            self.loaded.architecture,
            self.backbone,
            self.trained,
            vocabulary=vocabulary,
            tokenizer=tokenizer,
            family=any_family(family) if family else None,
        )
        for name, model in self.loaded.beside.items():
            export_beside(out / name, model.language_model(), vocabulary, tokenizer, like=written)
        return written
