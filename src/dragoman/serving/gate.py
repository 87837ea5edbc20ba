"""What every request passes: limits on its body and its time; headers, log and count of its answer.

``Protocol`` closes connections on which the head of a request does not come in time; ``Gate`` is
the outermost layer of the application.
"""

import asyncio
import logging
from collections.abc import Iterable
from time import monotonic

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from dragoman.config.options import ServingOptions
from dragoman.serving.metrics import Counts, count_request
from dragoman.serving.schema import form_as_json

LOG = logging.getLogger("dragoman.serving")
HEADER_SECONDS = 10.0
"""Longest time until the head of the first request on a connection has come."""
_CLIENT_LEFT = 499
"""Status, as nginx has it, of a request whose client left before the answer."""
_POLICY = b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
    (b"content-security-policy", _POLICY),
)
"""Headers of every answer: the page loads nothing from other hosts, and no other page frames it."""


class Protocol(H11Protocol):
    """HTTP/1.1 that closes a connection on which the head of a request does not come in time.

    uvicorn itself only limits the time between two requests, and any byte ends that limit. Here
    the first request is limited too, and only the end of a head ends the limit.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        close = self.timeout_keep_alive_handler
        self.timeout_keep_alive_task = self.loop.call_later(HEADER_SECONDS, close)

    def data_received(self, data: bytes) -> None:
        """Read some bytes; ``handle_events`` cancels the timer when they complete a head."""
        self.conn.receive_data(data)
        self.handle_events()


class Gate:
    """ASGI middleware around the whole application.

    Args:
        app: the application. It receives the whole body in one message, and is cancelled when its
            time is over or the client leaves.
        counts: where each answer is counted.
        routes: paths that are counted and logged by their names; all others are "other", so that
            no text of a client comes into the log.
        options: the limits.
    """

    def __init__(
        self, app: ASGIApp, *, counts: Counts, routes: Iterable[str], options: ServingOptions
    ) -> None:
        self.app, self.counts, self.routes = app, counts, frozenset(routes)
        self.options = options
        self._open = 0
        """Requests that are being read or answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = monotonic(), _CLIENT_LEFT

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        full = self._open >= self.options.max_requests
        self._open += 1
        try:
            body = await form_as_json(scope, await self._read(Request(scope, receive), full))
            began = monotonic()
            await self._run(scope, body, receive, answer)
        except ClientDisconnect:
            pass
        except HTTPException as error:  # the gate's own; those of routes are answered within
            if status == _CLIENT_LEFT:  # no answer has begun
                refusal = JSONResponse({"error": error.detail}, error.status_code, error.headers)
                await refusal(scope, receive, answer)
        finally:
            self._open -= 1
            took = monotonic() - began
            route = scope["path"] if scope["path"] in self.routes else "other"
            count_request(self.counts, route, status, took)
            LOG.info("%s %s %d %.0f ms", scope["method"], route, status, 1000 * took)

    async def _read(self, request: Request, full: bool) -> bytes:
        """The body of a request.

        A client reads a refusal only when it has sent everything. So a body that is too large is
        received too, and not kept.

        Raises:
            ClientDisconnect: the client left.
            HTTPException: the body is too large or too slow, or too many requests are open.
        """
        body, size, most = bytearray(), 0, self.options.max_body
        try:
            async with asyncio.timeout(self.options.max_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size <= most:
                        body += part
        except TimeoutError:
            close = {"Connection": "close"}
            raise HTTPException(408, "the request did not come in time", close) from None
        if full:
            raise HTTPException(503, "too many requests", {"Retry-After": "1"})
        if size > most:
            raise HTTPException(413, f"a request may have at most {most} bytes")
        return bytes(body)

    async def _run(self, scope: Scope, body: bytes, receive: Receive, answer: Send) -> None:
        """Run the application until it is done, its time is over or the client leaves.

        Raises:
            HTTPException: its time is over.
        """
        messages = asyncio.Queue[Message]()  # after the body get() waits until it is cancelled
        messages.put_nowait({"type": "http.request", "body": body})
        method = "GET" if scope["method"] == "HEAD" else scope["method"]  # uvicorn sends no body
        work = asyncio.ensure_future(self.app({**scope, "method": method}, messages.get, answer))
        gone = asyncio.ensure_future(receive())  # after the body it tells that the client left
        try:
            seconds, first = self.options.max_seconds, asyncio.FIRST_COMPLETED
            await asyncio.wait({work, gone}, timeout=seconds, return_when=first)
            if work.done():
                work.result()
            elif not gone.done():
                text = f"not done within {seconds:g} seconds"
                raise HTTPException(503, text, {"Retry-After": "5"})
        finally:
            work.cancel()
            gone.cancel()
