"""A playground in a browser: every idea on one's own sentence, two models side by side, runs as they go on."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from markupsafe import Markup
from pydantic import Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from afterbert.base.config import build
from afterbert.base.errors import UserError
from afterbert.base.tree import read
from afterbert.interop.loaded import LoadedModel
from afterbert.models import Backbone
from afterbert.nn.inputs import Inputs
from afterbert.play.guards import Asked, Guarded, application, asked
from afterbert.probes.masked_model import MaskedModel, with_masks
from afterbert.probes.sentence_encoder import SentenceEncoder
from afterbert.recipes import resolve
from afterbert.recipes.files import heading_of
from afterbert.recipes.recipe import Resolved
from afterbert.report.curves import curves_of
from afterbert.report.gallery import hung_exhibits
from afterbert.report.model_page import page_file, with_policy
from afterbert.report.pages import render
from afterbert.report.run_record import read_run
from afterbert.study.claims import claims
from afterbert.text.pieces.spelling import piece_texts
from afterbert.workflows.gallery import exhibits_on
from afterbert.workflows.loading import load_model_or_checkpoint
from afterbert.workflows.run_listing import ListedRun, listed_runs

_MOST_RUNS, _MOST_PIECES = 6, 64
_SAMPLE = (
    "The miller’s daughter forgot her lantern. An unbelievable storm had begun before she noticed it. She ran home."
)
Text = Annotated[str, Field(min_length=1, max_length=2000)]


@dataclass(frozen=True)
class Idea:
    """An idea of the article, by the recipe that holds it. why: in two sentences; claims: those that it tests."""

    why: str
    claims: tuple[int, ...] = ()


@cache
def ideas() -> dict[str, Idea]:
    """Returns recipe -> idea, in the article's order."""
    tree = read(Path(str(resources.files("afterbert.play") / "ideas.yaml")), label="ideas.yaml", ours=True)
    return {recipe: build(Idea, node) for recipe, node in tree.value.items()}


class IdeaAsked(Asked):
    """A text under an idea; what is not given is as the recipe says."""

    text: Text
    recipe: str
    seed: Annotated[int, Field(ge=0, le=999)] = 0
    rate: Annotated[float, Field(ge=0.05, le=0.9)] | None = None
    span: Annotated[float, Field(ge=1, le=10)] | None = None
    unit: Literal["piece", "word"] | None = None

    def overrides(self, resolved: Resolved) -> list[tuple[str, str]]:
        """Returns the sliders as settings of each selection that has them."""
        span = self.span and {"mean": self.span, "length": round(self.span), "probability": round(1 / self.span, 3)}
        wanted = {"rate": self.rate, "unit": self.unit, **(span or {})}
        edits = resolved.value("objective.pretext.edits")
        return [
            (f"objective.pretext.edits.{number}.selection.{name}", str(value))
            for number, edit in enumerate(edits)
            for name, value in wanted.items()
            if value is not None and edit["selection"].get(name) is not None
        ]


class LookAsked(Asked):
    """A text before one of the models. layer: from 0; the last where it is not given."""

    text: Text
    model: Annotated[int, Field(ge=0)]
    layer: Annotated[int, Field(ge=0)] | None = None


