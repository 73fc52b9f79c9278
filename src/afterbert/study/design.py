"""What a study file says: a question, arms that differ in what they declare, and the rule that answers it."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import Field

from afterbert.base.budget import Budget
from afterbert.base.config import build
from afterbert.base.errors import UserError, did_you_mean, near_file, shown
from afterbert.base.mixing import Mixing
from afterbert.base.plugins import names
from afterbert.base.tree import Node, in_yaml, merge, read
from afterbert.compression.chain import parse as parse_method
from afterbert.downstream.cues import Cue
from afterbert.downstream.strategies import Strategy
from afterbert.study.claims import claims as known_claims
from afterbert.study.measures import Measure

_FOLDER = "afterbert.study"
_SAYS = re.compile(r"\s*([^\s<>=]+)\s*(>=|>|=)\s*([^\s<>=]+)\s*")
# A vowel sign of Hindi or Thai is a mark, no letter, and some words have a joiner between theirs.
_OF_NAMES, _SIGNS = "LMN", ".+-_\u200c\u200d"

Relation = Literal[">", ">=", "="]


@dataclass(frozen=True)
class Tuning:
    """How labelled tasks are learned from a finished run."""

    strategy: Strategy | None = None
    """How one fine-tuning learns all tasks (docs/many-tasks.md); None: a model for each task."""
    reads_text: bool = False
    """Whether the study's text is one more source for a strategy."""
    recipe: str | None = None
    """A paper's settings of fine-tuning."""
    set: dict[str, str] = field(default_factory=dict)
    """Settings of fine-tuning, on top of the scale's."""
    share: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Epochs, as a share of the scale's."""


@dataclass(frozen=True)
class Arm:
    """One way to do it. Everything that it does not declare is as in every other arm."""

    set: dict[str, str] = field(default_factory=dict)
    """Dotted path or short name of a setting -> its value, as YAML writes it."""
    recipe: str | None = None
    """Another recipe than the study's base."""
    differs: tuple[str, ...] = ()
    """Nodes that may differ as a whole, where an arm takes another recipe."""
    budget: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Its share of the study's budget."""
    text: str | None = None
    """Which of the texts it reads, where the study names several."""
    mixing: Mixing | None = None
    """How often each language of the text is read; None: as the store says."""
    is_pretrained: bool = True
    """False: no pre-training at all; tasks are learned by random weights of the first arm's model."""
    finetune: Tuning = Tuning()
    """How tasks are learned. In a file, what the study says under `finetune` holds where the arm says nothing."""
    compress: tuple[str, ...] = ()
    """Methods that then make each task's model smaller, as `compress --with` takes them."""
    cue: Cue | None = None
    """How tasks are told to a model that writes, in place of being learned."""
    is_told: bool = True
    """False: the cue's own words are left out, the control."""
    ensemble: Annotated[int, Field(ge=1, le=100)] = 1
    """So many runs of other seeds answer as one, by the mean of their logits."""
    shares_model: bool = False
    """Whether the members of an ensemble are fine-tunings of one pre-trained model."""
    why: str = ""
    """A remark for the reader."""

    def __post_init__(self) -> None:
        for method in self.compress:
            parse_method(method)
        if self.compress and self.finetune.strategy is not None:
            raise UserError("compress makes models of one task smaller; leave finetune.strategy out")
        if (self.compress or self.cue) and self.ensemble > 1:
            raise UserError("an ensemble is one of fine-tuned models; leave compress and cue out")
        if self.compress and self.cue is not None:
            raise UserError("compress is of fine-tuned models, and a cue takes the place of fine-tuning; keep one")
        if not self.is_told and self.cue is None:
            raise UserError("is_told is of a cue; name one: cue: candidates, or leave is_told out")
        if not self.is_pretrained and (self.set or self.recipe or self.mixing is not None or self.budget != 1):
            raise UserError(
                "is_pretrained: false takes the first arm's model with random weights, so set, recipe, mixing and "
                "budget would have no effect; leave them out"
            )
        if self.shares_model and self.ensemble == 1:
            raise UserError("shares_model is for an ensemble; write how many fine-tunings answer together: ensemble: 4")
        if self.ensemble > 1 and not self.is_pretrained:
            raise UserError("an ensemble is one of pre-trained models; leave is_pretrained out")

    @property
    def models(self) -> int:
        """How many models are pre-trained for each seed."""
        return 1 if self.shares_model else self.ensemble


