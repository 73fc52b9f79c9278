"""Every task on one text: what each recipe reads, asks and lets see, as pictures that a terminal or a page draws."""

import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from afterbert.base.config import digest
from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.stages import moments
from afterbert.objectives import PretextTask
from afterbert.pretext.pairings import Plan
from afterbert.pretext.posed import Posed
from afterbert.pretext.task import Pretext
from afterbert.probes.picture import Picture, pictures_of
from afterbert.recipes.files import known
from afterbert.recipes.question import RecipeQuestion, question_of
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.spelling import piece_texts
from afterbert.text.planes import Plane
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.prepare import PLANES, prepare
from afterbert.text.token_store.store import Split, Store
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer

_HAVE_CASE = ("Latin", "Greek", "Cyrillic", "Armenian", "Georgian")
_MOST_VIEWS = 64  # looked at for a row of each kind of visibility


@dataclass(frozen=True)
class Exhibit:
    """A recipe's task on a row. task: which one, where the recipe has several (members of a mixture, stages, kinds
    of visibility). reason: why there is no picture. note: what the tokenizer took out of the text before the task saw
    it."""

    recipe: str
    title: str
    task: str = ""
    picture: Picture | None = None
    reason: str = ""
    note: str = ""


@contextmanager
def store_of_text(text: str, tokenizer: Path, planes: Sequence[Plane] = ()) -> Iterator[Store]:
    """Makes a store of just this text, as every store is made; it is gone when the block ends."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "text.txt")
        file.write_text(text, encoding="utf-8")
        yield prepare(
            [Txt(path=str(file), documents="file")],
            Path(scratch, "store"),
            tokenizer=PretrainedTokenizer(name=str(tokenizer)),
            policy=Policy(),
            planes=(*PLANES, *planes),
            processes=1,
            held_out=0.0,
            least_pieces=1,
        )


def exhibits_of(question: RecipeQuestion, store: Store, *, seed: int = 0) -> list[Exhibit]:
    """Returns the recipe's tasks on the store's first row. Raises UserError if the store cannot pose them."""
    texts, found = piece_texts(store.tokenizer), []
    reason = "a text of one language, or so short a one, has no row for this task"
    for name, task in question.objective.pictured().items():
        if isinstance(task, str):
            found.append(Exhibit(question.name, question.title, name, reason=task))
            continue
        noise = Noise(seed)
        length, vocabulary = question.length, store.vocabulary
        plan = task.plan(store.split("train"), length=length, vocabulary=vocabulary, noise=noise)
        if not len(plan):
            found.append(Exhibit(question.name, question.title, name, reason=reason))
            continue

        def pose(noise: Noise, plan: Plan = plan, task: PretextTask = task) -> Posed:
            return task.posed(plan, np.zeros(1, dtype=np.int64), noise, store.vocabulary)

        for variant, seen in _variants(task.pretext, pose, noise).items():
            shown = Exhibit(question.name, question.title, ", ".join(filter(None, (name, variant))))
            try:
                found.append(replace(shown, picture=pictures_of(pose(seen), texts)[0]))
            except UserError as error:
                found.append(replace(shown, reason=str(error)))
    if not any(exhibit.picture or exhibit.reason != reason for exhibit in found):
        raise UserError(f"the text is too short for the task of {question.name}; give a longer one")
    # capitals that it makes small are plain to see
    changes = store.manifest["tokenizer"].get("changes", {}).items()
    told = [f"{changed} of {total} in {script}" for script, (changed, total) in changes if script not in _HAVE_CASE]
    note = f"the tokenizer changed or left out letters and marks: {', '.join(told)}" if told else ""
    return [replace(one, note=note if one.picture is not None else "") for one in found]


def exhibits_on(
    text: str,
    questions: Sequence[RecipeQuestion],
    tokenizer: Path | None,
    planes: Sequence[Plane],
    *,
    seed: int,
    tokenizers: Path | None = None,
) -> Iterator[list[Exhibit]]:
    """Draws the tasks of each recipe on this text, recipe by recipe.

    tokenizer: the folder of a run, a store or a model that cuts the text; without one a small tokenizer of the
    recipe's kind does, trained once on the documentation that Python brings and the letters of the text's scripts.
    planes: further annotations that a task may need. tokenizers: a folder that keeps the small ones for another call.
    Raises UserError.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for question in questions:
            recipe = question.tokenizer
            letters = _letters_beside(text)
            made = (tokenizers or Path(scratch)) / digest([repr(recipe), letters])
            folder = _inside(tokenizer) if tokenizer else made
            if not tokenizer and not folder.is_dir():
                _train_small(recipe, folder, letters)
            with store_of_text(text, folder, planes) as store:
                yield exhibits_of(question, store, seed=seed)


