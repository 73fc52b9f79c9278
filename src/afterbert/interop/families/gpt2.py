"""GPT-2: learned positions, norm before each part, left to right.

Names: transformers, models/gpt2/modeling_gpt2.py. Its matrices stand the other way round.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from afterbert.interop.families import Config
from afterbert.interop.families._tabled import Tabled
from afterbert.interop.sizes import Keys, sizes_of
from afterbert.interop.task_class import NOTHING, TaskClass, TaskKind
from afterbert.interop.weights import Names
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder


class Gpt2(Tabled):
    lm_class = "GPT2LMHeadModel"
    base_class = "GPT2Model"
    prefix = "transformer."
    meaningless = r"transformer\.h\.\d+\.attn\.(masked_)?bias|lm_head\.weight"

    form = Decoder()
    keys: ClassVar[Keys] = {
        "vocab_size": ("vocab_size", 50257),
        "hidden_size": ("n_embd", 768),
        "num_hidden_layers": ("n_layer", 12),
        "num_attention_heads": ("n_head", 12),
        "intermediate_size": ("n_inner", None),
        "max_position_embeddings": ("n_positions", 1024),
        "hidden_dropout_prob": ("resid_pdrop", 0.1),
        "attention_probs_dropout_prob": ("attn_pdrop", 0.1),
        "norm.eps": ("layer_norm_epsilon", 1e-5),
        "stack.feed_forward.activation": ("activation_function", "gelu_new"),
    }
    written: ClassVar[Keys] = {
        "hidden_dropout_prob": ("embd_pdrop", 0.1),
        "initialization.initializer_range": ("initializer_range", 0.02),
    }
    only: ClassVar[Config] = {
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
        "tie_word_embeddings": True,
    }
    sizes = sizes_of(keys)
    modules: ClassVar[Names] = {"embeddings.token": "wte", "embeddings.position": "wpe", "stack.final_norm": "ln_f"}
    stacks: ClassVar[Mapping[str, str]] = {"stack": "h.{i}."}
    parts: ClassVar[Names] = {
        "attention.norm": "ln_1",
        "attention.inner.qkv": "attn.c_attn",
        "attention.inner.output": "attn.c_proj",
        "feed_forward.norm": "ln_2",
        "feed_forward.inner.input": "mlp.c_fc",
        "feed_forward.inner.output": "mlp.c_proj",
    }
    transposed = True

    def architecture_of(self, config: Config) -> Any:
        inner = config.get("n_inner") or 4 * config.get("n_embd", 768)
        return super().architecture_of({**config, "n_inner": inner})

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass | None:
        bare = replace(NOTHING, last_bias=False)
        return {
            "sequence": TaskClass("GPT2ForSequenceClassification", bare, "score", summaries={"last": {}}),
            "token": TaskClass("GPT2ForTokenClassification", NOTHING, "classifier"),
            "span": TaskClass("GPT2ForQuestionAnswering", NOTHING, "qa_outputs"),
        }.get(kind)
