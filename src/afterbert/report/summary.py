"""The first screen: what was trained on what, how long, and how well beside counting."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from afterbert.objectives.parts.meaning import SHARE
from afterbert.probes.figure import Figure
from afterbert.report import figures
from afterbert.report.forecast import Forecast, forecast
from afterbert.report.grid import Grid
from afterbert.report.run_record import RunRecord

HEADLINE = "masked_accuracy"

_BASELINES = {"most_frequent_piece": "most frequent piece", "left_and_right_neighbour": "counting neighbours"}
_MEASURES = {
    "loss": "nats per masked piece",
    "bits_per_byte": "bits per byte",
    "masked_accuracy": "masked accuracy",
    "accuracy_one_piece_word": "word of a single piece",
    "accuracy_word_otherwise_visible": "rest of the word visible",
    "accuracy_wholly_masked_word": "several pieces, all hidden",
}
_OF_LANGUAGES = {
    "bits_per_byte_of_words": "bits per byte, words hidden",
    "bits_per_byte": "pieces hidden",
    "pieces_per_word": "pieces a word",
    "unknown": "unknown",
}
_SPLIT = "accuracy_"
_LEVEL = 0.5  # points; less is no difference to speak of in one run
_STATES = {"preempted": "stopped before its end", "": "state unknown"}


@dataclass(frozen=True)
class Share:
    """A named share of one, to be drawn."""

    name: str
    value: float
    note: str = ""

    @property
    def squares(self) -> float:
        """Counts how many of 100 squares are filled."""
        return 100 * min(max(self.value, 0.0), 1.0)


@dataclass(frozen=True)
class Headline:
    """One figure of held-out text beside what needs no training: masked accuracy, or for a run without it the question
    that all runs share. asked: on how many pieces, or with which interval.

    at_step: None if it is the finished model's.
    """

    model: Share
    baselines: tuple[Share, ...]
    splits: tuple[Share, ...]
    asked: str
    at_step: float | None
    question: str = "Of 100 hidden pieces of held-out text, how many does the first guess name?"
    measure: str = "masked accuracy"
    more: Forecast | None = None
    """The training that would bring it level with the best baseline, where the run's own curve tells."""

    @property
    def best_baseline(self) -> Share | None:
        return max(self.baselines, key=lambda share: share.value, default=None)

    @property
    def verdict(self) -> str:
        """Says in one sentence what came of it.

        >>> Headline(Share("", 0.3), (Share("counting", 0.15),), (), "", None).verdict
        '15.0 points above counting: training found more than counts can tell.'
        """
        best = self.best_baseline
        if best is None:
            return ""
        gain = 100 * (self.model.value - best.value)
        if gain >= _LEVEL:
            return f"{gain:.1f} points above {best.name}: training found more than counts can tell."
        where = f"{-gain:.1f} points below" if gain <= -_LEVEL else "Level with"
        return f"{where} {best.name}: not yet worth its training{f': {self.more}' if self.more else ''}."


def headline_of(record: RunRecord) -> Headline | None:
    """Returns the main figures from evaluation.json, or from the last evaluation in the metrics; None if nothing was
    evaluated yet."""
    if HEADLINE not in record.measured.measures and record.measured.shared is not None:
        return _shared_headline(record.measured.shared)
    measures, at_step = _finite(record.measured.measures), None
    if HEADLINE not in measures:
        told = [e for e in record.metrics.evaluations if HEADLINE in _finite(e.measures)]
        if not told:
            return None
        measures, at_step = _finite(told[-1].measures), told[-1].step
    baselines = _finite(record.measured.baselines)
    counts = _finite(record.measured.counts)
    gap = max(baselines.values(), default=0.0) - measures[HEADLINE]
    return Headline(
        more=forecast(record.metrics, HEADLINE, gap) if gap > 0 else None,
        model=Share(record.measured.asked or "this model", measures[HEADLINE]),
        baselines=tuple(Share(baseline_name(name), value) for name, value in baselines.items()),
        splits=tuple(
            Share(measure_name(name), value, _how_many(counts.get(name.removeprefix(_SPLIT))))
            for name, value in measures.items()
            if name.startswith(_SPLIT)
        ),
        asked=_how_many(counts.get("asked")),
        at_step=at_step,
    )


