"""What `play` and `serve` have in common: an address of one's own machine, a token for any other, and the end."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from afterbert.base.errors import UserError
from afterbert.base.extras import need_extra

if TYPE_CHECKING:
    from afterbert.play.guards import Guarded

Host = Annotated[
    str, typer.Option(help="The address to bind; any but 127.0.0.1 can be reached by others, who need a token.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")]


def run_server(made: Callable[[str], Guarded], host: str, port: int, *, said: str) -> None:
    """Runs an application, made with a token, until it is interrupted. Raises UserError."""
    check_installed()
    import uvicorn

    from afterbert.api.terminal import console, safe  # what draws boxes takes longer than the list of verbs
    from afterbert.play.guards import token_for

    token = token_for(host)
    app = made(token)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            cure = "choose another with --port" if error.errno == errno.EADDRINUSE else "choose another with --host"
            raise UserError(f"{host}, port {port} cannot be bound ({error.strerror}); {cure}") from None
        name = f"[{host}]" if ":" in host else host
        address = f"http://{name}:{listening.getsockname()[1]}/"
        if token:
            console.print(
                f"note: other machines can reach {safe(host)}; whoever has the token is answered", markup=False
            )
            console.print(f"token: {token}", markup=False, soft_wrap=True)
        listening.listen(128)
        asks = f"?token={token}" if token and said == "play" else ""
        console.print(f"{said}: {address}{asks} (Ctrl-C ends it)", markup=False, soft_wrap=True)
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[listening])


def check_installed() -> None:
    """Raises UserError if the extra is missing."""
    need_extra("play", "starlette", "uvicorn", needed_by="this")
