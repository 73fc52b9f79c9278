"""The page of a study, a pure function of its results, and the index over all studies: a row for each claim."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from afterbert.report import figures
from afterbert.report.chart import SERIES, Chart, Curve, draw, series_key
from afterbert.report.dots import draw_dots
from afterbert.report.grid import Grid
from afterbert.report.sectioned import Link, Section, SectionedPage
from afterbert.study.claims import ARTICLE, claims
from afterbert.study.results import Compared, JudgedResult, MeasureResult, StudyResults, read_results

_HELD = {"tokens": "the tokens read", "flops": "the floating-point operations", "seconds": "the time here"}


def write_study_page(folder: Path) -> Path:
    """Writes report.html and report.md of a study's folder from its results.json. Raises UserError."""
    return study_page(read_results(folder / "results.json")).write(folder / "report.html")


def write_index(root: Path) -> Path:
    """Writes index.html over all studies below `root` that have results. Raises UserError."""
    found = [(path.parent, read_results(path)) for path in sorted(root.glob("*/results.json"))]
    studies = [(quote(os.path.relpath(folder / "report.html", root)), one) for folder, one in found]
    return index_page(studies).write(root / "index.html")


def study_page(found: StudyResults) -> SectionedPage:
    """Returns the whole page of a study."""
    deciding = found.measures.get(found.measure)
    notice = ""
    if found.scale == "smoke":
        notice = "Scale smoke shows that the study runs. Its models have learned nothing, so nothing follows from it."
    sections = [_answer(found, deciding)]
    sections += [_seeds(found, deciding)] if deciding else []
    sections += [_differences(found), _measures(found)]
    sections += [_published(found)] if found.published else []
    sections += [_curves(found), _cost(found), _again(found)]
    return SectionedPage(
        kicker=f"Study {found.name}, scale {found.scale}, {found.seeds} seeds",
        title=found.question,
        lead=tuple(said(one, deciding) for one in found.judged) or ("Nothing was asked of the runs.",),
        sections=tuple(sections),
        notice=notice,
    )


def said(one: JudgedResult, measure: MeasureResult | None) -> str:
    """Returns an expectation and its verdict in a sentence."""
    if measure is None:
        return f"{one.says}: {one.verdict}."
    told = f"{one.says}: {one.verdict} ({_effect(one.difference, measure)})."
    if one.at_floor and measure.floor is not None:
        told += f" Neither arm does better than one that learned nothing ({_value(measure.floor, measure)})."
    return told


def index_page(studies: Sequence[tuple[str, StudyResults]]) -> SectionedPage:
    """Returns the index page of all studies. studies: (address of the page, results). Every claim of the article has a
    row, or one for each verdict on it."""
    rows: list[tuple[Any, ...]] = []
    open_claims = 0
    for number, claim in claims().items():
        mine = [(link, one, judged) for link, one in studies for judged in one.judged if number in judged.claims]
        for link, one, judged in mine:
            measure = one.measures.get(one.measure)
            effect = "–" if measure is None else _effect(judged.difference, measure)
            rows.append((str(number), claim.says, judged.says, judged.verdict, effect, one.scale, Link(one.name, link)))
        if not mine:
            open_claims += claim.is_testable
            why = "no study yet" if claim.is_testable else claim.why_not
            rows.append((str(number), claim.says, "–", why, "–", "–", "–"))
    head = ("claim", "what it says", "expected here", "verdict", "effect and 95% interval", "scale", "study")
    listed = [(Link(one.name, link), one.question, one.verdict, one.scale, str(one.seeds)) for link, one in studies]
    return SectionedPage(
        kicker="Studies",
        title="The claims of the article, tested",
        lead=(
            f"The article is {ARTICLE}. {len(studies)} studies; {open_claims} claims that runs could test have none "
            "yet. A verdict is computed by the rule of its study, never written by hand.",
        ),
        sections=(
            Section("Claim by claim", grid=Grid("", head, tuple(rows))),
            Section("All studies", grid=Grid("", ("study", "question", "verdict", "scale", "seeds"), tuple(listed))),
        ),
    )