class NearAsked(Asked):
    """Sentences, the first of which is compared with the others."""

    texts: Annotated[list[Text], Field(min_length=2, max_length=40)]
    model: Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class PlayModel:
    """A model to look at."""

    loaded: LoadedModel

    @cached_property
    def _masked(self) -> MaskedModel:
        return MaskedModel.of(self.loaded)

    @cached_property
    def _encoder(self) -> SentenceEncoder:
        return SentenceEncoder.of(self.loaded)

    @cached_property
    def _backbone(self) -> Backbone:
        return self.loaded.backbone().eval()

    @cached_property
    def _texts(self) -> list[str]:
        return piece_texts(self.loaded.tokenizer)

    def look(self, given: LookAsked) -> dict[str, Any]:
        """Returns the guesses for the gaps, and for each head of a layer T x T numbers: whom each piece attends to."""
        backend, note, masks = self.loaded.tokenizer.backend, "", []
        name = self.loaded.tokenizer.settings.get("mask_token") or "[MASK]"
        try:
            for gap in self._masked.fill(given.text):
                found = [(backend.token_to_id(piece) or 0, share) for piece, share in gap]
                masks.append([{"text": self._texts[piece], "share": share} for piece, share in found])
        except UserError as reason:
            note = str(reason)
        ids = backend.encode(with_masks(given.text, name)).ids[: min(_MOST_PIECES, self.loaded.longest)]
        with torch.inference_mode():
            seen = self._backbone.layers(Inputs(torch.tensor([ids])), attention=True).attention
        layer = len(seen) - 1 if given.layer is None else min(given.layer, len(seen) - 1)
        weights = [head.flatten().mul(1000).round().div(1000).tolist() for head in seen[layer].weights[0]]
        pieces = [self._texts[piece] for piece in ids]
        return {"masks": masks, "note": note, "pieces": pieces, "layers": len(seen), "layer": layer, "weights": weights}

    def near(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Returns the other texts by their cosine to the first, nearest first."""
        vectors = self._encoder(texts)
        return sorted(
            ({"text": text, "share": float(one @ vectors[0])} for text, one in zip(texts[1:], vectors[1:])),
            key=lambda found: -found["share"],
        )


def playing_app(models: Sequence[str], runs: Path, scratch: Path, *, token: str = "") -> Guarded:
    """Returns the playground. models: the models to look at, by name; runs: the folder whose runs are shown; scratch: a
    folder for tokenizers. Raises UserError."""
    shown = [PlayModel(load_model_or_checkpoint(name)) for name in models]
    thread = ThreadPoolExecutor(1, "play")

    async def done(work: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(thread, work, *given)

    async def page(_: Request) -> Response:
        return HTMLResponse(_page(_titles(models)))

    async def idea(request: Request) -> Response:
        return JSONResponse({"html": await done(_drawn, await asked(request, IdeaAsked), scratch)})

    async def look(request: Request) -> Response:
        given = await asked(request, LookAsked)
        return JSONResponse(await done(_chosen(shown, given.model).look, given))

    async def near(request: Request) -> Response:
        given = await asked(request, NearAsked)
        return JSONResponse({"near": await done(_chosen(shown, given.model).near, given.texts)})

    async def live(_: Request) -> Response:
        return HTMLResponse(await asyncio.to_thread(_runs, runs))

    posts = [
        Route(f"/{name}", work, methods=["POST"]) for name, work in (("idea", idea), ("look", look), ("near", near))
    ]
    return application([Route("/", page), Route("/runs", live), *posts], token=token)


def _chosen(models: Sequence[PlayModel], number: int) -> PlayModel:
    if number >= len(models):
        raise UserError(f"there is no model {number}; the server was started with {len(models)}")
    return models[number]


def _page(models: Sequence[str]) -> str:
    told = [
        (name, heading_of(name), idea, [(n, claims()[n].says) for n in idea.claims]) for name, idea in ideas().items()
    ]
    script = Markup("\n".join(page_file(f"{name}.js") for name in ("view", "play")))
    page = render("play.html.jinja", title="Play", ideas=told, models=models, sample=_SAMPLE, script=script)
    return with_policy(page, also="; connect-src 'self'")


def _drawn(given: IdeaAsked, tokenizers: Path) -> str:
    """The rows of an idea as a piece of the page. Raises UserError."""
    if given.recipe not in ideas():
        raise UserError(f"there is no idea {given.recipe}")
    resolved = resolve(given.recipe)
    if overrides := given.overrides(resolved):
        resolved = resolve(given.recipe, overrides=overrides)
    (exhibits,) = exhibits_on(given.text, [resolved.question], None, (), seed=given.seed, tokenizers=tokenizers)
    return render("play_idea.html.jinja", hung=hung_exhibits(exhibits, given.text))


def _runs(root: Path) -> str:
    """The newest runs with their curves as a piece of the page."""
    found = [run for run in listed_runs([root]) if (run.path / "metrics.jsonl").is_file()][-_MOST_RUNS:]

    def charts(run: ListedRun) -> tuple[Any, ...]:
        try:
            return curves_of(read_run(run.path)).large
        except UserError:  # being written just now, or damaged
            return ()

    return render("play_runs.html.jinja", runs=[(run, charts(run)) for run in reversed(found)], root=root.name)


def _titles(models: Sequence[str]) -> list[str]:
    """What the page calls the models: the last part of their paths, or all of it where two end alike.

    >>> _titles(["runs/a", "b"]), _titles(["a/model", "b/model"])
    (['a', 'b'], ['a/model', 'b/model'])
    """
    ends = [Path(name).name for name in models]
    return ends if len(set(ends)) == len(ends) else list(models)
