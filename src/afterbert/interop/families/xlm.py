"""XLM: BERT's layers with a vector for each language, and no dense layer before the decoder.

Source: Conneau, Lample (1901.07291). Names: transformers, models/xlm/modeling_xlm.py. Its feed-forward width
is four times the hidden one. Without `langs` their code adds no language, like ours. A table of
sinusoids is stored there like a learned one, and is read as one.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config
from afterbert.interop.families._tabled import Tabled, laid_over
from afterbert.interop.sizes import LANGUAGES, Keys, sizes_of
from afterbert.interop.task_class import NOTHING, TaskClass, TaskKind
from afterbert.interop.weights import Names
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.heads import LMHead


class Xlm(Tabled):
    lm_class = "XLMWithLMHeadModel"
    base_class = "XLMModel"
    prefix = "transformer."
    meaningless = r"transformer\.position_ids|pred_layer\.proj\.weight"

    form = Encoder(embeddings=Embeddings(type_vocab_size=0), lm_head=LMHead(has_transform=False))
    keys: ClassVar[Keys] = {
        "vocab_size": ("vocab_size", 30145),
        "hidden_size": ("emb_dim", 2048),
        "num_hidden_layers": ("n_layers", 12),
        "num_attention_heads": ("n_heads", 16),
        "max_position_embeddings": ("max_position_embeddings", 512),
        "hidden_dropout_prob": ("dropout", 0.1),
        "attention_probs_dropout_prob": ("attention_dropout", 0.1),
        "norm.eps": ("layer_norm_eps", 1e-12),
    }
    written: ClassVar[Keys] = {"initialization.initializer_range": ("init_std", 0.02)}
    only: ClassVar[Config] = {"causal": False, "asm": False, "is_encoder": True, "tie_word_embeddings": True}
    says: ClassVar[Config] = {"tie_word_embeddings": True, "sinusoidal_embeddings": False}
    sizes = sizes_of(keys, n_langs=LANGUAGES)
    modules: ClassVar[Names] = {
        "embeddings.token": "embeddings",
        "embeddings.position": "position_embeddings",
        "embeddings.language": "lang_embeddings",
        "embeddings.norm": "layer_norm_emb",
    }
    heads: ClassVar[Names] = {"lm_head": "pred_layer.proj"}
    stacks: ClassVar[Mapping[str, str]] = {"stack": ""}
    parts: ClassVar[Names] = {
        "attention.inner.qkv": ("attentions.{i}.q_lin", "attentions.{i}.k_lin", "attentions.{i}.v_lin"),
        "attention.inner.output": "attentions.{i}.out_lin",
        "attention.norm": "layer_norm1.{i}",
        "feed_forward.inner.input": "ffns.{i}.lin1",
        "feed_forward.inner.output": "ffns.{i}.lin2",
        "feed_forward.norm": "layer_norm2.{i}",
    }

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ours = self.as_ours(architecture)
        languages = ours.embeddings.languages
        indices = {"unk": vocabulary.unk, "mask": vocabulary.mask}
        return {
            **super().config_of(architecture, vocabulary),
            **{f"{name}_index": number for name, number in indices.items() if number is not None},
            "gelu_activation": getattr(ours.stack.feed_forward, "activation", "gelu") == "gelu",
            "n_langs": len(languages) or 1,
            "use_lang_emb": bool(languages),
            "lang2id": {name: number for number, name in enumerate(languages)},
            "id2lang": {str(number): name for number, name in enumerate(languages)},
        }

    def architecture_of(self, config: Config) -> Any:
        ours = super().architecture_of(config)
        said = {
            "intermediate_size": 4 * ours.hidden_size,
            "embeddings.languages": _languages(config),
            "stack.feed_forward.activation": "gelu" if config.get("gelu_activation", True) else "relu",
        }
        return laid_over(ours, said)

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass | None:
        # of its class for choices the last layer sees no more than as many numbers as there are labels
        settings = {"summary_type": "first", "summary_use_proj": True, "summary_proj_to_labels": True}
        last = "sequence_summary.summary"
        return {
            "sequence": TaskClass("XLMForSequenceClassification", NOTHING, last, summaries={"first": settings}),
            "token": TaskClass("XLMForTokenClassification", NOTHING, "classifier"),
            "span": TaskClass("XLMForQuestionAnsweringSimple", NOTHING, "qa_outputs"),
        }.get(kind)


def _languages(config: Config) -> tuple[str, ...]:
    """Their names in the order of the vectors; numbers where the config does not name each of them once."""
    if config.get("n_langs", 1) < 2 or not config.get("use_lang_emb", True):
        return ()
    numbers = [str(number) for number in range(config.get("n_langs", 1))]
    named = config.get("id2lang")
    names = [str(named.get(number)) for number in numbers] if isinstance(named, dict) else []
    return tuple(names if len(set(names)) == len(named or ()) == len(numbers) else numbers)
