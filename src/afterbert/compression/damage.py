"""Where a smaller model goes another way: the states after each of its layers beside those of the model as it was."""

import torch
from torch import Tensor

from afterbert.compression.methods import Setting, is_piece
from afterbert.compression.subject import Subject
from afterbert.nn.inputs import Inputs


@torch.no_grad()
def damage(before: Subject, after: Subject, setting: Setting, *, most: int = 64) -> tuple[str, ...]:
    """Returns a line for each layer of the smaller model: the mean distance of its states to those at the same depth of
    the original, as a share of their length, on training rows of the task. Empty for a graph, or where the two models
    cut rows differently."""
    if after.kind != "weights" or before.tuned is None or after.tuned is None or not setting.rows.get("train"):
        return ()
    sums: list[Tensor] = []
    count = 0
    # the two may have tokenizers of their own, which cut these rows alike
    for ours, theirs in zip(setting.batches(after, most=most), setting.batches(before, most=most), strict=True):
        mine = after.tuned.module.backbone.layers(Inputs.of(ours)).hidden
        old = before.tuned.module.backbone.layers(Inputs.of(theirs)).hidden
        if mine[0].shape[1] != old[0].shape[1]:
            return ()
        pieces = is_piece(ours)
        depth = [round(layer * (len(old) - 1) / max(len(mine) - 1, 1)) for layer in range(len(mine))]
        apart = [
            ((one - old[at]).norm(dim=-1) / old[at].norm(dim=-1).clamp_min(1e-9))[pieces].sum()
            for one, at in zip(mine, depth)
        ]
        sums = apart if not sums else [a + b for a, b in zip(sums, apart)]
        count += int(pieces.sum())
    names = ["embeddings", *(f"layer {number}" for number in range(len(sums) - 1))]
    return tuple(f"states of {name}: {float(one) / count:.1%} away" for name, one in zip(names, sums))
