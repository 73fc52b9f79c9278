"""XLNet: two streams, relative positions and segments, memory.

Names: transformers, models/xlnet/modeling_xlnet.py. Heads have an axis of their own there. It states no
longest row: an import says 512.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config
from afterbert.interop.families._tabled import Tabled, laid_over
from afterbert.interop.sizes import WIDTH, Keys, sizes_of
from afterbert.interop.task_class import NOTHING, TaskClass, TaskKind
from afterbert.interop.weights import Names, Weight
from afterbert.models import Architecture
from afterbert.models.permutation import Permutation
from afterbert.nn.task_head import TaskHead

_LONGEST = 512


class Xlnet(Tabled):
    lm_class = "XLNetLMHeadModel"
    base_class = "XLNetModel"
    prefix = "transformer."
    model_input_names = ("input_ids", "token_type_ids", "attention_mask")
    meaningless = r"lm_loss\.weight"

    form = Permutation(max_position_embeddings=_LONGEST)
    keys: ClassVar[Keys] = {
        "vocab_size": ("vocab_size", 32000),
        "hidden_size": ("d_model", 1024),
        "num_hidden_layers": ("n_layer", 24),
        "num_attention_heads": ("n_head", 16),
        "intermediate_size": ("d_inner", 4096),
        "attention_probs_dropout_prob": ("dropout", 0.1),
        "stack.feed_forward.inner_dropout": ("dropout", 0.1),
        "hidden_dropout_prob": ("dropout", 0.1),
        "norm.eps": ("layer_norm_eps", 1e-12),
        "stack.feed_forward.activation": ("ff_activation", "gelu"),
    }
    written: ClassVar[Keys] = {"initialization.initializer_range": ("initializer_range", 0.02)}
    only: ClassVar[Config] = {
        "attn_type": "bi",
        "bi_data": False,
        "same_length": False,
        "untie_r": True,
        "tie_word_embeddings": True,
    }
    says: ClassVar[Config] = {"tie_word_embeddings": True, "attn_type": "bi"}
    sizes = sizes_of(keys, d_head=WIDTH)
    modules: ClassVar[Names] = {"embeddings.token": "word_embedding"}
    heads: ClassVar[Names] = {"lm_head": "lm_loss"}
    stacks: ClassVar[Mapping[str, str]] = {"stack": "layer.{i}."}
    parts: ClassVar[Names] = {
        "attention.norm": "rel_attn.layer_norm",
        "feed_forward.inner.input": "ff.layer_1",
        "feed_forward.inner.output": "ff.layer_2",
        "feed_forward.norm": "ff.layer_norm",
    }

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ours = self.as_ours(architecture)
        return {
            **super().config_of(architecture, vocabulary),
            "mem_len": ours.mem_len or None,
            "reuse_len": ours.reuse_len or None,
            "clamp_len": getattr(ours.stack.attention.positions, "clamp_length", None) or -1,
            "use_mems_eval": ours.mem_len > 0,
        }

    def architecture_of(self, config: Config) -> Any:
        clamp = config.get("clamp_len", -1)
        said = {
            "stack.attention.positions.clamp_length": clamp if clamp > 0 else None,
            "mem_len": config.get("mem_len") or 0,
            "reuse_len": config.get("reuse_len") or 0,
        }
        return laid_over(super().architecture_of(config), said)

    def normal_form(self, architecture: Architecture) -> Architecture:
        return laid_over(super().normal_form(architecture), {"max_position_embeddings": _LONGEST})

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass:
        settings = {"summary_type": "last", "summary_use_proj": True, "summary_activation": "tanh"}
        last, dense = "logits_proj", "sequence_summary.summary"
        head = TaskHead(starts_from=None)
        rows = TaskClass("", head, last, dense, summaries={"last": settings})
        return {
            "sequence": replace(rows, name="XLNetForSequenceClassification"),
            "choice": replace(rows, name="XLNetForMultipleChoice"),
            "token": TaskClass("XLNetForTokenClassification", NOTHING, "classifier"),
            "span": TaskClass("XLNetForQuestionAnsweringSimple", NOTHING, "qa_outputs"),
        }[kind]

    def weights(self, config: Config, architecture: Architecture) -> list[Weight]:
        table, ours = super().weights(config, architecture), cast(Permutation, architecture)
        width, heads = ours.hidden_size, ours.num_attention_heads
        by_head = (width, heads, width // heads)
        table.append(Weight("backbone.query_start.weight", ("transformer.mask_emb",), shape=(1, 1, width)))
        for i, attends in enumerate(ours.plan.attention):
            theirs, inner = f"transformer.layer.{i}.rel_attn", f"backbone.stack.attention.{attends}.inner"
            packed = tuple(f"{theirs}.{letter}" for letter in "qkv")
            table += [
                Weight(f"{inner}.qkv.weight", packed, transposed=True, shape=by_head),
                Weight(f"{inner}.output.weight", (f"{theirs}.o",), shape=by_head),
                Weight(f"{inner}.positions.relative.weight", (f"{theirs}.r",), transposed=True, shape=by_head),
                Weight(f"{inner}.positions.content_bias", (f"{theirs}.r_w_bias",)),
                Weight(f"{inner}.positions.distance_bias", (f"{theirs}.r_r_bias",)),
                Weight(f"{inner}.segments.bias", (f"{theirs}.r_s_bias",)),
                Weight(f"{inner}.segments.table.weight", (f"{theirs}.seg_embed",), shape=(2, *by_head[1:])),
            ]
        return table
