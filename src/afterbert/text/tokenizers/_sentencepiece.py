"""A SentencePiece model file (`spiece.model`, what `spm_train` writes), read without the library of that name.

Source: sentencepiece_model.proto of google/sentencepiece (0.2.0) for the fields; the order of merges of a BPE model
follows from the scores of its pieces, as in Hugging Face's conversion.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors

from afterbert.base.errors import UserError
from afterbert.base.small_files import read_bytes
from afterbert.text.tokenizers._trained import SPACE, with_bytes

_MOST_BYTES = 64 << 20
_UNIGRAM, _BPE = 1, 2
_NORMAL, _UNKNOWN, _CONTROL, _USER, _BYTE = 1, 2, 3, 4, 6


@dataclass(frozen=True)
class SentencePieceModel:
    """The content of a SentencePiece file. pieces: (text, score, kind), in the order of their ids; model: 1 Unigram, 2
    BPE; charsmap: how characters are normalized; prefixes: whether a space is put before a text; squeezes: whether runs
    of spaces become one."""

    pieces: tuple[tuple[str, float, int], ...]
    model: int
    charsmap: bytes
    prefixes: bool
    squeezes: bool

    @staticmethod
    def read(path: Path) -> SentencePieceModel:
        """Reads the file. Raises UserError if it is none."""
        raw = read_bytes(path, most=_MOST_BYTES)
        try:
            return _model(raw)
        except (ValueError, IndexError, struct.error) as error:
            raise UserError(f"{path} is no SentencePiece model, or a damaged one ({error}); copy it again") from error

    def backend(self, *, sentinels: int = 0, before: Sequence[Any] = ()) -> tokenizers.Tokenizer:
        """Returns an equal tokenizer of the library `tokenizers`. sentinels: how many `<extra_id_i>` get the ids after
        the others, the first the last, as T5 has them. before: what is done to a text first. Raises UserError for other
        models than Unigram and BPE."""
        made = tokenizers.Tokenizer(self._model_of_pieces())
        made.normalizer = normalizers.Sequence([*before, *self._normalizing()])
        scheme = "always" if self.prefixes else "never"
        made.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme)
        made.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme=scheme)
        if any(kind == _BYTE for _, _, kind in self.pieces):
            made.decoder = with_bytes()
        special = [text for text, _, kind in self.pieces if kind in (_UNKNOWN, _CONTROL)]
        special += [f"<extra_id_{number}>" for number in reversed(range(sentinels))]
        made.add_special_tokens([tokenizers.AddedToken(text, special=True, normalized=False) for text in special])
        user = [text for text, _, kind in self.pieces if kind == _USER and text not in special]
        made.add_tokens([tokenizers.AddedToken(text, normalized=False) for text in user])
        self._set_ends(made, special)
        return made

    def _model_of_pieces(self) -> Any:
        unknown = next((number for number, (_, _, kind) in enumerate(self.pieces) if kind == _UNKNOWN), None)
        has_bytes = any(kind == _BYTE for _, _, kind in self.pieces)
        if self.model == _UNIGRAM:
            scored = [(text, score) for text, score, _ in self.pieces]
            return models.Unigram(scored, unk_id=unknown, byte_fallback=has_bytes)
        if self.model != _BPE:
            raise UserError(
                "the SentencePiece model is of words or characters; train one with --model_type unigram or bpe"
            )
        ids = {text: number for number, (text, _, _) in enumerate(self.pieces)}
        unk_token = None if unknown is None else self.pieces[unknown][0]
        return models.BPE(
            vocab=ids, merges=_merges(ids, self.pieces), unk_token=unk_token, fuse_unk=True, byte_fallback=has_bytes
        )

    def _normalizing(self) -> list[Any]:
        parts: list[Any] = [normalizers.Precompiled(self.charsmap)] if self.charsmap else []
        if self.squeezes:
            parts += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
        return parts

    def _set_ends(self, made: tokenizers.Tokenizer, special: list[str]) -> None:
        """`[CLS] A [SEP]` where these are there (ALBERT), else `<cls>` and `<sep>` at the end (XLNet), else `</s>` at
        the end (T5)."""
        names = set(special) & set(made.get_vocab())
        used: tuple[str, ...]
        if {"[CLS]", "[SEP]"} <= names:
            one, two, used = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ("[CLS]", "[SEP]")
        elif {"<cls>", "<sep>"} <= names:
            one, two, used = "$A <sep> <cls>:2", "$A <sep> $B:1 <sep>:1 <cls>:2", ("<sep>", "<cls>")
        elif "</s>" in names:
            one, two, used = "$A </s>", "$A </s> $B:1 </s>:1", ("</s>",)
        else:
            return
        ids = [(name, made.token_to_id(name)) for name in used]
        made.post_processor = processors.TemplateProcessing(single=one, pair=two, special_tokens=ids)


def _merges(ids: dict[str, int], pieces: tuple[tuple[str, float, int], ...]) -> list[tuple[str, str]]:
    """The pairs that make each piece, the pieces with the best scores first."""
    made = sorted(
        (number for number, (_, _, kind) in enumerate(pieces) if kind in (_NORMAL, _USER)),
        key=lambda number: -pieces[number][1],
    )
    found = []
    for number in made:
        text = pieces[number][0]
        pairs = [(text[:at], text[at:]) for at in range(1, len(text)) if text[:at] in ids and text[at:] in ids]
        found += sorted(pairs, key=lambda pair: (ids[pair[0]], ids[pair[1]]))
    return found


def _model(raw: bytes) -> SentencePieceModel:
    pieces, model, charsmap, prefixes, squeezes = [], _UNIGRAM, b"", True, True
    for field, value in _fields(raw):
        if field == 1:
            own = dict(_fields(value))
            score = struct.unpack("<f", own[2])[0] if 2 in own else 0.0
            pieces.append((own.get(1, b"").decode(), score, own.get(3, _NORMAL)))
        elif field == 2:
            model = dict(_fields(value)).get(3, _UNIGRAM)
        elif field == 3:
            own = dict(_fields(value))
            charsmap = own.get(2, b"")
            prefixes, squeezes = bool(own.get(3, 1)), bool(own.get(4, 1))
    if not pieces:
        raise ValueError("it has no pieces")
    return SentencePieceModel(tuple(pieces), model, charsmap, prefixes, squeezes)


def _fields(raw: Any) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field of a protocol buffer: a number, or bytes."""
    if not isinstance(raw, bytes):
        raise ValueError("a field that should hold others holds a number")
    at = 0
    while at < len(raw):
        key, at = _number(raw, at)
        kind = key & 7
        if kind == 0:
            value, at = _number(raw, at)
            yield key >> 3, value
            continue
        length, at = _number(raw, at) if kind == 2 else ({1: 8, 5: 4}.get(kind, -1), at)
        if length < 0 or at + length > len(raw):
            raise ValueError(f"byte {at} is out of place")
        yield key >> 3, raw[at : at + length]
        at += length


def _number(raw: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise ValueError(f"byte {at} is out of place")
