"""T5, also in its 1.1 form: relative bias, root-mean-square norms before each part, no biases; one table of pieces.

Names: transformers, models/t5/modeling_t5.py. There `gated-gelu` always means the tanh approximation. Whether the
logits have a table of their own shows in the names of the tensors only (their config always says tied), and whether
hidden states are scaled first in `scale_decoder_outputs` or, in older folders, in `tie_word_embeddings`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config
from afterbert.interop.families._names import activation, with_decoder_layers
from afterbert.interop.families._tabled import Tabled, laid_over
from afterbert.interop.sizes import LAYERS, PLACES, WIDTH, Keys, sizes_of
from afterbert.interop.weights import Names
from afterbert.models import Architecture
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.nn.attention import Attention
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards import FeedForward
from afterbert.nn.feed_forwards.gated import Gated
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.heads import LMHead
from afterbert.nn.norms.rms_norm import RMSNorm
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.positions.relative_bias import RelativeBias
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.stack import Stack

_BIAS = "block.0.layer.0.SelfAttention.relative_attention_bias"


class T5(Tabled):
    lm_class = "T5ForConditionalGeneration"
    base_class = "T5Model"
    prefix = ""
    meaningless = (
        r"(en|de)coder\.embed_tokens\.weight|"
        r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight"
    )

    form = EncoderDecoder(
        norm=RMSNorm(),
        embeddings=Embeddings(positions=NoPositionEmbedding(), type_vocab_size=0, has_norm=False),
        stack=Stack(
            attention=Attention(bias=False, is_scaled=False, positions=RelativeBias()),
            residual=PreNorm(),
            has_final_dropout=True,
        ),
        lm_head=LMHead(has_transform=False, decoder_bias=False),
    )
    keys: ClassVar[Keys] = {
        "vocab_size": ("vocab_size", 32128),
        "hidden_size": ("d_model", 512),
        "num_hidden_layers": ("num_layers", 6),
        "num_attention_heads": ("num_heads", 8),
        "intermediate_size": ("d_ff", 2048),
        "max_position_embeddings": ("n_positions", 512),
        "attention_probs_dropout_prob": ("dropout_rate", 0.1),
        "hidden_dropout_prob": ("dropout_rate", 0.1),
        "norm.eps": ("layer_norm_epsilon", 1e-6),
        "stack.attention.head_size": ("d_kv", 64),
        "stack.attention.positions.num_buckets": ("relative_attention_num_buckets", 32),
        "stack.attention.positions.max_distance": ("relative_attention_max_distance", 128),
        "lm_head.is_scaled": ("scale_decoder_outputs", True),
        "lm_head.is_tied": ("tie_word_embeddings", True),
    }
    only: ClassVar[Config] = {}
    says: ClassVar[Config] = {"is_encoder_decoder": True}
    modules: ClassVar[Names] = {
        "embeddings.token": "shared",
        "stack.positions.full_attention.table": f"encoder.{_BIAS}",
        "stack.final_norm": "encoder.final_layer_norm",
        "decoder_stack.positions.full_attention.table": f"decoder.{_BIAS}",
        "decoder_stack.final_norm": "decoder.final_layer_norm",
    }
    heads: ClassVar[Names] = {"lm_head.decoder": "lm_head"}
    stacks: ClassVar[Mapping[str, str]] = {"stack": "encoder.block.{i}.", "decoder_stack": "decoder.block.{i}."}
    sizes = sizes_of(
        keys,
        d_kv=WIDTH,
        num_decoder_layers=LAYERS,
        relative_attention_num_buckets=PLACES,
        relative_attention_max_distance=PLACES,
    )

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ours = self.as_ours(architecture)
        return {
            **super().config_of(architecture, vocabulary),
            "decoder_start_token_id": vocabulary.pad,
            "num_decoder_layers": ours.decoder_sizes.num_hidden_layers,
            "feed_forward_proj": _projection(ours.stack.feed_forward),
        }

    def with_names(self, config: Config, names: Iterable[str]) -> Config:
        is_tied = "lm_head.weight" not in set(names)
        scales = config.get("scale_decoder_outputs", config.get("tie_word_embeddings", True))
        return {**config, "scale_decoder_outputs": scales, "tie_word_embeddings": is_tied}

    def architecture_of(self, config: Config) -> Any:
        scales = config.get("scale_decoder_outputs", config.get("tie_word_embeddings", True))
        ours = super().architecture_of({**config, "scale_decoder_outputs": scales})
        ours = laid_over(ours, {"stack.feed_forward": _feed_forward(config, ours.hidden_dropout_prob)})
        return with_decoder_layers(ours, config.get("num_decoder_layers", ours.num_hidden_layers))

    def normal_form(self, architecture: Architecture) -> Architecture:
        ours = super().normal_form(architecture)
        ours = with_decoder_layers(ours, ours.decoder_sizes.num_hidden_layers)
        return laid_over(ours, {"stack.attention.head_size": ours.sizes.head_size(ours.stack.attention.head_size)})

    def parts_of(self, ours: EncoderDecoder, stack: str) -> Names:
        attentions = {"attention": "SelfAttention"}
        attentions |= {"cross_attention": "EncDecAttention"} if stack == "decoder_stack" else {}
        parts: dict[str, str | tuple[str, ...]] = {}
        for place, (part, name) in enumerate(attentions.items()):
            parts[f"{part}.norm"] = f"layer.{place}.layer_norm"
            parts[f"{part}.inner.qkv"] = tuple(f"layer.{place}.{name}.{letter}" for letter in "qkv")
            parts[f"{part}.inner.output"] = f"layer.{place}.{name}.o"
        last = f"layer.{len(attentions)}"
        entries = ("wi_0", "wi_1") if isinstance(ours.stack.feed_forward, Gated) else ("wi",)
        parts["feed_forward.norm"] = f"{last}.layer_norm"
        parts["feed_forward.inner.input"] = tuple(f"{last}.DenseReluDense.{entry}" for entry in entries)
        parts["feed_forward.inner.output"] = f"{last}.DenseReluDense.wo"
        return parts


def _projection(feed_forward: FeedForward) -> str:
    """Their name of a feed-forward part."""
    name = str(getattr(feed_forward, "activation", "relu"))
    if isinstance(feed_forward, Gated):
        if name == "gelu":
            raise UserError("Hugging Face's t5 has no exact form of this model: its gated-gelu is gelu_new")
        return "gated-gelu" if name == "gelu_new" else f"gated-{name}"
    return name


def _feed_forward(config: Config, rate: float) -> FeedForward:
    name = config.get("feed_forward_proj", "relu")
    if name == "gated-gelu":
        return Gated(activation="gelu_new", inner_dropout=rate)
    act = activation({"feed_forward_proj": name.removeprefix("gated-")}, "feed_forward_proj", "relu")
    if name.startswith("gated-"):
        return Gated(activation=act, inner_dropout=rate)
    return Plain(activation=act, bias=False, inner_dropout=rate)
