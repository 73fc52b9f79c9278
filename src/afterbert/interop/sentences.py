"""One vector for a text: how a folder says it is pooled (the side files that make it a sentence-transformers model, or
a key of config.json). `probes.sentence_encoder` computes it.

Source: Reimers, Gurevych (1908.10084), Section 3 (mean of the pieces' states is their default). The files are those of
sentence-transformers' second version, which all later ones read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from afterbert.base.errors import UserError
from afterbert.base.runs import write_atomically
from afterbert.base.small_files import read_json, read_json_object
from afterbert.models import Architecture

Pooling = Literal["mean", "first", "max", "last"]

_FLAGS: dict[Pooling, str] = {
    "mean": "pooling_mode_mean_tokens",
    "first": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "last": "pooling_mode_lasttoken",
}
_THEIR_WORDS: dict[str, Pooling] = {"mean": "mean", "cls": "first", "max": "max", "lasttoken": "last"}
_KEY = "sentence_pooling"


def chained(modules: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Returns modules.json: folders and the kinds of modules that they hold, one behind the other."""
    return [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(modules)
    ]


@dataclass(frozen=True)
class Sentences:
    """How a text becomes one vector."""

    pooling: Pooling = "mean"
    """How the pieces' states become one vector."""
    normalizes: bool = True
    """Whether vectors are brought to length 1."""
    max_length: int | None = None
    """How many pieces of a text are read."""

    def write(self, folder: Path, architecture: Architecture) -> None:
        """Writes the side files into a folder with config.json and tokenizer. Raises UserError."""
        if architecture.writes == "apart":
            raise UserError(
                "an encoder-decoder has no one vector for a text; export an encoder, or a decoder with pooling last"
            )
        if not (folder / "tokenizer.json").is_file():
            raise UserError(f"{folder} has no tokenizer.json, without which texts have no vectors; add it")
        modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
        modules += [("2_Normalize", "Normalize")] * self.normalizes
        pooling: dict[str, Any] = {"word_embedding_dimension": architecture.hidden_size}
        pooling |= {flag: mode == self.pooling for mode, flag in _FLAGS.items()}
        longest = self.max_length or architecture.max_position_embeddings
        for name, content in (
            ("modules.json", chained(modules)),
            ("sentence_bert_config.json", {"max_seq_length": longest, "do_lower_case": False}),
            ("config_sentence_transformers.json", {"prompts": {}, "similarity_fn_name": "cosine"}),
            ("1_Pooling/config.json", pooling),
        ):
            (folder / name).parent.mkdir(exist_ok=True)
            write_atomically(folder / name, json.dumps(content, indent=2) + "\n")
        if self.normalizes:
            (folder / "2_Normalize").mkdir(exist_ok=True)

    def keep(self, folder: Path, architecture: Architecture) -> None:
        """Notes in a model's folder how its vectors were trained: by `write`, or in config.json where
        sentence-transformers cannot pool such a model."""
        if architecture.writes == "apart":
            config = read_json_object(folder / "config.json", most=1 << 20) | {_KEY: self.pooling}
            write_atomically(folder / "config.json", json.dumps(config, indent=2) + "\n")
        else:
            self.write(folder, architecture)

    @staticmethod
    def told_by(folder: Path) -> Sentences | None:
        """What a folder says about its vectors; None where it says nothing. Raises UserError."""
        if (folder / "modules.json").is_file():
            return Sentences.read(folder)
        if not (folder / "config.json").is_file():
            return None
        pooling = read_json_object(folder / "config.json", most=1 << 20).get(_KEY)
        if pooling is None:
            return None
        if pooling not in _FLAGS:
            raise UserError(f"{folder / 'config.json'}: {_KEY} is {pooling!r}; it must be one of {', '.join(_FLAGS)}")
        return Sentences(pooling)

    @staticmethod
    def read(folder: Path) -> Sentences:
        """Reads what the side files of a folder ask for. Raises UserError for what is not known here."""
        modules = read_json(folder / "modules.json", most=1 << 20)
        if not isinstance(modules, list) or not all(isinstance(one, dict) for one in modules):
            raise UserError(f"{folder / 'modules.json'} is no list of modules; download it again")
        kinds = [str(module.get("type")).rsplit(".", 1)[-1] for module in modules]
        if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
            raise UserError(
                f"{folder / 'modules.json'} chains {', '.join(kinds)}; only Transformer, Pooling, Normalize are read"
            )
        asked = read_json_object(folder / str(modules[1].get("path", "")) / "config.json", most=1 << 20)
        modes = [mode for mode, flag in _FLAGS.items() if asked.get(flag)]
        if not modes and asked.get("pooling_mode") in _THEIR_WORDS:
            modes = [_THEIR_WORDS[asked["pooling_mode"]]]
        if len(modes) != 1:
            raise UserError(f"{folder} pools in a way that cannot be read here; known: {', '.join(_FLAGS)}")
        cut = read_json_object(folder / "sentence_bert_config.json", most=1 << 20).get("max_seq_length")
        if not (cut is None or (isinstance(cut, int) and cut > 0)):
            raise UserError(
                f"{folder / 'sentence_bert_config.json'} has max_seq_length {cut!r}; must be a whole number"
            )
        return Sentences(modes[0], len(kinds) == 3, cut)
