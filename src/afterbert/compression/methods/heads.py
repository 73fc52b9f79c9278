"""Attention heads that matter least to the task are removed, weights and all.

Source: Michel et al. (1905.10650), Sections 3.2 and 4.1: importance by the gradient of a gate, normalised within each
layer. One head of each layer always stays, so that its attention still mixes something.
"""

from dataclasses import dataclass, replace

from afterbert.base.errors import UserError
from afterbert.compression.methods import Setting
from afterbert.compression.methods._by_importance import ByImportance
from afterbert.compression.parts.importance import scores_by_chance, scores_of, without_lowest
from afterbert.compression.parts.shapes import reshaped, without_heads
from afterbert.compression.subject import Form, Subject


@dataclass(frozen=True)
class Heads(ByImportance):
    """Removes attention heads, the least important first."""

    def check(self, form: Form) -> Form:
        after = self.reshaped(form)
        total = sum(after.shape(layer).num_attention_heads or 0 for layer in range(after.num_hidden_layers))
        if round(self.share * total) > total - after.num_hidden_layers:
            raise UserError(
                f"heads: a share of {self.share:g} is {round(self.share * total)} of {total} heads, which leaves a "
                "layer without any; take less"
            )
        # refuses positions that heads share
        replace(after, layers=tuple(replace(shape, num_attention_heads=1) for shape in after.layers))
        return replace(form, architecture=after, lost_heads=form.lost_heads or round(self.share * total) > 0)

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        architecture = reshaped(subject.model.architecture, "heads")
        layers = range(architecture.num_hidden_layers)
        counts = [architecture.shape(layer).num_attention_heads or 0 for layer in layers]
        num_removed = round(self.share * sum(counts))
        if not num_removed:
            return subject
        if self.by == "chance":
            scores = scores_by_chance(setting, "heads", counts)
        else:
            found = scores_of(subject, setting, "attention", width=architecture.head_size)
            scores = [one / one.norm().clamp_min(1e-12) for one in found]
        kept = without_lowest(scores, num_removed)
        state = dict(subject.backbone)
        for layer in layers:
            if len(kept[layer]) < counts[layer]:
                state = without_heads(state, layer, kept[layer].tolist(), architecture.head_size)
        shapes = tuple(
            replace(shape, num_attention_heads=len(kept[layer])) for layer, shape in enumerate(architecture.layers)
        )
        return subject.changed(replace(architecture, layers=shapes), state, family="")
