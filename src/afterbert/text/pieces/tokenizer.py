"""A finished tokenizer: exactly the two files Hugging Face reads, and what the other layers ask of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers

from afterbert.base.errors import UserError
from afterbert.base.sealed import digest_of
from afterbert.base.small_files import read_text
from afterbert.base.vocabulary import Vocabulary

FILE, SETTINGS_FILE = "tokenizer.json", "tokenizer_config.json"
NAMED = ("pad", "unk", "cls", "sep", "mask", "bos", "eos")
_SENTINEL = re.compile(r"<extra_id_(\d+)>")


@dataclass(frozen=True)
class Tokenizer:
    """The text of `tokenizer.json`, which alone decides what pieces a text has, and the settings of
    `tokenizer_config.json`.

    Cheap to pickle; `AutoTokenizer.from_pretrained` on a saved folder gives the same ids.
    """

    file: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, backend: tokenizers.Tokenizer, settings: Mapping[str, Any]) -> Tokenizer:
        """Returns the tokenizer that `backend` is now. settings: `pad_token`, `mask_token`, ... and whatever else
        Hugging Face reads."""
        file = json.dumps(json.loads(backend.to_str()), ensure_ascii=False, indent=1) + "\n"
        always = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        return cls(file, always | dict(settings))

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """Returns a tokenizer that afterbert saved; for others use the recipe `pretrained`. Raises UserError."""
        found = {}
        for name in (FILE, SETTINGS_FILE):
            found[name] = read_text(Path(folder) / name, most=128 << 20, remedy="name a folder with a tokenizer in it")
        try:
            tokenizer = cls(found[FILE], json.loads(found[SETTINGS_FILE]))
            tokenizer.backend  # noqa: B018 - a damaged file shows here, not later
        except Exception as error:  # the tokenizers library raises bare Exception
            raise UserError(f"{folder}: the tokenizer is damaged ({error}); make it again") from error
        return tokenizer

    def save(self, folder: Path) -> None:
        """Writes both files into `folder`, which is made where it is missing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(self.file, encoding="utf-8", newline="\n")
        settings = json.dumps(dict(self.settings), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        (folder / SETTINGS_FILE).write_text(settings, encoding="utf-8", newline="\n")

    def with_settings(self, **settings: Any) -> Tokenizer:
        """Gives the same pieces under other settings, such as `model_max_length=128` or `model_input_names=[...]`."""
        return replace(self, settings={**self.settings, **settings})

    @cached_property
    def backend(self) -> tokenizers.Tokenizer:
        """The library's object: special tokens in a text become special pieces, which are put around it too. Nothing
        is cut or filled up, whatever the file says."""
        backend = tokenizers.Tokenizer.from_str(self.file)
        backend.no_truncation()
        backend.no_padding()
        if getattr(backend.model, "dropout", None):
            backend.model.dropout = None
        return backend

    @cached_property
    def plain(self) -> tokenizers.Tokenizer:
        """The same for running text: what looks like a special token is text."""
        backend = replace(self).backend
        backend.encode_special_tokens = True
        return backend

    @property
    def content(self) -> dict[str, Any]:
        """The parts of `tokenizer.json` as the library writes them: each with its `type`, which it does not ask of
        files."""
        found: dict[str, Any] = json.loads(tokenizers.Tokenizer.from_str(self.file).to_str())
        return found

    @cached_property
    def digest(self) -> str:
        """sha256 of the canonical `tokenizer.json`: sorted keys, without padding and truncation."""
        content = {k: v for k, v in json.loads(self.file).items() if k not in ("padding", "truncation")}
        return digest_of(content)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Its size, special ids and sentinels, which a pretext task must know. Raises UserError if it lacks a named
        special token."""
        named: dict[str, int] = {}
        for name in NAMED:
            token = self.settings.get(f"{name}_token")
            if token is None:
                continue
            found = self.backend.token_to_id(token)
            if found is None:
                raise UserError(f"{name}_token is '{token}', which the tokenizer does not hold; mend {SETTINGS_FILE}")
            named[name] = found
        added = self.backend.get_added_tokens_decoder().items()
        special = {number: token.content for number, token in added if token.special}
        sentinels = {int(m[1]): number for number, content in special.items() if (m := _SENTINEL.fullmatch(content))}
        return Vocabulary(
            size=max(self.backend.get_vocab(with_added_tokens=True).values()) + 1,
            sentinels=tuple(sentinels[number] for number in sorted(sentinels)),
            special_ids=tuple(sorted({*special, *named.values()})),
            **named,
        )

    def encode(self, text: str) -> list[int]:
        """Returns the piece ids of running text, with nothing added."""
        return list(self.plain.encode(text, add_special_tokens=False).ids)

    def decode(self, piece_ids: Any) -> str:
        """Returns the text of these ids [N] without special pieces."""
        return str(self.backend.decode([int(i) for i in piece_ids], skip_special_tokens=True))

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self.file, "settings": dict(self.settings)}
