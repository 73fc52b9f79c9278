"""PyTorch checkpoints of others: pickles, read by one explicit command and nowhere else."""

import shutil
from pathlib import Path

import torch
from torch import Tensor

from afterbert.base.destination import check_folder, folder_written
from afterbert.base.errors import UserError, near_file
from afterbert.interop.weight_file import write_weights
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer

_BESIDE = ("config.json", "tokenizer*", "vocab*", "merges.txt", "*.model", "special_tokens_map.json")


def convert_checkpoint(pickled: Path, out: Path, *, overwrite: bool = False) -> None:
    """Writes the tensors of a checkpoint as model.safetensors, with the config and tokenizer that lie beside it; a
    tokenizer of older files is written as tokenizer.json. overwrite: also where `out` holds what we did not make.
    Raises UserError."""
    check_folder(out, overwrite=overwrite)
    tensors = {name: tensor.contiguous().clone() for name, tensor in load_pickled(pickled).items()}
    beside = (path for pattern in _BESIDE for path in pickled.parent.glob(pattern) if path.is_file())
    with folder_written(out, made_by="import-checkpoint", overwrite=overwrite) as aside:
        for source in sorted(beside):
            shutil.copyfile(source, aside / source.name)
        if not (aside / "tokenizer.json").exists() and any(
            path.suffix in (".txt", ".model") for path in aside.iterdir()
        ):
            PretrainedTokenizer(str(pickled.parent)).make().save(aside)
        write_weights(aside / "model.safetensors", tensors, {"format": "pt"})


def load_pickled(path: Path, *, max_bytes: int = 8 << 30) -> dict[str, Tensor]:
    """Returns the tensors of a PyTorch checkpoint. Its loader runs no code of the file. Raises UserError.

    For the one explicit command `afterbert import-checkpoint`; nothing else reads pickles.
    """
    if not path.is_file():
        raise UserError(f"{path} is no file; {near_file(path, 'name a pickled checkpoint')}")
    size = path.stat().st_size
    if not 0 < size <= max_bytes:
        raise UserError(f"{path} has {size:,} bytes; a checkpoint of 1 to {max_bytes:,} bytes can be read")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # whatever it is: the file is a stranger's, and there is no other way to try
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path} was refused by PyTorch's weights-only loader: {first}") from None
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path} holds more than named tensors; save the model's state_dict alone")
    return {str(name): tensor for name, tensor in found.items()}
