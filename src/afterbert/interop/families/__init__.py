"""Families of Hugging Face models that we can be exactly. One file each; its name is their `model_type`
(with `_` for `-`)."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

from afterbert.base import plugins
from afterbert.base.config import differences, to_plain
from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.sizes import USUAL
from afterbert.interop.task_class import TaskClass, TaskKind
from afterbert.interop.weights import Weight
from afterbert.models import Architecture

Config = Mapping[str, Any]

# Nodes that change training but not what a trained model computes: never a reason to refuse an export.
_TRAINING_ONLY = ("dropout", "initialization.")


class Family(ABC):
    """Config keys both ways and one table of weight names, used for export and for import.

    `architecture_of` states what the family computes; an architecture of ours can be exported when
    `config_of` followed by `architecture_of` gives it back, nodes that only training reads aside. So the two
    say together what has no exact form.
    """

    #: their class with our language-model head, and the one without any head
    lm_class: ClassVar[str]
    base_class: ClassVar[str]
    #: their class with other heads of ours: its name and all of them
    other_class: ClassVar[tuple[str, frozenset[str]] | None] = None
    #: what their backbone is called inside `lm_class`, with the dot
    prefix: ClassVar[str]
    #: the keys of their config that are sizes, and the largest number that each may be
    sizes: ClassVar[Mapping[str, int]] = USUAL
    #: what their tokenizer must return for the model
    model_input_names: ClassVar[tuple[str, ...]] = ("input_ids", "attention_mask")
    #: a pattern of names that may stand in a folder and say nothing (copies of tied tables, stored masks)
    meaningless: ClassVar[str] = "(?!)"

    @abstractmethod
    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        """Writes their config.json but for `model_type` and `architectures`, as close as it can be. Raises UserError
        for an architecture of another kind."""

    @abstractmethod
    def architecture_of(self, config: Config) -> Architecture:
        """Reads our architecture from their config, exactly. Raises UserError if a key asks for something we do not
        have. Sizes are already checked."""

    @abstractmethod
    def weights(self, config: Config, architecture: Architecture) -> list[Weight]:
        """Lists which tensors of theirs each tensor of ours is. Names of ours begin with `backbone.` or the name of a
        head in `interop.heads`."""

    holds_all: ClassVar[bool] = False
    """Whether every architecture has a form here: our own layout."""

    def normal_form(self, architecture: Architecture) -> Architecture:
        """Gives the same computation, written the way `architecture_of` writes it."""
        return architecture

    def with_names(self, config: Config, names: Iterable[str]) -> Config:
        """Returns the family's config with what only the names of the saved tensors tell."""
        return config

    def naturalness(self, architecture: Architecture) -> int:
        """Ranks this among several exact families: the highest wins."""
        return 0

    def class_with(self, heads: Collection[str], config: Config) -> tuple[str, frozenset[str]]:
        """Returns the family's class that takes most of these heads of ours, and the heads it has a place for. A class
        with a language-model head is never named for a model that has none."""
        if self.other_class is not None and self.other_class[1] <= set(heads):
            return self.other_class
        if "lm_head" not in heads:
            return self.base_class, frozenset(("pooler",))
        return self.lm_class, frozenset(("lm_head", "pooler"))

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass | None:
        """Returns the family's class that answers this kind of task; None if no class fits our heads."""
        return None

    @property
    def model_type(self) -> str:
        """Their name of the family: the file's, with hyphens."""
        return plugins.name_of(self).replace("_", "-")

    def express(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        """Returns the family's whole config.json. Raises UserError that names the nodes without an exact form."""
        if architecture.is_routed and not self.holds_all:
            raise UserError(f"Hugging Face's {self.model_type} has no layers or tables of pieces by language")
        config = {**self.config_of(architecture, vocabulary), "model_type": self.model_type}
        wanted = replace(cast(Any, architecture), vocab_size=config["vocab_size"])
        ours, theirs = to_plain(self.normal_form(wanted)), to_plain(self.architecture_of(config))
        found = {
            path: pair
            for path, pair in differences(ours, theirs).items()
            if not any(part in path for part in _TRAINING_ONLY)
        }
        if found:
            told = "; ".join(f"{path} is {_say(ours)} ({_say(theirs)} there)" for path, (ours, theirs) in found.items())
            raise UserError(f"Hugging Face's {self.model_type} has no exact form of this model: {told}")
        return config


def family_for(architecture: Architecture, vocabulary: Vocabulary, *, heads: Collection[str] = ()) -> Family:
    """Returns the family that computes exactly this architecture, if possible with a class for these trained heads.
    Raises UserError with each family's reason when there is none."""
    fitting: list[Family] = []
    reasons: list[str] = []
    for name in plugins.names(Family):
        family = plugins.find(Family, name)()
        try:
            family.express(architecture, vocabulary)
            fitting.append(family)
        except UserError as reason:
            reasons += reason.lines
    if not fitting:
        raise UserError("this model has no exact form in Hugging Face transformers:", *reasons, INSTEAD)

    def suits(family: Family) -> tuple[bool, int]:
        takes = family.other_class is not None and family.other_class[1] <= set(heads)
        return takes, family.naturalness(architecture)

    return max(fitting, key=suits)


#: What is left to whoever has a model without an exact form.
INSTEAD = (
    "instead: `afterbert export RUN OUT --own` writes our own folder, which AutoModel loads after `import afterbert`; "
    "`--onnx` a graph that needs neither"
)


def family_named(model_type: str) -> Family:
    """Raises UserError for a family that we do not know."""
    return plugins.find(Family, model_type.replace("-", "_"))()


def model_types() -> list[str]:
    """Returns the families that can be read and written, as Hugging Face spells them."""
    return [name.replace("_", "-") for name in plugins.names(Family)]


def ids_of(vocabulary: Vocabulary) -> dict[str, int | None]:
    """Returns the special ids that every config names, so that no default of another vocabulary stays in force."""
    return {
        "pad_token_id": vocabulary.pad,
        "bos_token_id": vocabulary.bos if vocabulary.bos is not None else vocabulary.cls,
        "eos_token_id": vocabulary.eos if vocabulary.eos is not None else vocabulary.sep,
        "cls_token_id": vocabulary.cls,
        "sep_token_id": vocabulary.sep,
    }


def refuse_unless(config: Config, key: str, *allowed: Any) -> None:
    """Raises UserError when config.json asks for something else than `allowed` (the first is the default)."""
    value = config.get(key, allowed[0])
    if value not in allowed:
        choices = " or ".join(_say(choice) for choice in allowed)
        raise UserError(f"config.json has {key} {_say(value)}; only {choices} can be read here")


def _say(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
