"""A Hugging Face folder of anyone's as one of our architectures with its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family, family_named, model_types
from afterbert.interop.hub import locate
from afterbert.interop.own import Own
from afterbert.interop.untrusted_files import TensorFiles, check_pieces, read_config, tokenizer_size
from afterbert.interop.weights import Weight
from afterbert.models import Architecture
from afterbert.nn.heads import LMHeadModule

State = dict[str, Tensor]


@dataclass(frozen=True)
class Imported:
    """An architecture (vocab_size set) and float32 weights for its parts; a part is None where the folder has
    none of it.

    tokenizer: the folder, where it holds a tokenizer.json; notes: sentences for the user; model_type: the family.
    """

    architecture: Architecture
    backbone: State
    lm_head: State | None
    pooler: State | None
    pair_head: State | None
    tokenizer: Path | None
    notes: tuple[str, ...]
    detection_head: State | None = None
    model_type: str = ""

    def build(self) -> tuple[nn.Module, LMHeadModule]:
        """The backbone with its weights, and the head: with its weights where there are any, else freshly
        drawn."""
        assert self.architecture.vocab_size is not None
        backbone = self.architecture.build(Vocabulary(size=self.architecture.vocab_size))
        backbone.load_state_dict(self.backbone)
        lm_head = self.architecture.build_lm_head(backbone)
        if self.lm_head is not None:
            lm_head.load_state_dict(self.lm_head)
        return backbone, lm_head


def import_folder(name: str | Path, *, revision: str | None = None) -> Imported:
    """Reads a folder, or the hub's model of that name. Nothing is allocated before every size and shape has
    been checked.

    Raises UserError when the family, a setting or a size cannot be read here, or when files are missing,
    broken or only pickles.
    """
    folder = locate(name, revision=revision)
    config: Config = read_config(folder)
    family = _family_of(config, folder)
    files = TensorFiles.of(folder)
    config = family.with_names(config, files.shapes)
    architecture = family.architecture_of(config)
    table = family.weights(config, architecture)
    found = _found(table, files, family)
    _check(table, found, files, architecture, folder)
    tokenizer, size = _tokenizer(folder, architecture)
    parts, notes = _parts(table, found, files, family)
    if size is not None and architecture.vocab_size is not None and size < architecture.vocab_size:
        notes.append(
            f"the table has {architecture.vocab_size - size} rows that no piece of the tokenizer uses"
        )
    return Imported(
        architecture,
        parts["backbone"],
        parts.get("lm_head"),
        parts.get("pooler"),
        parts.get("pair_head"),
        tokenizer,
        tuple(notes),
        parts.get("detection_head"),
        family.model_type,
    )


def _family_of(config: Config, folder: Path) -> Family:
    model_type = config.get("model_type")
    if model_type == Own().model_type:
        return Own()
    if model_type not in model_types():
        known = ", ".join([*model_types(), Own().model_type])
        raise UserError(
            f"{folder / 'config.json'} has model_type {model_type!r}; families that can be read: {known}"
        )
    return family_named(str(model_type))


def _found(table: list[Weight], files: TensorFiles, family: Family) -> dict[str, str]:
    """Name in the table -> name in the files: the backbone saved alone lacks the prefix; old files call norms
    gamma and beta."""
    found: dict[str, str] = {}
    for name in {name for line in table for name in line.theirs}:
        bare = name.removeprefix(family.prefix)
        for candidate in (name, bare):
            older = candidate.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            )
            for spelled in (candidate, older):
                if spelled in files.shapes:
                    found.setdefault(name, spelled)
    return found


def _check(
    table: list[Weight],
    found: Mapping[str, str],
    files: TensorFiles,
    architecture: Architecture,
    folder: Path,
) -> None:
    """Every weight of the backbone is there, and every tensor that will be loaded has the shape the config
    promises."""
    with torch.device("meta"):
        skeleton = architecture.build(Vocabulary(size=architecture.vocab_size or 1))
        head = architecture.build_lm_head(skeleton)
    shapes = {f"backbone.{name}": tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}
    shapes |= {f"lm_head.{name}": tuple(tensor.shape) for name, tensor in head.state_dict().items()}
    width = architecture.hidden_size
    shapes |= {"pooler.dense.weight": (width, width), "pooler.dense.bias": (width,)}
    shapes |= {"pair_head.weight": (2, width), "pair_head.bias": (2,)}
    shapes |= {"detection_head.dense.weight": (width, width), "detection_head.dense.bias": (width,)}
    shapes |= {"detection_head.decision.weight": (1, width), "detection_head.decision.bias": (1,)}
    for line in table:
        expected = line.shape_of_theirs(shapes[line.ours] if line.ours else ())
        for name in line.theirs:
            if name not in found:
                if (line.ours or "").startswith("backbone."):
                    raise UserError(
                        f"{folder} lacks the weight {name}; the folder is not whole, or of another family"
                    )
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
    size = tokenizer_size(path)
    if architecture.vocab_size is not None and size > architecture.vocab_size:
        raise UserError(
            f"{path} has {size} pieces, but the model's table only {architecture.vocab_size}; they do not "
            "belong together"
        )
    check_pieces(folder / "model.safetensors", path)
    return folder, size


def _parts(
    table: list[Weight], found: Mapping[str, str], files: TensorFiles, family: Family
) -> tuple[dict[str, State], list[str]]:
    """Weights of ours by part, and what to tell. A part of which something is missing is left out."""
    tensors = files.load(set(found.values()))
    theirs = {name: tensors[spelled] for name, spelled in found.items()}
    parts: dict[str, State] = {}
    incomplete = set()
    for line in table:
        if line.ours is None:
            _refuse_unless_zero({name: theirs[name] for name in line.theirs if name in theirs})
            continue
        part, _, name = line.ours.partition(".")
        if all(wanted in theirs for wanted in line.theirs):
            parts.setdefault(part, {})[name] = line.to_ours(theirs)
        else:
            incomplete.add(part)
    notes = []
    if "lm_head" in incomplete:
        notes.append(
            "the folder has no language-model head, or not all of it; the head starts with fresh weights"
        )
    unused = _unused(found, files, family)
    if unused:
        notes.append(f"{len(unused)} tensors have no place here and were left out: {', '.join(unused[:5])}")
    return {part: state for part, state in parts.items() if part not in incomplete}, notes


def _refuse_unless_zero(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.any():
            raise UserError(
                f"the folder's {name} is not zero, and has no place here; it cannot be read exactly"
            )


def _unused(found: Mapping[str, str], files: TensorFiles, family: Family) -> list[str]:
    """Names in the files that were not taken and are not known to say nothing."""
    left = set(files.shapes) - set(found.values())
    says_nothing = re.compile(family.meaningless)
    return sorted(
        name for name in left if not says_nothing.match(name) and not says_nothing.match(family.prefix + name)
    )


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
