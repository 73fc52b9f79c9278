"""What every plane promises, for every tokenizer."""

import numpy as np
import pytest

from afterbert.base import plugins
from afterbert.base.config import to_plain
from afterbert.text.pieces.encoding import PieceEncoder
from afterbert.text.planes import Plane
from invented_texts import ALL, LANGUAGES, RECIPES, tokenizer_called

PLANES = plugins.names(Plane)
LISTED = ("entity", "phrase")  # these need a list; any other plane is made without settings


@pytest.fixture
def plane(request, tmp_path):
    if request.param not in LISTED:
        return plugins.find(Plane, request.param)()
    path = tmp_path / "list.tsv"
    path.write_text("well-known\tA\nthe gulls' keepers\n北京大学\tB\nラーメン\tC\n👍🏽\tD\n", encoding="utf-8")
    return plugins.find(Plane, request.param)(str(path))


every_plane = pytest.mark.parametrize("plane", PLANES, indirect=True)


@pytest.fixture(scope="module", params=RECIPES)
def encoder(request):
    return PieceEncoder(tokenizer_called(request.param))


@every_plane
def test_values_fit_their_width_and_count(plane, encoder):
    encoded = encoder(ALL, LANGUAGES)
    values = plane(encoded)
    assert values.shape == encoded.piece_ids.shape
    assert plane.width in (1, 2, 4, 8)
    assert values.dtype == (bool if plane.width == 1 else np.uint8)
    assert values.max() < 1 << plane.width


@every_plane
def test_texts_around_do_not_matter(plane, encoder):
    together = plane(encoder(ALL, LANGUAGES))
    alone = [plane(encoder([text], [language])) for text, language in zip(ALL, LANGUAGES)]
    assert np.array_equal(together, np.concatenate(alone))


@every_plane
def test_first_piece_of_a_text_is_a_start(plane, encoder):
    encoded = encoder(["", "  two words ", *ALL])
    first = encoded.piece_starts[:-1][np.diff(encoded.piece_starts) > 0]
    assert plane.width > 1 or plane(encoded)[first].all()


@every_plane
def test_settled_is_its_own_settled(plane):
    settled = plane.settled()
    assert settled.settled() == settled
    assert to_plain(settled)["type"] == plugins.name_of(plane)


@every_plane
def test_no_text_no_values(plane, encoder):
    assert plane(encoder([])).shape == (0,)
    assert plane(encoder([""])).shape == (0,)
