"""How large the sizes in a stranger's config.json may be: far above any text model, far below what makes building a
skeleton of modules slow. Which of their keys are sizes, each family says itself."""

from collections.abc import Mapping
from typing import Any

from afterbert.base.errors import UserError

LAYERS, HEADS, WIDTH, INNER, PLACES, PIECES, LANGUAGES = (512, 1 << 10, 1 << 16, 1 << 18, 1 << 22, 1 << 23, 1 << 12)

#: The keys that most families have, and the largest number that each may be.
USUAL: Mapping[str, int] = {
    "vocab_size": PIECES,
    "hidden_size": WIDTH,
    "embedding_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": PLACES,
}


#: A setting of ours -> what a family calls it, and its value where a config leaves it out.
Keys = Mapping[str, tuple[str, Any]]


def sizes_of(keys: Keys, **others: int) -> Mapping[str, int]:
    """Returns the largest allowed numbers of the usual sizes, under a family's own words, and of `others`."""
    own = {theirs: USUAL[name] for name, (theirs, _) in keys.items() if name in USUAL}
    return {**USUAL, **own, **others}


def check_sizes(config: Mapping[str, Any], origin: str, largest: Mapping[str, int]) -> None:
    """Raises UserError for a size beyond all reason, in a config or in a tree inside it."""
    for key, value in config.items():
        if key in largest and value is not None:
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            if not is_whole or not 1 <= value <= largest[key]:
                raise UserError(f"{origin} has {key} {value!r}; must be a whole number from 1 to {largest[key]:,}")
        elif isinstance(value, Mapping):
            check_sizes(value, origin, largest)
