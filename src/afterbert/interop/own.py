"""Our own folder layout, for models that no class of transformers computes: a family whose config.json holds
the architecture's tree, and whose tensors have our names.

`import afterbert` is enough for AutoModel to load it (see `_registration`); nothing in the folder names code.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, cast

from afterbert.base import config as trees
from afterbert.base.errors import UserError
from afterbert.base.tree import located
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family, family_named, ids_of
from afterbert.interop.heads import shapes_of
from afterbert.interop.sizes import LAYERS, PLACES, check_sizes, sizes_of
from afterbert.interop.weights import Weight
from afterbert.models import Architecture


class Own(Family):
    """Every architecture has a form here."""

    holds_all = True
    lm_class = "AfterbertForLM"
    base_class = "AfterbertModel"
    prefix = "model."
    sizes = sizes_of({}, num_decoder_layers=LAYERS, local_attention=PLACES)

    @property
    def model_type(self) -> str:
        return "afterbert"

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ids = ids_of(vocabulary)
        if architecture.writes == "apart":
            ids["decoder_start_token_id"] = getattr(vocabulary, architecture.writing_start(vocabulary))
        return {
            **{key: value for key, value in ids.items() if value is not None},
            "architecture": trees.to_plain(replace(cast(Any, architecture), vocab_size=None)),
            "vocab_size": architecture.table_size(vocabulary),
        }

    def architecture_of(self, config: Config) -> Architecture:
        found: Any = architecture_in(config.get("architecture"), "config.json")
        whole: Architecture = replace(found, vocab_size=config.get("vocab_size"))
        return whole

    def class_with(self, heads: Collection[str], config: Config) -> tuple[str, frozenset[str]]:
        return (self.lm_class if "lm_head" in heads else self.base_class), frozenset(("lm_head",))

    def weights(self, config: Config, architecture: Architecture) -> list[Weight]:
        theirs = {"backbone": "model.backbone", "lm_head": "lm_head"}
        parted = (name.partition(".") for name in shapes_of(architecture))
        return [Weight(f"{part}.{name}", (f"{theirs[part]}.{name}",)) for part, _, name in parted if part in theirs]


def any_family(model_type: str) -> Family:
    """Returns the family of this name, which may be our own layout. Raises UserError for an unknown name."""
    return Own() if model_type == Own().model_type else family_named(model_type)


def architecture_in(plain: Any, origin: str) -> Architecture:
    """Returns the architecture from the tree in a config.json. Raises UserError, also for sizes beyond all reason."""
    if not isinstance(plain, Mapping):
        raise UserError(f"{origin} has no architecture tree; it was not written by afterbert")
    check_sizes(plain, origin, Own.sizes)
    found: Architecture = trees.build(Architecture, located(plain, origin))
    return found
