"""uvicorn with limits on headers and connections, and an end that finishes what was accepted."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from triovision.serve.gate import HEADER_BYTES

HEADERS_S: Final = 20.0
MAX_CONNECTIONS: Final = 512
KEEP_ALIVE_S: Final = 15
END_S: Final = 150


class TimedProtocol(H11Protocol):
    """HTTP/1.1 connection that ends when the headers of a request do not arrive in time.

    So does one whose request has been answered while its body still arrives. uvicorn has no such limit of its own.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's
        """Start the time."""
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the time."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Start the time with the first byte of a request, and end it with its headers."""
        super().data_received(data)
        cycle = cast(RequestResponseCycle | None, self.cycle)  # None before the first request
        if cycle is None or cycle.response_complete:
            self._start()
        else:
            self._stop()

    def _start(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEADERS_S, self._end)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()


def configuration(app: FastAPI, host: str, port: int, proxies: str = "") -> uvicorn.Config:
    """Return the settings of uvicorn.

    Args:
        app: The application.
        host: Address to listen on.
        port: Port to listen on; 0 for a free one.
        proxies: Addresses of proxies whose `X-Forwarded-For` names the client, divided by commas.
    """
    return uvicorn.Config(
        app,
        host,
        port,
        http=TimedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        limit_concurrency=MAX_CONNECTIONS,
        backlog=128,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=END_S,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )


def serve(app: FastAPI, host: str, port: int, proxies: str = "") -> None:
    """Serve until SIGTERM or Ctrl-C; then refuse new connections, and finish the requests that have begun."""
    with suppress(KeyboardInterrupt):  # which uvicorn raises again when it has ended
        uvicorn.Server(configuration(app, host, port, proxies)).run()
