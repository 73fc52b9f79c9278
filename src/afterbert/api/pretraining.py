"""Pre-training as one call: text in, a run out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from afterbert.api.asking import Paths, paths_of, settings_of
from afterbert.api.run import Run
from afterbert.api.watch import Watch
from afterbert.recipes.recipe import Recipe
from afterbert.report import write_report
from afterbert.training.distribution.processes import Processes
from afterbert.workflows.closing import Closing
from afterbert.workflows.pretrain_request import PretrainRequest, run_request
from afterbert.workflows.text_options import TextOptions


def pretrain(
    texts: Paths,
    *,
    recipe: str | Recipe | None = None,
    size: str | None = None,
    budget: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int | None = None,
    start: str | Path | None = None,
    teacher: str | Path | None = None,
    mixing: str | Mapping[str, Any] | None = None,
    pairs: Sequence[str] = (),
    probes: Sequence[str] = (),
    parallel: Sequence[str] = (),
    out: str | Path = "runs",
    name: str | None = None,
    **reading: Any,
) -> Run:
    """Pre-trains a small language model on texts, or goes on with the same call's unfinished run.

    - texts: paths of files or folders, stores that `prepare` made, or a store itself.
    - recipe: a name that `afterbert recipes` lists, a YAML file, or a `Recipe` made of objects; when left out, laptop,
      or the usual one for the kind of the model to `start` from.
    - size: tiny, mini, small or base; when left out, a budget in time chooses it.
    - budget: how long to train, as "10min", "500steps", "20Mtokens", "3epochs", "1e15flops".
    - overrides: any setting by its dotted path or short name, `{"masking.rate": 0.4}`, or nested,
      `{"masking": {"rate": 0.4}}`.
    - start: a model from whose weights, architecture and tokenizer the run starts.
    - teacher: a model whose answers to the same rows are learned too, with DistilBERT's losses.
    - mixing: the law between several stores, as a name or a mapping with `type`.
    - pairs, probes: labelled data for the closing figures. parallel: tables of translations to be found then.
    - out, name: where the run's folder is made, and what it is called.
    - reading: how texts are read, the fields of `afterbert.workflows.text_options.TextOptions`, such as
      `documents="line"`.

    Raises UserError, with a line for each mistake, before anything is computed.
    """
    given = settings_of(overrides)
    given += [("training.budget", budget)] if budget is not None else []
    given += [("training.seed", str(seed))] if seed is not None else []
    request = PretrainRequest(
        texts=paths_of(texts),
        recipe=recipe,
        size=size,
        overrides=tuple(given),
        out=Path(out),
        name=name,
        start=None if start is None else str(start),
        teacher=None if teacher is None else str(teacher),
        mixing=tuple(settings_of({"mixing": mixing} if mixing is not None else None)),
        closing=Closing(tuple(pairs), tuple(probes), tuple(parallel)),
        reading=TextOptions(**reading),
    )
    return carry_out(request)


def carry_out(
    request: PretrainRequest, *, processes: Processes | None = None, device: torch.device | None = None
) -> Run:
    """Carries a request out with a progress bar, and writes the run's report. Raises UserError."""
    with Watch() as watch:
        result = run_request(request, observer=watch, processes=processes, device=device)
    leads = processes is None or processes.leads
    if leads and result.outcome.state == "finished":
        write_report(result.run.path)
    return Run(
        result.run.path, state=result.outcome.state, step=result.outcome.step, exit_code=result.outcome.exit_code
    )
