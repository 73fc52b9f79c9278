"""Reading what strangers wrote: JSON and tensor files with limits, checked before anything is allocated.

Nothing here runs code that a folder brings: `auto_map` and everything of its kind is dropped, pickles are
refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.base.small_files import check_regular, read_json_object
from afterbert.interop.sizes import PLACES

_CONFIG_BYTES = 1 << 20
_TOKENIZER_BYTES = 1 << 26
_INDEX_BYTES = 1 << 24


def _number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and _number(value, low, high)


def _words(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 512 and all(isinstance(word, str) for word in value)


def _objects(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(part, dict) for part in value.values())


# (keys, what is allowed besides null, how to say it); sizes come on top
_RULES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("type_vocab_size", lambda value: _whole(value, 0, 1 << 10), "a whole number from 0 to 1,024"),
    ("mem_len|clamp_len|reuse_len", lambda value: _whole(value, -1, PLACES), "a whole number from -1"),
    (
        r".*(dropout|_drop|dropout_prob|pdrop|dropout_rate)",
        lambda value: _number(value, 0, 0.999),
        "a number from 0 to 0.999",
    ),
    (r".*(_eps|_epsilon)", lambda value: _number(value, 1e-30, 1), "a small number above 0"),
    (r".*_theta", lambda value: _number(value, 1.001, 1e12), "a number above 1"),
    (r"pad_token_id", lambda value: _whole(value, 0, 1 << 23), "the number of a piece"),
    (
        r".*_bias|tie_word_embeddings|is_decoder|scale_.*|gelu_activation|use_lang_emb|causal|asm|is_encoder|sinusoidal_.*",
        lambda value: isinstance(value, bool),
        "true or false",
    ),
    (
        r"hidden_act|(?!gelu_).*activation(_function)?|position_embedding_type|model_type|feed_forward_proj|attn_type",
        lambda value: isinstance(value, str),
        "a word",
    ),
    (r"layer_types", _words, "a list of words"),
    (r"rope_parameters", _objects, "an object of objects"),
    (r"quantization_config", lambda value: False, "left out: quantized weights cannot be read"),
)
# Keys that choose code to run or kernels to fetch.
_CHOOSES_CODE = re.compile(
    r"auto_map|custom_pipelines|trust_remote_code|.*attn_implementation.*|.*kernel.*|_name_or_path"
)
# The entry of a file's metadata that holds a digest for each tensor.
_DIGESTS = "xxh3_128"
# The one that holds a digest of what its tokenizer_config.json decides.
_SETTINGS = "tokenizer_settings"
_SETTINGS_FILE = "tokenizer_config.json"
_DECIDING = ("model_max_length", "model_input_names", "padding_side", "truncation_side")
# The one that holds a digest of the tokenizer's pieces.
_PIECES = "pieces_xxh3_128"
_TYPES = {"F64", "F32", "F16", "BF16"}


_MISSING = "name a run folder, or a model's folder as Hugging Face transformers saves it"


def read_config(folder: Path) -> dict[str, Any]:
    """Returns a checked config.json: every value in use is checked except sizes, whose keys the family knows, and every
    key that chooses code is dropped. A null counts as a missing key. Raises UserError."""
    path = folder / "config.json"
    read = read_json_object(path, most=_CONFIG_BYTES, remedy=_MISSING)
    config = {key: value for key, value in read.items() if value is not None and not _CHOOSES_CODE.fullmatch(key)}
    for key, value in config.items():
        for keys, is_right, said in _RULES:
            if re.fullmatch(keys, key) and not is_right(value):
                raise UserError(f"{path} has {key} {value!r}; must be {said}")
    pad, size = config.get("pad_token_id"), config.get("vocab_size")
    if isinstance(pad, int) and isinstance(size, int) and pad >= size:
        raise UserError(f"{path} has pad_token_id {pad}, outside its vocabulary of {size} pieces")
    return config


@dataclass(frozen=True)
class TensorFiles:
    """Names, shapes and places of the tensors of a folder, read from the files' headers alone."""

    shapes: Mapping[str, tuple[int, ...]]
    files: Mapping[str, Path]

    @staticmethod
    def of(folder: Path) -> TensorFiles:
        """Returns the tensors of model.safetensors, or of the parts that an index lists. Raises UserError, also if
        there are only pickles."""
        shapes: dict[str, tuple[int, ...]] = {}
        files: dict[str, Path] = {}
        for path in _tensor_paths(folder):
            for name, shape in _header(path).items():
                shapes[name], files[name] = shape, path
        return TensorFiles(shapes, files)

    def load(self, names: set[str]) -> dict[str, Tensor]:
        """Returns these tensors as they are stored. Raises UserError for a tensor that differs from its digest, where
        the file has digests (ours have), or that holds values other than numbers."""
        loaded: dict[str, Tensor] = {}
        for path in sorted({self.files[name] for name in names}):
            with safe_open(str(path), framework="pt") as file:
                digests = _digests_in(file.metadata())
                for name in sorted(name for name in names if self.files[name] == path):
                    loaded[name] = file.get_tensor(name)
                    _check_tensor(loaded[name], digests.get(name), f"{path} holds {name}")
        return loaded


def read_weights(path: Path) -> dict[str, Tensor]:
    """Returns all tensors of one file. Raises UserError as `TensorFiles` does."""
    shapes = _header(path)
    return TensorFiles(shapes, dict.fromkeys(shapes, path)).load(set(shapes))


def digest_of(tensor: Tensor) -> str:
    """Returns a digest of a tensor's bytes, which guards against accidents."""
    whole = tensor.detach().contiguous().flatten().view(torch.uint8)
    return xxhash.xxh3_128_hexdigest(whole.numpy().data)


