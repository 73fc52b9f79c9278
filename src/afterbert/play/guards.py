"""What both servers keep out: other hosts and origins, bodies that are too large, too many or too slow requests.

A page of any site can make a browser send requests to 127.0.0.1, also under a name of its own (DNS rebinding). So the
name that was asked for and the page that asks are compared with ours, and a POST must be JSON, which no form can send.
"""

import asyncio
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from afterbert.base.errors import UserError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_COOKIE = "afterbert"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Asked(BaseModel):
    """The form of a request: the fields of a subclass, of exactly their types, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


# A page shows these lines as they are.
_SAID = {"string_too_short": "is empty; write something"}
A = TypeVar("A", bound=Asked)


async def asked(request: Request, kind: type[A]) -> A:
    """Returns the body of a request as its form. Raises UserError, one line for each fault."""
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        found = [
            f"{'.'.join(map(str, one['loc'])) or 'body'}: {_SAID.get(one['type'], one['msg'])}"
            for one in error.errors()
        ]
        raise UserError(*found[:5]) from None


@dataclass
class Guarded:
    """An application behind the guards. token: what a caller must show, as `Authorization: Bearer` or, in a browser,
    once as `?token=`; empty for loopback alone. seconds: after which a request is given up."""

    app: ASGIApp
    token: str = ""
    most_bytes: int = 64 * 1024
    most_requests: int = 64
    seconds: float = 30.0
    _running: int = field(default=0, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return None  # no web sockets here
        has_begun = False

        async def sent(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                if self.token and _query_token(scope) and message["status"] == 200:
                    headers.append("Set-Cookie", f"{_COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/")
            await send(message)

        try:
            refused = self._refused(scope)
        except ValueError:  # a host, an origin or a length that is none
            refused = 400, "the headers cannot be read"
        if refused is not None:
            return await _error(*refused)(scope, receive, sent)
        self._running += 1
        try:
            async with asyncio.timeout(self.seconds):
                if (body := await self._body(receive)) is None:
                    return await _error(413, self._too_large)(scope, receive, sent)
                parts = iter([{"type": "http.request", "body": body, "more_body": False}])

                async def replayed() -> Message:
                    return next(parts, None) or await receive()

                await self.app(scope, replayed, sent)
        except TimeoutError:
            if not has_begun:
                await _error(503, f"no answer within {self.seconds:g} seconds")(scope, receive, sent)
        finally:
            self._running -= 1

    @property
    def _too_large(self) -> str:
        return f"the body is larger than {self.most_bytes:,} bytes"

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        headers, method = Headers(scope=scope), scope["method"]
        host, origin, site = headers.get("host", ""), headers.get("origin"), headers.get("sec-fetch-site", "none")
        if not self.token and urlsplit(f"//{host}").hostname not in LOOPBACK:
            return 403, "this server answers to 127.0.0.1 and localhost alone"
        is_strange = method == "POST" and site not in ("none", "same-origin")
        if is_strange or (origin is not None and urlsplit(origin).netloc != host):
            return 403, "requests of other pages are not answered"
        if method not in ("GET", "HEAD", "POST"):
            return 405, "only GET and POST are answered"
        shown = [hmac.compare_digest(one.encode(), self.token.encode()) for one in _shown(headers, scope)]
        if self.token and not any(shown):
            return 401, "show the token: the header Authorization: Bearer TOKEN, or ?token=TOKEN"
        if method == "POST" and headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return 415, "the body must be application/json"
        if int(headers.get("content-length", "0")) > self.most_bytes:
            return 413, self._too_large
        if self._running >= self.most_requests:
            return 429, f"{self.most_requests} requests are being answered; ask again soon"
        return None

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body; None if it is too large."""
        body, more = bytearray(), True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.most_bytes:
                return None
        return bytes(body)


def application(routes: list[Route], **limits: Any) -> Guarded:
    """Returns an application of these routes behind the guards. A UserError becomes an answer 400 with its words."""
    handlers: Mapping[Any, Any] = {UserError: lambda _, error: _error(400, *error.lines)}
    return Guarded(Starlette(routes=routes, exception_handlers=handlers), **limits)


def token_for(host: str) -> str:
    """Returns a fresh token when the server is reachable from other machines; empty for loopback."""
    return "" if host in LOOPBACK else secrets.token_urlsafe(24)


def _error(status: int, *lines: str) -> JSONResponse:
    return JSONResponse({"error": "\n".join(lines)}, status)


def _query_token(scope: Scope) -> str:
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]


def _shown(headers: Headers, scope: Scope) -> list[str]:
    """The tokens that a request shows."""
    cookies = SimpleCookie(headers.get("cookie", ""))
    kept = [cookies[_COOKIE].value] if _COOKIE in cookies else []
    return [_query_token(scope), headers.get("authorization", "").removeprefix("Bearer "), *kept]