@dataclass(frozen=True)
class Expectation:
    """A claim about two arms, such as `word > piece`.

    says: `>` is better; `=` is equal within the smallest effect of interest; `>=` is no worse by more than that.
    claims: the article's claims that it speaks for; None where it does not say, and then the study's.
    """

    says: str
    claims: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not _SAYS.fullmatch(self.says):
            raise UserError(f"says is '{self.says}'; write ARM > ARM, ARM >= ARM or ARM = ARM")
        if self.parts[0] == self.parts[2]:
            raise UserError(f"says is '{self.says}', an arm against itself; name two arms")
        _check_claims(self.claims or ())

    @property
    def parts(self) -> tuple[str, Relation, str]:
        """
        >>> Expectation("word > piece").parts
        ('word', '>', 'piece')
        """
        found = _SAYS.fullmatch(self.says)
        assert found
        return found[1], cast(Relation, found[2]), found[3]


@dataclass(frozen=True)
class Decision:
    """The rule. measure: the name of a measure, on which the verdict rests. smallest: the smallest effect of interest,
    in the measure's own unit (0.01 of a share is one point)."""

    measure: str
    smallest: Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class Published:
    """The figures that a paper reported, laid beside the study. rows: name -> values, aligned with the columns."""

    paper: str
    where: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[float | None, ...]]
    finding: str
    setup: str = ""

    def __post_init__(self) -> None:
        for name, row in self.rows.items():
            if len(row) != len(self.columns):
                raise UserError(f"row '{name}' has {len(row)} values for {len(self.columns)} columns")