def _answer(found: StudyResults, deciding: MeasureResult | None) -> Section:
    if deciding is None:
        return Section("Answer", (f"No arm was asked {found.measure}, by which the study decides.",))
    rows = []
    for one in found.judged:
        seen = "–" if one.difference.seen is None else _amount(one.difference.seen, deciding)
        rows.append(
            (one.says, one.verdict, _effect(one.difference, deciding), _chance(one.p_equal), _chance(one.p_large), seen)
        )
    head = ("expected", "verdict", "effect and 95% interval", "p of no difference", "p of one that matters", "seen")
    where = ("seeds and held-out rows", "other seeds and other rows of this text")
    where = where if deciding.rows else ("seeds", "other seeds on the same rows")
    if found.seeds == 1:
        where = ("held-out rows", "this one seed of each arm on other rows of this text")
    words = (
        f"Decided by: {deciding.title}. A difference of less than {_amount(found.smallest, deciding)} counts as none. "
        "Positive is in favour of the first arm named. p values are Holm's over all expectations; an interval is of "
        "one difference alone. Last: the smallest true difference that would be seen four times in five, whichever of "
        "the expectations it were.",
        f"Intervals are over {where[0]}: {where[1]} would give figures in them 95 times in 100.",
    )
    return Section("Answer", words, Grid("", head, tuple(rows)))


def _chance(share: float) -> str:
    """
    >>> _chance(0.0004), _chance(0.0313)
    ('< 0.001', '0.031')
    """
    return "< 0.001" if share < 0.001 else f"{share:.3f}"


def _seeds(found: StudyResults, deciding: MeasureResult) -> Section:
    charts = [draw_dots(deciding.title, deciding.values, write=partial(_value, measure=deciding))]
    for name, one in found.measures.items():
        if name != found.measure and not one.is_cost and one.values:
            charts.append(draw_dots(one.title, one.values, write=partial(_value, measure=one)))
    return Section("Every seed", ("A dot is a seed, a bar the mean of its arm.",), dots=tuple(charts))


def _differences(found: StudyResults) -> Section:
    rows = []
    for name, arm in found.arms.items():
        changed = "; ".join(f"{path}: {before} → {after}" for path, (before, after) in arm.changes.items())
        nothing = "as the base" if name == found.first else "–"
        rate = "–" if arm.learning_rate is None else f"{arm.learning_rate:g}"
        rows.append((name, arm.why or "–", changed or nothing, rate))
    shared = ", ".join(f"{key} {value}" for key, value in found.settings.items())
    words = (
        f"All arms are the recipe {found.base}{f' in size {found.size}' if found.size else ''} with {shared}; held "
        f"equal: {_HELD[found.hold]}. The resolved recipes were compared down into lists, and differ from the arm "
        f"{found.first} in this alone.",
        "Each arm's learning rate was searched with the same share of the budget."
        if found.searched
        else "The learning rate was not searched for each arm.",
    )
    return Section("What differs", words, Grid("", ("arm", "what it is", "changed", "learning rate"), tuple(rows)))


def _measures(found: StudyResults) -> Section:
    asked = [one for one in found.measures.values() if not one.is_cost]
    has_floor = any(one.floor is not None for one in asked)
    rows = []
    for one in asked:
        cells = [_cell(arm, one) for arm in found.arms]
        floor = [_value(one.floor, one)] if has_floor else []
        rows.append((f"{one.title} *" if one.favours else one.title, *cells, *floor))
    words = [
        "Mean ± standard deviation over seeds; in brackets the 95% interval of the difference to the arm "
        f"{found.first}, positive where it is better."
    ]
    if has_floor:
        words.append("Nothing learned: what chance, guessing or random weights get.")
    words += [f"* {one.title} favours by construction: {one.favours}." for one in asked if one.favours]
    head = ("measure", *found.arms, *(["nothing learned"] if has_floor else []))
    return Section("All measures", tuple(words), Grid("", head, tuple(rows)))


