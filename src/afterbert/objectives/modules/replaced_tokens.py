"""What ELECTRA is trained with: the generator, its head, and the detector over the backbone."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Backbone, LanguageModel
from afterbert.models.encoder import Encoder
from afterbert.nn.embeddings import EmbeddingsModule, table_of
from afterbert.nn.inputs import Inputs
from afterbert.objectives.heads.adversary import Adversary
from afterbert.objectives.heads.detection import Detector, GeneratedRows, IsReplaced, WhichPiece, WhichPieceOrThis
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.meaning import Meaning
from afterbert.objectives.parts.scores import right, summed_cross_entropy
from afterbert.objectives.replaced_tokens import PARTS, Asks, ReplacedTokens

_BLOCK = 128
_SHARED = ("position", "segment", "language", "norm")  # beside the table of pieces


class ReplacedTokensModule(ObjectiveModule):
    """Parts of the score: `generator`, and `replaced` or `pieces`."""

    is_barred: Tensor
    is_handed_over: Tensor

    def __init__(self, config: ReplacedTokens, architecture: Encoder, backbone: Backbone, vocabulary: Vocabulary):
        super().__init__()
        self.backbone = backbone
        self.guesser = guesser = config.generator.of(architecture)
        self.generator: Backbone = backbone if config.generator.shares == "all" else guesser.build(vocabulary)
        table = table_of(self.generator if config.generator.shares == "none" else backbone)
        if config.generator.shares == "embeddings":
            self.generator.embeddings = _borrowed(guesser, backbone)
        self.generator_head = guesser.lm_head.build(guesser.hidden_size, table, guesser.norm)
        guesser.initialization.apply(self.generator_head, guesser.num_hidden_layers)
        self.detector = _build_detector(config.asks, architecture, backbone)
        self.adversary = Adversary(guesser.hidden_size) if config.generator.learns == "to_deceive" else None
        of_generator = ("generator",) if self.adversary is None else PARTS
        self.loss_weights = {**dict.fromkeys(of_generator, 1.0), self.detector.part: config.loss_weight}
        self.guesser_shares = config.generator.shares
        self.temperature, self.is_two_stage = config.generator.temperature, config.two_stage is not None
        barred = torch.ones(len(table_of(backbone).weight), dtype=torch.bool)
        barred[: vocabulary.size] = torch.from_numpy(vocabulary.is_special)
        self.register_buffer("is_barred", barred, persistent=False)
        if self.is_two_stage:
            self.register_buffer("is_handed_over", torch.zeros((), dtype=torch.bool))

    @property
    def saved_heads(self) -> dict[str, nn.Module]:
        return dict(self.detector.named_children())

    @property
    def language_model(self) -> LanguageModel:
        """The generator: it alone has learned what a mask stands for."""
        return LanguageModel(self.guesser, self.generator, self.generator_head, fills_masks=True, said="the generator")

    def beside(self) -> Mapping[str, LanguageModel]:
        """Returns the generator, with its own table of pieces."""
        table = self.generator.embeddings.table
        with torch.random.fork_rng(devices=[]):
            alone = self.guesser.build(Vocabulary(size=len(table.weight))).to(table.weight)
            lm_head = self.guesser.build_lm_head(alone).to(table.weight)
        alone.load_state_dict({**self.generator.state_dict(), "embeddings.token.weight": table.weight})
        lm_head.load_state_dict(self.generator_head.state_dict())
        found = replace(self.language_model, backbone=alone.eval(), lm_head=lm_head.eval())
        return {"generator": found}

    def start_from(self, weights: Mapping[str, Mapping[str, Tensor]]) -> tuple[str, ...]:
        notes: tuple[str, ...] = ()
        if "generator.backbone" in weights:
            # first, for what both share is the discriminator's
            theirs = weights["generator.backbone"]
            own = {name: tensor.shape for name, tensor in self.generator.state_dict().items()}
            if any(name not in theirs or theirs[name].shape != shape for name, shape in own.items()):
                raise UserError(
                    "the generator to start from has another shape than the recipe's; set objective.generator as in "
                    "its own recipe, or move the folder generator away, so that it starts fresh"
                )
            self.generator.load_state_dict({name: theirs[name] for name in own})
            self.generator_head.load_state_dict(weights["generator.lm_head"])
        else:
            shared = ", with the table of pieces that it shares" if self.guesser_shares == "embeddings" else ""
            notes = (
                f"the generator is not among the weights to start from, so it starts fresh{shared}; until it has "
                "learned, it replaces pieces by chance",
            )
        return (*notes, *super().start_from(weights))

    def meanings(self) -> Mapping[str, Meaning]:
        size, asks = len(self.generator.embeddings.table.weight), "hidden pieces, by the generator"
        return {
            "generator": Meaning.of_pieces(asks, size),
            "generator_accuracy": Meaning.share_right(asks),
            **({} if self.adversary is None else self.adversary.meanings()),
            **self.detector.meanings(size),
        }

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.adversary is not None:
            return self._deceived(arrays, self.adversary)
        scores = {}
        if not self.is_two_stage or "detected_at" not in arrays:
            guesses = self._guesses(arrays)
            scores["generator"] = summed_cross_entropy(guesses, arrays["target_ids"])
        else:
            self._hand_over()
            with torch.no_grad():
                guesses = self._guesses(arrays)
        if "detected_at" in arrays:
            predictions, corrupted = self._detected(arrays, guesses)
            scores[self.detector.part] = self.detector.score(predictions, corrupted)
        return scores

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns the detector's predictions [N] or [N, V] at the places it is asked about."""
        return self._detected(arrays, self._guesses(arrays))[0]

    def before_passes(self, counts: Mapping[str, int]) -> None:
        if self.is_two_stage and self.detector.part in counts:
            self._hand_over()

    def measure(self, arrays: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        guesses = self._guesses(arrays)
        found = {"generator_accuracy": right(guesses, arrays["target_ids"])}
        if "detected_at" in arrays:
            found |= self.detector.measure(*self._detected(arrays, guesses))
        return found

    def corrupted(self, arrays: Mapping[str, Tensor], guesses: Tensor) -> tuple[Tensor, Tensor]:
        """Returns ids [B, T] with a sample from the guesses [N, V] at every chosen place."""
        samples = sampled(guesses, arrays["sampling_noise"], temperature=self.temperature, is_barred=self.is_barred)
        shape = arrays["input_ids"].shape
        original = arrays["input_ids"].flatten().index_copy(0, arrays["chosen"], arrays["target_ids"])
        return original.view(shape), original.index_copy(0, arrays["chosen"], samples).view(shape)

    def _guesses(self, arrays: Mapping[str, Tensor]) -> Tensor:
        return self.generator_head(self.generator.asked(arrays))

    def _deceived(self, arrays: Mapping[str, Tensor], adversary: Adversary) -> dict[str, Tensor]:
        hidden = self.generator.asked(arrays)
        guesses = self.generator_head(hidden)
        verdicts, rows = self._detected(arrays, guesses)
        at_chosen = torch.searchsorted(arrays["detected_at"], arrays["chosen"])
        logits = (guesses.float() / self.temperature).masked_fill(self.is_barred, float("-inf"))
        log_shares = logits.log_softmax(-1).gather(1, rows.shown_ids[at_chosen, None]).squeeze(-1)
        judged = {"verdicts": verdicts[at_chosen], "is_replaced": rows.is_replaced[at_chosen]}
        return {**adversary(hidden, log_shares, **judged), self.detector.part: self.detector.score(verdicts, rows)}

    def _detected(self, arrays: Mapping[str, Tensor], guesses: Tensor) -> tuple[Tensor, GeneratedRows]:
        original, shown = self.corrupted(arrays, guesses)
        places = arrays["detected_at"]
        hidden = self.backbone(shown, **Inputs.of(arrays).beside_ids(), wanted=places)
        corrupted = GeneratedRows(original.flatten()[places], shown.flatten()[places])
        return self.detector(hidden, corrupted), corrupted

    @torch.no_grad()
    def _hand_over(self) -> None:
        """The model goes on from the generator's weights; once, at the first training batch that asks it."""
        if self.training and not self.is_handed_over:
            self.backbone.load_state_dict(self.generator.state_dict())
            self.is_handed_over.fill_(True)


def _borrowed(guesser: Encoder, backbone: Backbone) -> EmbeddingsModule:
    """The backbone's own embeddings, each weight with its one owner, and a layer to the generator's width."""
    theirs = backbone.embeddings
    embeddings = guesser.embeddings.build_over(table_of(backbone), guesser.sizes, guesser.norm)
    guesser.initialization.apply(embeddings.widen, guesser.num_hidden_layers)
    for name in _SHARED:
        setattr(embeddings, name, getattr(theirs, name))
    return embeddings


def _build_detector(asks: Asks, architecture: Encoder, backbone: Backbone) -> Detector:
    if asks == "pieces_where_chosen":
        return WhichPiece(architecture.build_lm_head(backbone))
    if asks == "pieces_everywhere":
        copying = WhichPieceOrThis(architecture.build_lm_head(backbone), architecture.hidden_size)
        architecture.initialization.apply(copying.copy_gate, architecture.num_hidden_layers)
        return copying
    detector = IsReplaced(architecture.hidden_size)
    architecture.initialization.apply(detector, architecture.num_hidden_layers)
    return detector


def sampled(logits: Tensor, uniforms: Tensor, *, temperature: float, is_barred: Tensor) -> Tensor:
    """Returns ids [N] drawn from softmax(logits / temperature), logits [N, V]; never one that `is_barred` (bool [V]).

    By inversion in two steps, first a block of neighbouring ids and then one of the block: 24 random bits for
    each keep rare pieces possible, which 24 bits for all V would not.
    """
    scores = (logits.detach().float() / temperature).masked_fill(is_barred, float("-inf"))
    shares = F.pad(scores.softmax(-1), (0, -scores.shape[1] % _BLOCK)).unflatten(1, (-1, _BLOCK))
    block = _drawn(shares.sum(-1), uniforms[:, 0])
    each = torch.arange(len(block), device=block.device)
    return block * _BLOCK + _drawn(shares[each, block], uniforms[:, 1])


def _drawn(shares: Tensor, uniforms: Tensor) -> Tensor:
    """[N]: k with a probability proportional to shares[n, k] >= 0; a share of 0 is never drawn.

    >>> _drawn(torch.tensor([[1.0, 0.0, 1.0]] * 3), torch.tensor([0.0, 0.49, 0.5])).tolist()
    [0, 0, 2]
    """
    # a product with a triangle: running sums in parallel are not the same twice on an accelerator
    triangle = torch.ones(shares.shape[1], shares.shape[1], device=shares.device, dtype=shares.dtype).triu()
    with torch.autocast(shares.device.type, enabled=False):  # a few bits would not tell rare pieces apart
        upto = shares @ triangle
    reached = (upto > uniforms[:, None] * upto[:, -1:]) & (shares > 0)
    return torch.where(reached.any(-1), reached.byte().argmax(-1), shares.argmax(-1))