def digests_as_metadata(tensors: Mapping[str, Tensor], tokenizer: Path | None) -> dict[str, str]:
    """Gives what a safetensors file of ours says beside its format: a digest of each tensor, and of the pieces in
    the tokenizer.json that goes with them."""
    digests = {name: digest_of(tensor) for name, tensor in tensors.items()}
    pieces = {}
    if tokenizer is not None:
        pieces = {_PIECES: pieces_digest(tokenizer), _SETTINGS: settings_digest(tokenizer)}
    return {"format": "pt", _DIGESTS: json.dumps(digests), **pieces}


def check_pieces(weights: Path, tokenizer: Path) -> None:
    """Raises UserError if a weight file of ours was saved with other pieces than this tokenizer.json has."""
    if not weights.is_file():
        return
    with safe_open(str(weights), framework="pt") as file:
        metadata = file.metadata() or {}
    promised = metadata.get(_PIECES)
    if promised is not None and promised != pieces_digest(tokenizer):
        raise UserError(
            f"{tokenizer} is of another model: its pieces are not those the weights were saved with; put the right "
            "one back, or change the model with `afterbert adapt-vocabulary`"
        )
    if metadata.get(_SETTINGS, "") not in ("", settings_digest(tokenizer)):
        raise UserError(
            f"{tokenizer.with_name(_SETTINGS_FILE)} names other special pieces or settings than the model was saved "
            "with; restore it"
        )


def _digests_in(metadata: Mapping[str, str] | None) -> dict[str, str]:
    try:
        found = json.loads((metadata or {}).get(_DIGESTS, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _check_tensor(tensor: Tensor, digest: str | None, said: str) -> None:
    if digest is not None and digest_of(tensor) != digest:
        raise UserError(f"{said}, but its bytes are not those that were written; copy the folder again")
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise UserError(f"{said} with values that are no numbers; the file is damaged, or training diverged")


def _tensor_paths(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists():
        return [folder / "model.safetensors"]
    if index.exists():
        return _parts(index)
    pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(pattern))
    if pickles:
        raise UserError(
            f"{folder} holds its weights only as a pickle ({pickles[0]}), which can run code when read; "
            f"convert it once with `afterbert import-checkpoint {folder / pickles[0]} NEW_FOLDER`"
        )
    raise UserError(f"{folder} holds no model.safetensors; give the folder of a saved model")


def _parts(index: Path) -> list[Path]:
    placed = read_json_object(index, most=_INDEX_BYTES, remedy=_MISSING).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise UserError(f"{index} has no weight_map; download the folder again")
    names = sorted({str(name) for name in placed.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise UserError(f"{index} names '{name}', which is no tensor file beside it")
        if not (index.parent / name).exists():
            raise UserError(f"{index} names {name}, which is missing; download the folder again")
    return [index.parent / name for name in names]


def _header(path: Path) -> dict[str, tuple[int, ...]]:
    check_regular(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            names = file.keys()  # it is no mapping
            slices = {name: file.get_slice(name) for name in names}
            for name, part in slices.items():
                if part.get_dtype() not in _TYPES and not name.endswith("position_ids"):
                    raise UserError(f"{path} holds {name} as {part.get_dtype()}; only unquantized floats can be read")
            return {name: tuple(part.get_shape()) for name, part in slices.items()}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is no whole safetensors file ({error}); download or copy it again") from None


def tokenizer_size(path: Path, rows: int | None) -> int:
    """Finds how many ids a tokenizer.json has: one more than the highest. Raises UserError, also where they are more
    than the rows of a model's table."""
    size = max(number for _, number in numbered_pieces(path)) + 1
    if rows is not None and size > rows:
        raise UserError(f"{path} has {size} pieces, but the model's table only {rows}; they do not belong together")
    return size


def pieces_digest(path: Path) -> str:
    """Returns a digest of which piece has which id in a tokenizer.json, whatever its layout. Raises UserError."""
    pairs = sorted(numbered_pieces(path))
    return xxhash.xxh3_128_hexdigest(json.dumps(pairs).encode())


def settings_digest(tokenizer: Path) -> str:
    """Returns a digest of what the tokenizer_config.json beside a tokenizer.json decides: special pieces, length,
    padding; empty if there is none. Raises UserError."""
    path = tokenizer.with_name(_SETTINGS_FILE)
    if not path.is_file():
        return ""
    said = read_json_object(path, most=_TOKENIZER_BYTES, remedy=_MISSING)
    decided = {}
    for key in sorted(said):
        if key in _DECIDING or key.endswith("_token"):
            value = said[key]
            decided[key] = value.get("content") if isinstance(value, dict) else value
    return xxhash.xxh3_128_hexdigest(json.dumps(decided).encode())


def numbered_pieces(path: Path) -> list[tuple[str, int]]:
    """Returns the pieces of a tokenizer.json with their ids, added ones last. Raises UserError."""
    tokenizer = read_json_object(path, most=_TOKENIZER_BYTES, remedy=_MISSING)
    model = tokenizer.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    pairs: list[tuple[str, Any]]
    if isinstance(vocabulary, dict):
        pairs = list(vocabulary.items())
    elif isinstance(vocabulary, list):
        pairs = [(str(entry[0]), number) for number, entry in enumerate(vocabulary) if entry]
    else:
        raise UserError(f"{path} lists no pieces under model.vocab; is it a tokenizer.json?")
    added = tokenizer.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(one, dict) for one in added):
        raise UserError(f"{path} has no list of objects under added_tokens; is it a tokenizer.json?")
    pairs += [(str(entry.get("content")), entry.get("id")) for entry in added]
    if not pairs or not all(isinstance(number, int) and number >= 0 for _, number in pairs):
        raise UserError(f"{path} gives a piece an id that is no whole number from 0")
    return list(dict.fromkeys(pairs))
