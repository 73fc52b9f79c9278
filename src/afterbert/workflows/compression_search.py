"""A target in place of methods: a ladder of combinations is tried, cheap ones first, and the best that reaches it is
written."""

import time
from collections.abc import Sequence
from dataclasses import replace

from afterbert.base.errors import UserError
from afterbert.compression.chain import check_all, parse, written
from afterbert.compression.ladder import Target, ladder
from afterbert.compression.measuring import StepRow
from afterbert.compression.methods import Method
from afterbert.workflows.compression import CompressOutcome, CompressSetup, at_work, finish, steps, tell
from afterbert.workflows.observer import NOBODY, WorkObserver


def search(setup: CompressSetup, *, observer: WorkObserver = NOBODY) -> CompressOutcome:
    """Tries combinations until the request's minutes are over or all are tried, and writes the best that reaches its
    target. The outcome has one row for each combination, named by its methods. A stopped search goes on. Raises
    UserError."""
    request = setup.request
    assert request.target is not None
    target = Target.parse(request.target)
    if setup.examination is None:
        raise UserError("--target needs rows to judge models by; name them with --task")
    if target.kind == "faster" and not request.timed:
        raise UserError("--target asks for speed; leave --no-timing out")
    assert setup.before.tuned is not None
    metric = setup.before.tuned.tasks[setup.examination.task].metrics[0]
    if target.kind == "points" and not metric.is_share:
        raise UserError(f"--target asks for points, but rows are judged by {metric.name}; name a size or a speed")
    setup.setting.learned_from()  # most combinations learn; they are not begun without
    tried = ladder(setup.form)
    if not tried:
        check_all(setup.form, (parse("quantize"),))  # each combination ends with it
    tell(setup, observer)
    with at_work(setup):
        return _search(setup, target, tried, observer)


def _search(
    setup: CompressSetup, target: Target, tried: Sequence[tuple[Method, ...]], observer: WorkObserver
) -> CompressOutcome:
    request = setup.request
    begun = time.monotonic()
    rows: list[StepRow] = []
    done: list[tuple[Method, ...]] = []
    for chain in tried:
        if done and request.minutes is not None and time.monotonic() - begun > 60 * request.minutes:
            observer.on_note(f"the time is over; {len(tried) - len(done)} of {len(tried)} combinations are not tried")
            break
        found, _ = steps(replace(setup, methods=chain), observer)
        rows = rows or [found[0]]
        rows.append(replace(found[-1], method=" + ".join(written(one) for one in chain)))
        done.append(chain)
    kept = [(number, row.quality) for number, row in enumerate(rows[1:]) if row.is_kept]
    good = [n for n, one in kept if request.at_least is None or (one is not None and one.keeps(request.at_least))]
    best = target.best([rows[1 + number] for number in good])
    model = None
    kept_too = "" if request.at_least is None else f" and keeps {request.at_least:.1%} of the quality"
    refusal: tuple[str, ...] = (f"no combination reaches {request.target}{kept_too}; nothing is written",)
    if best is not None:
        chosen = done[good[best]]
        observer.on_line(f"taken: {' + '.join(written(one) for one in chosen)}")
        model, refusal = finish(replace(setup, methods=chosen), rows, observer), ()
    return CompressOutcome(setup, tuple(rows), model, refusal)
