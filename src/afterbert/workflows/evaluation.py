"""How well a model fills in text that it has not seen: a model, texts or a store, figures."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from afterbert.base.config import build
from afterbert.base.tree import Node
from afterbert.probes.masked_model import MaskedModel
from afterbert.probes.masked_prediction import MaskedPrediction
from afterbert.text.token_store.mixture import is_store, open_store
from afterbert.text.token_store.prepare import prepare
from afterbert.text.token_store.store import Split, Store
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.training.devices import device_of
from afterbert.workflows.observer import NOBODY, WorkObserver
from afterbert.workflows.stores import changed_by_tokenizer, check_known
from afterbert.workflows.text_options import TextOptions

_OTHER_MODEL = "ask a model whose tokenizer knows this text"


@dataclass(frozen=True)
class EvaluatedTexts:
    """The outcome of an evaluation on texts."""

    summary: dict[str, Any]
    """`measures`, `baselines` and `counts`, as evaluation.json holds them, and which model was `asked`."""
    notes: tuple[str, ...] = ()


def evaluate_on_texts(
    model: MaskedModel,
    texts: Sequence[str],
    *,
    rate: float = 0.15,
    length: int = 128,
    max_rows: int = 512,
    reading: TextOptions | None = None,
    observer: WorkObserver = NOBODY,
) -> EvaluatedTexts:
    """Returns masked accuracy, loss and bits per byte of a model on texts, for the question that every model is asked.

    texts: files and folders that the model has not seen, which have no baselines; or one store made with the model's
    tokenizer, of which the held-out split is asked and the training split is counted for the baselines. rate: share
    of pieces masked; length: pieces a row; max_rows: rows asked about; reading: how texts are read. Raises UserError.
    """
    reading = reading or TextOptions()
    asked = {"rate": rate, "length": min(length, model.loaded.longest), "max_rows": max_rows}
    question = build(MaskedPrediction, Node({name: Node(one, name) for name, one in asked.items()}, "evaluate"))
    with _asked_of(model, texts, reading, observer) as (store, split):
        unknown = check_known(store, reading.max_unknown, whose="the texts", remedy=_OTHER_MODEL)
        summary = question.of_store(
            model.language_model.predict, store, split, device=device_of(model.language_model.backbone)
        )
        is_told_none = bool(model.loaded.languages) and store.split("train").told_languages is None
    untold = model.loaded.without_language if is_told_none else ""
    notes = (*unknown, untold, *model.loaded.notes, model.language_model.note)
    return EvaluatedTexts(summary | {"asked": model.language_model.said}, tuple(filter(None, notes)))


@contextmanager
def _asked_of(
    model: MaskedModel, texts: Sequence[str], reading: TextOptions, observer: WorkObserver
) -> Iterator[tuple[Store, Split]]:
    """The store that the texts name, or that is made of them for this while, and its split that is asked about."""
    if len(texts) == 1 and is_store(Path(texts[0])):
        reading.check_unsaid(texts[0])
        store = open_store(Path(texts[0]))
        store.check_made_with(
            model.tokenizer, whose=f"the model {model.loaded.name}", remedy="name plain texts instead"
        )
        told = told_to(store, model)
        yield told, told.split("held_out")
        return
    with tempfile.TemporaryDirectory() as scratch:
        model.tokenizer.save(Path(scratch, "tokenizer"))
        with observer.working("preparing") as advance:
            made = prepare(
                reading.sources(texts),
                Path(scratch, "store"),
                tokenizer=PretrainedTokenizer(name=str(Path(scratch, "tokenizer"))),
                least_pieces=1,
                progress=advance,
                **replace(reading, held_out=0.0, max_unknown=1.0).of_prepare(),
            )
        observer.on_line(made.tally.table(changed_by_tokenizer(made)))
        told = told_to(made, model)
        yield told, told.split("train")


def told_to(store: Store, model: MaskedModel) -> Store:
    """Gives the store, whose rows tell their languages where the model knows all of them."""
    known = model.loaded.languages
    return store.telling(known) if set(store.languages) <= set(known) else store
