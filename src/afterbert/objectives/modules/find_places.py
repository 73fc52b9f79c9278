"""What finding places is trained with: a yes or no at each place, a pointer into the row."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from afterbert.models import Architecture, Backbone
from afterbert.nn.inputs import Inputs
from afterbert.objectives.find_places import FindPlaces
from afterbert.objectives.heads.detection import DetectionHead
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.meaning import SHARE, Meaning
from afterbert.objectives.parts.questions import names_of
from afterbert.objectives.parts.scores import right, summed_binary, summed_cross_entropy
from afterbert.pretext.posed import Places, Pointers


class FindPlacesModule(ObjectiveModule):
    """Parts of the score: the names of the pretext's answers."""

    def __init__(self, config: FindPlaces, architecture: Architecture, backbone: Backbone):
        super().__init__()
        self.backbone = backbone
        size = architecture.hidden_size
        self.places = nn.ModuleDict({name: DetectionHead(size) for name in names_of(config.pretext, Places)})
        self.pointers = nn.ModuleDict({name: PointerHead(size) for name in names_of(config.pretext, Pointers)})
        for heads in (self.places, self.pointers):
            architecture.initialization.apply(heads, architecture.num_hidden_layers)
        self.loss_weights = dict.fromkeys([*self.places, *self.pointers], 1.0)

    def meanings(self) -> Mapping[str, Meaning]:
        found = {}
        for name in self.loss_weights:
            asks = name.replace("_", " ")
            is_place = name in self.places
            loss = Meaning.of_choice(asks, 2, "piece") if is_place else Meaning(f"{asks}, loss", "nats per pointer")
            found[name] = loss
            found[f"{name}_accuracy"] = Meaning.share_right(asks, beside=f"{name}_baseline")
            found[f"{name}_baseline"] = Meaning(f"{asks}, {'always no' if is_place else 'a blind choice'}", SHARE)
        return found

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        logits = self.answers(arrays)
        places = {name: summed_binary(logits[name], arrays[f"{name}_labels"]) for name in self.places}
        pointers = {name: summed_cross_entropy(logits[name], arrays[f"{name}_to"]) for name in self.pointers}
        return places | pointers

    def answers(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns question -> logits [N] of "yes" at the asked pieces, or logits [N, T] over the places of the row."""
        hidden = self.backbone(arrays["input_ids"], **Inputs.of(arrays).beside_ids())
        flat = hidden.flatten(0, 1)
        found = {name: head(flat[arrays[f"{name}_at"]]) for name, head in self.places.items()}
        for name, head in self.pointers.items():
            found[name] = head(hidden, arrays[f"{name}_from"], arrays[f"{name}_candidates"])
        return found

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns all answers as one line [N], question by question."""
        return torch.cat([logits.flatten() for logits in self.answers(arrays).values()])

    def measure(self, arrays: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        found = {}
        for name, logits in self.answers(arrays).items():
            if name in self.places:
                labels = arrays[f"{name}_labels"]
                found[f"{name}_accuracy"] = (((logits > 0) == labels).sum(), len(labels))
                found[f"{name}_baseline"] = ((labels == 0).sum(), len(labels))
            else:
                candidates = arrays[f"{name}_candidates"].sum(-1)
                row = arrays[f"{name}_from"] // arrays["input_ids"].shape[1]
                found[f"{name}_accuracy"] = right(logits, arrays[f"{name}_to"])
                found[f"{name}_baseline"] = ((1.0 / candidates[row]).sum(), len(row))
        return found


class PointerHead(nn.Module):
    """From hidden states [B, T, D], flat places [N] and candidates [B, T] to logits [N, T]: the places of the
    row, those that are no candidates at the lowest number."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.hidden_matrices = {"query": 1, "key": 1}
        self.query, self.key = nn.Linear(hidden_size, hidden_size), nn.Linear(hidden_size, hidden_size)
        self.scale = hidden_size**-0.5

    def forward(self, hidden: Tensor, places: Tensor, is_candidate: Tensor) -> Tensor:
        scores = (self.query(hidden) * self.scale) @ self.key(hidden).transpose(1, 2)
        scores = scores.float().masked_fill(~is_candidate[:, None], float("-inf"))
        return scores.flatten(0, 1)[places]
