"""A data set on the Hugging Face hub, streamed. Needs the extra `data`, and the network."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from afterbert.base.errors import UserError
from afterbert.base.extras import from_extra
from afterbert.text.files import streams
from afterbert.text.files.documents import Document, Tally
from afterbert.text.files.intake import Intake
from afterbert.text.files.policy import Policy
from afterbert.text.sources import Source, SourcePart

_COMMIT = re.compile("[0-9a-f]{40}")
_SECONDS = 20.0


@dataclass(frozen=True)
class Hub(Source):
    """A column of strings in a named data set; no code of the data set is run.

    config, split: as its page names them. revision: a commit, branch or tag; it is pinned to its commit when
    the parts are made, so every part reads the same data. Places are rows from 0; the whole split is one part.
    """

    path: str
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    language: str | None = None
    text_column: str = "text"
    id_column: str = "id"
    language_column: str | None = None

    @property
    def title(self) -> str:
        """The name, fit for ids."""
        return "hub:" + streams.shown(self.path)

    def digest(self) -> dict[str, str]:
        return {self.title: " ".join([self._commit(), *self.settings])}

    def parts(self, target_bytes: int) -> list[SourcePart]:
        return [SourcePart(replace(self, revision=self._commit()))]

    def read(self, part: SourcePart, policy: Policy, tally: Tally) -> Iterator[Document]:
        intake = Intake(policy, tally, path=self.title, name=self.title, language=self.language, unit="row")
        tally.files["hub"] += 1
        with self._reached():
            import datasets

            rows = datasets.load_dataset(
                self.path, name=self.config, split=self.split, revision=self.revision, streaming=True
            )
            for number, record in enumerate(rows):
                yield from self._row(record, number, intake)

    def _row(self, record: dict[str, Any], number: int, intake: Intake) -> Iterator[Document]:
        for key in filter(None, (self.text_column, self.language_column)):
            if key not in record:
                raise UserError(f"{self.title} has no column '{key}'; {streams.near_name(key, record)}")
        text, own = record[self.text_column], record.get(self.id_column)
        if text is not None and not isinstance(text, str):
            intake.broken(number, f"'{self.text_column}' is no string", "name the column that holds the text")
            return
        intake.tally.bytes += len((text or "").encode(errors="replace"))
        id = None if own is None else str(own).encode(errors="replace").decode()
        code = record[self.language_column] if self.language_column else None
        yield from intake.documents(text or "", number, id=id, language=None if code is None else str(code))

    def _commit(self) -> str:
        """The commit that the revision is now; one request without retries, so a missing network is told at once."""
        if self.revision and _COMMIT.fullmatch(self.revision):
            return self.revision
        with self._reached():
            from huggingface_hub import HfApi

            found = HfApi().dataset_info(self.path, revision=self.revision, timeout=_SECONDS).sha
            assert found is not None
            return found

    @contextmanager
    def _reached(self) -> Iterator[None]:
        datasets = from_extra("datasets", "data", needed_by=self.title)
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        # Failed connections derive from the HTTP library's own base class, whichever library the hub client uses.
        failures = (OSError, HFValidationError, datasets.exceptions.DatasetsError, *HfHubHTTPError.__bases__)
        try:
            yield
        except UserError:
            raise
        except failures as error:
            why = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(
                f"{self.title} cannot be read: {streams.shown(why)}; check name and network, or use local files"
            ) from None
