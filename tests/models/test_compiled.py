"""torch.compile reads a backbone as one graph, whatever the number of wanted places, and it gives the same."""

from __future__ import annotations

import pytest
import torch

from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.nn.visibility import PaddedVisibility


@pytest.mark.parametrize("config", [Encoder(), Decoder()], ids=["encoder", "decoder"])
def test_a_backbone_is_one_graph(config: Encoder | Decoder) -> None:
    torch.manual_seed(0)
    backbone, ids = config.module(50).eval(), torch.randint(0, 50, (2, 8))
    rule = PaddedVisibility(lengths=torch.tensor([8, 5]))
    batches = [torch.arange(count) for count in (3, 5, 9)]
    expected = [backbone(ids, visibility=rule, wanted=places) for places in batches]
    backbone.compile(backend="eager", fullgraph=True)
    for places, right in zip(batches, expected):
        torch.testing.assert_close(backbone(ids, visibility=rule, wanted=places), right)
