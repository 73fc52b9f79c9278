"""A study file of one's own, written from recipes or runs: each arm sets what differs from the first."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from afterbert.base.errors import UserError
from afterbert.base.tree import parse
from afterbert.recipes.recipe import Resolved, resolve
from afterbert.study.control import recipe_differences
from afterbert.study.design import is_name, study_of

_HEAD = """\
# Written by `afterbert study new`; docs/studies.md explains every line. Run it: afterbert study {file} --text MINE
"""


def new_study(name: str, sources: Sequence[str], *, question: str, smallest: float = 0.01) -> str:
    """Returns the text of a study file. sources: two or more recipes, by name or as YAML files, or run folders; the
    others are compared with the first. Raises UserError if they do not differ."""
    if len(sources) < 2:
        raise UserError("a study compares two or more; name them: afterbert study new NAME RECIPE_OR_RUN RECIPE_OR_RUN")
    resolved = [recipe_of(source) for source in sources]
    names = _names(sources)
    arms: dict[str, object] = {names[0]: {"recipe": _recipe(sources[0])}}
    for arm, source, one in zip(names[1:], sources[1:], resolved[1:]):
        found = recipe_differences(resolved[0], one)
        if not found:
            raise UserError(f"{sources[0]} and {source} have the same recipe; compare the runs by `afterbert compare`")
        arms[arm] = {"recipe": _recipe(source), "differs": _nodes(found)}
    study = {
        "question": question,
        "base": _recipe(sources[0]),
        "arms": arms,
        "decision": {"measure": "missing_word", "smallest": smallest},
        "expects": [f"{arm} > {names[0]}" for arm in names[1:]],
    }
    text = _HEAD.format(file=shlex.quote(f"{name}.yaml"))
    text += yaml.safe_dump(study, sort_keys=False, allow_unicode=True, width=110)
    study_of(parse(text, label=f"{name}.yaml"))
    return text


def recipe_of(source: str) -> Resolved:
    """Returns the recipe of this name, of a YAML file, or of a run folder. Raises UserError."""
    return resolve(_recipe(source))


def _recipe(source: str) -> str:
    recipe = Path(source) / "recipe.yaml"
    return str(recipe) if recipe.is_file() else source


def _names(sources: Sequence[str]) -> list[str]:
    """A name for each arm: the end of its path, numbered where two are alike."""
    paths = [Path(source).resolve().name.removesuffix(".yaml") for source in sources]
    short = ["".join(sign if is_name(sign) else "-" for sign in name) or "arm" for name in paths]
    return [name if short.count(name) == 1 else f"{name}-{number}" for number, name in enumerate(short, start=1)]


def _nodes(found: dict[str, tuple[object, object]]) -> list[str]:
    """The differing settings; of many in one node the node."""
    nodes: list[str] = []
    for path in found:
        parts = path.split(".")
        top = ".".join(parts[:2])
        many = sum(other.startswith(f"{top}.") for other in found) > 4
        node = top if many else path
        if node not in nodes:
            nodes.append(node)
    return nodes
