"""What a masked language model is trained with: the head at the chosen places, the boundary's, the pair question's."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from afterbert.models import Architecture, Backbone
from afterbert.nn.activations import ACTIVATIONS
from afterbert.nn.cross_entropy import linear_cross_entropy
from afterbert.nn.embeddings import table_of
from afterbert.nn.heads import Pooler
from afterbert.nn.inputs import Inputs
from afterbert.objectives.masked_lm import Boundary, MaskedLM
from afterbert.objectives.parts.language_model import LanguageModelModule
from afterbert.objectives.parts.meaning import Meaning
from afterbert.objectives.parts.questions import names_of
from afterbert.objectives.parts.scores import right, summed_cross_entropy
from afterbert.pretext.posed import RowLabels


class MaskedLMModule(LanguageModelModule):
    """Parts of the score: `masked`, `boundary`, and the pair question's name."""

    part = "masked"
    asks = "hidden pieces"
    fills_masks = True

    def __init__(self, config: MaskedLM, architecture: Architecture, backbone: Backbone):
        super().__init__(architecture, backbone, config.sampled_softmax)
        self.question = config.pretext.pairing.question if names_of(config.pretext, RowLabels) else None
        self.loss_weights = {"masked": 1.0}
        if self.question:
            self.loss_weights[self.question] = config.pair_loss_weight
            self.pooler = Pooler().build(architecture.hidden_size)
            self.pair_head = nn.Linear(architecture.hidden_size, 2)
        if config.boundary is not None:
            self.loss_weights["boundary"] = config.boundary.loss_weight
            self.boundary = BoundaryHead(config.boundary, architecture.hidden_size, table_of(backbone))
        for name, part in self.named_children():
            if name not in ("backbone", "lm_head", "sampler"):  # these have drawn their own weights
                architecture.initialization.apply(part, architecture.num_hidden_layers)

    def meanings(self) -> Mapping[str, Meaning]:
        found = dict(super().meanings())
        if self.question:
            asks = f"pair question {self.question.replace('_', ' ')}"
            found[self.question] = Meaning.of_choice(asks, 2, "row")
            found[f"{self.question}_accuracy"] = Meaning.share_right(asks, uniform=0.5)
        if "boundary" in self.loss_weights:
            size = len(self.backbone.embeddings.table.weight)
            found["boundary"] = Meaning.of_pieces("hidden pieces from the ends of their span", size)
        return found

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        states, targets = self._states(arrays), arrays["target_ids"]
        scores = {"masked": self.piece_score(states["chosen"], arrays)}
        if self.question:
            pair_logits = self._pair_logits(states["first"])
            scores[self.question] = summed_cross_entropy(pair_logits, arrays[f"{self.question}_labels"])
        if "boundary" in self.loss_weights:
            around = (states["left"], states["right"], arrays["boundary_place"])
            scores["boundary"] = self.boundary(*around, targets[arrays["boundary_asked"]])
        return scores

    def measure(self, arrays: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        states = self._states(arrays)
        told = Inputs.languages_at(arrays, arrays["chosen"])
        found = {"masked_accuracy": right(self.lm_head(states["chosen"], told), arrays["target_ids"])}
        if self.question:
            labels = arrays[f"{self.question}_labels"]
            found[f"{self.question}_accuracy"] = right(self._pair_logits(states["first"]), labels)
        return found

    def _states(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Hidden states [N, D] of the places that each question looks at, all from one pass."""
        places = {"chosen": arrays["chosen"]}
        if self.question:
            num_rows, width = arrays["input_ids"].shape
            places["first"] = torch.arange(num_rows, device=arrays["input_ids"].device) * width
        if "boundary" in self.loss_weights:
            places |= {"left": arrays["boundary_left"], "right": arrays["boundary_right"]}
        states = self.states(arrays, torch.cat(tuple(places.values())))
        return dict(zip(places, states.split([len(part) for part in places.values()])))

    def _pair_logits(self, first: Tensor) -> Tensor:
        """[B, 2] from the states [B, D] of the rows' first pieces."""
        return self.pair_head(self.pooler(first[:, None]))


class BoundaryHead(nn.Module):
    """From hidden states around the spans to the loss of naming what they hide."""

    def __init__(self, config: Boundary, hidden_size: int, token: nn.Embedding):
        super().__init__()
        vocab_size, table_width = token.weight.shape
        self.place = nn.Embedding(config.max_targets, config.position_size)
        nn.init.normal_(self.place.weight, std=0.02)
        self.hidden_matrices = {"first": 1, "second": 1}
        self.first = nn.Linear(2 * hidden_size + config.position_size, hidden_size)
        self.first_norm = nn.LayerNorm(hidden_size)
        self.second = nn.Linear(hidden_size, table_width)
        self.second_norm = nn.LayerNorm(table_width)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.activate = ACTIVATIONS["gelu"]
        self._tied = (token,)

    def forward(self, left: Tensor, right: Tensor, place: Tensor, targets: Tensor) -> Tensor:
        """Returns the summed cross-entropy at targets [M]. left, right: [M, D], states of both neighbours; place:
        [M]."""
        around = torch.cat((left, right, self.place(place)), dim=-1)
        inner = self.first_norm(self.activate(self.first(around)))
        inner = self.second_norm(self.activate(self.second(inner)))
        return linear_cross_entropy(inner, self._tied[0].weight, self.bias, targets)
