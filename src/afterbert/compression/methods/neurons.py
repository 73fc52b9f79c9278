"""Feed-forward neurons that matter least to the task are removed, weights and all.

Source: first-order importance, Molchanov et al. (1611.06440), Equation 7, as Michel et al. (1905.10650) take it for
heads. Each layer loses as many by default, so that a Hugging Face family still computes the model.
"""

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.compression.methods import Setting
from afterbert.compression.methods._by_importance import ByImportance
from afterbert.compression.parts.importance import scores_by_chance, scores_of, without_lowest
from afterbert.compression.parts.shapes import is_gated, plainest, reshaped, without_neurons
from afterbert.compression.subject import Form, Subject


@dataclass(frozen=True)
class Neurons(ByImportance):
    """Removes feed-forward neurons, the least important first."""

    within: Literal["layer", "model"] = "layer"
    """Whether each layer loses its share, or those go that matter least anywhere, which leaves layers of their own
    sizes."""

    def check(self, form: Form) -> Form:
        after = self.reshaped(form)
        for layer in range(after.num_hidden_layers):
            have = after.shape(layer).intermediate_size or 0
            if round(self.share * have) >= have:
                raise UserError(f"neurons: a share of {self.share:g} leaves none of {have}; take less")
        return replace(form, architecture=after)

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        architecture = reshaped(subject.model.architecture, "neurons")
        layers = range(architecture.num_hidden_layers)
        counts = [architecture.shape(layer).intermediate_size or 0 for layer in layers]
        kept = self._kept(self._scores(subject, setting, counts)) if self.share else []
        if all(len(one) == count for one, count in zip(kept, counts)):
            return subject
        state = dict(subject.backbone)
        for layer in layers:
            state = without_neurons(state, layer, kept[layer], is_gated=is_gated(architecture))
        shapes = tuple(
            replace(shape, intermediate_size=len(kept[layer])) for layer, shape in enumerate(architecture.layers)
        )
        after = plainest(replace(architecture, layers=shapes))
        is_familiar = not hasattr(after, "layers")
        return subject.changed(after, state, family=subject.model.family if is_familiar else "")

    def _kept(self, scores: list[Tensor]) -> list[Tensor]:
        """The numbers of the neurons of each layer that stay."""
        if self.within == "layer":
            return [one.argsort(descending=True)[: len(one) - round(self.share * len(one))].sort()[0] for one in scores]
        return without_lowest(scores, round(self.share * sum(map(len, scores))))

    def _scores(self, subject: Subject, setting: Setting, counts: list[int]) -> list[Tensor]:
        """The importance [I] of the neurons of each layer."""
        if self.by == "chance":
            return scores_by_chance(setting, "neurons", counts)
        return scores_of(subject, setting, "feed_forward", width=1)
