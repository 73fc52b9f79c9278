"""What a mixture is trained with: its members' heads on one backbone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from afterbert.models import Backbone, LanguageModel
from afterbert.objectives.mixture import Mixture
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.meaning import Meaning


class MixtureModule(ObjectiveModule):
    """Parts of the score: `name.part` of each member that the batch asks."""

    def __init__(self, config: Mixture, backbone: Backbone, members: dict[str, ObjectiveModule]):
        super().__init__()
        self.backbone = backbone
        heads = [member.saved_heads["lm_head"] for member in members.values() if "lm_head" in member.saved_heads]
        if heads:
            self.lm_head = heads[0]
            for member in members.values():
                member.use_lm_head(heads[0])
        self.members = nn.ModuleDict(members)
        poolings = [member.sentence_pooling for member in members.values()]
        self.sentence_pooling = next((pooling for pooling in poolings if pooling is not None), None)
        self.compares_rows = any(member.compares_rows for member in members.values())
        self.loss_weights = {
            f"{name}.{part}": weight * config.shares[name]
            for name, member in members.items()
            for part, weight in member.loss_weights.items()
        }

    @property
    def _each(self) -> Mapping[str, ObjectiveModule]:
        return cast(Mapping[str, ObjectiveModule], self.members)

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            f"{name}.{part}": score for name, member, own in self._asked(arrays) for part, score in member(own).items()
        }

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns the predictions of all members that the batch asks, as one line [N]."""
        return torch.cat([member.predict(own).flatten() for _, member, own in self._asked(arrays)])

    @property
    def language_model(self) -> LanguageModel | None:
        """The one that fills masks, where a member has taught it to."""
        models = [one for one in (member.language_model for member in self._each.values()) if one is not None]
        return max(models, key=lambda model: model.fills_masks, default=None)

    def meanings(self) -> Mapping[str, Meaning]:
        return {
            f"{name}.{key}": replace(one, title=f"{name}: {one.title}", beside=one.beside and f"{name}.{one.beside}")
            for name, member in self._each.items()
            for key, one in member.meanings().items()
        }

    def beside(self) -> Mapping[str, LanguageModel]:
        return {name: model for member in self._each.values() for name, model in member.beside().items()}

    def start_from(self, weights: Mapping[str, Mapping[str, Tensor]]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(note for member in self._each.values() for note in member.start_from(weights)))

    def before_passes(self, counts: Mapping[str, int]) -> None:
        for name, member in self._each.items():
            prefix = f"{name}."
            member.before_passes(
                {part.removeprefix(prefix): n for part, n in counts.items() if part.startswith(prefix)}
            )

    def measure(self, arrays: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        return {
            f"{name}.{measure}": found
            for name, member, own in self._asked(arrays)
            for measure, found in member.measure(own).items()
        }

    def _asked(self, arrays: Mapping[str, Tensor]) -> list[tuple[str, ObjectiveModule, dict[str, Tensor]]]:
        """The members this batch asks, each with its own arrays."""
        found = []
        for name, member in self._each.items():
            own = {key.removeprefix(f"{name}/"): array for key, array in arrays.items() if key.startswith(f"{name}/")}
            if own:
                found.append((name, member, own))
        return found
