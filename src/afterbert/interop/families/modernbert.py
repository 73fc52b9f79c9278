"""ModernBERT: rotary positions, norm before each part, gated units, optionally layers that look only near.

Names: transformers, models/modernbert/modeling_modernbert.py. Their first attention has no norm of its own; their
attention and gate are packed as ours are. Dropout stands at other places than ours, which only training could tell.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, refuse_unless
from afterbert.interop.families._names import bert_task_class, unshared
from afterbert.interop.families._tabled import Tabled, laid_over
from afterbert.interop.sizes import LAYERS, PLACES, Keys, sizes_of
from afterbert.interop.task_class import TaskClass, TaskKind
from afterbert.interop.weights import Names
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder
from afterbert.nn.attention import Attention
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.gated import Gated
from afterbert.nn.initializations.normal import Normal
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.stack import LayerType, Stack, Windows
from afterbert.nn.task_head import TaskHead

_GLOBAL_THETA, _LOCAL_THETA = 160_000.0, 10_000.0


class Modernbert(Tabled):
    lm_class = "ModernBertForMaskedLM"
    base_class = "ModernBertModel"
    prefix = "model."
    meaningless = r"decoder\.weight"

    form = Encoder(
        embeddings=Embeddings(positions=NoPositionEmbedding(), type_vocab_size=0),
        stack=Stack(
            attention=Attention(positions=Rotary()), feed_forward=Gated(), residual=PreNorm(has_first_norm=False)
        ),
        initialization=Normal(scales_residuals=True),
    )
    keys: ClassVar[Keys] = {
        "vocab_size": ("vocab_size", 50368),
        "hidden_size": ("hidden_size", 768),
        "num_hidden_layers": ("num_hidden_layers", 22),
        "num_attention_heads": ("num_attention_heads", 12),
        "intermediate_size": ("intermediate_size", 1152),
        "max_position_embeddings": ("max_position_embeddings", 8192),
        "hidden_dropout_prob": ("embedding_dropout", 0.0),
        "attention_probs_dropout_prob": ("attention_dropout", 0.0),
        "norm.eps": ("norm_eps", 1e-5),
        "norm.bias": ("norm_bias", False),
        "stack.attention.bias": ("attention_bias", False),
        "stack.feed_forward.activation": ("hidden_activation", "gelu"),
        "stack.feed_forward.bias": ("mlp_bias", False),
        "stack.feed_forward.inner_dropout": ("mlp_dropout", 0.0),
        "lm_head.activation": ("classifier_activation", "gelu"),
        "lm_head.bias": ("classifier_bias", False),
        "lm_head.decoder_bias": ("decoder_bias", True),
    }
    written: ClassVar[Keys] = {
        "initialization.initializer_range": ("initializer_range", 0.02),
        "initialization.initializer_cutoff_factor": ("initializer_cutoff_factor", None),
    }
    only: ClassVar[Config] = {"tie_word_embeddings": True, "rope_scaling": None}
    modules: ClassVar[Names] = {
        "embeddings.token": "embeddings.tok_embeddings",
        "embeddings.norm": "embeddings.norm",
        "stack.final_norm": "final_norm",
    }
    heads: ClassVar[Names] = {
        "lm_head": "decoder",
        "lm_head.transform.dense": "head.dense",
        "lm_head.transform.norm": "head.norm",
    }
    stacks: ClassVar[Mapping[str, str]] = {"stack": "layers.{i}."}
    parts: ClassVar[Names] = {
        "attention.norm": "attn_norm",
        "attention.inner.qkv": "attn.Wqkv",
        "attention.inner.output": "attn.Wo",
        "feed_forward.norm": "mlp_norm",
        "feed_forward.inner.input": "mlp.Wi",
        "feed_forward.inner.output": "mlp.Wo",
    }
    sizes = sizes_of(keys, global_attn_every_n_layers=LAYERS, local_attention=PLACES)

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ours = self.as_ours(architecture)
        windows = ours.stack.windows
        theta = getattr(ours.stack.attention.positions, "theta", _GLOBAL_THETA)
        near = getattr(windows.positions, "theta", _LOCAL_THETA) if windows else theta
        return {
            **super().config_of(architecture, vocabulary),
            "layer_types": list(ours.stack.layer_types(ours.num_hidden_layers)),
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": theta},
                "sliding_attention": {"rope_type": "default", "rope_theta": near},
            },
            "local_attention": windows.local_attention if windows else 128,
        }

    def architecture_of(self, config: Config) -> Any:
        ours, windows = super().architecture_of(config), None
        kinds = _layer_types(config, ours.num_hidden_layers)
        if "sliding_attention" in kinds:
            near = Rotary(theta=_theta(config, "sliding_attention", "local_rope_theta", _LOCAL_THETA))
            width = config.get("local_attention", 128)
            windows = Windows(width, layer_types=shortest_pattern(kinds), positions=near)
        theta = _theta(config, "full_attention", "global_rope_theta", _GLOBAL_THETA)
        return laid_over(ours, {"stack.attention.positions.theta": theta, "stack.windows": windows})

    def normal_form(self, architecture: Architecture) -> Architecture:
        ours = self.as_ours(architecture)
        kinds = ours.stack.layer_types(ours.num_hidden_layers)
        if ours.plan.attention.count(0) == 1:
            # else the first attention has a norm, which it has not there
            ours = replace(ours, stack=unshared(ours.stack))
        if ours.stack.windows is None:
            return ours
        windows = replace(ours.stack.windows, layer_types=shortest_pattern(kinds))
        return replace(ours, stack=replace(ours.stack, windows=windows if "sliding_attention" in kinds else None))

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass:
        ours = self.as_ours(architecture)
        # the layers of its language-model head, which its authors keep for tasks
        head = TaskHead(
            bias=ours.lm_head.bias, activation=ours.lm_head.activation, norm=ours.norm, starts_from="lm_head"
        )
        found = bert_task_class(kind, "ModernBert", "head.dense")
        return replace(
            found,
            head=head,
            last="classifier",
            dense="head.dense",
            norm="head.norm",
            summaries={"mean": {"classifier_pooling": "mean"}, "first": {"classifier_pooling": "cls"}},
        )


def shortest_pattern(kinds: tuple[LayerType, ...]) -> tuple[LayerType, ...]:
    """Returns the shortest beginning whose repetition, cut off anywhere, gives the whole.

    >>> shortest_pattern(("full_attention", "sliding_attention", "full_attention"))
    ('full_attention', 'sliding_attention')
    """
    for length in range(1, len(kinds)):
        if all(kind == kinds[place % length] for place, kind in enumerate(kinds)):
            return kinds[:length]
    return kinds


def _layer_types(config: Config, layers: int) -> tuple[LayerType, ...]:
    """Newer folders list the kinds, older ones say every how many layers one sees everything."""
    kinds = config.get("layer_types")
    if kinds is None:
        every = config.get("global_attn_every_n_layers", 3)
        kinds = ["sliding_attention" if layer % every else "full_attention" for layer in range(layers)]
    if len(kinds) != layers or not set(kinds) <= {"full_attention", "sliding_attention"}:
        raise UserError(
            f"config.json has {len(kinds)} layer_types ({', '.join(sorted(set(kinds)))}); must have full_attention or "
            f"sliding_attention for each of {layers} layers"
        )
    return tuple(kinds)


def _theta(config: Config, kind: str, older_key: str, default: float) -> float:
    parameters = (config.get("rope_parameters") or {}).get(kind) or {}
    refuse_unless(parameters, "rope_type", "default")
    theta = parameters.get("rope_theta", config.get(older_key, default))
    if not isinstance(theta, (int, float)) or not theta > 1:
        raise UserError(f"config.json has a rope_theta of {theta!r} for {kind}; must be a number above 1")
    return float(theta)
