"""A tokenizer that exists already: any folder in Hugging Face's layout, or a name on the hub.

No code from the folder is run; a `tokenizer.json` is looked at and tried out first (see `_guard`). A folder
with only the older files (vocab.txt, vocab.json and merges.txt, a SentencePiece model) is converted by
transformers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.base.small_files import read_json_object
from afterbert.text.pieces.tokenizer import FILE, NAMED, SETTINGS_FILE, Tokenizer
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers._guard import read_untrusted

_HUB_FILES = [
    FILE,
    SETTINGS_FILE,
    "special_tokens_map.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "config.json",
]
_MOST_SETTINGS_BYTES = 8 << 20
# How special pieces are spelled where no file says which is which: older folders leave that to code.
_SPELLED = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>", "<|endoftext|>"),
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "mask": ("[MASK]", "<mask>"),
    "bos": ("<s>", "<|endoftext|>"),
    "eos": ("</s>", "<|endoftext|>"),
}
_KEPT = ("model_max_length", "model_input_names", "padding_side", "truncation_side")


@dataclass(frozen=True)
class PretrainedTokenizer(TokenizerRecipe):
    """name: a folder, or a name on the hub such as `google-bert/bert-base-uncased` (then the network is
    used). revision: of the hub's.
    """

    name: str
    revision: str | None = None

    def sample_bytes(self, corpus_bytes: int) -> int:
        return 0

    def make(self, sample: Sequence[str] = (), *, corpus_bytes: int = 0) -> Tokenizer:
        folder = self._folder()
        if not (folder / FILE).exists():
            return _converted(folder)
        file = read_untrusted(folder / FILE)
        return Tokenizer(file, _settings(folder, json.loads(file)))

    def _folder(self) -> Path:
        folder = Path(self.name)
        if folder.is_file():
            folder = folder.parent
        if folder.is_dir():
            return folder
        if self.name.count("/") > 1 or self.name.startswith((".", "/", "~")):
            raise UserError(f"tokenizer '{self.name}' is no folder that exists; check the path")
        return self._fetched()

    def _fetched(self) -> Path:
        import huggingface_hub

        try:
            found = huggingface_hub.snapshot_download(
                self.name, revision=self.revision, allow_patterns=_HUB_FILES
            )
        except Exception as error:  # the hub's client lets through whatever its transport raises
            raise UserError(
                f"tokenizer '{self.name}' is neither a folder nor could it be fetched from the hub "
                f"({type(error).__name__}); check the name and the network"
            ) from error
        return Path(found)


def _settings(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """The settings that matter, from the files where they say, else by the usual spelling of special
    pieces."""
    said = _read(folder / "special_tokens_map.json") | _read(folder / SETTINGS_FILE)
    pieces = {token["content"] for token in content.get("added_tokens") or [] if token.get("special")}
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for name in NAMED:
        token = said.get(f"{name}_token")
        token = token.get("content") if isinstance(token, dict) else token
        spelled = next((spelling for spelling in _SPELLED[name] if spelling in pieces), None)
        if isinstance(token, str) or spelled is not None:
            settings[f"{name}_token"] = token if isinstance(token, str) else spelled
    return settings | {key: said[key] for key in _KEPT if said.get(key) is not None}


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty where the file is missing. Raises UserError."""
    if not path.exists():
        return {}
    return read_json_object(path, most=_MOST_SETTINGS_BYTES, remedy="download it again")


def _converted(folder: Path) -> Tokenizer:
    from transformers import AutoTokenizer

    try:
        slow = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
        backend = slow.backend_tokenizer
    except Exception as error:  # whatever transformers makes of the files of a stranger
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"{folder} holds no {FILE}, and transformers cannot make one from its other files ({reason}); save it with "
            "a fast tokenizer"
        ) from error
    settings = {f"{name}_token": getattr(slow, f"{name}_token", None) for name in NAMED}
    kept = {name: str(token) for name, token in settings.items() if token is not None}
    return Tokenizer.of(backend, kept)
