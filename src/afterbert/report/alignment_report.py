"""The picture of an alignment: what is found at each layer, beside random weights and chance."""

from collections.abc import Callable, Mapping

import numpy as np

from afterbert.report import figures
from afterbert.report.chart import SERIES, Curve, draw, series_key
from afterbert.report.grid import Grid
from afterbert.report.sectioned import Section, SectionedPage
from afterbert.workflows.alignment import LEVELS, Alignment, LayerAlignment

#: What a line of a drawing is -> its height at a layer.
_LINES: Mapping[str, Callable[[LayerAlignment], float]] = {
    "forth, CSLS": lambda one: one.csls[0].value,
    "back, CSLS": lambda one: one.csls[1].value,
    "forth, cosine": lambda one: one.cosine[0].value,
    "linear CKA": lambda one: one.cka.value,
    "random weights, CSLS": lambda one: one.csls[0].beside["random weights"],
    "random weights, CKA": lambda one: one.cka.beside["random weights"],
}


def alignment_grid(found: Alignment) -> Grid:
    """Returns a line for each level and layer, in percent, with 95% intervals."""
    here, there = found.languages
    rows = []
    for one in found.layers:
        cells = []
        for figure in one.csls:
            low, high = figure.interval or (figure.value, figure.value)
            cells.append(f"{100 * figure.value:.1f} ({100 * low:.1f} to {100 * high:.1f})")
        beside = [one.cosine[0].value, *(one.csls[0].beside[name] for name in ("random weights", "chance"))]
        cells += [f"{100 * value:.1f}" for value in beside]
        cka = f"{one.cka.value:.2f} ({one.cka.beside['random weights']:.2f})"
        rows.append((one.level, one.layer, *cells, cka, f"{one.csls[0].count:,}"))
    ways = (f"{here} to {there}", f"{there} to {here}")
    head = ("what", "layer", *ways, "cosine", "random", "chance", "CKA (random)", "of")
    return Grid("Found first by CSLS, in percent", head, tuple(rows))


def alignment_page(found: Alignment) -> SectionedPage:
    """Returns the page with a drawing for each level, and the table."""
    sections, key = [], series_key(_LINES)
    for level, words in LEVELS.items():
        layers = [one for one in found.layers if one.level == level]
        if not layers:
            continue
        xs, labels = np.array([one.layer for one in layers], dtype=float), tuple(f"layer {one.layer}" for one in layers)
        curves = [
            Curve(name, xs, np.array([height(one) for one in layers]), style, has_dots=True, labels=labels)
            for style, (name, height) in zip(SERIES, _LINES.items())
        ]
        chart = draw(level, curves, x_title="layer", write=figures.percent, starts_at_zero=True,
                     levels=[("chance", layers[0].csls[0].beside["chance"])])  # fmt: skip
        sections.append(Section(words[:1].upper() + words[1:], charts=(chart,), key=key))
    sections.append(Section("All figures", grid=alignment_grid(found)))
    best = found.best(found.layers[0].level)
    lead = (
        f"Most {best.level} are found at layer {best.layer}: {best.both_ways:.1%}, mean of both ways (CSLS).",
        *found.notes,
    )
    title = f"{found.languages[0]} and {found.languages[1]} under {found.title}"
    return SectionedPage("Alignment of two languages", title, lead, tuple(sections))
