"""Answers for programs: fill, predict and embed as JSON, one model a server."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from afterbert.base.errors import UserError
from afterbert.downstream.finetuning.saving import finetuned_folder, has_answers
from afterbert.play.batching import Batcher
from afterbert.play.guards import Asked, Guarded, application, asked
from afterbert.probes.masked_model import MaskedModel
from afterbert.probes.sentence_encoder import SentenceEncoder
from afterbert.training.devices import default_device
from afterbert.workflows.loading import load_any
from afterbert.workflows.prediction import answerer_of

MOST_ROWS, LONGEST = 64, 8192
Text = Annotated[str, Field(min_length=1, max_length=LONGEST)]


class FillAsked(Asked):
    """Texts with masks."""

    texts: Annotated[list[Text], Field(min_length=1, max_length=MOST_ROWS)]
    top: Annotated[int, Field(ge=1, le=100)] = 5


class EmbedAsked(Asked):
    """Texts to be turned into vectors."""

    texts: Annotated[list[Text], Field(min_length=1, max_length=MOST_ROWS)]


class PredictAsked(Asked):
    """Rows for a fine-tuned model: a text each, or the texts of a pair."""

    rows: Annotated[list[Text | list[Text]], Field(min_length=1, max_length=MOST_ROWS)]


def serving_app(model: str, *, token: str = "", most: int = 32, task: str | None = None) -> Guarded:
    """Returns the application that answers with whatever the model can do. most: rows in a batch. Raises UserError if
    it can do nothing."""
    thread = ThreadPoolExecutor(1, "model")
    answers, reasons = _answers(model, task)
    if not answers:
        raise UserError(*reasons)
    batchers = {name: Batcher(answer, thread, most=most) for name, answer in answers.items()}

    async def fill(request: Request) -> Response:
        given = await asked(request, FillAsked)
        masks = await batchers["fill"]([(text, given.top) for text in given.texts])
        return JSONResponse({"masks": [[[{"piece": p, "share": s} for p, s in gap] for gap in one] for one in masks]})

    async def predict(request: Request) -> Response:
        return JSONResponse({"predictions": await batchers["predict"]((await asked(request, PredictAsked)).rows)})

    async def embed(request: Request) -> Response:
        return JSONResponse({"vectors": await batchers["embed"]((await asked(request, EmbedAsked)).texts)})

    async def health(_: Request) -> Response:
        waiting = sum(len(one.waiting) for one in batchers.values())
        return JSONResponse({"status": "ok", "model": Path(model).name, "answers": [*batchers], "waiting": waiting})

    routes = [
        Route(f"/{one.__name__}", one, methods=["POST"]) for one in (fill, predict, embed) if one.__name__ in batchers
    ]
    return application([*routes, Route("/health", health)], token=token, most_bytes=1 << 20, most_requests=256)


def _answers(model: str, task: str | None) -> tuple[dict[str, Callable[[list[Any]], Sequence[Any]]], list[str]]:
    """What a model can answer, by name, and why not the rest."""
    found: dict[str, Callable[[list[Any]], Sequence[Any]]] = {}
    folder, _ = finetuned_folder(Path(model))
    if has_answers(folder):
        answerer, _ = answerer_of(model, task)
        return {"predict": lambda rows: [one.plain() for one in answerer.rows(rows)]}, []
    loaded = load_any(model)
    reasons: list[str] = []
    try:
        masked = MaskedModel.of(loaded, device=default_device())

        def filled(items: list[Any]) -> list[Any]:
            done = masked.fill_texts([text for text, _ in items], top=max(top for _, top in items))
            return [[gap[:top] for gap in one] for one, (_, top) in zip(done, items)]

        found["fill"] = filled
    except UserError as reason:
        reasons += reason.lines
    try:
        encoder = SentenceEncoder.of(loaded, device=default_device())
        found["embed"] = lambda texts: encoder(texts).tolist()
    except UserError as reason:
        reasons += reason.lines
    return found, reasons
