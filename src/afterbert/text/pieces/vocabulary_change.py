"""Another vocabulary for a tokenizer: more pieces, fewer, or quite other ones; and which old pieces each new
one is made of.

Everything happens in `tokenizer.json` itself, so what comes out is an ordinary tokenizer. Sources: rows of new
pieces as means of the old pieces' rows, Hewitt (2021, "Initializing New Word Embeddings for Pretrained Language
Models") and FOCUS (2305.14481), Section 2, for pieces that both vocabularies have.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

import numpy as np
import tokenizers

from afterbert.base.errors import UserError
from afterbert.base.rows import starts_of
from afterbert.text.pieces.characters import words
from afterbert.text.pieces.tokenizer import NAMED, Tokenizer

# Of an alphabet with a letter for each old piece: the rarely used planes of Unicode, where there is no white space.
_FIRST_LETTER = 0x20000
_BYTE = re.compile("<0x[0-9A-F]{2}>")

#: What `extended` makes one piece of.
Units = Literal["words", "pieces"]
#: A new piece and the pieces it is made of.
Grown = tuple[str, list[str]]


@dataclass(frozen=True)
class Change:
    """tokenizer: the new one. parents: for each of its pieces the old pieces of whose rows its row is the
    mean; never empty."""

    tokenizer: Tokenizer
    parents: tuple[tuple[int, ...], ...]

    @property
    def new_rows(self) -> tuple[int, ...]:
        """The pieces whose row is no old piece's own: a mean of several, or a copy of one that others begin with too,
        under another number."""
        shared = Counter(self.parents)
        is_copy = (shared[parents] > 1 and parents != (row,) for row, parents in enumerate(self.parents))
        return tuple(row for row, copy in enumerate(is_copy) if copy or len(self.parents[row]) > 1)


def fertility(tokenizer: Tokenizer, texts: Iterable[str]) -> float:
    """Returns the pieces per word of running text; a word is a stretch of letters and digits; any piece counts."""
    texts = list(texts)
    return sum(len(tokenizer.encode(text)) for text in texts) / max(
        1, sum(len(words().findall(text)) for text in texts)
    )


def extended(tokenizer: Tokenizer, texts: Sequence[str], *, more: int, units: Units = "pieces") -> Change:
    """Returns the tokenizer with at most `more` new pieces. `words`: frequent words of the texts that were several
    pieces become one; `pieces`: frequent neighbours within words become one, again and again, as byte-pair encoding
    learns. Old pieces keep their numbers. Raises UserError for a kind of tokenizer that cannot grow."""
    content = tokenizer.content
    model, backend = content["model"], tokenizer.plain
    if backend.pre_tokenizer is None or model["type"] not in _GROW:
        raise UserError(
            f"a tokenizer of type {model['type']} without words cannot be extended; train a new one with --how train"
        )
    numbers = backend.get_vocab(with_added_tokens=True)
    taken, known = max(numbers.values()) + 1, set(numbers)
    if model["type"] == "Unigram":
        _take_in_added(content)
    if units == "words":
        grow, merges = _grown_words(tokenizer, texts, _GROW[model["type"]], known, more)
    else:
        grow, merges = _grown_pieces(tokenizer, texts, model["type"], known, more)
    if model["type"] == "Unigram":
        _append_scored(model, grow)
    else:
        model["vocab"] |= {piece: taken + number for number, (piece, _) in enumerate(grow)}
    if model["type"] == "BPE":
        model["merges"] = _merges(model) + merges
    parents: list[tuple[int, ...]] = [(number,) for number in range(taken)]
    for piece, parts in grow:
        parents.append(tuple(number for part in parts for number in parents[numbers[part]]))
        numbers[piece] = len(parents) - 1
    return Change(_with(tokenizer, content), tuple(parents))


def replaced(old: Tokenizer, new: Tokenizer) -> Change:
    """Returns the change to a different tokenizer: a piece that the old one has keeps its vector, special pieces go by
    their role, any other is the mean of the pieces that its text had."""
    have = old.backend.get_vocab(with_added_tokens=True)
    roles = {new.settings.get(f"{name}_token"): have.get(str(old.settings.get(f"{name}_token"))) for name in NAMED}
    unknown = old.vocabulary.unk
    fallback = tuple(range(old.vocabulary.size)) if unknown is None else (unknown,)
    pieces = {number: piece for piece, number in new.backend.get_vocab(with_added_tokens=True).items()}
    parents: list[tuple[int, ...]] = []
    for number in range(new.vocabulary.size):
        piece = pieces.get(number, "")
        role = roles.get(piece)
        if role is not None:
            parents.append((role,))
        elif piece in have:
            parents.append((have[piece],))
        else:
            text = new.backend.decode([number], skip_special_tokens=False)
            parents.append(tuple(old.encode(text.removeprefix("##"))) or fallback)
    return Change(new, tuple(parents))


def trimmed(tokenizer: Tokenizer, texts: Sequence[str]) -> Change:
    """Returns the tokenizer without the pieces that the texts do not use; special pieces, single letters and bytes
    stay. The texts keep exactly their pieces, which is checked on every one. Raises UserError for a kind of tokenizer
    that cannot shrink."""
    content = tokenizer.content
    model = content["model"]
    if model["type"] not in ("WordPiece", "WordLevel", "BPE", "Unigram"):
        raise UserError(f"a tokenizer of type {model['type']} cannot be trimmed")
    used = {number for text in texts for number in tokenizer.encode(text)}
    kept = _kept(tokenizer, content, used)
    to_new = {number: place for place, number in enumerate(sorted(kept))}
    changed = _with(tokenizer, _renumbered(content, to_new))
    for text in texts:
        if [to_new[number] for number in tokenizer.encode(text)] != changed.encode(text):
            raise UserError(
                f"trimming would change the pieces of a text ({text[:60]!r}...), because the tokenizer gives up on "
                "some of its words; leave that text out, or extend the tokenizer first"
            )
    return Change(changed, tuple((number,) for number in sorted(kept)))


def _words(tokenizer: Tokenizer, texts: Sequence[str]) -> Counter[str]:
    """Words as the model sees them, with how often they occur."""
    backend = tokenizer.plain
    counts: Counter[str] = Counter()
    for text in texts:
        normal = backend.normalizer.normalize_str(text) if backend.normalizer is not None else text
        counts.update(word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normal))
    return counts


def _grown_words(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    grow: Callable[[str, list[str], set[str]], list[Grown]],
    known: set[str],
    more: int,
) -> tuple[list[Grown], list[list[str]]]:
    """New pieces in order, and the merges that make them."""
    found: list[Grown] = []
    for word, parts in _costly_words(tokenizer, texts, known):
        made = grow(word, parts, known)
        if len(found) + len(made) > more:
            break
        found += made
    return found, [parts for piece, parts in found if len(piece) > 1]


def _grown_pieces(
    tokenizer: Tokenizer, texts: Sequence[str], kind: str, known: set[str], more: int
) -> tuple[list[Grown], list[list[str]]]:
    """The same by byte-pair encoding that goes on from the old pieces: each of them is one letter to it. Characters
    that were bytes become pieces first, the most frequent ones."""
    backend, cut = tokenizer.plain, []
    characters: Counter[str] = Counter()
    for word, count in _words(tokenizer, texts).items():
        parts = _with_characters([token.value for token in backend.model.tokenize(word)])
        cut.append((parts, count))
        for part in parts:
            characters[part] += count if part not in known and known.issuperset(_bytes(part)) else 0
    found = [(one, _bytes(one)) for one, count in characters.most_common(more) if count > 1]
    known.update(one for one, _ in found)
    segmented = [(parts, count) for parts, count in cut if len(parts) > 1 and known.issuperset(parts)]
    letters = {part: chr(_FIRST_LETTER + i) for i, part in enumerate(sorted({p for w, _ in segmented for p in w}))}
    learner = tokenizers.Tokenizer(tokenizers.models.BPE())
    learner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=len(letters) + more - len(found),
        min_frequency=2,
        special_tokens=list(letters.values()),
        show_progress=False,
    )
    spelled = ("".join(letters[part] for part in parts) for parts, _ in segmented)
    repeated = (" ".join([word] * count) for word, (_, count) in zip(spelled, segmented))
    learner.train_from_iterator(repeated, trainer)
    pieces = {letter: part for part, letter in letters.items()}
    merges: list[list[str]] = []
    for left, right in _merges(json.loads(learner.to_str())["model"]):
        parts = [pieces[left], pieces[right]]
        whole = parts[0] + (parts[1].removeprefix("##") if kind == "WordPiece" else parts[1])
        pieces[left + right] = whole
        merges.append(parts)
        if whole not in known:
            known.add(whole)
            found.append((whole, parts))
    return found, merges


def _costly_words(tokenizer: Tokenizer, texts: Sequence[str], known: set[str]) -> list[tuple[str, list[str]]]:
    """Words that occur again and are several pieces or unknown, with these pieces, by how many pieces they would
    save; a whole word that is unknown counts as two."""
    backend = tokenizer.plain
    found: list[tuple[int, str, list[str]]] = []
    for word, count in _words(tokenizer, texts).items():
        parts = [token.value for token in backend.model.tokenize(word)]
        if count > 1 and word not in known and parts and known.issuperset(parts):
            found.append((-count * max(len(parts) - 1, 1), word, parts))
    return [(word, parts) for _, word, parts in sorted(found)]


def _grow_whole(word: str, parts: list[str], known: set[str]) -> list[Grown]:
    known.add(word)
    return [(word, parts)]


def _grow_chain(word: str, parts: list[str], known: set[str]) -> list[Grown]:
    """The merges, in order, that make a word of its parts; those that exist already are left out."""
    parts = _with_characters(parts)
    made = [(one, _bytes(one)) for one in dict.fromkeys(parts) if one not in known]
    known.update(one for one, _ in made)
    left = parts[0]
    for part in parts[1:]:
        if left + part not in known:
            made.append((left + part, [left, part]))
            known.add(left + part)
        left += part
    return made


_GROW: dict[str, Callable[[str, list[str], set[str]], list[Grown]]] = {
    "WordPiece": _grow_whole,
    "Unigram": _grow_whole,
    "BPE": _grow_chain,
}


def _with_characters(parts: Sequence[str]) -> list[str]:
    """The same with the characters that bytes stand for, since a decoder takes only single bytes for bytes.

    >>> _with_characters(["▁h", "<0xC3>", "<0xBA>", "s"])
    ['▁h', 'ú', 's']
    """
    found: list[str] = []
    for is_byte, run in groupby(parts, lambda part: _BYTE.fullmatch(part) is not None):
        some = list(run)
        try:
            found += bytes(int(part[3:5], 16) for part in some).decode() if is_byte else some
        except UnicodeDecodeError:  # beside a piece that ends within a character
            found += some
    return found


def _bytes(character: str) -> list[str]:
    """The pieces of its bytes, under a tokenizer that falls back on them."""
    return [f"<0x{byte:02X}>" for byte in character.encode()]


def _take_in_added(content: dict[str, Any]) -> None:
    """Lists the added pieces behind a Unigram model's own (T5's sentinels) among them, under the numbers they have,
    so that more can follow; where they stand in a text they are found before the model is asked."""
    vocabulary = content["model"]["vocab"]
    added = {entry["id"]: entry["content"] for entry in content.get("added_tokens") or []}
    lowest = min(score for _, score in vocabulary)
    for number in range(len(vocabulary), max(added, default=-1) + 1):
        if number not in added:
            raise UserError(
                f"this Unigram tokenizer has no piece with the number {number}, so it cannot grow; train one with "
                "--how train"
            )
        vocabulary.append([added[number], lowest])


def _append_scored(model: dict[str, Any], grow: list[Grown]) -> None:
    """New pieces with a score just above that of their parts together, so that the word is one piece and
    nothing else changes more than it must."""
    scores = dict(model["vocab"])
    for piece, parts in grow:
        scores[piece] = sum(scores[part] for part in parts) * 0.99
        model["vocab"].append([piece, scores[piece]])


def _kept(tokenizer: Tokenizer, content: dict[str, Any], used: set[int]) -> set[int]:
    model, backend = content["model"], tokenizer.backend
    numbers = backend.get_vocab(with_added_tokens=True)
    kept = used | set(tokenizer.vocabulary.special_ids)
    kept |= {added["id"] for added in content.get("added_tokens") or []}
    kept |= {n for piece, n in numbers.items() if len(piece.removeprefix("##")) == 1 or _BYTE.fullmatch(piece)}
    if model.get("unk_id") is not None:
        kept.add(model["unk_id"])
    if model["type"] == "BPE":
        kept |= _makings(model, numbers, kept)
    return kept


def _makings(model: dict[str, Any], numbers: dict[str, int], kept: set[int]) -> set[int]:
    """The pieces from which merges make the kept ones, and theirs."""
    made_of: dict[int, set[int]] = {}
    for left, right in _merges(model):
        made_of.setdefault(numbers[left + right], set()).update((numbers[left], numbers[right]))
    found, waiting = set(kept), list(kept)
    while waiting:
        new = made_of.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _merges(model: dict[str, Any]) -> list[list[str]]:
    """Pairs; older files write each as one string."""
    return [merge.split(" ", 1) if isinstance(merge, str) else list(merge) for merge in model["merges"]]


def _renumbered(content: dict[str, Any], to_new: dict[int, int]) -> dict[str, Any]:
    """The content with only the pieces of `to_new`, under their new numbers wherever a number stands."""
    model = dict(content["model"])
    if model["type"] == "Unigram":
        model["vocab"] = [entry for number, entry in enumerate(model["vocab"]) if number in to_new]
        model["unk_id"] = to_new.get(model.get("unk_id", -1))
    else:
        kept = {piece: to_new[number] for piece, number in model["vocab"].items() if number in to_new}
        model["vocab"] = dict(sorted(kept.items(), key=lambda item: item[1]))
    if model["type"] == "BPE":
        model["merges"] = [merge for merge in _merges(model) if model["vocab"].keys() >= {*merge, "".join(merge)}]
    added = [{**entry, "id": to_new[entry["id"]]} for entry in content.get("added_tokens") or []]
    return {
        **content,
        "model": model,
        "added_tokens": added,
        "post_processor": _renumbered_ends(content.get("post_processor"), to_new),
        "padding": None,
        "truncation": None,
    }


def _renumbered_ends(processor: Any, to_new: dict[int, int]) -> Any:
    """What a post-processor puts around a text, under its new numbers."""
    if not isinstance(processor, dict):
        return processor
    changed = dict(processor)
    if "processors" in processor:
        changed["processors"] = [_renumbered_ends(one, to_new) for one in processor["processors"]]
    for end in ("cls", "sep"):
        if end in processor:
            piece, number = processor[end]
            changed[end] = [piece, to_new[number]]
    if isinstance(processor.get("special_tokens"), dict):
        changed["special_tokens"] = {
            name: {**entry, "ids": [to_new[number] for number in entry["ids"]]}
            for name, entry in processor["special_tokens"].items()
        }
    return changed


def _with(tokenizer: Tokenizer, content: dict[str, Any]) -> Tokenizer:
    changed = replace(tokenizer, file=json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    _ = changed.backend  # what the library cannot read shows here
    return changed


def mean_rows(table: np.ndarray, parents: Sequence[Sequence[int]]) -> np.ndarray:
    """Returns for each new piece the mean of its parents' rows: from table [V, ...] to [len(parents), ...].

    >>> mean_rows(np.array([[0.0, 2.0], [4.0, 0.0]]), [(0,), (0, 1), (1, 1)]).tolist()
    [[0.0, 2.0], [2.0, 1.0], [4.0, 0.0]]
    """
    lengths = np.array([len(one) for one in parents])
    flat = np.concatenate([np.asarray(one) for one in parents])
    sums = np.add.reduceat(table[flat].astype(np.float64), starts_of(lengths)[:-1], axis=0)
    shape = (-1,) + (1,) * (table.ndim - 1)
    return (sums / lengths.reshape(shape)).astype(table.dtype)
