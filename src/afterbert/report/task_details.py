"""One fine-tuning in detail: every figure that the terminal told, class by class, and its most confident mistakes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from afterbert.downstream.figures.results import read_split
from afterbert.downstream.metrics import in_print
from afterbert.report import figures
from afterbert.report.grid import Grid

# A larger table is not looked at as a whole; then the likeliest confusions are listed.
_MOST_CLASSES = 20
_MISTAKES, _LONGEST_TEXT = 10, 200


def detail_grids(results: Mapping[str, Any], folder: Path) -> list[Grid]:
    """Returns tables of a results.json that lies in `folder`, beside the runs of its seeds."""
    grids = [metrics_grid(results)]
    for task, split, found in splits_of(results):
        of = f"{task} {split}"
        if found.get("by_class"):
            grids.append(_classes(of, found["by_class"]))
        if found.get("taken_for"):
            grids.append(_confusion(of, found["taken_for"]))
        grids += _mistakes(of, sorted(folder.glob(f"seed-*/predictions/{task}.{split}.jsonl"))[:1])
    return grids


def remarks(results: Mapping[str, Any]) -> list[str]:
    """Returns the remarks that the terminal printed: guesses, oddities of the data, what was chosen on dev."""
    guesses = dict.fromkeys(f"Guessing for {task}: {found['baseline']}." for task, _, found in splits_of(results))
    notes = [f"Note: {note}." for note in (*results.get("notes", ()), *results.get("remarks", ()))]
    return [*guesses, *notes]


def metrics_grid(results: Mapping[str, Any]) -> Grid:
    """Returns a line for each metric of a results.json: what guessing scores, mean and spread over seeds; for the main
    metric also the interval and the gain over guessing."""
    rows = []
    for task, split, found in splits_of(results):
        for number, (name, spread) in enumerate(found["metrics"].items()):
            interval, gain = found["interval"], found["gain"]
            deviation = spread["deviation"]
            cells = [in_print(name, found["baseline_metrics"][name]), in_print(name, spread["mean"])]
            cells.append("" if deviation is None else in_print(name, deviation))
            if number == 0:
                low, high = (in_print(name, interval[end]) for end in ("low", "high"))
                ends = [in_print(name, gain[end]) for end in ("estimate", "low", "high")]
                cells += [f"{low} to {high}", f"{ends[0]} ({ends[1]} to {ends[2]})"]
            else:
                cells += ["", ""]
            rows.append((f"{task} {split}", f"{found['rows']:,}", figures.words(name), *cells))
    head = ("task", "rows", "metric", "guessing", "mean", "spread", "95% interval", "gain over guessing")
    return Grid("Every metric", head, tuple(rows))


def _classes(of: str, found: Mapping[str, Any]) -> Grid:
    rows = tuple(
        (name, *(f"{100 * one[key]:.1f}" for key in ("precision", "recall", "f1")), f"{one['support']:,}")
        for name, one in found.items()
    )
    return Grid(f"{of}: class by class, in percent", ("class", "precision", "recall", "F1", "support"), rows)


def _confusion(of: str, found: Mapping[str, Mapping[str, int]]) -> Grid:
    given = list(dict.fromkeys([*found, *(name for row in found.values() for name in row)]))
    if len(given) <= _MOST_CLASSES:
        rows = tuple((name, *(f"{row.get(one, 0):,}" for one in given)) for name, row in found.items())
        return Grid(f"{of}: true classes in rows, those given in columns", ("", *given), rows)
    pairs = [(count, wanted, one) for wanted, row in found.items() for one, count in row.items() if one != wanted]
    likeliest = sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2]))[:_MOST_CLASSES]
    rows = tuple((wanted, one, f"{count:,}") for count, wanted, one in likeliest)
    return Grid(f"{of}: what is taken for what most often", ("true class", "given", "times"), rows)


def _mistakes(of: str, files: list[Path]) -> list[Grid]:
    """The wrong answers that the model was surest of; none where it says nothing of how sure it is."""
    rows = []
    for record in (record for path in files for record in read_split(path)):
        answer, label = record["prediction"], record["label"]
        are_spans = isinstance(label, list) and bool(label) and all(isinstance(one, dict) for one in label)
        right = [one["text"] for one in label] if are_spans else [label]
        is_wrong = label is not None and answer not in right and not (label == [] and answer == "")
        if is_wrong and record.get("confidence") is not None:
            rows.append((record["confidence"], record))
    rows.sort(key=lambda row: -row[0])
    if not rows:
        return []
    cells = tuple(
        (_shown(one["text"]), _shown(one["label"]), _shown(one["prediction"]), f"{100 * sure:.1f}%", one["key"])
        for sure, one in rows[:_MISTAKES]
    )
    head = ("text", "label", "prediction", "confidence", "row")
    return [Grid(f"{of}: the most confident mistakes", head, cells)]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        spelled = [one["text"] if isinstance(one, dict) else str(one) for one in value]
        value = (" " if all(" " not in one for one in spelled) else " | ").join(spelled)
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def splits_of(results: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yields each task, split and what came of it."""
    for task, found in results["tasks"].items():
        for split, result in found["splits"].items():
            yield task, split, result
