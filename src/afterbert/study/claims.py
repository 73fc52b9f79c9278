"""The claims of the article behind this project, numbered as they come."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from afterbert.base.config import build
from afterbert.base.tree import Node, read

ARTICLE = '"What happens after BERT? Summarize those ideas behind" (December 2019)'


@dataclass(frozen=True)
class Claim:
    """says: in a sentence; why_not: why no run can test it, empty if one can."""

    says: str
    why_not: str = ""

    @property
    def is_testable(self) -> bool:
        return not self.why_not


@cache
def claims() -> Mapping[int, Claim]:
    """Returns number -> claim, in order."""
    path = Path(str(resources.files("afterbert.study") / "claims.yaml"))
    tree = read(path, label=path.name, ours=True)
    return {
        int(number): build(Claim, node if isinstance(node.value, dict) else Node({"says": node}, node.origin))
        for number, node in tree.value.items()
    }
