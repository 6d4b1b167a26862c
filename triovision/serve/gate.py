"""Middleware before everything else: keys, size and time of bodies, one line of the log and the metrics per request.

A request is refused before its body is read wherever its headers tell enough.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from triovision.errors import BusyError, ServerError, TrioVisionError
from triovision.serve.observation import LOGGER, Metrics
from triovision.serve.settings import ServeSettings
from triovision.serve.wire import encode_error

#: Open to everybody: probes, and the documents.
OPEN_PATHS: Final = frozenset({"/health", "/ready", "/docs", "/openapi.json"})
#: Largest headers. uvicorn refuses longer ones only if they arrive in pieces.
HEADER_BYTES: Final = 16_000
# Photos are never written to disk: by default the parser moves one of more than 1 MB into a temporary file.
MultiPartParser.spool_max_size = 2**31

_PROBES: Final = frozenset({"/health", "/ready"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_CLIENT: Final = "-"


def error_answer(status: int, error: TrioVisionError, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error as JSON; a `BusyError` says when to come back."""
    headers = dict(headers or {})
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(error.retry_after_s)
    return JSONResponse({"error": encode_error(error)}, status, headers)


class RefusedBodyError(HTTPException):
    """Refusal of a body while it is being read."""

    def __init__(self, status: int, error: TrioVisionError) -> None:
        super().__init__(status)
        self.error = error


class PendingBytes:
    """Account of the bytes of all bodies that are arriving or waiting for their answer."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0

    def take(self, count: int) -> bool:
        """Count bytes, unless there is no room for them."""
        if self._held + count > self._most:
            return False
        self._held += count
        return True

    def give_back(self, count: int) -> None:
        """Count bytes no longer."""
        self._held -= count


class Gate:
    """ASGI middleware that lets requests in.

    It puts the client into the scope's state: the name of its key, or its address where no keys are asked for.

    Args:
        app: The application behind.
        settings: Limits and keys.
        metrics: Where requests are counted.
        pending: Bytes of all bodies.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: Metrics, pending: PendingBytes) -> None:
        self._app, self._settings, self._metrics, self._pending = app, settings, metrics, pending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, receive, send, self._settings, self._pending)
        try:
            refusal = visit.refusal()
            if refusal is None:
                await self._app(scope, visit.receive, visit.send)
            else:
                await refusal(scope, receive, visit.send)
        finally:
            visit.end()
            self._note(scope, visit)

    def _note(self, scope: Scope, visit: _Visit) -> None:
        route = getattr(scope.get("route"), "path", "other")  # never the path as sent, which may hold anything
        method = scope["method"] if scope["method"] in _METHODS else "other"
        seconds = time.perf_counter() - visit.start
        self._metrics.count_request(route, method, visit.status, seconds)
        values = {"route": route, "method": method, "status": visit.status, "ms": round(seconds * 1000, 1)}
        state = scope.get("state", {})
        values |= {"bytes": visit.received, "photos": state.get("photos", 0), "client": visit.key_name}
        if route not in _PROBES:
            LOGGER.info("request", extra={"values": values})


class _Visit:
    """One request on its way through the gate."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, settings: ServeSettings, pending: PendingBytes
    ) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._settings, self._pending = settings, pending
        self.start = time.perf_counter()
        self._headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self._taken, self._whole = 0, False
        self.received, self.status, self.key_name = 0, 500, _NO_CLIENT

    def refusal(self) -> JSONResponse | None:
        """Refuse by the headers alone, or name the client and return None."""
        if sum(len(name) + len(value) for name, value in self._scope["headers"]) > HEADER_BYTES:
            error = ServerError("The request", f"has headers of more than {HEADER_BYTES:,} bytes", "Send fewer headers")
            return error_answer(431, error, {"Connection": "close"})
        address = self._scope.get("client")
        client = f"address {address[0]}" if address else "unknown"
        if self._settings.api_keys and self._scope["path"] not in OPEN_PATHS:
            known = self._settings.client_of(self._headers.get(b"authorization", ""))
            if known is None:
                error = ServerError("The key", "is missing or unknown", "Send the header `Authorization: Bearer KEY`")
                return error_answer(401, error, {"WWW-Authenticate": "Bearer", "Connection": "close"})
            client = self.key_name = known
        self._scope.setdefault("state", {})["client"] = client
        length = self._headers.get(b"content-length", "")
        if length.isdecimal() and int(length) > self._settings.max_request_bytes:
            return error_answer(413, self._too_large(), {"Connection": "close"})
        if length.isdecimal() and not self._take(int(length)):
            return error_answer(503, _full())
        return None

    async def receive(self) -> Message:
        """Receive the next piece of the body, within the limits of size and time."""
        if self._whole:
            return await self._receive()
        left_s = self.start + self._settings.body_s - time.perf_counter()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, left_s))
        except TimeoutError as exc:
            reason = f"did not arrive within {self._settings.body_s:g} s"
            raise RefusedBodyError(408, ServerError("The request", reason, "Send fewer photos at a time")) from exc
        self._whole = not message.get("more_body", False)
        self.received += len(message.get("body", b""))
        if self.received > self._settings.max_request_bytes:
            raise RefusedBodyError(413, self._too_large())
        if self.received > self._taken and not self._take(self.received - self._taken):
            raise RefusedBodyError(503, _full())
        return message

    async def send(self, message: Message) -> None:
        """Send, and remember the status."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    def end(self) -> None:
        """Give the bytes back."""
        self._pending.give_back(self._taken)
        self._taken = 0

    def _take(self, count: int) -> bool:
        taken = self._pending.take(count)
        self._taken += count if taken else 0
        return taken

    def _too_large(self) -> ServerError:
        most = f"{self._settings.max_request_bytes / 1e6:g}"
        return ServerError("The request", f"has more than the {most} MB allowed", "Send fewer photos at a time")


def _full() -> BusyError:
    return BusyError("The server", "holds as many bytes of photos as it may", "Try again in a moment", 5)