def _inside(folder: Path) -> Path:
    inner = [folder / "tokenizer", folder / "model", folder]
    return next((path for path in inner if (path / "tokenizer.json").is_file()), folder)


def _letters_beside(text: str) -> str:
    """Letters, marks and signs of the blocks of 256 characters that a text is written in, but for ASCII's; where they
    are too many for a small tokenizer, those of the text."""
    blocks = sorted({ord(character) // 256 for character in text if not character.isascii()})
    found = [chr(code) for block in blocks for code in range(256 * block, 256 * block + 256)]
    some = found if len(found) <= 1024 else sorted(set(text))
    return "".join(letter for letter in some if unicodedata.category(letter)[0] in "LMNPS")


def _train_small(recipe: TokenizerRecipe, folder: Path, letters: str) -> None:
    from pydoc_data.topics import topics

    sample = [text for _, text in sorted(topics.items())]
    sample += [f"{letters} {' '.join(letters)}"] * (30 if letters else 0)  # often enough to become pieces of bytes too
    trained: Any = recipe  # a dataclass; those that are trained have a size
    small = replace(trained, vocab_size=4000) if hasattr(trained, "vocab_size") else recipe
    small.make(sample, corpus_bytes=sum(len(text) for text in sample)).save(folder)


def gallery(text: str, tokenizer: Path, *, seed: int = 0) -> list[Exhibit]:
    """Returns all recipes of afterbert on this text, cut by this tokenizer; a reason in place of the picture when the
    tokenizer lacks what a task needs."""
    found: list[Exhibit] = []
    with store_of_text(text, tokenizer) as store:
        for name in known():
            question = question_of(name)
            try:
                found += exhibits_of(question, store, seed=seed)
            except UserError as error:
                found.append(Exhibit(question.name, question.title, reason=str(error)))
    return found


def sample_text(store: Store, split: Split, *, sentences: int = 3, most_pieces: int = 44) -> str:
    """Returns neighbouring sentences of one document that fit into a picture, from the middle of the split; its first
    pieces when there are none."""
    starts, documents = split.sentence_starts, split.document_starts
    sizes = starts[sentences:] - starts[:-sentences]
    begins, ends = starts[: len(sizes)], starts[len(starts) - len(sizes) :]
    in_one = np.searchsorted(documents, begins, "right") == np.searchsorted(documents, ends, "left")
    fits = np.flatnonzero(in_one & (sizes >= most_pieces // 2) & (sizes <= most_pieces))
    texts = piece_texts(store.tokenizer)
    first, last = 0, min(most_pieces, split.num_pieces)
    if len(fits):
        chosen = fits[len(fits) // 2]
        first, last = int(starts[chosen]), int(starts[chosen + sentences])
    return "".join(texts[piece] for piece in split.pieces(np.arange(first, last))).strip()


def plain(exhibits: Sequence[Exhibit]) -> list[dict[str, Any]]:
    """Exhibits as JSON holds them; a picture as `Picture.plain` writes it."""
    said = ("recipe", "title", "task", "reason", "note")
    return [
        {name: getattr(one, name) for name in said} | (one.picture.plain() if one.picture is not None else {})
        for one in exhibits
    ]


def _variants(pretext: Pretext, pose: Callable[[Noise], Posed], noise: Noise) -> dict[str, Noise]:
    """The noise that shows each stage of a staged choice, or each kind of visibility; else the one given."""
    courses = [course for edit in pretext.edits if (course := edit.selection.course) is not None]
    if courses:
        return {f"stage {number}": noise.at(at) for number, at in enumerate(moments(courses), start=1)}
    kinds = set(pretext.visibility.kinds)
    if len(kinds) == 1:
        return {"": noise}
    found: dict[str, Noise] = {}
    for view in range(_MOST_VIEWS):
        seen = noise.seen_as(view)
        found.setdefault(pose(seen).visibility.kind[0], seen)
        if len(found) == len(kinds):
            break
    return found
