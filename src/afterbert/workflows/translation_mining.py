"""A word list from texts that translate each other."""

from collections.abc import Sequence

from afterbert.base.errors import UserError
from afterbert.probes.translations import WordList, word_list
from afterbert.text.files.documents import LANGUAGES, PAIR
from afterbert.text.languages import sources_by_language
from afterbert.text.reading import read
from afterbert.workflows.observer import WorkObserver


def mined_translations(
    named: Sequence[str], *, least: int, most: int, observer: WorkObserver | None = None
) -> WordList:
    """Returns what words of the first language may be in the second, from files of pairs named `en+de=FILE`. Raises
    UserError."""
    codes = {one.partition("=")[0] for one in named}
    if len(codes) != 1 or LANGUAGES not in (code := codes.pop()):
        raise UserError(f"{' '.join(named)}: name files of the same two languages, as in en+de=FILE")
    documents = read(sources_by_language(named))
    pairs = dict.fromkeys(tuple(document.text.split(PAIR, 1)) for document in documents if PAIR in document.text)
    observer = observer or WorkObserver()
    with observer.working("counting words") as advance:
        left, right = zip(*pairs) if pairs else ((), ())
        advance(0, 1, f"{len(pairs):,} pairs")
        found = word_list(left, right, least=least, most=most)
    if not found.pairs:
        raise UserError(
            f"no words of {code} stand together in {least} of {len(pairs):,} pairs; give more, or --least 2"
        )
    if found.num_read < len(pairs):
        observer.on_note(
            f"counted in the {found.num_read:,} shortest of {len(pairs):,} pairs; more would take much memory"
        )
    return found
