"""ModernBERT: rotary positions, norm before each part, gated units, optionally layers that look only near.

Names: transformers, models/modernbert/modeling_modernbert.py. Their first attention has no norm of its own; their
attention and gate are packed as ours are. Dropout stands at other places than ours, which only training could tell.
"""

from dataclasses import replace
from typing import Any, cast

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family, refuse_unless
from afterbert.interop.families._names import activation, as_encoder, bert_task_class, our_words, their_words, unshared
from afterbert.interop.sizes import LAYERS, PLACES, Keys, sizes_of
from afterbert.interop.task_class import TaskClass, TaskKind
from afterbert.interop.weights import Weight, ends, lines
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder
from afterbert.nn.attention import Attention
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.gated import Gated
from afterbert.nn.heads import LMHead
from afterbert.nn.initializations.normal import Normal
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.stack import LayerType, Stack, Windows
from afterbert.nn.task_head import TaskHead

_GLOBAL_THETA, _LOCAL_THETA = 160_000.0, 10_000.0


_KEYS: Keys = {
    "vocab_size": ("vocab_size", 50368),
    "hidden_size": ("hidden_size", 768),
    "num_hidden_layers": ("num_hidden_layers", 22),
    "num_attention_heads": ("num_attention_heads", 12),
    "intermediate_size": ("intermediate_size", 1152),
    "max_position_embeddings": ("max_position_embeddings", 8192),
    "hidden_dropout_prob": ("embedding_dropout", 0.0),
    "attention_probs_dropout_prob": ("attention_dropout", 0.0),
}