@dataclass(frozen=True)
class StudyScale:
    """The size of the runs. The first four fields are settings of recipes or of fine-tuning, as `Arm.set`."""

    about: str
    budget: Budget
    """Of the first arm, in tokens; what is held equal in the others follows from it."""
    seeds: Annotated[int, Field(ge=1, le=1000)]
    size: str | None = None
    """One of the recipes' sizes."""
    set: dict[str, str] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)
    """What a study sets otherwise at this scale, on top of its own `set`."""
    finetune: dict[str, str] = field(default_factory=dict)
    epochs: Annotated[float, Field(gt=0)] = 3.0
    """Of fine-tuning on each labelled task."""
    evaluations: Annotated[int, Field(ge=1)] = 10
    """How often a run is measured on its way, evenly spaced: the points of its curve."""

    def __post_init__(self) -> None:
        if self.budget.unit != "tokens":
            raise UserError(f"budget is {self.budget}, must be in tokens; write 2Mtokens")


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study file, read."""

    question: str
    claims: tuple[int, ...] = ()
    base: str = "laptop"
    set: dict[str, str] = field(default_factory=dict)
    """Settings that all arms share, on top of the base recipe."""
    arms: dict[str, Arm]
    """The first one is what the others are compared with."""
    hold: Literal["tokens", "flops", "seconds"] = "tokens"
    """What is equal in all arms; the other two are recorded."""
    measures: tuple[str, ...] = ("missing_word", "masked_accuracy", "bits_per_byte", "word_order", "word_fit")
    decision: Decision
    expects: tuple[Expectation, ...] = ()
    favours: dict[str, str] = field(default_factory=dict)
    """Measure -> which arm it favours by construction, and why."""
    search: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Factors of the learning rate that each arm tries before its runs, in a quarter of the budget; none: no search."""
    needs_tasks: bool = False
    """Whether labelled tasks are part of the question."""
    needs_translations: bool = False
    """Whether the text must hold translations, and others be named that are to be found (`--parallel`)."""
    texts: tuple[str, ...] = ()
    """Names of texts, of which each arm reads one (`--text NAME=PATH`); none: all arms read the same."""
    needs_planes: tuple[str, ...] = ()
    """Annotations that the store must hold, such as phrase."""
    least_epochs: float = 0
    """How often the text must be read at least for the arms to differ; the smallest scale, which answers nothing, is
    let off."""
    published: Published | None = None
    notes: tuple[str, ...] = ()
    scales: dict[str, dict[str, str]] = field(default_factory=dict)
    """Scale -> what this study sets otherwise there, on top of `set`."""

    def __post_init__(self) -> None:
        wrong = [name for name in self.arms if not is_name(name)]
        if wrong:
            raise UserError(f"arm '{wrong[0]}': a name holds letters, digits and . + - _")
        if len(self.arms) < 2:
            raise UserError(f"has {len(self.arms)} arms; a comparison needs two or more")
        if not next(iter(self.arms.values())).is_pretrained:
            raise UserError("the first arm must be pre-trained: it says which model the others start from")
        for label, one in self.arms.items():
            if (one.text or None) not in (self.texts or (None,)):
                raise UserError(f"arm '{label}' reads the text {one.text}; the study's texts are {list(self.texts)}")
            is_of_tasks = one.ensemble > 1 or one.compress or one.cue or not one.is_pretrained
            if (is_of_tasks or one.finetune != self.arms[self.reference].finetune) and not self.needs_tasks:
                raise UserError(f"arm '{label}' is asked about labelled tasks; add `needs_tasks: true`")
        for expectation in self.expects:
            for arm in (expectation.parts[0], expectation.parts[2]):
                if arm not in self.arms:
                    raise UserError(f"expects '{expectation.says}': {did_you_mean(arm, list(self.arms))}")
        said = ["".join(expectation.parts) for expectation in self.expects]
        if len(set(said)) < len(said):
            raise UserError("expects says the same twice; keep one of them")
        _check_claims(self.claims)
        for scale in self.scales:
            if scale not in (known := _scale_nodes()):
                raise UserError(f"scales: no scale is called '{scale}'; {did_you_mean(scale, list(known))}")
        for measure in (*self.measures, self.decision.measure, *self.favours):
            if measure not in names(Measure):
                raise UserError(f"no measure is called '{measure}'; {did_you_mean(measure, names(Measure))}")
        if self.decision.measure not in self.measures:
            raise UserError(f"decides by {self.decision.measure}, which is not among its measures; add it")

    @property
    def reference(self) -> str:
        """The arm that the others are compared with."""
        return next(iter(self.arms))

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """What is expected; where nothing is, that each arm differs from none."""
        told = ((one.says, self.claims if one.claims is None else one.claims) for one in self.expects)
        return tuple(Expectation(*one) for one in told) or tuple(
            Expectation(f"{arm} > {self.reference}", self.claims) for arm in self.arms if arm != self.reference
        )


def known_studies() -> list[str]:
    """Returns the names of the studies that afterbert brings along."""
    found = (entry.name for entry in (resources.files(_FOLDER) / "studies").iterdir())
    return sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))


def read_study(name: str) -> tuple[str, Study]:
    """Returns the name and content of a study of afterbert, or of a YAML file. Raises UserError."""
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            cure = near_file(name, "check the path, or see `afterbert study list`")
            raise UserError(f"study file {name} does not exist; {cure}")
        return Path(name).stem, study_of(read(Path(name), label=name))
    if name not in known_studies():
        raise UserError(f"no study is called '{name}'; {did_you_mean(name, known_studies())}")
    path = Path(str(resources.files(_FOLDER) / "studies" / f"{name}.yaml"))
    return name, study_of(read(path, label=path.name))


