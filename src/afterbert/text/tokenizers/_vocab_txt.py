"""WordPiece from `vocab.txt`, what BERT's releases and `BertWordPieceTokenizer.save_model` leave: a piece a line, its
id the number of the line.

Whether text is lower-cased stands in `tokenizer_config.json`, or nowhere. Then the pieces say it: where one has a
capital letter, case is kept; where one has an accented letter or a loose mark, accents are. BERT's own default, lower
case and no accents, would make an unknown piece of every word that such a vocabulary holds.
"""

import unicodedata
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from afterbert.base.errors import UserError
from afterbert.base.small_files import read_text

_MOST_BYTES = 64 << 20
CONTINUES = "##"
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def word_pieces(path: Path, said: Mapping[str, Any]) -> tokenizers.Tokenizer:
    """Reads the file. said: what the folder's tokenizer_config.json says. Warns of what is taken from the pieces.
    Raises UserError if the file is no vocabulary of WordPiece."""
    text = read_text(path, most=_MOST_BYTES, remedy="name a vocab.txt with a piece a line").replace("\r\n", "\n")
    # not `splitlines`: Chinese BERT has a piece U+2028, which is a line end to it
    ids = {piece: number for number, piece in enumerate(text.removesuffix("\n").split("\n"))}
    missing = [piece for piece in ("[UNK]", "[CLS]", "[SEP]") if piece not in ids]
    if missing:
        raise UserError(
            f"{path} has no {' and no '.join(missing)}, so it is no vocabulary of WordPiece; save the tokenizer as "
            "tokenizer.json"
        )
    lowercase, strip_accents = _case(path, ids, said)
    model = models.WordPiece(vocab=ids, unk_token="[UNK]", continuing_subword_prefix=CONTINUES)
    parts_chinese = said.get("tokenize_chinese_chars") is not False
    made = as_bert(model, lowercase=lowercase, strip_accents=strip_accents, parts_chinese=parts_chinese)
    special = [piece for piece in _SPECIAL if piece in ids]
    made.add_special_tokens([tokenizers.AddedToken(piece, special=True, normalized=False) for piece in special])
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(piece, ids[piece]) for piece in ("[CLS]", "[SEP]")],
    )
    return made


def as_bert(
    model: models.WordPiece, *, lowercase: bool, strip_accents: bool | None, parts_chinese: bool = True
) -> tokenizers.Tokenizer:
    """Returns a tokenizer that cuts words as BERT does, and each into pieces by the model."""
    made = tokenizers.Tokenizer(model)
    made.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=parts_chinese, strip_accents=strip_accents, lowercase=lowercase
    )
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece(prefix=CONTINUES)
    return made


def _case(path: Path, ids: Mapping[str, int], said: Mapping[str, Any]) -> tuple[bool, bool | None]:
    """Whether text is lower-cased and loses its accents (None: where it is lower-cased)."""
    told, accents = said.get("do_lower_case"), said.get("strip_accents")
    accents = accents if isinstance(accents, bool) else None
    if isinstance(told, bool):
        return told, accents
    pieces = [piece for piece in ids if not (piece.startswith("[") and piece.endswith("]"))]
    has_capitals = any(piece != piece.lower() for piece in pieces)
    if accents is None and any(_has_marks(piece) for piece in pieces):
        accents = False
    keeps = "capital letters, so case is kept" if has_capitals else "no capital letters, so text is lower-cased"
    marks = "" if has_capitals or accents is not False else ", and accented ones, so accents are kept"
    warnings.warn(
        f"{path} does not say whether it is of lower case: its pieces have {keeps}{marks}; do_lower_case in a "
        "tokenizer_config.json beside it settles it",
        stacklevel=5,
    )
    return not has_capitals, accents


def _has_marks(piece: str) -> bool:
    return any(unicodedata.category(character) == "Mn" for character in unicodedata.normalize("NFD", piece))
