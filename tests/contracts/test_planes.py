"""What every plane promises, for every tokenizer."""

import numpy as np
import pytest

from afterbert.base import plugins
from afterbert.base.config import to_plain
from afterbert.text.encoding import Encoder
from afterbert.text.planes import Plane
from invented_texts import ALL, LANGUAGES, RECIPES, tokenizer_called

PLANES = plugins.names(Plane)


@pytest.fixture(scope="module", params=RECIPES)
def encoder(request):
    return Encoder(tokenizer_called(request.param))


@pytest.mark.parametrize("name", PLANES)
def test_values_fit_their_width_and_count(name, encoder):
    plane = plugins.find(Plane, name)()
    encoded = encoder(ALL, LANGUAGES)
    values = plane(encoded)
    assert values.shape == encoded.piece_ids.shape
    assert plane.width in (1, 2, 4, 8)
    assert values.dtype == (bool if plane.width == 1 else np.uint8)
    assert values.max() < 1 << plane.width


@pytest.mark.parametrize("name", PLANES)
def test_texts_around_do_not_matter(name, encoder):
    plane = plugins.find(Plane, name)()
    together = plane(encoder(ALL, LANGUAGES))
    alone = [plane(encoder([text], [language])) for text, language in zip(ALL, LANGUAGES)]
    assert np.array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize("name", PLANES)
def test_first_piece_of_a_text_is_a_start(name, encoder):
    plane = plugins.find(Plane, name)()
    encoded = encoder(["", "  two words ", *ALL])
    first = encoded.piece_starts[:-1][np.diff(encoded.piece_starts) > 0]
    assert plane.width > 1 or plane(encoded)[first].all()


@pytest.mark.parametrize("name", PLANES)
def test_settled_is_its_own_settled(name):
    settled = plugins.find(Plane, name)().settled()
    assert settled.settled() == settled
    assert to_plain(settled)["type"] == name


@pytest.mark.parametrize("name", PLANES)
def test_no_text_no_values(name, encoder):
    assert plugins.find(Plane, name)()(encoder([])).shape == (0,)
    assert plugins.find(Plane, name)()(encoder([""])).shape == (0,)