def study_of(tree: Node) -> Study:
    """Returns a study from its tree. Raises UserError with every mistake and its place."""
    if not isinstance(tree.value, dict):
        raise UserError(f"{tree.origin}: a study is a mapping; see docs/studies.md")
    values = _settings_as_written(dict(tree.value))
    shared = _tuning(values.pop("finetune", Node({}, tree.origin)))
    if not isinstance(shared.value, dict):
        raise UserError(f"{shared.origin}: finetune is {shown(shared.value)}, must be a mapping of settings")

    def arm(node: Node) -> Node:
        return _arm(node, shared)

    for key, changed in (("arms", arm), ("expects", _expectation), ("scales", _written)):
        node = values.get(key)
        if node is not None and isinstance(node.value, dict):
            values[key] = Node({name: changed(one) for name, one in node.value.items()}, node.origin)
        elif node is not None and isinstance(node.value, list):
            values[key] = Node([changed(one) for one in node.value], node.origin)
    return build(Study, Node(values, tree.origin), path="")


def scales() -> Mapping[str, StudyScale]:
    """Returns the scales, smallest first."""
    return {name: _scale(node) for name, node in _scale_nodes().items()}


def scale_for(study: Study, name: str, *, seeds: int | None = None, tokens: float | None = None) -> StudyScale:
    """Returns the scale of this name, with the changes that the study and the caller ask for. Raises UserError."""
    nodes = _scale_nodes()
    if name not in nodes:
        raise UserError(f"no scale is called '{name}'; {did_you_mean(name, list(nodes))}")
    found: dict[str, Node] = {}
    if seeds is not None:
        found["seeds"] = Node(seeds, "--seeds")
    if tokens is not None:
        found["budget"] = Node(str(Budget(float(round(tokens)), "tokens")), "--budget")
    own = study.scales.get(name, {})
    if own:
        found["own"] = Node({key: Node(value, "study") for key, value in own.items()}, "study")
    return _scale(merge(nodes[name], Node(found, "asked")))


def is_name(text: str) -> bool:
    """Returns whether an arm may be called so.

    >>> [is_name(text) for text in ("bert+mlm", "हिन्दी", "เร็ว", "a b", "")]
    [True, True, True, False, False]
    """
    return bool(text) and all(sign in _SIGNS or unicodedata.category(sign)[0] in _OF_NAMES for sign in text)


def _check_claims(claims: tuple[int, ...]) -> None:
    unknown = [number for number in claims if number not in known_claims()]
    if unknown:
        raise UserError(f"claims has {unknown[0]}; the article's claims are 1 to {max(known_claims())}")


def _arm(node: Node, finetune: Node) -> Node:
    """An arm with the study's fine-tuning below its own."""
    if not isinstance(node.value or {}, dict):
        return node
    values = _settings_as_written(dict(node.value or {}))
    values["finetune"] = merge(finetune, _tuning(values.get("finetune", Node({}, node.origin))))
    return Node(values, node.origin)


def _tuning(node: Node) -> Node:
    return Node(_settings_as_written(dict(node.value)), node.origin) if isinstance(node.value, dict) else node


def _expectation(node: Node) -> Node:
    return node if isinstance(node.value, dict) else Node({"says": node}, node.origin)


def _scale_nodes() -> dict[str, Node]:
    path = Path(str(resources.files(_FOLDER) / "scales.yaml"))
    return read(path, label=path.name).value


def _scale(node: Node) -> StudyScale:
    return build(StudyScale, Node(_settings_as_written(dict(node.value), "own", "finetune"), node.origin))


def _settings_as_written(values: dict[str, Node], *others: str) -> dict[str, Node]:
    """Settings of recipes and of fine-tuning stay text here, for these read them themselves."""
    for key in ("set", *others):
        if key in values and isinstance(values[key].value, dict):
            values[key] = _written(values[key])
    return values


def _written(node: Node) -> Node:
    if not isinstance(node.value, dict):
        return node
    return Node({key: Node(in_yaml(child.plain), child.origin) for key, child in node.value.items()}, node.origin)
