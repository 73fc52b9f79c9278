"""The Markdown twin of a run's report: numbers only, for a note or a diff."""

from collections.abc import Iterable

from afterbert.base.markdown import in_markdown
from afterbert.report import figures, summary
from afterbert.report.grid import Grid
from afterbert.report.run_record import RunRecord
from afterbert.report.statistics import statistics_of


def run_markdown(record: RunRecord) -> str:
    """The numbers of a run as a few Markdown tables."""
    title = record.setting("title") or record.name
    parts = [f"# {in_markdown(str(title))}", in_markdown(summary.described(record))]
    if standing := summary.standing(record):
        parts.append(f"**{in_markdown(standing)}**")
    parts += [_held_out(record), _training(record), _masking(record), _data(record)]
    languages = summary.languages_in_words(record)
    parts += [_mix(record), languages.markdown() if languages else "", _settings(record)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _held_out(record: RunRecord) -> str:
    headline = summary.headline_of(record)
    answered = summary.answers_in_words(record.measured.answered)
    if headline is None:
        return _table("Without fine-tuning", ("question", "right"), answered) if answered else ""
    when = "" if headline.at_step is None else f" at step {figures.count(headline.at_step)}"
    rows = [(f"{headline.measure}{when}", figures.percent(headline.model.value))]
    rows += [(f"baseline: {share.name}", figures.percent(share.value)) for share in headline.baselines]
    if headline.measure != "masked accuracy":
        return _table("Held-out text", ("measure", "value"), [*rows, *summary.own_in_words(record), *answered[1:]])
    others = {key: value for key, value in record.measured.measures.items() if key != summary.HEADLINE}
    rows += [*summary.in_words(others), *answered]
    return _table("Held-out text", ("measure", "value"), rows)


def _training(record: RunRecord) -> str:
    metrics = record.metrics
    rows = [(fact.name, fact.value) for fact in summary.facts_of(record)]
    rows += [("last loss", figures.number(metrics.last("loss")))] if metrics.last("loss") is not None else []
    if len(metrics.not_finite):
        rows += [("steps whose loss or gradient was no finite number", figures.count(len(metrics.not_finite)))]
    return _table("Training", ("figure", "value"), rows)


def _masking(record: RunRecord) -> str:
    statistics = statistics_of(record)
    rows = [*statistics.singles, *((f"{g.name}: {b.name}", b.value) for g in statistics.groups for b in g.bars)]
    return _table("Masking", ("statistic", "value"), rows)


def _data(record: RunRecord) -> str:
    tally = record.data.tally
    rows = [("documents read", figures.count(tally.read)), ("documents kept", figures.count(tally.kept))]
    rows += [(f"dropped: {figures.words(reason)}", figures.count(n)) for reason, n in tally.dropped.items()]
    rows += [(f"repaired: {figures.words(reason)}", figures.count(n)) for reason, n in tally.repaired.items()]
    for split, counted in record.data.splits.items():
        rows += [
            (f"{figures.words(split)}: {figures.words(key)}", figures.number(value))
            for key, value in counted.items()
            if isinstance(value, (int, float))
        ]
    return _table("Data", ("count", "value"), [row for row in rows if row[1] != "–"])


def _mix(record: RunRecord) -> str:
    head = ("store", "rows", "planned: share, epochs", "realised: share, epochs")
    return _table("The mix of stores", head, summary.mix_in_words(record))


def _settings(record: RunRecord) -> str:
    rows = [(v.path, figures.setting(v.value), v.origin) for v in record.recipe if v.chooser == "command line"]
    return _table("Settings from the command line", ("setting", "value", "origin"), rows)


def _table(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    found = tuple(rows)
    return Grid(title, head, found).markdown() if found else ""
