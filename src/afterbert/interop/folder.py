"""Our model as a Hugging Face folder that transformers loads without any code of ours."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.runs import copy_whole, write_atomically
from afterbert.base.small_files import read_json_object
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Family
from afterbert.interop.heads import tensors_of
from afterbert.interop.own import Own
from afterbert.interop.task_class import Answering, TaskClass
from afterbert.interop.untrusted_files import digests_as_metadata, numbered_pieces, tokenizer_size
from afterbert.interop.weight_file import write_weights
from afterbert.interop.weights import Weight
from afterbert.interop.written_out import expressible, multiply_out
from afterbert.models import Architecture, LanguageModel

# What a tokenizer may consist of besides tokenizer.json and its config.
_TOKENIZER_FILES = ("vocab.txt", "vocab.json", "merges.txt", "special_tokens_map.json", "spiece.model")
_SPECIAL = {"pad": "pad_token", "unk": "unk_token", "cls": "cls_token", "sep": "sep_token", "mask": "mask_token"}
_SPECIAL |= {"bos": "bos_token", "eos": "eos_token"}


def export_folder(
    out: Path,
    architecture: Architecture,
    backbone: nn.Module,
    heads: Mapping[str, nn.Module],
    *,
    vocabulary: Vocabulary,
    tokenizer: Path | None = None,
    family: Family | None = None,
    answering: Answering | None = None,
    longest: int | None = None,
    or_own: bool = False,
) -> Family:
    """Writes config.json, model.safetensors and the tokenizer; returns the family that was chosen or given.

    heads: those of `interop.heads` that were trained, by name; each is saved where a class of the family has a place
    for it, and without `lm_head` the class is one that has none. answering: in place of them, a head that answers a
    task; the folder is of the family's class for such tasks. longest: the pieces of a row at which the tokenizer is
    told to cut, where the model reads more. tokenizer: a folder with tokenizer.json, or that file. or_own: our own
    layout where no family computes exactly this. Raises UserError if none does, when no class holds the answering head,
    or when the tokenizer does not fit.
    """
    try:
        family, written = expressible(architecture, vocabulary, heads, family)
    except UserError:
        if not or_own or family is not None:
            raise
        family, written = Own(), architecture
    config = family.express(written, vocabulary)
    table, sides = family.weights(config, written), {}
    if answering is None:
        their_class, taken = family.class_with(heads, config)
        ours = tensors_of(backbone, {name: head for name, head in heads.items() if name in taken})
    else:
        found = class_for(family, written, answering)
        their_class, ours = found.name, tensors_of(backbone, {"task_head": answering.head})
        table = [line for line in table if line.ours is None or line.ours.startswith("backbone.")]
        table += found.weights(answering.head)
        said = found.summaries.get(answering.summary, {})
        config |= {**said, **answering.settings()}
        # a summary of the last piece must find no padding there
        sides = {"padding_side": "left"} if said.get("summary_type") == "last" else {}
    if written is not architecture:
        ours = multiply_out(ours)
    tensors = their_tensors(table, ours)
    dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    config |= {"architectures": [their_class], "dtype": dtype}
    out.mkdir(parents=True, exist_ok=True)
    if tokenizer is not None:
        settings = {"model_input_names": list(family.model_input_names), **sides}
        write_tokenizer(out, tokenizer, architecture, vocabulary, settings, longest=longest)
    beside_it = None if tokenizer is None else out / "tokenizer.json"
    write_weights(out / "model.safetensors", tensors, digests_as_metadata(tensors, beside_it))
    write_atomically(out / "config.json", json.dumps(config, indent=2) + "\n")
    return family


def export_beside(
    out: Path, model: LanguageModel, vocabulary: Vocabulary, tokenizer: Path | None, *, like: Family
) -> None:
    """Writes a language model that was trained beside another in a folder of its own: in the other's family if that
    computes exactly this, else in any, else in our own layout."""
    parts: Any = (out, model.architecture, model.backbone, {"lm_head": model.lm_head})
    try:
        export_folder(*parts, vocabulary=vocabulary, tokenizer=tokenizer, family=like)
    except UserError:
        export_folder(*parts, vocabulary=vocabulary, tokenizer=tokenizer, or_own=True)


def class_for(family: Family, architecture: Architecture, answering: Answering) -> TaskClass:
    """Returns the family's class that is exactly this head on its backbone. Raises UserError if there is none."""
    found = family.task_class(answering.kind, architecture)
    called = f"Hugging Face's {family.model_type}"
    if isinstance(family, Own):
        raise UserError("no Hugging Face family computes exactly this model, so none of their classes holds the head")
    if found is None:
        raise UserError(f"{called} has no class for this model's {answering.kind} head")
    if answering.kind in ("sequence", "choice") and answering.summary not in found.summaries:
        theirs = " or ".join(found.summaries)
        raise UserError(f"{called} answers from the {theirs} piece of a row, this head from its {answering.summary}")
    if not found.fits(answering.head.config):
        raise UserError(f"{found.name} has other layers than this head: {found.head}")
    return found


def their_tensors(table: Sequence[Weight], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns all tensors under the names of a table. Lines of the table without a tensor in `ours` (a pooler, say) are
    left out; a tensor without a line in the table is a bug."""
    tensors: dict[str, Tensor] = {}
    placed = set()
    for line in table:
        if line.ours is None:
            tensors |= line.to_theirs(None)
        elif line.ours in ours:
            tensors |= line.to_theirs(ours[line.ours])
            placed.add(line.ours)
    left = {name for name in ours if name not in placed and not name.startswith("pooler.")}
    assert not left, f"the table has no names for {sorted(left)}"
    return tensors


def write_tokenizer(
    out: Path,
    tokenizer: Path,
    architecture: Architecture,
    vocabulary: Vocabulary,
    settings: Mapping[str, Any],
    *,
    longest: int | None = None,
) -> None:
    """Copies the tokenizer's files and makes its config say what the model takes and which pieces are special.
    settings: `model_input_names`, and what else of its config the model decides. longest: pieces at which it is told to
    cut, where the model reads more. Raises UserError if it has more pieces than the model's table has rows."""
    file = tokenizer if tokenizer.is_file() else tokenizer / "tokenizer.json"
    tokenizer_size(file, architecture.table_size(vocabulary))
    most = architecture.max_position_embeddings
    for name in ("tokenizer.json", *_TOKENIZER_FILES):
        source = file if name == "tokenizer.json" else file.parent / name
        if source.exists() and source.resolve() != (out / name).resolve():
            copy_whole(source, out / name)
    given = file.parent / "tokenizer_config.json"
    config = read_json_object(given, most=1 << 20) if given.exists() else {"tokenizer_class": "PreTrainedTokenizerFast"}
    config.pop("auto_map", None)
    config |= {
        "model_max_length": min(longest or most, most),
        "clean_up_tokenization_spaces": False,
        **settings,
        **_special_pieces(file, vocabulary),
    }
    write_atomically(out / "tokenizer_config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def _special_pieces(file: Path, vocabulary: Vocabulary) -> dict[str, str]:
    """Their config names special pieces by text: cls_token: [CLS], ..."""
    pieces = {number: piece for piece, number in numbered_pieces(file)}
    ids = {key: getattr(vocabulary, name) for name, key in _SPECIAL.items()}
    return {key: pieces[number] for key, number in ids.items() if number is not None}
