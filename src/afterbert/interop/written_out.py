"""What an export must write out at full length: shared layers one by one, a factorized embedding as one table."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from rich.filesize import decimal
from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.base.small_files import read_json_object
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Family, family_for
from afterbert.models import Architecture
from afterbert.models.parts.assembled import Assembled
from afterbert.nn.position_embeddings.learned import Learned
from afterbert.nn.position_embeddings.none import NoPositionEmbedding

_WIDEN = "backbone.embeddings.widen.weight"


def without_factorization(architecture: Architecture) -> Architecture | None:
    """Gives the same computation with tables of full width, where it exists: with no norm between the tables and their
    widening, their product is one table, and the head is tied to that. None if it does not."""
    if not isinstance(architecture, Assembled):
        return None
    embeddings, head = architecture.embeddings, architecture.lm_head
    is_linear = isinstance(embeddings.positions, (Learned, NoPositionEmbedding)) and not embeddings.is_scaled
    if embeddings.embedding_size is None or embeddings.has_norm or head.has_transform or not is_linear:
        return None
    changed: Architecture = replace(cast(Any, architecture), embeddings=replace(embeddings, embedding_size=None))
    return changed


def expressible(
    architecture: Architecture, vocabulary: Vocabulary, heads: Collection[str], family: Family | None
) -> tuple[Family, Architecture]:
    """Returns the family and what is written in its form: the architecture, or it with its factorization multiplied
    out. Raises UserError."""

    def fit(candidate: Architecture) -> Family:
        if family is None:
            return family_for(candidate, vocabulary, heads=heads)
        family.express(candidate, vocabulary)
        return family

    try:
        return fit(architecture), architecture
    except UserError:
        plain = without_factorization(architecture)
        if plain is None:
            raise
        return fit(plain), plain


def multiply_out(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors of the architecture that `without_factorization` gives."""
    widen = ours[_WIDEN]
    tables = ("embeddings.", "decoder_embeddings.")
    return {
        name: tensor @ widen.T if name.removeprefix("backbone.").startswith(tables) else tensor
        for name, tensor in ours.items()
        if name != _WIDEN
    }


def export_notes(architecture: Architecture, family: Family, vocabulary: Vocabulary, folder: Path) -> tuple[str, ...]:
    """Returns sentences for the user: which shared or factorized parts of the exported folder are written at full
    length, and how large that is."""
    notes = []
    size = (folder / "model.safetensors").stat().st_size
    _, written = expressible(architecture, vocabulary, (), family)
    if written is not architecture:
        notes.append("the factorized embedding is multiplied out into tables of full width")
    used = Counter(line.ours for line in family.weights(family.express(written, vocabulary), written) if line.ours)
    copies = max(used.values())
    if copies > 1:
        notes.append(f"layers that share their weights are written out, up to {copies} times")
    if notes:
        rows = architecture.table_size(vocabulary)
        here = 4 * (architecture.num_parameters(rows) + architecture.num_lm_head_parameters(rows))
        notes.append(f"so the file has {decimal(size)}; the model itself is {decimal(here)} in float32")
    return tuple(notes)


def heads_left_out(family: Family, heads: Collection[str], folder: Path) -> tuple[str, ...]:
    """Returns a sentence for the user for each trained head that has no place in the exported folder's class."""
    config = read_json_object(folder / "config.json", most=1 << 20)
    their_class, taken = family.class_with(heads, config)
    return tuple(
        f"the trained {name} is not in the folder, for {their_class} has no place for it; only the run's checkpoints "
        "keep it"
        for name in sorted(set(heads) - taken)
    )
