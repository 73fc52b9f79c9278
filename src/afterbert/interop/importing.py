"""A Hugging Face folder of anyone's as one of our architectures with its weights."""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.interop.families import Config, Family, model_types
from afterbert.interop.heads import BESIDE, shapes_of
from afterbert.interop.hub import locate
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.own import Own, any_family
from afterbert.interop.sizes import check_sizes
from afterbert.interop.task_class import KINDS
from afterbert.interop.untrusted_files import TensorFiles, check_pieces, read_config, tokenizer_size
from afterbert.interop.weights import Weight
from afterbert.models import Architecture

State = dict[str, Tensor]


def import_folder(name: str | Path) -> LoadedModel:
    """Reads a folder, or the hub's model of that name, with a tokenizer or without. Nothing is allocated before every
    size and shape has been checked. A head of which something is missing is left out, and a note says so.

    Raises UserError if the family, a setting or a size cannot be read here, or when files are missing, broken or only
    pickles.
    """
    folder = locate(name)
    config: Config = read_config(folder)
    family = _family_of(config, folder)
    check_sizes(config, str(folder / "config.json"), family.sizes)
    files = TensorFiles.of(folder)
    config = family.with_names(config, files.shapes)
    architecture = family.architecture_of(config)
    table = family.weights(config, architecture)
    found = _found(table, files, family)
    _check(table, found, files, architecture, folder)
    tokenizer, size = _tokenizer(folder, architecture)
    known = _task_layers(config, family, architecture)
    parts, notes = _parts(table, found, files, family, known)
    named = config.get("architectures")  # where it says nothing of its class, it may be the one with this head
    is_lm = not isinstance(named, list) or family.lm_class in named
    if is_lm and not architecture.num_lm_head_parameters(architecture.vocab_size or 1):
        parts["lm_head"] = {}
    if size is not None and architecture.vocab_size is not None and size < architecture.vocab_size:
        notes.append(f"the table has {architecture.vocab_size - size} rows that no piece of the tokenizer uses")
    return LoadedModel(
        str(name),
        architecture,
        None,
        parts,
        tokenizer,
        notes=tuple(notes),
        family=family.model_type,
        beside={inner: import_folder(folder / inner) for inner in BESIDE if (folder / inner / "config.json").is_file()},
    )


def _family_of(config: Config, folder: Path) -> Family:
    model_type = config.get("model_type")
    if model_type not in (*model_types(), Own().model_type):
        known = ", ".join([*model_types(), Own().model_type])
        raise UserError(f"{folder / 'config.json'} has model_type {model_type!r}; families that can be read: {known}")
    return any_family(str(model_type))


def _found(table: list[Weight], files: TensorFiles, family: Family) -> dict[str, str]:
    """Name in the table -> name in the files: the backbone saved alone lacks the prefix; old files call norms
    gamma and beta."""
    found: dict[str, str] = {}
    for name in {name for line in table for name in line.theirs}:
        bare = name.removeprefix(family.prefix)
        for candidate in (name, bare):
            older = candidate.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            for spelled in (candidate, older):
                if spelled in files.shapes:
                    found.setdefault(name, spelled)
    return found


def _check(
    table: list[Weight], found: Mapping[str, str], files: TensorFiles, architecture: Architecture, folder: Path
) -> None:
    """Every weight of the backbone is there, and every tensor that will be loaded has the shape the config promises."""
    shapes = shapes_of(architecture)
    for line in table:
        expected = line.shape_of_theirs(shapes[line.ours] if line.ours else ())
        for name in line.theirs:
            if name not in found:
                if (line.ours or "").startswith("backbone."):
                    raise UserError(f"{folder} lacks the weight {name}; the folder is not whole, or of another family")
                continue
            shape = files.shapes[found[name]]
            if shape != expected:
                raise UserError(
                    f"{folder} holds {found[name]} of shape {_shape(shape)}, but its config.json promises "
                    f"{_shape(expected)}"
                )


def _tokenizer(folder: Path, architecture: Architecture) -> tuple[Path | None, int | None]:
    path = folder / "tokenizer.json"
    if not path.exists():
        return None, None
    size = tokenizer_size(path, architecture.vocab_size)
    check_pieces(folder / "model.safetensors", path)
    return folder, size


def _parts(
    table: list[Weight], found: Mapping[str, str], files: TensorFiles, family: Family, task_layers: tuple[str, ...]
) -> tuple[dict[str, State], list[str]]:
    """Weights of ours by part, and what to tell. A part of which something is missing is left out, and of a folder of a
    class for a task (task_layers: how the names of its layers begin) the language-model head, which it has not."""
    tensors = files.load(set(found.values()))
    theirs = {name: tensors[spelled] for name, spelled in found.items()}
    parts: dict[str, State] = {}
    incomplete = set()
    for line in table:
        if line.ours is None:
            for name in line.theirs:
                if name in theirs and theirs[name].any():
                    raise UserError(
                        f"the folder's {name} is not zero, and has no place here; it cannot be read exactly"
                    )
            continue
        part, _, name = line.ours.partition(".")
        if all(wanted in theirs for wanted in line.theirs):
            parts.setdefault(part, {})[name] = line.to_ours(theirs)
        else:
            incomplete.add(part)
    notes = []
    if task_layers:
        incomplete.discard("lm_head")
        parts.pop("lm_head", None)
    for part in sorted(incomplete & parts.keys()):
        notes.append(f"the folder holds only some tensors of its {part.replace('_', ' ')}, which was left out")
    unused = [name for name in _unused(found, files, family) if not name.startswith(task_layers or ("\0",))]
    if unused:
        notes.append(f"{len(unused)} tensors have no place here and were left out: {', '.join(unused[:5])}")
    return {part: state for part, state in parts.items() if part not in incomplete}, notes


def _task_layers(config: Config, family: Family, architecture: Architecture) -> tuple[str, ...]:
    """How the names of the layers begin that answer the task of the folder's class; empty if it is no such class."""
    named = config.get("architectures")
    classes = (family.task_class(kind, architecture) for kind in KINDS)
    found = [one for one in classes if one is not None and isinstance(named, list) and one.name in named]
    return found[0].layers if found else ()


def _unused(found: Mapping[str, str], files: TensorFiles, family: Family) -> list[str]:
    """Names in the files that were not taken and are not known to say nothing."""
    left = set(files.shapes) - set(found.values())
    says_nothing = re.compile(family.meaningless)
    return sorted(
        name for name in left if not says_nothing.match(name) and not says_nothing.match(family.prefix + name)
    )


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
