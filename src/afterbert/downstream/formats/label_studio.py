"""Label Studio's full JSON export: choices for a text, and marked stretches of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.formats._spans import span_of, tagged
from afterbert.downstream.formats.jsonl import JsonlFormat

# What an answer that marks no stretch is called, by the kind of question.
_ANSWERS = ("choices", "rating", "number", "text")


@dataclass(frozen=True)
class LabelStudio(Format):
    """The columns are those of each task's data, and what was answered (choices, a number, a text) under the name of
    its question (`label`, where there is one question); where stretches are marked, `words` and `tags` (BIO). Of
    several annotations of a task the first that was not skipped counts.
    """

    def claim(self, path: Path, head: str) -> int:
        """Claims tasks with annotations and their results."""
        parts = ('"annotations"', '"result"', '"data"')
        return 3 if head.lstrip()[:1] in ("{", "[") and all(part in head for part in parts) else 0

    def read(self, path: Path, findings: Findings) -> Table:
        table = JsonlFormat().read(path, findings)
        try:
            rows = [(dict(task["data"]), _results(task)) for task in table.records]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path}: is not Label Studio's JSON ({error!r}); check the format") from error
        every = [one for _, results in rows for one in results or ()]
        asked = {one["from_name"] for one in every if any(kind in one["value"] for kind in _ANSWERS)}
        is_marked = any("labels" in one["value"] for one in every)
        records = []
        for (data, results), key in zip(rows, table.keys):
            if results is not None and is_marked:
                data = _tagged(data, results, key, findings)
            for name in asked:
                values = [one["value"] for one in results or () if one["from_name"] == name]
                said = (value[kind] for value in values for kind in _ANSWERS if kind in value)
                data["label" if len(asked) == 1 else name] = next(said, None)
            records.append(data)
        columns = tuple(dict.fromkeys(name for data in records for name in data))
        return Table(path, "Label Studio's JSON", columns, tuple(records), table.keys)


def _results(task: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """What was answered about a task; None if nobody did."""
    done = [one["result"] for one in task.get("annotations") or () if not one.get("was_cancelled")]
    return [one for one in done[0] if isinstance(one.get("value"), dict) and "from_name" in one] if done else None


def _tagged(data: Mapping[str, Any], results: list[dict[str, Any]], key: str, findings: Findings) -> dict[str, Any]:
    """A task's data with its longest text as words and tags."""
    name = max((name for name in data if isinstance(data[name], str)), key=lambda name: len(data[name]), default=None)
    if name is None:
        raise UserError(f"{key}: marks stretches, but its data holds no text; check the format")
    spans = [span_of(one["value"], data[name]) for one in results if "labels" in one["value"]]
    words, tags = tagged(data[name], [one for one in spans if one is not None], key, findings)
    return {"words": words, "tags": tags} | {other: data[other] for other in data if other != name}
