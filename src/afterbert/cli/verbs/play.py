"""`afterbert play`: every idea on one's own sentence, in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.serving import Host, Port

PLACE = 250


def play(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models to look at; the newest finished run when not given.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="The folder whose runs are shown with live curves.")] = Path("runs"),
    host: Host = "127.0.0.1",
    port: Port = 8076,
) -> None:
    """Open a playground: type a sentence and watch every idea act on it, two models side by side, runs as they train.

    The page is served on this machine alone (127.0.0.1) unless `--host` names another address, and loads nothing from
    elsewhere.

    Example: `afterbert play runs/laptop-tiny-1a2b3c4d runs/bert-tiny-5e6f7a8b`
    """
    from tempfile import TemporaryDirectory

    from afterbert.base.errors import UserError
    from afterbert.cli.serving import check_installed, run_server
    from afterbert.workflows.run_folders import newest_model

    check_installed()
    from afterbert.play.playing import playing_app

    if not models:
        try:
            models = [str(newest_model(runs))]
        except UserError:  # the ideas need no model
            models = []
    with TemporaryDirectory() as scratch:
        run_server(lambda token: playing_app(models, runs, Path(scratch), token=token), host, port, said="play")
