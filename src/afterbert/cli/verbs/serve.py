"""`afterbert serve`: a model's answers as JSON over HTTP."""

from typing import Annotated

import typer

from afterbert.cli.options import AnswersAs
from afterbert.cli.serving import Host, Port

PLACE = 170


def serve(
    model: Annotated[str, typer.Argument(help="A run or model folder, a fine-tuned one too, or a hub name.")],
    host: Host = "127.0.0.1",
    port: Port = 8077,
    batch: Annotated[
        int, typer.Option(min=1, max=1024, help="How many rows of concurrent requests are answered in one pass.")
    ] = 32,
    as_: AnswersAs = None,
) -> None:
    """Answer other programs over HTTP: POST /fill, /embed or /predict, as the model can, and GET /health.

    Rows of requests that come at the same time are answered in one pass. See docs/see-it.md for the bodies and limits.

    Example: `afterbert serve runs/laptop-tiny-1a2b3c4d`

    Example: `curl -s localhost:8077/fill -H 'Content-Type: application/json' -d '{"texts": ["The [MASK] sat."]}'`
    """
    from afterbert.cli.serving import check_installed, run_server

    check_installed()
    from afterbert.play.serving import serving_app

    run_server(lambda token: serving_app(model, token=token, most=batch, task=as_), host, port, said="serve")
