import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError


@pytest.mark.parametrize(
    ("written", "amount", "unit"),
    [
        ("10min", 600, "seconds"),
        ("2h", 7200, "seconds"),
        ("45s", 45, "seconds"),
        ("500steps", 500, "steps"),
        ("1step", 1, "steps"),
        ("20Mtokens", 2e7, "tokens"),
        ("1.5GTokens", 1.5e9, "tokens"),
        ("3epochs", 3, "epochs"),
        ("1e15flops", 1e15, "flops"),
        ("2PFLOPS", 2e15, "flops"),
        (" 7 steps ", 7, "steps"),
    ],
)
def test_units(written, amount, unit):
    assert Budget.parse(written) == Budget(amount, unit)


@pytest.mark.parametrize("written", ["10", "min", "-5min", "0steps", "10 lightyears", "1e3", "", "steps10"])
def test_refusals_show_how_to_write_one(written):
    with pytest.raises(UserError, match="write 10min, 2h, 500steps"):
        Budget.parse(written)


@given(st.integers(1, 10**9), st.sampled_from(["steps", "tokens", "seconds", "epochs", "flops"]))
def test_written_and_read_again(amount, unit):
    amount = min(amount, 10**7) if unit == "epochs" else amount
    assert Budget.parse(str(Budget(amount, unit))) == Budget(amount, unit)