def _cell(arm: str, one: MeasureResult) -> str:
    if arm not in one.means:
        return "–"
    deviation = one.deviations[arm]
    told = _value(one.means[arm], one) + (f" ± {_amount(deviation, one)}" if deviation is not None else "")
    against = one.against_first.get(arm)
    if against is None or against.low is None or against.high is None:
        return told
    return f"{told} ({_signed(against.low, one)} to {_signed(against.high, one)})"


def _published(found: StudyResults) -> Section:
    there = found.published
    assert there is not None
    rows = tuple((name, *("–" if value is None else f"{value:g}" for value in row)) for name, row in there.rows.items())
    words = (f"{there.paper}, {there.where}{f': {there.setup}' if there.setup else ''}.", there.finding)
    return Section("What was published", words, Grid("", ("", *there.columns), rows))


def _curves(found: StudyResults) -> Section:
    curves = [
        Curve(name, np.array(points)[:, 0], np.array(points)[:, 1], style=SERIES[number % len(SERIES)])
        for number, (name, arm) in enumerate(found.arms.items())
        for points in arm.curves
        if len(points) > 1
    ]
    chart: Chart | None = draw("held-out text in training", curves, x_title="tokens read")
    words = (
        "Masked accuracy of each seed where the arms can be asked it, else each arm's own loss, which others do not "
        "share.",
    )
    return Section("Curves", words, charts=(chart,), key=series_key(found.arms))


def _cost(found: StudyResults) -> Section:
    costs = {name: one for name, one in found.measures.items() if one.is_cost}
    rows = []
    for name, arm in found.arms.items():
        spent = (
            figures.count(arm.cost.steps),
            figures.large(arm.cost.tokens),
            "–" if arm.cost.flops is None else f"{arm.cost.flops:.3g}",
            figures.duration(arm.cost.seconds),
        )
        rows.append((name, *spent, *(_value(one.means.get(name), one) for one in costs.values())))
    head = ("arm", "steps", "tokens", "FLOPs", "time", *(one.title for one in costs.values()))
    words = (
        "Of the pre-training behind one value above; labelled tasks are not counted. FLOPs are those of the backbone, "
        "heads left out. Time and speed are those of a machine that may have done other things too.",
    )
    return Section("Cost", words, Grid("", head, tuple(rows)))


def _again(found: StudyResults) -> Section:
    text = found.text
    names = ", ".join(text.sources[:4]) + (" ..." if len(text.sources) > 4 else "")
    words = (
        f"Text: {names}; {figures.count(text.documents)} documents, {figures.large(text.pieces)} pieces to train on "
        f"and {figures.large(text.held_out_pieces)} held out, a vocabulary of {figures.count(text.vocab_size)}; "
        f"fingerprint {text.fingerprint[:12]}. Machine: {found.machine}.",
        *([f"Labelled tasks: {', '.join(found.tasks)}."] if found.tasks else []),
        *found.notes,
    )
    return Section("Run it again", words, code=found.command)


def _effect(one: Compared, measure: MeasureResult) -> str:
    if one.estimate is None:
        return "an arm has no figure"
    told = _signed(one.estimate, measure) + (" points" if measure.unit == "share" else "")
    if one.low is None or one.high is None:
        return f"{told}, no interval"
    return f"{told}, {_signed(one.low, measure)} to {_signed(one.high, measure)}"


def _value(value: float | None, measure: MeasureResult) -> str:
    return figures.measured(value, measure.unit)


def _amount(value: float, measure: MeasureResult) -> str:
    """A difference without its sign: points of a share."""
    if measure.unit != "share":
        return _value(float(f"{value:.2g}"), measure)
    points = f"{100 * value:.2f}".rstrip("0").rstrip(".")
    return f"{points} point" if points == "1" else f"{points} points"


def _signed(value: float, measure: MeasureResult) -> str:
    return signed_share(value) if measure.unit == "share" else f"{value:+.3g}".replace("-", "−")


def signed_share(value: float) -> str:
    """Returns a difference of shares in points, with its sign.

    >>> signed_share(-0.0123), signed_share(0.2)
    ('−1.2', '+20.0')
    """
    return f"{100 * value:+.1f}".replace("-", "−")