class Modernbert(Family):
    lm_class = "ModernBertForMaskedLM"
    base_class = "ModernBertModel"
    prefix = "model."
    sizes = sizes_of(_KEYS, global_attn_every_n_layers=LAYERS, local_attention=PLACES)
    meaningless = r"decoder\.weight"

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ours = as_encoder(architecture, "modernbert")
        feed_forward, windows = ours.stack.feed_forward, ours.stack.windows
        theta = getattr(ours.stack.attention.positions, "theta", _GLOBAL_THETA)
        near = getattr(windows.positions, "theta", _LOCAL_THETA) if windows else theta
        return {
            **their_words(ours, _KEYS, vocabulary),
            "hidden_activation": getattr(feed_forward, "activation", "gelu"),
            "initializer_range": getattr(ours.initialization, "initializer_range", 0.02),
            "initializer_cutoff_factor": getattr(ours.initialization, "initializer_cutoff_factor", None),
            "norm_eps": getattr(ours.norm, "eps", 1e-5),
            "norm_bias": getattr(ours.norm, "bias", False),
            "attention_bias": ours.stack.attention.bias,
            "layer_types": list(ours.stack.layer_types(ours.num_hidden_layers)),
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": theta},
                "sliding_attention": {"rope_type": "default", "rope_theta": near},
            },
            "local_attention": windows.local_attention if windows else 128,
            "mlp_bias": getattr(feed_forward, "bias", False),
            "mlp_dropout": getattr(feed_forward, "inner_dropout", 0.0),
            "decoder_bias": ours.lm_head.decoder_bias,
            "classifier_bias": ours.lm_head.bias,
            "classifier_activation": ours.lm_head.activation,
        }

    def architecture_of(self, config: Config) -> Encoder:
        refuse_unless(config, "tie_word_embeddings", True)
        refuse_unless(config, "rope_scaling", None)
        read = our_words(config, _KEYS)
        kinds, windows = _layer_types(config, read["num_hidden_layers"]), None
        if "sliding_attention" in kinds:
            near = Rotary(theta=_theta(config, "sliding_attention", "local_rope_theta", _LOCAL_THETA))
            width = config.get("local_attention", 128)
            windows = Windows(width, layer_types=shortest_pattern(kinds), positions=near)
        rotary = Rotary(theta=_theta(config, "full_attention", "global_rope_theta", _GLOBAL_THETA))
        return Encoder(
            **read,
            norm=LayerNorm(eps=config.get("norm_eps", 1e-5), bias=config.get("norm_bias", False)),
            embeddings=Embeddings(positions=NoPositionEmbedding(), type_vocab_size=0),
            stack=Stack(
                attention=Attention(bias=config.get("attention_bias", False), positions=rotary),
                feed_forward=Gated(
                    activation=activation(config, "hidden_activation", "gelu"),
                    bias=config.get("mlp_bias", False),
                    inner_dropout=config.get("mlp_dropout", 0.0),
                ),
                residual=PreNorm(has_first_norm=False),
                windows=windows,
            ),
            lm_head=LMHead(
                activation=activation(config, "classifier_activation", "gelu"),
                bias=config.get("classifier_bias", False),
                decoder_bias=config.get("decoder_bias", True),
            ),
            initialization=Normal(scales_residuals=True),
        )

    def normal_form(self, architecture: Architecture) -> Architecture:
        ours = as_encoder(architecture, "modernbert")
        kinds = ours.stack.layer_types(ours.num_hidden_layers)
        if ours.stack.sharing.plan(ours.num_hidden_layers).attention.count(0) == 1:
            # else the first attention has a norm, which it has not there
            ours = replace(ours, stack=unshared(ours.stack))
        if ours.stack.windows is None:
            return ours
        windows = replace(ours.stack.windows, layer_types=shortest_pattern(kinds))
        return replace(ours, stack=replace(ours.stack, windows=windows if "sliding_attention" in kinds else None))

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass:
        ours = as_encoder(architecture, "modernbert")
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
            settings={"classifier_pooling": "cls"},
        )

    def weights(self, config: Config, architecture: Architecture) -> list[Weight]:
        ours = cast(Encoder, architecture)
        feed_forward, norm = cast(Gated, ours.stack.feed_forward), cast(LayerNorm, ours.norm)
        attention_ends, gate_ends = ends(ours.stack.attention.bias), ends(feed_forward.bias)
        norm_ends = ends(norm.bias)
        table = [
            *lines("backbone.embeddings.token", "model.embeddings.tok_embeddings", "weight"),
            *lines("backbone.embeddings.norm", "model.embeddings.norm", *norm_ends),
            *lines("backbone.stack.final_norm", "model.final_norm", *norm_ends),
            *lines("lm_head.transform.dense", "head.dense", *ends(ours.lm_head.bias)),
            *lines("lm_head.transform.norm", "head.norm", *norm_ends),
        ]
        if ours.lm_head.decoder_bias:
            table.append(Weight("lm_head.bias", ("decoder.bias",)))
        plan = ours.stack.sharing.plan(ours.num_hidden_layers)
        for i, (attends, transforms) in enumerate(zip(plan.attention, plan.feed_forward)):
            attention = f"backbone.stack.attention.{attends}"
            gated = f"backbone.stack.feed_forward.{transforms}"
            table += lines(f"{attention}.inner.qkv", f"model.layers.{i}.attn.Wqkv", *attention_ends)
            table += lines(f"{attention}.inner.output", f"model.layers.{i}.attn.Wo", *attention_ends)
            table += lines(f"{gated}.inner.input", f"model.layers.{i}.mlp.Wi", *gate_ends)
            table += lines(f"{gated}.inner.output", f"model.layers.{i}.mlp.Wo", *gate_ends)
            table += lines(f"{gated}.norm", f"model.layers.{i}.mlp_norm", *norm_ends)
            if i > 0:
                table += lines(f"{attention}.norm", f"model.layers.{i}.attn_norm", *norm_ends)
        return table


def shortest_pattern(kinds: tuple[LayerType, ...]) -> tuple[LayerType, ...]:
    """The shortest beginning of which the whole is a repetition, cut off anywhere.

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
