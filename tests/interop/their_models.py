"""Odd, tiny configurations of each family as Hugging Face writes them; shared by the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

SIZES = {
    "vocab_size": 37,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 20,
}
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
}
CASES = [(family, number) for family, configs in CONFIGS.items() for number in range(len(configs))]


def their_model(family: str, number: int) -> torch.nn.Module:
    """A masked-LM of theirs in double precision of which every weight, also norms and biases, is random."""
    from transformers import AutoConfig, AutoModelForMaskedLM

    config = AutoConfig.for_model(family, **{**SIZES, **IDS, **CONFIGS[family][number]})
    torch.manual_seed(number)
    model = AutoModelForMaskedLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return model


def save(model: torch.nn.Module, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


def padded_batch(model: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [4, 12] and attention mask: rows of 12, 5, 1 and 9 pieces, no padding id among the pieces."""
    pad = model.config.pad_token_id
    ids = torch.randint(6, 37, (4, 12), generator=torch.Generator().manual_seed(3))
    is_piece = torch.arange(12) < torch.tensor([12, 5, 1, 9])[:, None]
    return ids.masked_fill(~is_piece, pad), is_piece.long()
