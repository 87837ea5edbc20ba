"""What every request passes: limits on its body and its time; headers, log and count of its answer.

``Protocol`` closes connections that do not send a whole request in time; ``Gate`` is the outermost
layer of the application.
"""

import asyncio
import logging
from collections.abc import Iterable
from time import monotonic
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from dragoman.serving.metrics import Metrics
from dragoman.serving.options import ServingOptions

LOG = logging.getLogger("dragoman.serving")
HEADER_SECONDS = 10.0
"""Longest time until the head of a request has come, on a new or an idle connection."""
_MOST_DISCARDED = 32_000_000
"""Bytes of a body that is too large which are received, and not kept."""
CLIENT_LEFT = 499
"""Status, as nginx has it, of a request whose client left before the answer."""
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)


class Protocol(H11Protocol):
    """HTTP/1.1 that closes a connection on which no request begins in time.

    uvicorn's own time limit ends with the first byte, so that a client that sends one byte now and
    then would keep its connection for ever.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._wait()

    def _wait(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._close, self.cycle)

    def _close(self, last: Any) -> None:
        """Close the connection, unless a request has begun since ``last``."""
        if self.cycle is last:
            self.transport.close()


class Gate:
    """ASGI middleware around the whole application.

    Args:
        app: the application. It receives the whole body in one message.
        metrics: counts answers.
        routes: paths that are counted and logged by their names; all others are "other", so that
            no text of a client comes into the log.
        options: the limits.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, routes: Iterable[str], options: ServingOptions
    ) -> None:
        self.app, self.metrics, self.routes = app, metrics, frozenset(routes)
        self.options = options
        self._open = 0
        """Requests that are being read or answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, limits = monotonic(), 500, self.options
        route = scope["path"] if scope["path"] in self.routes else "other"

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        full = self._open >= limits.max_requests
        self._open += 1
        try:
            app, whole = self.app, receive
            try:
                async with asyncio.timeout(limits.max_seconds):
                    body = await self._body(scope, receive)
            except ClientDisconnect:
                status = CLIENT_LEFT
                return
            except TimeoutError:
                app = _refusal(408, "the request did not come in time", {"connection": "close"})
            else:
                began = monotonic()
                if full:
                    app = _refusal(503, "too many requests", {"retry-after": "1"})
                elif body is None:
                    app = _refusal(413, f"a request may have at most {limits.max_body} bytes")
                whole = _replay(body or b"", receive)
            await app(scope, whole, answer)
        finally:
            self._open -= 1
            took = monotonic() - began
            self.metrics.request(route, status, took)
            LOG.info("%s %s %d %.0f ms", scope["method"], route, status, 1000 * took)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None when it is too large.

        A client reads the refusal only when it has sent everything, so that is received, up to a
        limit, but not kept.
        """
        length = int(dict(scope["headers"]).get(b"content-length", b"0"))
        parts, size, more = [], 0, length <= _MOST_DISCARDED
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            more, part = message.get("more_body", False), message.get("body", b"")
            size += len(part)
            if max(size, length) <= self.options.max_body:
                parts.append(part)
            elif size > _MOST_DISCARDED:
                break
        return b"".join(parts) if max(size, length) <= self.options.max_body else None


def _refusal(status: int, text: str, headers: dict[str, str] | None = None) -> ASGIApp:
    return JSONResponse({"error": text}, status, headers)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives ``body`` once, then what ``receive`` gives: that the client has left."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
