"""Odd, tiny configurations of each family as Hugging Face writes them; shared by the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from afterbert.interop.families import family_named

SIZES = {"vocab_size": 37, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 20}
IDS = {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}

CONFIGS: dict[str, list[dict[str, Any]]] = {
    "bert": [
        {"max_position_embeddings": 19, "layer_norm_eps": 1e-3},
        {"hidden_act": "relu", "type_vocab_size": 5, "num_attention_heads": 1, "num_hidden_layers": 1},
        {"hidden_act": "gelu_new", "intermediate_size": 50, "hidden_size": 12, "pad_token_id": 0},
    ],
    "roberta": [
        {"max_position_embeddings": 21, "type_vocab_size": 1},
        {"pad_token_id": 4, "max_position_embeddings": 24, "type_vocab_size": 3, "num_attention_heads": 8},
        {"pad_token_id": 0, "layer_norm_eps": 1e-5, "intermediate_size": 7},
    ],
    "modernbert": [
        {"num_hidden_layers": 4, "local_attention": 6, "layer_types": None},
        {
            "layer_types": ["full_attention"] * 3,
            "norm_bias": True,
            "attention_bias": True,
            "mlp_bias": True,
            "classifier_bias": True,
            "decoder_bias": False,
            "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 500.0}},
        },
        {
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "local_attention": 4,
            "hidden_activation": "silu",
            "classifier_activation": "relu",
            "norm_eps": 1e-2,
        },
    ],
    "albert": [
        {"embedding_size": 10, "num_hidden_groups": 1},
        {"embedding_size": 24, "num_hidden_groups": 3, "hidden_act": "relu"},
        {"embedding_size": 5, "num_hidden_layers": 4, "num_hidden_groups": 2, "layer_norm_eps": 1e-3},
    ],
    "electra": [
        {"embedding_size": 24},
        {"embedding_size": 7, "hidden_act": "relu", "type_vocab_size": 3},
        {"embedding_size": 30, "num_attention_heads": 8, "layer_norm_eps": 1e-3, "num_hidden_layers": 1},
    ],
    "distilbert": [
        {"dim": 24, "n_layers": 3, "n_heads": 3, "hidden_dim": 20},
        {"dim": 20, "n_layers": 1, "n_heads": 5, "hidden_dim": 50, "activation": "relu"},
        {"dim": 16, "n_layers": 2, "n_heads": 1, "hidden_dim": 7, "sinusoidal_pos_embds": True},
    ],
    "xlm": [
        {"emb_dim": 24, "n_layers": 3, "n_heads": 3},
        {"emb_dim": 16, "n_layers": 1, "n_heads": 8, "gelu_activation": False, "n_langs": 3},
        {"emb_dim": 20, "n_layers": 2, "n_heads": 1, "n_langs": 5, "use_lang_emb": False, "layer_norm_eps": 1e-3},
    ],
    "xlm-roberta": [
        {"max_position_embeddings": 21, "type_vocab_size": 1},
        {"pad_token_id": 4, "max_position_embeddings": 24, "type_vocab_size": 3, "num_attention_heads": 8},
        {"pad_token_id": 0, "layer_norm_eps": 1e-5, "intermediate_size": 7},
    ],
}
_OWN_WORDS = ("distilbert", "xlm")
CASES = [(family, number) for family, configs in CONFIGS.items() for number in range(len(configs))]

_BART = {"encoder_layers": 2, "decoder_layers": 2, "d_model": 24, "decoder_start_token_id": 3} | {
    f"{side}_{key}": value
    for side in ("encoder", "decoder")
    for key, value in (("attention_heads", 3), ("ffn_dim", 20))
}
_T5 = {"d_model": 24, "num_layers": 2, "num_heads": 3, "d_kv": 6, "d_ff": 20, "decoder_start_token_id": 1}
_XLNET = {"d_model": 24, "n_layer": 3, "n_head": 3, "d_inner": 20}

GENERATING: dict[str, list[dict[str, Any]]] = {
    "gpt2": [
        {"n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 17},
        {"n_embd": 16, "n_layer": 1, "n_head": 1, "n_inner": 10, "activation_function": "relu"},
        {"n_embd": 12, "n_layer": 3, "n_head": 4, "layer_norm_epsilon": 1e-2},
    ],
    "bart": [
        {**_BART, "max_position_embeddings": 15},
        {**_BART, "scale_embedding": True, "decoder_layers": 3, "activation_function": "relu"},
        {**_BART, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 9, "decoder_ffn_dim": 9},
    ],
    "t5": [
        {**_T5, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 9},
        {**_T5, "feed_forward_proj": "gated-gelu", "num_decoder_layers": 3, "tie_word_embeddings": False},
        {**_T5, "feed_forward_proj": "gated-silu", "d_kv": 8, "relative_attention_num_buckets": 32},
    ],
    "xlnet": [
        {**_XLNET},
        {**_XLNET, "clamp_len": 4, "ff_activation": "relu", "n_layer": 1},
        {**_XLNET, "d_model": 16, "n_head": 4, "mem_len": 7, "layer_norm_eps": 1e-3},
    ],
}
GENERATING_CASES = [(family, number) for family, configs in GENERATING.items() for number in range(len(configs))]


def their_model(family: str, number: int) -> torch.nn.Module:
    """A model of theirs with its language-model head, of which every weight, also norms and biases, is
    random."""
    import transformers

    if family in CONFIGS:
        sizes = {"vocab_size": 37} if family in _OWN_WORDS else SIZES
        config = transformers.AutoConfig.for_model(family, **{**sizes, **IDS, **CONFIGS[family][number]})
    else:
        config = transformers.AutoConfig.for_model(family, vocab_size=37, **{**IDS, **GENERATING[family][number]})
    torch.manual_seed(number)
    implementation = {} if family in ("xlnet", "xlm") else {"attn_implementation": "eager"}
    model = getattr(transformers, family_named(family).lm_class)._from_config(config, **implementation).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return model


def save(model: torch.nn.Module, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


def languages(model: torch.nn.Module) -> torch.Tensor | None:
    """A language for every piece of `padded_batch`, where the model has languages."""
    config = model.config
    if config.model_type != "xlm" or config.n_langs == 1 or not config.use_lang_emb:
        return None
    return torch.randint(0, config.n_langs, (4, 12), generator=torch.Generator().manual_seed(5))


def padded_batch(model: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [4, 12] and attention mask: rows of 12, 5, 1 and 9 pieces, no padding id among the pieces."""
    pad = model.config.pad_token_id
    ids = torch.randint(6, 37, (4, 12), generator=torch.Generator().manual_seed(3))
    is_piece = torch.arange(12) < torch.tensor([12, 5, 1, 9])[:, None]
    return ids.masked_fill(~is_piece, pad), is_piece.long()
