"""A tokenizer that exists already: any folder in Hugging Face's layout, or a name on the hub.

No code from the folder is run; a `tokenizer.json` is looked at and tried out first (see `_guard`). Older files are
converted: a vocab.txt of WordPiece and a SentencePiece model by ourselves, with or without a config beside them, others
(vocab.json and merges.txt) by transformers.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import normalizers

from afterbert.base.errors import UserError
from afterbert.base.run_files import called_like, no_folder
from afterbert.base.small_files import read_json_object
from afterbert.text.pieces.tokenizer import FILE, NAMED, SETTINGS_FILE, Tokenizer
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers._guard import read_untrusted
from afterbert.text.tokenizers._sentencepiece import SentencePieceModel
from afterbert.text.tokenizers._vocab_txt import word_pieces

_HUB_FILES = [FILE, SETTINGS_FILE, "special_tokens_map.json", "vocab.*", "merges.txt", "*.model", "config.json"]
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
# Families whose slow tokenizers are WordPiece and SentencePiece as they stand; others shift ids or add pieces.
_WORDPIECE = ("bert", "distilbert", "electra", "mobilebert", "convbert", "ernie")
_SENTENCEPIECE = ("t5", "mt5", "llama", "albert", "xlnet")
_T5_SENTINELS = 100  # what T5's code adds where no file says how many
_KEPT = ("model_max_length", "model_input_names", "padding_side", "truncation_side")


@dataclass(frozen=True)
class PretrainedTokenizer(TokenizerRecipe):
    """A tokenizer that exists already."""

    name: str
    """A folder, one of its files, or a name on the hub such as `google-bert/bert-base-uncased` (then the network is
    used)."""
    revision: str | None = None
    """The revision on the hub."""

    def sample_bytes(self, corpus_bytes: int) -> int:
        return 0

    def make(self, sample: Sequence[str] = (), *, corpus_bytes: int = 0) -> Tokenizer:
        folder = self._folder()
        named = Path(self.name).name if Path(self.name).is_file() else None
        if named not in (None, FILE) or not (folder / FILE).exists():
            return _converted(folder, named)
        file = read_untrusted(folder / FILE)
        return Tokenizer(file, _settings(folder, json.loads(file)))

    def _folder(self) -> Path:
        folder = Path(self.name)
        if folder.is_file():
            folder = folder.parent
        if folder.is_dir():
            return folder
        if self.name.count("/") > 1 or self.name.startswith((".", "/", "~")):
            raise UserError(f"tokenizer: {no_folder(self.name, 'check the path')}")
        return self._fetched()

    def _fetched(self) -> Path:
        import huggingface_hub

        try:
            found = huggingface_hub.snapshot_download(self.name, revision=self.revision, allow_patterns=_HUB_FILES)
        except Exception as error:  # the hub's client lets through whatever its transport raises
            if called_like(Path(self.name)):
                raise UserError(f"tokenizer: {no_folder(self.name)}") from None
            raise UserError(
                f"tokenizer '{self.name}' is neither a folder nor could it be fetched from the hub "
                f"({type(error).__name__}); check the name and the network"
            ) from error
        return Path(found)


def _settings(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """The settings that matter, from the files where they say, else by the usual spelling of special pieces."""
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
    """A JSON object; empty if the file is missing. Raises UserError."""
    if not path.exists():
        return {}
    return read_json_object(path, most=_MOST_SETTINGS_BYTES, remedy="download it again")


def _converted(folder: Path, named: str | None) -> Tokenizer:
    """The tokenizer of a folder without a tokenizer.json, or of the file `named` in it. Raises UserError."""
    said, family = _read(folder / SETTINGS_FILE), _family(folder)
    spoken = sorted(folder.glob("*.model")) if named is None else [folder / named]
    vocabulary = folder / (named or "vocab.txt")
    backend = None
    if vocabulary.suffix == ".txt" and vocabulary.is_file() and family in (None, *_WORDPIECE):
        backend = word_pieces(vocabulary, said)
    elif spoken and spoken[0].suffix == ".model" and family in (None, *_SENTENCEPIECE):
        if len(spoken) > 1:
            raise UserError(f"{folder} holds {len(spoken)} models ({spoken[0].name}, ...); name one of the files")
        sentinels = said.get("extra_ids", _T5_SENTINELS) if family == "t5" else 0
        before = _before_sentencepiece(family, said)
        backend = SentencePieceModel.read(spoken[0]).backend(sentinels=int(sentinels), before=before)
    if backend is None:
        return _by_transformers(folder)
    content = json.loads(backend.to_str())
    return Tokenizer.of(backend, _settings(folder, content))


def _family(folder: Path) -> str | None:
    """Whose tokenizer it is, by the files that say it; None if none does."""
    kind = _read(folder / SETTINGS_FILE).get("tokenizer_class") or _read(folder / "config.json").get("model_type")
    if not isinstance(kind, str):
        return None
    return kind.removesuffix("Fast").removesuffix("Tokenizer").lower().replace("-", "").replace("_", "")


def _before_sentencepiece(family: str | None, said: dict[str, Any]) -> list[normalizers.Normalizer]:
    """What ALBERT's and XLNet's releases do to a text before the model sees it (tokenization.py, preprocess_text)."""
    if family not in ("albert", "xlnet"):
        return []
    parts: list[normalizers.Normalizer] = [normalizers.Replace(marks, '"') for marks in ("``", "''")]
    parts += [] if said.get("keep_accents") else [normalizers.NFKD(), normalizers.StripAccents()]
    return [*parts, *([normalizers.Lowercase()] if said.get("do_lower_case", family == "albert") else [])]


def _by_transformers(folder: Path) -> Tokenizer:
    from transformers import AutoTokenizer

    try:
        slow = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
        backend = slow.backend_tokenizer
    except Exception as error:  # whatever transformers makes of the files of a stranger
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"{folder} holds no {FILE}, and none can be made from its other files ({reason}); save the tokenizer with "
            f"transformers (AutoTokenizer.from_pretrained(...).save_pretrained(...)), which writes {FILE}"
        ) from error
    settings = {f"{name}_token": getattr(slow, f"{name}_token", None) for name in NAMED}
    kept = {name: str(token) for name, token in settings.items() if token is not None}
    return Tokenizer.of(backend, kept)
