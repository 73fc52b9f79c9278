"""Families whose config.json is a table: a word of theirs for each setting of ours, around a form that stays."""

from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any, ClassVar, cast

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family, ids_of, refuse_unless
from afterbert.interop.families._names import activation, unshared
from afterbert.interop.heads import shapes_of
from afterbert.interop.sizes import Keys
from afterbert.interop.weights import Names, Weight, layer_lines, lines
from afterbert.models import Architecture
from afterbert.nn.sharing import SharingPlan


class Tabled(Family):
    """One table, read in both directions. What a table cannot say, a family adds to the methods."""

    form: ClassVar[Architecture]
    """What the family computes where the table says nothing else."""
    keys: ClassVar[Keys]
    """A dotted setting of ours -> their word and its default. Where two have one word, the last is written."""
    written: ClassVar[Keys] = {}
    """The same for what is written but not read, since it matters in training only."""
    only: ClassVar[Mapping[str, Any]] = {"tie_word_embeddings": True}
    """What their config must say, which it also means where it leaves it out: what we have in one way only."""
    says: ClassVar[Mapping[str, Any]] = {"tie_word_embeddings": True}
    """What is always written."""
    modules: ClassVar[Names]
    """A layer of our backbone, outside of stacks -> theirs inside `prefix`. What a model lacks has no line."""
    stacks: ClassVar[Mapping[str, str]]
    """A stack of ours -> how they begin the names of its layers inside `prefix`, where `{i}` is the number."""
    heads: ClassVar[Names] = {}
    """A layer of a head of ours, which may be a bias alone -> theirs."""
    parts: ClassVar[Names]
    """A part of a layer of ours -> theirs behind that beginning."""
    transposed: ClassVar[bool] = False
    """Whether the matrices of their layers stand the other way round."""

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ours = self.normal_form(architecture)
        words = [*self.written.items(), *self.keys.items()]
        said = {theirs: _setting(ours, name, default) for name, (theirs, default) in words}
        return {**ids_of(vocabulary), **self.says, **said, "vocab_size": ours.table_size(vocabulary)}

    def architecture_of(self, config: Config) -> Any:
        for key, value in self.only.items():
            refuse_unless(config, key, value)
        said: dict[str, Any] = {}
        for name, (theirs, default) in self.keys.items():
            is_activation = name.endswith("activation")
            said[name] = activation(config, theirs, default) if is_activation else config.get(theirs, default)
        return laid_over(self.form, said)

    def normal_form(self, architecture: Architecture) -> Any:
        ours = self.as_ours(architecture)
        # of a head without transform, the size of its missing dense layer does not matter
        bare = replace(ours.lm_head, activation="gelu", bias=True)
        return replace(ours, stack=unshared(ours.stack), lm_head=ours.lm_head if ours.lm_head.has_transform else bare)

    def weights(self, config: Config, architecture: Architecture) -> list[Weight]:
        held, table, ours = shapes_of(architecture), [], self.as_ours(architecture)
        for name, theirs in self.modules.items():
            before = self.rows_before(config) if name.endswith(".position") else 0
            table += lines(f"backbone.{name}", f"{self.prefix}{theirs}", held, rows_before=before)
        for name, theirs in self.heads.items():
            table += lines(name, theirs, held)
        for stack, begin in self.stacks.items():
            sizes = ours.decoder_sizes if stack == "decoder_stack" else ours.sizes
            plan = self.plan_of(ours.stack.sharing.plan(sizes.num_hidden_layers))
            named = f"backbone.{stack}.", plan, self.prefix + begin, self.parts_of(ours, stack)
            table += layer_lines(*named, held, transposed=self.transposed)
        return table

    def rows_before(self, config: Config) -> int:
        """Returns the number of rows of the family's position tables that nobody reads."""
        return 0

    def plan_of(self, plan: SharingPlan) -> SharingPlan:
        """Returns which weights of the family's layers are shared, where ours are shared so."""
        return plan

    def parts_of(self, ours: Any, stack: str) -> Names:
        """Returns the names of the parts of this stack's layers."""
        return self.parts

    def as_ours(self, architecture: Architecture) -> Any:
        """Returns the architecture. Raises UserError if it is of another kind than the family's."""
        if not isinstance(architecture, type(self.form)):
            ours, theirs = name_of(architecture), name_of(self.form)
            raise UserError(f"Hugging Face's {self.model_type} is of type {theirs}; this model is of type {ours}")
        return architecture


def laid_over(form: Any, said: Mapping[str, Any]) -> Any:
    """Returns the form with these values in its dotted settings.

    >>> from afterbert.models.encoder import Encoder
    >>> laid_over(Encoder(), {"norm.eps": 1e-5, "hidden_size": 64}).norm
    LayerNorm(eps=1e-05, bias=True)
    """
    nodes: dict[str, dict[str, Any]] = {}
    for name, value in said.items():
        node, _, rest = name.partition(".")
        nodes.setdefault(node, {})[rest] = value
    found = {node: own[""] if "" in own else laid_over(getattr(form, node), own) for node, own in nodes.items()}
    return replace(cast(Any, form), **found)


def _setting(ours: Architecture, name: str, default: Any) -> Any:
    """The value of a dotted setting; the default where the model has no such setting."""
    try:
        return attrgetter(name)(ours)
    except AttributeError:
        return default
