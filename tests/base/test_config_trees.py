"""Trees to frozen dataclasses: every mistake at once, each with its place and a remedy."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from afterbert.base.budget import Budget
from afterbert.base.config import build, differences, digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.tree import parse


@dataclass(frozen=True)
class Leaf:
    rate: Annotated[float, Field(ge=0, le=1)] = 0.15
    kind: Literal["plain", "gated"] = "plain"
    names: tuple[str, ...] = ()
    bias: bool = True
    limit: int | None = None

    def __post_init__(self):
        if self.kind == "gated" and self.bias:
            raise UserError("gated with bias is impossible; set bias: false")


@dataclass(frozen=True)
class Tree:
    width: Annotated[int, Field(gt=0)]
    leaf: Leaf = Leaf()
    budget: Budget = Budget(5, "steps")


def mistakes(text: str) -> list[str]:
    with pytest.raises(UserError) as refusal:
        build(Tree, parse(text, label="r.yaml"))
    return list(refusal.value.lines)


def test_all_mistakes_are_told_at_once_with_their_lines():
    text = "widht: 3\nleaf:\n  rate: 1.5\n  kind: gatd\n  bias: yes\n  limit: many\nbudget: 10\n"
    assert mistakes(text) == [
        "r.yaml:1: widht is not a setting; did you mean 'width'?",
        "r.yaml:3: leaf.rate is 1.5, must be less than or equal to 1",
        "r.yaml:4: leaf.kind is 'gatd', must be 'plain' or 'gated'",
        "r.yaml:5: leaf.bias is the word 'yes'; write true or false",
        "r.yaml:6: leaf.limit is 'many', must be a valid integer",
        "r.yaml:7: budget: budget '10' has no unit; write 10min, 2h, 500steps, 20Mtokens, 3epochs or 1e15flops",
        "r.yaml:1: width is missing; write it",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("width: 2\nleaf: {kind: gated}", "r.yaml:2: leaf: gated with bias is impossible; set bias: false"),
        ("width: true", "r.yaml:1: width is true, must be a whole number"),
        ("width: 2.5", "r.yaml:1: width is 2.5, must be a valid integer"),
        ("width: .inf", "r.yaml:1: width is '.inf', must be a valid integer"),
        ("width: 2\nleaf: 3", "r.yaml:2: leaf is 3, must be a mapping of settings"),
        ("width: 2\nleaf: {rate: [1]}", "r.yaml:2: leaf.rate is [1], must be a single value"),
        ("width: 2\nleaf: {names: a}", "r.yaml:2: leaf.names is 'a', must be a list of settings"),
        ("width: 2\nleaf: {names: null}", "r.yaml:2: leaf.names is None, must be a list of settings"),
        ("width: -1", "r.yaml:1: width is -1, must be greater than 0"),
    ],
)
def test_one_mistake_one_line(text, line):
    assert mistakes(text) == [line]


def test_values_arrive_with_their_types():
    made = build(Tree, parse("width: 2\nleaf: {rate: 1, names: [a, b], limit: null}\nbudget: 10min", label="r"))
    assert made == Tree(2, Leaf(rate=1.0, names=("a", "b")), Budget(600, "seconds"))
    assert isinstance(made.leaf.rate, float)


@given(st.integers(1, 9), st.floats(0, 1), st.booleans(), st.lists(st.text("ab", max_size=3), max_size=3))
def test_plain_and_back(width, rate, bias, names):
    import yaml

    tree = Tree(width, Leaf(rate=rate, bias=bias, names=tuple(names)), Budget(width, "epochs"))
    assert build(Tree, parse(yaml.safe_dump(to_plain(tree)), label="r")) == tree


def test_digest_tells_configs_apart():
    assert digest(Tree(2)) == digest(Tree(2)) != digest(Tree(3))
    assert differences(to_plain(Tree(2)), to_plain(Tree(3))) == {"width": (2, 3)}


def test_differences_name_each_item_of_a_list_by_its_number():
    before = {"edits": [{"selection": {"rate": 0.15, "unit": "piece"}}, {"corruption": "mask"}], "kinds": ["a"]}
    after = {"edits": [{"selection": {"rate": 0.4, "unit": "word"}}, {"corruption": "mask"}], "kinds": ["a", "b"]}
    assert differences(before, after) == {
        "edits.0.selection.rate": (0.15, 0.4),
        "edits.0.selection.unit": ("piece", "word"),
        "kinds.1": (None, "b"),
    }
    assert differences(after, before)["kinds.1"] == ("b", None)
