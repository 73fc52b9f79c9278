"""Every law of choice keeps its promise: budget, marginal, form, and independence of the batch."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from afterbert.base import plugins
from afterbert.base.rows import Rows
from afterbert.pretext.selections import Selection
from afterbert.pretext.selections.all import All
from afterbert.pretext.selections.permutation_tail import PermutationTail
from afterbert.pretext.selections.prefix import Prefix
from afterbert.pretext.selections.suffix import Suffix
from afterbert.pretext.units import is_ordinary, units_of
from invented_rows import by_row, noise, taken, text_rows

RATES = (0.01, 0.15, 0.5, 0.95)
LENGTHS = [*range(6), 7, 11, 30, 64, 129]


def variants() -> list[Selection]:
    """Every law as it comes, then with other rates and with whole words where it has such settings."""
    found: list[Selection] = []
    for name in plugins.names(Selection):
        cls = plugins.find(Selection, name)
        settings = {field.name for field in fields(cls)}
        found.append(cls())
        found += [cls(rate=rate) for rate in RATES if "rate" in settings]
        if "unit" in settings:
            found += [cls(unit=unit) for unit in ("piece", "word", "sentence")]
            found += [cls(unit="word", rate=rate) for rate in (0.01, 0.95) if "rate" in settings]
    return list(dict.fromkeys(found))


VARIANTS = variants()
each_variant = pytest.mark.parametrize("law", VARIANTS, ids=str)


def per_row(rows: Rows, positions: np.ndarray) -> np.ndarray:
    return np.diff(np.searchsorted(positions, rows.row_starts))


@each_variant
@pytest.mark.parametrize("ends", [True, False])
def test_form(law: Selection, ends: bool) -> None:
    rows = text_rows(LENGTHS * 3, ends=ends)
    chosen = law(rows, noise())
    assert chosen.positions.dtype == chosen.spans.dtype == np.int64
    assert (np.diff(chosen.positions) > 0).all(), "sorted, none twice"
    assert is_ordinary(rows)[chosen.positions].all(), "never special"
    steps = np.diff(chosen.spans, prepend=-1)
    assert np.isin(steps, (0, 1)).all() and (len(steps) == 0 or steps[0] == 1)
    inside = np.flatnonzero(steps == 0)
    assert (chosen.positions[inside] == chosen.positions[inside - 1] + 1).all(), "a span's pieces are neighbours"
    assert (rows.row_of[chosen.positions[inside]] == rows.row_of[chosen.positions[inside - 1]]).all()
    assert law.has_gaps or not len(chosen.gaps)
    assert (np.diff(chosen.gaps) >= 0).all() and (chosen.gaps < rows.num_pieces).all()
    opens = ~np.isin(chosen.gaps, rows.row_starts[:-1]) | ~rows.planes["special"][chosen.gaps]
    assert opens.all(), "no empty span before a special piece that opens its row"
    spans = per_row(rows, chosen.positions[chosen.begins]) + per_row(rows, chosen.gaps)
    assert (spans <= np.maximum(per_row(rows, chosen.positions), 0)).all(), "rows do not grow"
    assert law.has_rank == (chosen.rank is not None)


@each_variant
def test_budget(law: Selection) -> None:
    rows = text_rows(LENGTHS * 40)
    chosen = law(rows, noise())
    units = units_of(rows, getattr(law, "unit", "word"))
    if law.counts_pieces:
        sizes, counts = rows.lengths - 2, per_row(rows, chosen.positions)
    else:
        sizes, counts = units.counts, per_row(rows, units.starts[np.isin(units.starts, chosen.positions)])
    budget = law.budget(sizes)
    if law.promise == "exact":
        assert (counts == budget).all()
    elif law.promise == "at_most":
        assert (counts <= budget).all()
        is_taken = np.isin(units.starts, chosen.positions)
        left = np.repeat(budget - counts, units.counts)
        assert (is_taken | (units.lengths > left)).all(), "nothing that still fits was left out"
    else:
        rate = getattr(law, "rate", None)
        variance = (sizes**2).sum() / 12 if rate is None else rate * (1 - rate) * (units.lengths**2).sum()
        assert abs(counts.sum() - budget.sum()) <= 4.5 * np.sqrt(variance)


@pytest.mark.parametrize("law", [law for law in VARIANTS if law.is_flat], ids=str)
@pytest.mark.parametrize("size", [2, 7, 40])
def test_marginal(law: Selection, size: int) -> None:
    draws = 3000
    rows = text_rows([size] * draws, word_rate=0.5)
    chosen = law(rows, noise(1))
    counts = np.bincount(rows.position_in_row[chosen.positions], minlength=size + 2)[1:-1]
    rate = len(chosen.positions) / draws / size
    spread = np.sqrt(max(draws * rate * (1 - rate), 1e-9))
    assert (np.abs(counts - draws * rate) <= 4.5 * spread).all()


@each_variant
def test_no_dependence_on_the_batch(law: Selection) -> None:
    rows = text_rows([*LENGTHS, 1000], seed=3)
    order = [4, 11, 8, 0, 9, 2]
    few = taken(rows, order)
    whole, part = law(rows, noise()), law(few, noise())
    for values in ("positions", "gaps"):
        expected = by_row(rows, getattr(whole, values))
        assert by_row(few, getattr(part, values)) == [expected[number] for number in order]
    begins = by_row(rows, whole.positions[whole.begins])
    assert by_row(few, part.positions[part.begins]) == [begins[number] for number in order]
    if law.has_rank:
        everywhere = by_row(rows, np.arange(rows.num_pieces), whole.rank)
        assert by_row(few, np.arange(few.num_pieces), part.rank) == [everywhere[number] for number in order]


DRAWN = [law for law in VARIANTS if not isinstance(law, All | Prefix | Suffix) and getattr(law, "rate", 0) == 0.15]


@pytest.mark.parametrize("law", [*DRAWN, Prefix(), Suffix(), PermutationTail()], ids=str)
def test_views_and_seeds_differ(law: Selection) -> None:
    rows = text_rows([64] * 4)
    first = law(rows, noise()).positions
    assert first.tolist() == law(rows, noise()).positions.tolist()
    for other in (noise(view=1), noise(seed=1)):
        assert first.tolist() != law(rows, other).positions.tolist()


@each_variant
def test_no_rows_and_no_text(law: Selection) -> None:
    for rows in (text_rows([]), text_rows([0, 0]), text_rows([0], ends=False)):
        chosen = law(rows, noise())
        assert len(chosen.positions) == len(chosen.spans) == len(chosen.gaps) == 0


@each_variant
def test_most_spans(law: Selection) -> None:
    for size in (1, 5, 30):
        rows = text_rows([size] * 200)
        chosen = law(rows, noise())
        spans = per_row(rows, chosen.positions[chosen.begins]) + per_row(rows, chosen.gaps)
        assert spans.max(initial=0) <= law.most_spans(size)
