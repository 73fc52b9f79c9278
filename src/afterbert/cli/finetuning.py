"""What `finetune` prints."""

import yaml

from afterbert.api.finetuning import carry_out
from afterbert.api.terminal import console, safe
from afterbert.api.watch import Watch
from afterbert.base.config import to_plain
from afterbert.base.visible import visible
from afterbert.workflows.finetune_request import FinetuneRequest, set_up


def fine_tune(request: FinetuneRequest, *, dry_run: bool) -> int:
    """Returns the exit status: 0 finished, 143 or 130 stopped by a signal with everything saved."""
    if dry_run:
        with Watch() as watch:
            setup = set_up(request, watch)
        plain = to_plain(setup.bench.settings)
        print(visible(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)), end="")
        return 0
    done = carry_out(request)
    if done.exit_code:
        where = "in the search" if done.step is None else f"at step {done.step}"
        console.print(f"stopped {where}, everything saved; the same command goes on")
        return done.exit_code
    if done.model is not None:
        every = f" (and {len(done.models) - 1} more seeds beside it)" if len(done.models) > 1 else ""
        console.print(f"model:       {safe(str(done.model))}{every}")
        console.print(f"predictions: {safe(str(done.model.parent / 'predictions'))}")
    for name, models in done.compared.items():
        every = f" (and {len(models) - 1} more below {name}/)" if len(models) > 1 else ""
        console.print(safe(f"model of {name}: {models[0]}{every}"))
    console.print(f"figures:     {safe(str(done.figures))}")
    console.print(f"report:      {safe(str(done.report))}")
    return 0
