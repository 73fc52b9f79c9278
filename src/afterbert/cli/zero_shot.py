"""What `score --cue` and `score --probe` do: a task put to a model that was never trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afterbert.api.tables import drawn
from afterbert.api.terminal import bar, console, safe
from afterbert.base import plugins
from afterbert.base.config import build, digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.tree import Node, located, override
from afterbert.cli.finetuning import say_unknown
from afterbert.downstream.cues import Cue
from afterbert.downstream.reading.data import TaskData, read
from afterbert.downstream.reading.find_task import find_task, parse_columns
from afterbert.downstream.zero_shot.cue_scoring import ask, check_cue, write_cued
from afterbert.downstream.zero_shot.text_generation import TextGenerator
from afterbert.probes.frozen_features import FrozenFeatures
from afterbert.training.devices import default_device
from afterbert.workflows.closing import check_probe, probe_figures
from afterbert.workflows.loading import load_model_or_checkpoint


def score_by_cue(
    name: str,
    spec: str,
    cue_name: str,
    settings: Sequence[tuple[str, str]],
    *,
    kind: str | None,
    columns: str | None,
    max_rows: int | None,
    max_unknown: float,
) -> None:
    """Figures beside guessing and beside the same model without the cue; predictions are saved. Raises UserError."""
    cue = _settled(plugins.find(Cue, cue_name)(), "cue", settings)
    data = _read(spec, kind, columns, needs_training=False)
    check_cue(data, cue)
    generator = TextGenerator.of(load_model_or_checkpoint(name), device=default_device())
    say_unknown(data, generator.model.tokenizer, max_unknown)
    with bar(1.0, "asking") as progress:
        progress.to(0.0, f"{plugins.name_of(cue)}, with and without the cue")
        done = ask(generator, data, cue, max_rows=max_rows)
    if not done.result.splits:
        raise UserError(f"{spec}: no row has a label, so nothing can be scored")
    console.print(drawn((done.result, done.control)))
    made_of = {"model": str(Path(name).resolve()), "task": spec, "cue": to_plain(cue), "rows": max_rows}
    out = Path("runs", f"cue-{data.name}-{plugins.name_of(cue)}-{digest(made_of, length=8)}")
    write_cued(out, done, model=name, cue=cue)
    console.print(f"predictions: {safe(str(out / 'predictions'))}")
    console.print(f"figures:     {safe(str(out / 'results.json'))}")


def score_by_probe(
    name: str,
    spec: str,
    settings: Sequence[tuple[str, str]],
    *,
    kind: str | None,
    columns: str | None,
    max_unknown: float,
) -> None:
    """A linear probe beside random weights and guessing, as one line. Raises UserError."""
    probe = _settled(FrozenFeatures(), "probe", settings)
    data = _read(spec, kind, columns, needs_training=True)
    check_probe(data)
    model = load_model_or_checkpoint(name)
    say_unknown(data, model.tokenizer, max_unknown)
    backbone = model.backbone().to(default_device()).eval()
    for figure in probe_figures(
        model.architecture, backbone, model.tokenizer, data, probe, device=default_device()
    ):
        console.print(safe(str(figure)))


def _read(spec: str, kind: str | None, columns: str | None, *, needs_training: bool) -> TaskData:
    source = find_task(spec, kind=kind, columns=parse_columns(columns) if columns else None)
    console.print(safe(source.why))
    data = read(source, needs_training=needs_training or "train" in source.files)
    for note in data.notes:
        console.print(f"note: {safe(note)}")
    return data


def _settled(defaults: Any, node: str, settings: Sequence[tuple[str, str]]) -> Any:
    """The defaults with `--NODE.KEY VALUE` laid over them. Raises UserError."""
    tree: Node = located(to_plain(defaults), "defaults")
    for dotted, written in settings:
        tree = override(tree, dotted.removeprefix(f"{node}."), written, f"--{dotted}")
    kind = Cue if isinstance(defaults, Cue) else type(defaults)
    return build(kind, tree)
