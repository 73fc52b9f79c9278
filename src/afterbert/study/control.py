"""The control check: what differs between arms is what they declare, down into lists, and nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from afterbert.base.config import differences, digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.tree import parse, scalar
from afterbert.recipes.files import sizes_of
from afterbert.recipes.recipe import Resolved, resolve
from afterbert.study.design import Arm, Study, StudyScale

# What names a recipe and decides nothing.
_LABELS = ("title", "paper")
# What the machinery itself lays over the arms: budgets are held equal in another way than by being the same number.
_OURS = ("training.budget", "training.evaluate_every", "training.seed", "training.keep_checkpoints")


@dataclass(frozen=True)
class ResolvedArm:
    """An arm with its whole recipe, and how that differs from the first arm's: path -> (there, here)."""

    name: str
    arm: Arm
    resolved: Resolved
    differences: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    beside: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """The same for what it declares beside its recipe: text, budget, how tasks are learned."""

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """All that differs from the first arm."""
        return {**self.differences, **self.beside}


def resolved_arms(study: Study, scale: StudyScale) -> dict[str, ResolvedArm]:
    """Returns the arms of a study at a scale as recipes. Raises UserError with all mistakes at once: an undeclared
    difference, arms that do not differ, a recipe that cannot be."""
    plain: dict[str, Resolved] = {}
    problems: list[str] = []
    for name, arm in study.arms.items():
        try:
            plain[name] = _resolved(study, scale, arm)
        except UserError as error:
            problems += [f"arm {name}: {line}" for line in error.lines]
    if problems:
        raise UserError(*problems)
    first = plain[study.reference]
    arms = {
        name: ResolvedArm(
            name,
            study.arms[name],
            found,
            recipe_differences(first, found),
            differences(_beside(study.arms[study.reference]), _beside(study.arms[name])),
        )
        for name, found in plain.items()
    }
    problems += _overruled("the study", first, study.set | scale.own)
    for one in arms.values():
        problems += _overruled(f"arm {one.name}", one.resolved, one.arm.set)
        problems += _undeclared(one, arms[study.reference])
    problems += _alike(arms)
    if problems:
        raise UserError(*problems)
    return arms


def recipe_differences(before: Resolved, after: Resolved) -> dict[str, tuple[Any, Any]]:
    """Returns path -> (before, after) for every setting that changes what two recipes compute."""
    found = differences(_deciding(before), _deciding(after))
    return {path: pair for path, pair in found.items() if not is_under(path, _OURS)}


def is_under(path: str, nodes: Iterable[str]) -> bool:
    """Returns whether a dotted path lies below one of others.

    >>> is_under("model.stack.sharing.type", ["model.stack"]), is_under("model.stacks", ["model.stack"])
    (True, False)
    """
    return any(path == node or path.startswith(f"{node}.") for node in nodes)


def shared_settings(study: Study, scale: StudyScale) -> dict[str, str]:
    """Returns what all arms set on top of the base recipe, at this scale."""
    return {**scale.set, **study.set, **scale.own}


def _resolved(study: Study, scale: StudyScale, arm: Arm) -> Resolved:
    settings, name = shared_settings(study, scale) | arm.set, arm.recipe or study.base
    size = scale.size if sizes_of(name) else None  # the recipe of a run has its own size and no others
    return resolve(name, size=size, overrides=list(settings.items()))


def _deciding(resolved: Resolved) -> dict[str, Any]:
    plain = to_plain(resolved.recipe)
    return {key: value for key, value in plain.items() if key not in _LABELS}


def _beside(arm: Arm) -> dict[str, Any]:
    """What an arm declares beside its recipe."""
    return {key: value for key, value in to_plain(arm).items() if key not in ("set", "recipe", "differs", "why")}


def _overruled(where: str, resolved: Resolved, settings: Mapping[str, str]) -> list[str]:
    """A line for each setting in whose place the machinery puts its own."""
    return [
        f"{where} sets {path}, which the scale decides for all arms; leave it out (`budget: 2` gives an arm twice the "
        "study's budget, and --seeds says how many seeds)"
        for path in _stated(resolved, settings)
        if is_under(path, _OURS)
    ]


def _undeclared(arm: ResolvedArm, first: ResolvedArm) -> list[str]:
    nodes = [*first.arm.differs, *arm.arm.differs]
    stated = [leaf for one in (first, arm) for leaf in _stated(one.resolved, one.arm.set)]
    return [
        f"arm {arm.name}: {path} is {after!r}, in {first.name} it is {before!r}, and no arm declares that; set it in "
        "the arm, or name the node under `differs`"
        for path, (before, after) in arm.differences.items()
        if not _is_declared(path, arm.differences, nodes, stated)
    ]


def _is_declared(path: str, found: Mapping[str, tuple[Any, Any]], nodes: list[str], stated: list[str]) -> bool:
    """A difference is declared where it is stated, where a whole node may differ, and where a setting is there at
    all only because a declared `type` brings it along."""
    if is_under(path, nodes) or any(path in (leaf, f"{leaf}.type") for leaf in stated):
        return True
    before, after = found[path]
    if before is not None and after is not None:
        return False
    if any(is_under(leaf, [path]) for leaf in stated):
        return True
    parts = path.split(".")
    kinds = [".".join([*parts[:count], "type"]) for count in range(1, len(parts))]
    return any(kind in found and kind != path and _is_declared(kind, found, nodes, stated) for kind in kinds)


def _stated(resolved: Resolved, settings: Mapping[str, str]) -> list[str]:
    """The paths of all leaves that are set, in full."""
    leaves: list[str] = []
    for key, written in settings.items():
        value = parse(written, label=key).plain if written[:1] in "[{" and written else scalar(written)
        for path in long_paths(resolved, key):
            leaves += _leaves(path, value)
    return leaves


def long_paths(resolved: Resolved, key: str) -> list[str]:
    """Returns the dotted paths that a short name of a recipe stands for; a path stands for itself."""
    short = next((name for name in resolved.names if key == name or key.startswith(f"{name}.")), None)
    if short is None:
        return [key]
    return [path + key.removeprefix(short) for path in resolved.names[short]]


def _leaves(path: str, value: Any) -> list[str]:
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        value = dict(enumerate(value))
    if isinstance(value, dict) and value:
        return [leaf for key, child in value.items() for leaf in _leaves(f"{path}.{key}", child)]
    return [path, *(f"{path}.{number}" for number in range(len(value)))] if isinstance(value, list) else [path]


def _alike(arms: Mapping[str, ResolvedArm]) -> list[str]:
    """A line for each arm that would be the same runs as an earlier one."""
    seen: dict[str, str] = {}
    lines = []
    for name, arm in arms.items():
        made_of = {path: after for path, (_, after) in arm.differences.items()}  # on top of the first
        other = seen.setdefault(digest([made_of, _beside(arm.arm)]), name)
        if other != name:
            lines.append(f"arms {other} and {name} are the same; let one of them set what it is about")
    return lines
