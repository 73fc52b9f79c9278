"""What may differ between the beginning of a run and its resume."""

import json

import pytest

from afterbert.base.errors import UserError
from afterbert.training.checkpoints.identity import RunIdentity

RECIPE = {
    "model": {"hidden_size": 8},
    "training": {"log_every": 10, "optimizer": {"learning_rate": 0.1}, "betas": (1, 2)},
}


def saved(identity):
    return json.loads(json.dumps(identity.plain()))


def changed(**training):
    return RunIdentity({**RECIPE, "training": {**RECIPE["training"], **training}}, "a" * 64, "b" * 64)


def test_the_same():
    identity = changed()
    assert identity.check(saved(identity), allow_changes=False) == []
    assert identity.plain() == saved(identity)


def test_harmless_differences_are_notes():
    assert changed(log_every=5).check(saved(changed()), allow_changes=False) == [
        "changed since the run began: training.log_every: 10 became 5"
    ]


def test_other_differences_are_listed_and_refused_unless_allowed():
    now = changed(log_every=5, optimizer={"learning_rate": 0.2}, new=1)
    with pytest.raises(UserError) as raised:
        now.check(saved(changed()), allow_changes=False)
    assert raised.value.lines[1:] == ("training.optimizer.learning_rate: 0.1 became 0.2", "training.new: None became 1")
    assert len(now.check(saved(changed()), allow_changes=True)) == 3


def test_two_changes_inside_a_list_are_two_lines():
    def with_edits(*edits):
        return RunIdentity({**RECIPE, "edits": list(edits)}, "a" * 64, "b" * 64)

    before = with_edits({"rate": 0.15, "unit": "piece"}, {"rate": 0.3})
    with pytest.raises(UserError) as raised:
        with_edits({"rate": 0.4, "unit": "piece"}, {"rate": 0.5}).check(saved(before), allow_changes=False)
    assert raised.value.lines[1:] == ("edits.0.rate: 0.15 became 0.4", "edits.1.rate: 0.3 became 0.5")


@pytest.mark.parametrize("allow", [True, False])
def test_other_data_or_tokenizer_are_always_refused(allow):
    before = saved(changed())
    with pytest.raises(UserError, match="the token store is cccccccccccc, the run was begun with aaaaaaaaaaaa"):
        RunIdentity(RECIPE, "c" * 64, "b" * 64).check(before, allow_changes=allow)
    with pytest.raises(UserError, match="the tokenizer is cccccccccccc"):
        RunIdentity(RECIPE, "a" * 64, "c" * 64).check(before, allow_changes=allow)
