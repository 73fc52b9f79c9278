"""A model in memory: what was read of a folder, and what can be made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
import xxhash
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import family_for
from afterbert.interop.heads import HEADS
from afterbert.interop.own import any_family
from afterbert.interop.sentences import Pooling, Sentences
from afterbert.interop.task_class import NOTHING, TaskKind
from afterbert.models import Architecture, Backbone, LanguageModel
from afterbert.nn.heads import LMHeadModule
from afterbert.nn.task_head import TaskHead
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer

State = Mapping[str, Tensor]

#: What is said of a finished graph to whoever wants its weights.
FINISHED = (
    "a finished graph: it answers its task (`score`, `predict`) or gives vectors (`embed`, `search`), but its weights "
    "can be neither trained nor asked for anything else; name the model that it was made from"
)


@dataclass(frozen=True)
class LoadedModel:
    """An architecture (its vocab_size set), its weights in float32, and its tokenizer."""

    name: str
    """The name by which the user called it."""
    architecture: Architecture
    given: Tokenizer | None
    """A tokenizer that is in memory already; None: it is read from `folder` when somebody asks for it."""
    weights: Mapping[str, State]
    """`backbone` and the heads of `interop.heads`, as far as there are any; a head that is nothing but the table of
    pieces (GPT-2's) has no tensors of its own. Without `backbone`, weights are drawn."""
    folder: Path | None
    """Where the tokenizer's files are; None if the model's folder has no tokenizer.json."""
    notes: tuple[str, ...] = ()
    """Sentences for the user about what the folder holds."""
    beside: Mapping[str, LoadedModel] = field(default_factory=dict)
    """The models of `interop.heads.BESIDE` that its folder holds, by name."""
    family: str = ""
    """The family of Hugging Face's that the folder is of, as they spell it; empty for a model from elsewhere."""
    is_graph: bool = False
    """Whether it is a finished graph (`interop.graph_folder`), which has no weights to build anything from."""
    pooling: Pooling | None = None
    """How its training pooled a text's vector, where it is not in a folder that says so."""

    @cached_property
    def sentences(self) -> Sentences | None:
        """How one vector is made of a text, where its training or its folder says so. Raises UserError where the folder
        asks for what is not known here."""
        if self.pooling is not None:
            return Sentences(self.pooling)
        return None if self.folder is None else Sentences.told_by(self.folder)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Raises UserError if the folder has none, or one that cannot be trusted."""
        if self.given is not None:
            return self.given
        if self.folder is None:
            raise UserError(
                f"{self.name} has no tokenizer.json, so texts cannot be cut into its pieces; put the model's own "
                "beside its config.json"
            )
        return PretrainedTokenizer(name=str(self.folder)).make()

    @cached_property
    def digests(self) -> dict[str, str]:
        """Part -> a name for its weights, so that another model at the same place is another one."""
        return {part: _digest(state) for part, state in sorted(self.weights.items())}

    @property
    def longest(self) -> int:
        """The most pieces that a row may have."""
        return self.architecture.max_position_embeddings

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages whose vectors or layers the model has, in the order of their numbers."""
        return self.architecture.languages

    @property
    def without_language(self) -> str:
        """A note for a user whose texts do not say their language; empty for a model that has no languages."""
        takes = f"takes them for {self.languages[0]}" if self.architecture.is_routed else "is told none"
        known = ", ".join(self.languages)
        said = f"the texts do not say which of the model's languages they are in ({known}), so it {takes}"
        return f"{said}; say --language" if known else ""

    @property
    def has_lm_head(self) -> bool:
        """Whether it has a trained head that names pieces."""
        return "lm_head" in self.weights

    def from_scratch(self) -> LoadedModel:
        """Gives the same architecture and tokenizer without any weights."""
        return replace(self, name=f"{self.name} (random weights)", weights={}, beside={})

    def backbone(self) -> Backbone:
        """Returns the backbone with its weights, or with freshly drawn ones. Raises UserError for a finished graph."""
        if self.is_graph:
            raise UserError(f"{self.name} is {FINISHED}")
        size = self.architecture.vocab_size or self.tokenizer.vocabulary.size
        built = self.architecture.build(Vocabulary(size=size))
        if "backbone" in self.weights:
            built.load_state_dict(self.weights["backbone"])
        return built

    def lm_head_on(self, backbone: Backbone) -> LMHeadModule:
        """Returns the head that names pieces, tied to the table of this backbone, with its weights or fresh ones."""
        lm_head = self.architecture.build_lm_head(backbone)
        if "lm_head" in self.weights:
            lm_head.load_state_dict(self.weights["lm_head"])
        return lm_head

    def build(self) -> tuple[Backbone, LMHeadModule]:
        """Returns the backbone and its language-model head."""
        backbone = self.backbone()
        return backbone, self.lm_head_on(backbone)

    def heads_on(self, backbone: Backbone) -> dict[str, nn.Module]:
        """Returns every head for which the model has weights, by name."""
        heads = {name: HEADS[name](self.architecture, backbone) for name in HEADS if name in self.weights}
        for name, head in heads.items():
            head.load_state_dict(self.weights[name])
        return heads

    def task_head(self, kind: TaskKind) -> TaskHead:
        """Returns the layers that answer a task of this kind: those of the family's class for it, so that the
        fine-tuned model can be saved as that class; BERT's where there is no such class."""
        found = None
        try:
            vocabulary = self.tokenizer.vocabulary
            family = any_family(self.family) if self.family else family_for(self.architecture, vocabulary)
            found = family.task_class(kind, self.architecture)
        except UserError:
            pass  # no family computes exactly this
        usual = TaskHead() if kind in ("sequence", "choice") else NOTHING
        return usual if found is None else found.head

    def weights_to_start_from(self) -> dict[str, State]:
        """Returns all weights by part; those of a model beside this one under names such as `generator.backbone`."""
        inner = {
            f"{name}.{part}": state for name, model in self.beside.items() for part, state in model.weights.items()
        }
        return {**self.weights, **inner}

    def language_model(self, *, device: torch.device | str = "cpu") -> LanguageModel:
        """Returns the view that names pieces, in evaluation mode. For a discriminator with its generator it is the
        generator, which alone learned what a mask hides. Raises UserError if no such head was trained."""
        if "generator" in self.beside:
            return replace(self.beside["generator"].language_model(device=device), said="the generator")
        if self.weights and not self.has_lm_head:
            raise UserError(
                f"{self.name} has no language-model head, so it cannot fill in, write, or say how likely a sentence "
                "is; choose a model that has one"
            )
        backbone, lm_head = self.build()
        kind, body, head = self.architecture, backbone.to(device).eval(), lm_head.to(device).eval()
        return LanguageModel(kind, body, head, fills_masks=kind.is_encoder)


def _digest(state: State) -> str:
    found = xxhash.xxh3_128()
    for name, tensor in sorted(state.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
