"""Texts with marked stretches as JSON: doccano's export, spaCy's and Prodigy's, Label Studio's short one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.formats._spans import span_of, tagged
from afterbert.downstream.formats.jsonl import JsonlFormat

_TEXTS = ("text", "data", "content", "sentence", "meta_text")
_TRIPLE = r'\[\s*\d+\s*,\s*\d+\s*,\s*"'
_OBJECT = r'\{[^{}\[\]]*"(?:start|start_offset)"\s*:\s*\d+'
_MARKED = re.compile(rf'"(?:label|labels|entities|spans)"\s*:\s*\[\s*(?:{_TRIPLE}|{_OBJECT})')


@dataclass(frozen=True)
class Spans(Format):
    """Stretches are [begin, end, type] or objects with these, in characters. The columns are `words` and `tags` (BIO),
    and what else the rows hold."""

    def claim(self, path: Path, head: str) -> int:
        """Claims JSON in which some row has a marked stretch."""
        return 3 if head.lstrip()[:1] in ("{", "[") and _MARKED.search(head) else 0

    def read(self, path: Path, findings: Findings) -> Table:
        """Returns words and tags of each row; no tags where nothing says which stretches are marked. Raises UserError
        if no column holds a text or marked stretches."""
        table = JsonlFormat().read(path, findings)
        texts = [name for name in (*_TEXTS, *table.columns) if isinstance(_any(table, name), str)]
        marked = [name for name in table.columns if _is_marked(table, name)]
        if not texts or not marked:
            raise UserError(f"{path}: no column holds a text, or none marks stretches of it; check the format")
        text, stretches = texts[0], marked[0]
        others = tuple(name for name in table.columns if name not in (text, *marked))
        records = []
        for record, key in zip(table.records, table.keys):
            whole, written = str(record.get(text) or ""), record.get(stretches)
            spans = [span_of(one, whole) for one in written or ()]
            if None in spans:
                findings.add("marked stretches that say no begin, end and type (left out)", key)
            words, tags = tagged(whole, [one for one in spans if one is not None], key, findings)
            kept = {name: record.get(name) for name in others}
            records.append({"words": words, "tags": None if written is None else tags, **kept})
        return Table(path, "json with marked stretches", ("words", "tags", *others), tuple(records), table.keys)


def _any(table: Table, name: str) -> Any:
    return next((value for value in table.column(name) if value not in (None, "", [])), None)


def _is_marked(table: Table, name: str) -> bool:
    value = _any(table, name)
    one = value[0] if isinstance(value, list) else None
    return isinstance(one, (list, Mapping)) and span_of(one, "") is not None
