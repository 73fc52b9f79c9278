"""What `evaluate` does: a model folder, texts, figures."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from afterbert.api.terminal import console, safe
from afterbert.api.watch import Watch
from afterbert.base.errors import UserError
from afterbert.cli.figures import print_figures
from afterbert.probes.count_baselines import CountBaselines
from afterbert.probes.masked_model import MaskedModel
from afterbert.probes.masked_prediction import MaskedPrediction
from afterbert.text.from_paths import sources_for
from afterbert.text.pieces.spelling import Spellings
from afterbert.text.token_store.mixture import open_store
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.workflows.loading import load_model_or_checkpoint
from afterbert.workflows.observer import WorkObserver
from afterbert.workflows.stores import is_store, prepared


def print_measures(
    folder: str, texts: list[str], *, rate: float, length: int, max_rows: int, as_json: bool
) -> None:
    """Figures of a model on texts, as a table or as JSON."""
    model = MaskedModel.of(load_model_or_checkpoint(folder))
    with tempfile.TemporaryDirectory() as scratch:
        if len(texts) == 1 and is_store(texts[0]):
            store = open_store(Path(texts[0]))
            if store.tokenizer.digest != model.tokenizer.digest:
                raise UserError(
                    f"{texts[0]} was made with another tokenizer than {folder}; name plain texts instead"
                )
            store = _told(store, model)
            split = store.split("held_out")
            baselines = CountBaselines.count(store.split("train"), store.vocabulary.size)
        else:
            model.tokenizer.save(Path(scratch, "tokenizer"))
            store = prepared(
                sources_for(texts),
                Path(scratch, "store"),
                tokenizer=PretrainedTokenizer(name=str(Path(scratch, "tokenizer"))),
                held_out=0.0,
                least_pieces=1,
                observer=WorkObserver() if as_json else Watch(),
            )
            store = _told(store, model)
            split, baselines = store.split("train"), None
        question = MaskedPrediction(rate=rate, length=min(length, model.loaded.longest), max_rows=max_rows)
        measured = question(
            model.predict,
            split,
            store.vocabulary,
            piece_bytes=Spellings.of(store.tokenizer).sizes,
            baselines=baselines,
        )
    summary: dict[str, Any] = {**measured.summary(), "asked": model.language_model.said}
    if as_json:
        print(json.dumps(summary, indent=1))
        return
    if model.languages and store.split("train").told_languages is None:
        console.print(
            "note: the texts do not say which of the model's languages they are in, so it is told none"
        )
    for note in filter(None, (*model.loaded.notes, model.language_model.note)):
        console.print(f"note: {safe(note)}")
    print_figures(summary)
    for name, value in summary["measures"].items():
        if name.startswith("accuracy_"):
            count = summary["counts"][name.removeprefix("accuracy_")]
            console.print(
                f"  {name.removeprefix('accuracy_').replace('_', ' ')}: {value:.1%} of {count:,.0f}"
            )


def _told(store: Store, model: MaskedModel) -> Store:
    """The store, whose rows tell their languages where the model knows all of them."""
    return store.telling(model.languages) if set(store.languages) <= set(model.languages) else store
