"""The same code on a GPU: bfloat16, fused kernels, a compiled backbone; against the processor in float32."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.nn.heads import LMHeadModule
from afterbert.nn.visibility import PaddedVisibility

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.timeout(300),  # the first compilation takes its time
    pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores"),  # what the comparison is made with
]

SIZES: dict = {"hidden_size": 128, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
RULES: Mapping[str, dict[str, Tensor]] = {
    "all": {},
    "padded": {"lengths": torch.tensor([32, 7])},
    "documents": {"documents": torch.arange(32).div(9, rounding_mode="floor").expand(2, -1)},
    "prefix": {"first": torch.zeros(2, 32, dtype=torch.long), "end": torch.arange(1, 33).clamp(min=8).expand(2, -1)},
}


def scored(backbone: torch.nn.Module, head: LMHeadModule, rule: dict[str, Tensor], device: str) -> Tensor:
    """The summed score of a fixed batch."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 300, (2, 32), generator=generator).to(device)
    places = torch.tensor([0, 3, 5, 32, 37]).to(device)
    visibility = PaddedVisibility(**{name: array.to(device) for name, array in rule.items()}) if rule else None
    states = backbone(ids, visibility=visibility, wanted=places)
    return head.score(states, torch.arange(5, device=device) * 7)


def model(kind: str) -> tuple[torch.nn.Module, LMHeadModule]:
    torch.manual_seed(0)
    config = (Encoder if kind == "encoder" else Decoder)(**SIZES)
    backbone = config.module(300)
    return backbone, config.build_lm_head(backbone)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("is_compiled", [False, True])
def test_the_score_is_that_of_the_processor(rule: str, is_compiled: bool) -> None:
    backbone, head = model("encoder")
    expected = scored(backbone, head, RULES[rule], "cpu")
    backbone, head = backbone.cuda(), head.cuda()
    if is_compiled:
        backbone.compile()
    torch.testing.assert_close(scored(backbone, head, RULES[rule], "cuda").cpu(), expected, rtol=1e-3, atol=0)
    with torch.autocast("cuda", torch.bfloat16):
        score = scored(backbone, head, RULES[rule], "cuda")
    score.backward()
    torch.testing.assert_close(score.cpu(), expected, rtol=3e-2, atol=0)
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in backbone.parameters())


def test_a_decoder_too() -> None:
    backbone, head = model("decoder")
    expected = scored(backbone, head, {}, "cpu")
    score = scored(backbone.cuda(), head.cuda(), {}, "cuda")
    torch.testing.assert_close(score.cpu(), expected, rtol=1e-3, atol=0)
