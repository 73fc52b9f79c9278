"""Every mixing law keeps the contract, and the laws meet where they should."""

import json

import pytest

from afterbert.base.config import build, to_plain
from afterbert.base.errors import UserError
from afterbert.base.mixing import Mixing, allotted
from afterbert.base.mixing.equal import Equal
from afterbert.base.mixing.exponent import Exponent
from afterbert.base.mixing.fixed import Fixed
from afterbert.base.mixing.proportional import Proportional
from afterbert.base.mixing.scheduled import Scheduled
from afterbert.base.mixing.temperature import Temperature
from afterbert.base.plugins import find, names
from afterbert.base.tree import parse

SIZES = {"en": 800, "is": 50, "zh": 150}
WEIGHTS = dict.fromkeys(SIZES, 1.0)


@pytest.mark.parametrize("name", names(Mixing))
def test_shares_add_up_and_a_law_survives_a_recipe(name):
    law = find(Mixing, name)()
    if name == "fixed":
        law = Fixed(WEIGHTS)
    if name == "scheduled":
        law = Scheduled(WEIGHTS, WEIGHTS)
    for progress in (0.0, 0.3, 1.0):
        shares = law.shares(SIZES, progress=progress)
        assert list(shares) == list(SIZES)
        assert sum(shares.values()) == pytest.approx(1.0)
    assert build(Mixing, parse(json.dumps(to_plain(law)), label="x")) == law


def test_the_laws_meet_where_they_should():
    proportional = Proportional().shares(SIZES)
    assert Temperature(temperature=1.0).shares(SIZES) == pytest.approx(proportional)
    assert Exponent(exponent=1.0).shares(SIZES) == pytest.approx(proportional)
    assert Temperature(temperature=1e9).shares(SIZES) == pytest.approx(Equal().shares(SIZES), abs=1e-6)
    assert Exponent(exponent=0.0).shares(SIZES) == pytest.approx(Equal().shares(SIZES))
    assert Proportional(limit=10).shares(SIZES) == pytest.approx(Equal().shares(SIZES))
    # S = 0.7 of the multilingual release is a temperature of 1 / 0.7.
    assert Temperature(temperature=1 / 0.7).shares(SIZES) == pytest.approx(Exponent(exponent=0.7).shares(SIZES))


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"en": 1, "is": 1}, "gives no weight to 'zh'"),
        ({"en": 1, "is": 1, "zh": 1, "fr": 1}, "gives a weight to 'fr', which is no source"),
        ({"en": 1, "is": -1, "zh": 1}, "gives 'is' the weight -1; weights are at least 0"),
        ({"en": 0, "is": 0, "zh": 0}, "gives every source the weight 0"),
    ],
)
def test_weights_that_do_not_fit_are_one_line(weights, said):
    with pytest.raises(UserError, match=said):
        Fixed(weights).shares(SIZES)
    with pytest.raises(UserError, match=said):
        Scheduled(weights, WEIGHTS).shares(SIZES)


def test_whole_numbers_come_as_near_as_can_be():
    assert sum(allotted(Exponent().shares(SIZES), 1234).values()) == 1234
    assert allotted({"a": 0.5, "b": 0.5, "c": 0.0}, 10) == {"a": 5, "b": 5, "c": 0}


@pytest.mark.parametrize("name", sorted(set(names(Mixing)) - {"fixed", "scheduled"}))
def test_a_larger_source_never_gets_less_and_the_unit_of_size_does_not_matter(name):
    law = find(Mixing, name)(**({"limit": None} if name == "temperature" else {}))
    shares = law.shares(SIZES)
    assert shares["en"] >= shares["zh"] >= shares["is"] > 0
    assert law.shares({key: 1000 * size for key, size in SIZES.items()}) == pytest.approx(shares)
