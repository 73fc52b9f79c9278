"""The tree of settings as a recipe writes it, and what "auto" takes."""

import pytest
import torch

from afterbert.base import config, tree
from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.training.config import HARMLESS, Training
from afterbert.training.optimizers.adamw import AdamW
from afterbert.training.precision import AUTO, choose
from afterbert.training.schedules.cosine import Cosine


def read(text):
    return config.build(Training, tree.parse(text, label="recipe.yaml"))


def test_a_recipe_and_back():
    training = read(
        """
        budget: 20Mtokens
        optimizer: {type: adamw, learning_rate: 3e-3}
        schedule: {type: cosine, warmup: 0.1}
        evaluate_every: 1Mtokens
        micro_batch_size: 4
        on_disk_full: continue
        """
    )
    assert training.budget == Budget(20e6, "tokens")
    assert (training.optimizer, training.schedule) == (AdamW(learning_rate=3e-3), Cosine(warmup=0.1))
    plain = config.to_plain(training)
    assert config.build(Training, tree.Node({k: node(v) for k, v in plain.items()}, "x")) == training


def node(value):
    return tree.Node({k: node(v) for k, v in value.items()} if isinstance(value, dict) else value, "x")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("micro_batch_size: 0", "micro_batch_size is 0, must be greater than or equal to 1"),
        ("batch_size: 0", "greater than or equal to 1"),
        ("precision: fp16", "'auto', 'fp32' or 'bf16'"),
        ("optimiser: adamw", "did you mean 'optimizer'"),
        ("optimizer: adam", "no optimizer is called 'adam'"),
        ("schedule: {type: linear, warm_up: 3}", "did you mean 'warmup'"),
        ("checkpoint_every: 10", "has no unit"),
    ],
)
def test_mistakes(line, complaint):
    with pytest.raises(UserError, match=complaint):
        read(f"budget: 10min\n{line}")


def test_harmless_settings_exist():
    assert set(Training.__dataclass_fields__) >= HARMLESS


@pytest.mark.parametrize(("amx", "name"), [(True, "bf16"), (False, "fp32")])
def test_auto_on_a_cpu(monkeypatch, amx, name):
    monkeypatch.delenv(AUTO, raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx, "avx512_bf16": True})
    taken = choose("auto", torch.device("cpu"))
    assert taken.name == name
    assert "AMX" in taken.reason


def test_the_environment_may_say_what_auto_takes(monkeypatch):
    for name in ("fp32", "bf16"):
        monkeypatch.setenv(AUTO, name)
        assert choose("auto", torch.device("cpu")).name == name
    monkeypatch.setenv(AUTO, "fp16")
    with pytest.raises(UserError, match="AFTERBERT_AUTO_PRECISION is 'fp16'; write fp32 or bf16"):
        choose("auto", torch.device("cpu"))


def test_what_is_asked_is_taken():
    for name in ("fp32", "bf16"):
        assert choose(name, torch.device("cpu")).name == name