def _shared_headline(shared: Figure) -> Headline:
    return Headline(
        model=Share("this model", shared.value),
        baselines=tuple(Share(name, value) for name, value in _finite(shared.beside).items()),
        splits=(),
        asked=f"{figures.count(shared.count)} words{_interval(shared)}",
        at_step=None,
        question="Of 100 frequent words taken out of held-out text, how many does a linear probe on the model's "
        "frozen states name?",
        measure="frequent words named by a linear probe on frozen states",
    )


def _interval(answered: Figure) -> str:
    if answered.interval is None:
        return ""
    low, high = answered.interval
    return f" ({figures.percent(low)} to {figures.percent(high)} in 95 of 100 draws of rows)"


def baseline_name(key: str) -> str:
    """Returns a baseline in words."""
    return _BASELINES.get(key, figures.words(key))


def measure_name(key: str) -> str:
    """Returns a measure in words."""
    return _MEASURES.get(key, figures.words(key))


def measure_value(key: str, value: float | None) -> str:
    """Returns a measure's figure as text: accuracies as percent."""
    return figures.percent(value) if "accuracy" in key else figures.number(value)


def own_in_words(record: RunRecord) -> list[tuple[str, str]]:
    """Returns the objective's own figures as (name, figure), with the objective's names where it gives them."""
    lines = []
    for key, value in record.measured.objective.items():
        named = record.named.loss if key == "loss" else record.named.others.get(key.removeprefix("loss_"))
        if named is None:
            lines.append((measure_name(key), measure_value(key, value)))
        elif named.unit == SHARE:
            lines.append((named.title, figures.percent(value)))
        else:
            lines.append((f"{named.title} ({named.unit})", figures.number(value)))
    return lines


def in_words(measures: Mapping[str, float | None]) -> list[tuple[str, str]]:
    """Measures as (name, figure)."""
    return [(measure_name(key), measure_value(key, value)) for key, value in measures.items()]


def answers_in_words(answered: Sequence[Figure]) -> list[tuple[str, str]]:
    """Puts into words what needs no fine-tuning, with what guessing is worth."""
    lines = []
    for one in answered:
        others = ", ".join(f"{name} {figures.percent(value)}" for name, value in one.beside.items())
        value = f"{figures.percent(one.value)}{_interval(one)} of {figures.count(one.count)}"
        lines.append((one.name, f"{value} ({others})" if others else value))
    return lines


def counts_in_words(counts: Mapping[str, float | None]) -> list[tuple[str, str]]:
    """Counts of pieces asked, each by the name of its measure."""
    return [(_MEASURES.get(_SPLIT + key, figures.words(key)), figures.count(value)) for key, value in counts.items()]


def facts_of(record: RunRecord) -> list[tuple[str, str]]:
    """Gathers what the run took and what it gave as (name, figure), in a few figures; those that are known."""
    metrics, measures = record.metrics, record.measured.measures
    last = dict(metrics.evaluations[-1].measures) if metrics.evaluations else {}
    own = {**last, **record.measured.objective}.get("loss")
    tokens, seconds = metrics.last("tokens"), metrics.last("seconds")
    speed = tokens / seconds if tokens is not None and seconds else metrics.last("tokens_per_second")
    known = [
        ("of training", figures.duration(seconds)),
        ("tokens seen", figures.large(tokens)),
        ("tokens per second, all in", figures.large(speed)),
        (f"held-out loss, {record.named.loss.unit}", figures.number(own)),
        ("bits per byte", figures.number((measures or last).get("bits_per_byte"))),
    ]
    return [(name, figure) for name, figure in known if figure != "–"]


def described(record: RunRecord) -> str:
    """Says in one sentence what was trained on what; as much of it as is known."""
    size = figures.large(parameters(record.folder / "model" / "model.safetensors"))
    settings = [
        (record.setting("model.num_hidden_layers"), "{} layers"),
        (record.setting("model.hidden_size"), "{} wide"),
        (None if size == "–" else size, "{} parameters"),
    ]
    model = ", ".join(words.format(figures.number(value)) for value, words in settings if value is not None)
    kind = str(record.setting("model.type") or "model").replace("_", "-")
    article = "An" if kind[:1] in "aeiou" else "A"
    return f"{article} {kind}{f' ({model})' if model else ''}, {_course(record)}{_text(record)}."


