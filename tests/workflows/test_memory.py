"""A recipe that does not fit is refused by arithmetic, with its figures, before anything is allocated."""

from __future__ import annotations

import re

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.recipes import known, resolve
from afterbert.workflows import memory
from afterbert.workflows.memory import check_memory, machine_memory, memory_need
from afterbert.workflows.pretrain_request import PretrainRequest, resolved_for

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", known())
def test_every_recipe_fits_into_a_laptop_in_its_usual_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "machine_memory", lambda device: 4_000_000_000)
    check_memory(resolve(name).recipe, 8000, device=CPU)


def test_what_is_reckoned_is_really_taken() -> None:
    """A lower bound, and no more than a third below the tensors that are there after a step of one row."""
    from afterbert.base.vocabulary import Vocabulary

    recipe = resolve("bert-mlm", size="mini", overrides=[("training.precision", "fp32"), ("length", "256")]).recipe
    size = 2000
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    backbone = recipe.model.build(Vocabulary(size=size, special_ids=tuple(range(5))))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        backbone(torch.zeros(1, 256, dtype=torch.long)).sum().backward()
    weights = {parameter.untyped_storage().data_ptr() for parameter in backbone.parameters()}
    held = sum(bytes_of for at, bytes_of in kept.items() if at not in weights)
    need = memory_need(recipe, size)
    assert 0.5 * held < need.row <= held
    assert need.fixed == 16 * need.parameters  # weight, gradient, AdamW's two means


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([("model.hidden_size", "100000"), ("model.num_attention_heads", "10")], "take a smaller --size, or shorter"),
        ([("model.num_hidden_layers", "1000000")], "take a smaller --size"),
        ([("tokenizer.vocab_size", "10000000"), ("model.hidden_size", "4096")], "take a smaller --size"),
        ([("training.batch_size", "1000000")], r"--training\.micro_batch_size \d+ gives the same updates"),
    ],
)
def test_too_large_is_one_line_with_figures(
    overrides: list[tuple[str, str]], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "machine_memory", lambda device: 16_000_000_000)
    with pytest.raises(UserError, match=said) as error:
        resolved_for(PretrainRequest(recipe="laptop", overrides=tuple(overrides)))
    (line,) = error.value.lines
    assert "million parameters takes" in line and "this machine has 16.0 GB" in line


def test_remembered_segments_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "machine_memory", lambda device: 16_000_000_000)
    recipe = resolve("xlnet", size="base").recipe  # 8,192 slots of 384 places in 12 layers of 768
    with pytest.raises(UserError, match="million parameters takes 11.* GB to train"):
        check_memory(recipe, 8000, device=CPU)
    check_memory(recipe, 8000, device=CPU, processes=64)


def test_the_micro_batch_that_is_advised_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "machine_memory", lambda device: 2_000_000_000)
    wide = resolve("laptop", overrides=[("training.batch_size", "100000")]).recipe
    with pytest.raises(UserError) as error:
        check_memory(wide, 8000, device=CPU)
    found = re.search(r"micro_batch_size (\d+)", str(error.value))
    assert found is not None
    advised = [("training.batch_size", "100000"), ("training.micro_batch_size", found[1])]
    check_memory(resolve("laptop", overrides=advised).recipe, 8000, device=CPU)


def test_a_limit_of_the_shell_counts() -> None:
    assert 0 < machine_memory(CPU) < 1 << 60
