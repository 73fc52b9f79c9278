"""All documents of some sources, in one process."""

from collections.abc import Iterable, Iterator

from afterbert.text.files.documents import Document, Tally
from afterbert.text.files.policy import Policy
from afterbert.text.sources import Source

_PART_BYTES = 64_000_000


def read(sources: Iterable[Source], policy: Policy | None = None, tally: Tally | None = None) -> Iterator[Document]:
    """Yields all documents of these sources, in order, in this process. At the end the policy checks the tally. Raises
    UserError."""
    policy = Policy() if policy is None else policy
    tally = Tally() if tally is None else tally
    for source in sources:
        for part in source.parts(_PART_BYTES):
            yield from part.documents(policy, tally)
    policy.check(tally)