def standing(record: RunRecord) -> str:
    """Says what an unfinished run is doing; empty for a finished one."""
    status = record.status
    if status.state == "finished" or (status.state is None and record.measured.measures):
        return ""
    step = status.step if status.step is not None else record.metrics.last("step")
    where = f"step {figures.count(step)}" if step is not None else "no step yet"
    total = f" of {figures.count(status.total_steps)}" if status.total_steps else ""
    why = f": {status.message}" if status.message else ""
    return f"Not finished: {_STATES.get(status.state or '', status.state)}, {where}{total}{why}."


def parameters(path: Path) -> int | None:
    """Returns how many numbers a safetensors file holds, from its header; None if there is no such file."""
    try:
        with safe_open(path, framework="np") as file:
            names = file.keys()  # it is no mapping
            return sum(math.prod(file.get_slice(name).get_shape()) for name in names)
    except (OSError, SafetensorError):
        return None


def _course(record: RunRecord) -> str:
    step = record.status.step if record.status.step is not None else record.metrics.last("step")
    seconds = record.metrics.last("seconds")
    if not step:
        return "not yet trained"
    steps = f"{figures.count(step)} step{'s' if step != 1 else ''}"
    return f"trained for {steps}" if seconds is None else f"trained for {figures.duration(seconds)} ({steps})"


def _text(record: RunRecord) -> str:
    data = record.data
    names = [source.name for source in data.sources]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    amount = [
        figures.size(data.tally.bytes) if data.tally.bytes else "",
        f"{figures.count(data.tally.kept)} documents" if data.tally.kept else "",
    ]
    told = ", ".join(part for part in amount if part)
    if not shown and not told:
        return ""
    return f" on {shown or 'text'}{f' ({told})' if told else ''}"


def _finite(found: Mapping[str, float | None]) -> dict[str, float]:
    return {key: value for key, value in found.items() if value is not None and math.isfinite(value)}


def _how_many(found: float | None) -> str:
    return f"{figures.count(found)} pieces" if found is not None else ""


def mix_in_words(record: RunRecord) -> list[tuple[str, str, str, str]]:
    """Tells of each store of a mixture its rows, and the share and rounds that were planned and that there were;
    nothing for a run on one store."""
    planned, realised = record.mixture.planned.sources, record.mixture.realised.sources
    found = []
    for name in planned or realised:
        told = (mix.get(name) for mix in (planned, realised))
        cells = [f"{figures.percent(one.share)}, {one.epochs:.2f}" if one else "–" for one in told]
        found.append((name, figures.count((planned.get(name) or realised[name]).rows), cells[0], cells[1]))
    return found


def languages_in_words(record: RunRecord) -> Grid | None:
    """Tells of each language the held-out figures; of a run that added one, before it and after. None if there is one
    language."""
    before, after = record.addition.before, record.addition.after
    if not after:
        told = record.measured.languages.items()
        names = ("bits_per_byte", "masked_accuracy")
        rows = [(code or "none told", *(measure_value(name, one.get(name)) for name in names)) for code, one in told]
        return Grid("By language", ("language", "bits per byte", "masked accuracy"), tuple(rows)) if rows else None
    rows = []
    for code in sorted(after, key=lambda code: (code != record.addition.added, code)):
        pairs = [(before.get(code, {}).get(name), after[code].get(name)) for name in _OF_LANGUAGES]
        cells = [f"{figures.number(one)} to {figures.number(other)}" for one, other in pairs]
        for number in (0, 1):  # the units are bits, of which less is better
            one, other = pairs[number]
            cells[number] += f" ({other / one - 1:+.1%})" if one and other is not None else ""
        rows.append((code, *cells))
    return Grid(f"Before and after adding {record.addition.added}", ("language", *_OF_LANGUAGES.values()), tuple(rows))
