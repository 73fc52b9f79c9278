"""What `score` prints: figures as a table, and where predictions lie."""

from afterbert.api.tables import drawn
from afterbert.api.terminal import console, safe, table
from afterbert.api.watch import Watch
from afterbert.workflows.scoring import (
    ScoredRows,
    ScoreRequest,
    score_by_cue,
    score_by_head,
    score_by_probe,
    score_pairs,
)


def print_scored(request: ScoreRequest, *, cue: str | None) -> None:
    """Prints the figures of a fine-tuned head, or of a cue."""
    with Watch() as watch:
        done: ScoredRows = score_by_cue(request, cue, watch) if cue else score_by_head(request, watch)
    if done.results:
        console.print(drawn(done.results))
    else:
        console.print("no row has a label, so nothing can be scored")
    console.print(f"predictions: {safe(str(done.folder / 'predictions'))}")
    console.print(f"figures:     {safe(str(done.folder / 'results.json'))}")


def print_probed(request: ScoreRequest) -> None:
    """Prints one line for each split."""
    with Watch() as watch:
        figures = score_by_probe(request, watch)
    for figure in figures:
        console.print(safe(str(figure)))


def print_pairs(request: ScoreRequest) -> None:
    """Prints a line for each group and file."""
    with Watch() as watch:
        figures = score_pairs(request, watch)
    made = table("pairs of", ">count", ">right", ">the shorter one")
    for one in figures:
        made.add_row(safe(one.name), f"{one.count:,}", f"{one.right:.1%}", f"{one.shorter:.1%}")
    console.print(made)
