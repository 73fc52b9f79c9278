"""What a user may say of texts that become a store, beside the tokenizer and the annotations."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from afterbert.base.config import differences, to_plain
from afterbert.base.errors import UserError
from afterbert.text.files.policy import Policy
from afterbert.text.from_paths import sources_for
from afterbert.text.language_codes import check_code, check_codes
from afterbert.text.languages import sources_by_language
from afterbert.text.sources import Source
from afterbert.text.sources._switched import Switched
from afterbert.text.word_pairs import read_dictionary

_SOURCE_OPTIONS = ("kind", "documents", "text_key", "text_column", "language", "language_key")
# These decide how the work is done, or whether it ends well, and not what comes of it.
_WITHOUT_TRACE = ("max_unknown", "processes")


@dataclass(frozen=True)
class TextOptions:
    """The options by which texts are read, checked and divided."""

    kind: str | None = None
    """The kind of all files (txt, jsonl, csv, ...), where their names do not tell."""
    documents: str | None = None
    """In plain text a document is what stands between blank lines (`paragraphs`), a `line` or a `file`."""
    text_key: str | None = None
    """Of JSONL: the key that holds the text."""
    text_column: str | None = None
    """Of tables: the column that holds the text."""
    language: str | None = None
    """The code of texts that do not say their language; `by-name` takes it from the file's name."""
    language_key: str | None = None
    """Of JSONL: the key that holds the language."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of the kinds that have them: `config` and `split` of a data set on the hub, `delimiter`, ..."""
    lang: tuple[str, ...] = ()
    """More texts, each named with its language: `is=PATH`."""
    switch: tuple[str, ...] = ()
    """Dictionaries by which words of texts in a language are replaced: `en=muse.en-de.txt`."""
    smoothing: float | None = None
    """The power S to which the languages' shares of the text are raised, for the tokenizer and for training."""
    policy: Policy = Policy()
    """How strict to be with text."""
    held_out: float = 0.02
    """The share of the text kept for evaluation."""
    max_unknown: float = 0.1
    """More unknown pieces than this share are an error."""
    processes: int | None = None
    """How many work side by side; one a core where it is None."""

    def sources(self, texts: Sequence[str], *, tokenizer: str | None = None) -> list[Source]:
        """Returns the sources of texts by name, read so. tokenizer: of token files. Raises UserError."""
        check_codes(self.language)
        given = self.source_options | {"tokenizer": tokenizer}
        found = [*(sources_for(texts, **given) if texts else ()), *sources_by_language(self.lang, **given)]
        for one in self.switch:
            code, equals, path = one.partition("=")
            if not equals:
                raise UserError(f"--switch is '{one}', must be CODE=DICTIONARY, such as en=muse.en-de.txt")
            found = [Switched(source, check_code(code), path) for source in found]
            read_dictionary(Path(path))
        return found

    @property
    def source_options(self) -> dict[str, Any]:
        """The options as `sources_for` takes them."""
        return {name: getattr(self, name) for name in _SOURCE_OPTIONS} | dict(self.source)

    def of_prepare(self) -> dict[str, Any]:
        """Returns the options as `text.token_store.prepare` takes them."""
        return {
            "policy": self.policy,
            "held_out": self.held_out,
            "max_unknown": self.max_unknown,
            "smoothing": self.smoothing,
            "processes": self.processes or os.cpu_count() or 1,
        }

    def check_unsaid(self, store: str) -> None:
        """Raises UserError where anything is said of how texts are read, for they are in a store already."""
        stated = [name for name in self.stated() if name != "policy"]
        stated += differences(to_plain(self.policy), to_plain(Policy()))
        if stated:
            raise UserError(
                f"--{min(stated).replace('_', '-')} says how texts are read, but {store} is a store; leave it out, or "
                "name the texts"
            )

    def stated(self) -> dict[str, Any]:
        """Returns the options that differ from the defaults and change what comes of the texts, as plain values."""
        usual = TextOptions()
        names = [one.name for one in fields(self) if one.name not in _WITHOUT_TRACE]
        return {name: to_plain(getattr(self, name)) for name in names if getattr(self, name) != getattr(usual, name)}
