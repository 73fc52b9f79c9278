"""What `--help` says of values and defaults is what the code has."""

import inspect

import pytest

from afterbert.base.budget import Budget
from afterbert.base.plugins import name_of
from afterbert.cli.verbs.finetune import finetune
from afterbert.downstream.finetuning.settings import FineTuning


@pytest.mark.parametrize(
    ("option", "default"),
    [
        ("epochs", lambda settings: f"{settings.budget.amount:g}" if settings.budget == Budget(3, "epochs") else ""),
        ("learning_rate", lambda settings: f"{settings.optimizer.learning_rate:.0e}".replace("e-0", "e-")),
        ("batch_size", lambda settings: settings.batch_size),
        ("length", lambda settings: settings.length),
        ("seeds", lambda settings: settings.num_seeds),
        ("seed", lambda settings: settings.seed),
        ("layer_decay", lambda settings: settings.layer_decay),
        ("class_weights", lambda settings: settings.class_weights),
        ("keep", lambda settings: settings.keep),
        ("mixing", lambda settings: name_of(settings.mixing)),
    ],
)
def test_the_help_of_finetune_tells_the_default(option, default):
    parameter = inspect.signature(finetune, eval_str=True).parameters[option].annotation
    (told,) = (each.help for each in parameter.__metadata__)
    assert told.endswith(f"; {default(FineTuning())} when not given.")
