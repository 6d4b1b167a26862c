"""Downloads over HTTP from public addresses: resumed, retried with back-off, limited in size and time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import requests
import stamina
import urllib3

import triovision
from triovision import transfer_limits
from triovision.connections import Deadline, PrivateAddressError, UnknownHostError
from triovision.errors import Message
from triovision.http_session import CONNECT_S, CheckedSession
from triovision.transfer_limits import (
    AGAIN,
    DownloadError,
    Pace,
    SlowDownloadError,
    TooSlowError,
    TransferLimits,
)

CHUNK_BYTES = 256 * 1024
_TIMEOUT_S = (CONNECT_S, 30.0)  # to connect, and between two pieces of a response
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 30.0  # as for all times here: six attempts at an idle server end within 5 minutes
_CALLER = stamina.RetryingCaller(attempts=6, timeout=None, wait_initial=1, wait_max=_LONGEST_WAIT_S)
_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 206, 416

T = TypeVar("T")


class _RefusedError(Exception):
    """A response with an error status."""

    def __init__(self, response: requests.Response) -> None:
        status = f"{response.status_code} {response.reason}"
        self.message = Message("the server responded with {status}", status=status)
        super().__init__(self.message)
        self.temporary = response.status_code in _TEMPORARY
        after = response.headers.get("Retry-After", "")
        self.wait_s = min(float(after), _LONGEST_WAIT_S) if after.isdecimal() else 0.0


class Transfer:
    """Downloads of several threads with one byte budget.

    They connect to public addresses only, also after redirects; a server that this machine's owner named may be
    private, and no redirect of another server leads to it. Through a proxy that the environment names
    (`HTTPS_PROXY`, `NO_PROXY`), only private numbers and local names are refused: the proxy looks up all others.

    Args:
        max_bytes: Largest number of content bytes in total; None for no limit.
        limits: Bounds on reach and time; None for the defaults.
    """

    def __init__(self, max_bytes: int | None = None, limits: TransferLimits | None = None) -> None:
        self._max_bytes = max_bytes
        self._limits = limits or transfer_limits.LIMITS
        self._received = 0
        self._stopped = False
        self._lock = threading.Lock()
        self._local = threading.local()

    @property
    def received_bytes(self) -> int:
        """Content bytes received so far."""
        return self._received

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """End every running download with a `DownloadError`; the received bytes stay on disk."""
        self._stopped = True

    def read(self, url: str, max_bytes: int, *, own_server: bool = False) -> bytes:
        """Fetch a small file into memory.

        Args:
            url: Address, `http` or `https`.
            max_bytes: Largest accepted content.
            own_server: Whether the owner of this machine named the server, which may then be private.

        Raises:
            DownloadError: If the file is missing, is too large, or several attempts fail.
        """
        pace = Pace(url, max_bytes, self._limits)
        return _retry(url, lambda: self._read(url, max_bytes, pace, own_server))

    def save(
        self,
        url: str,
        path: Path,
        max_bytes: int,
        on_size: Callable[[int], object] | None = None,
        *,
        own_server: bool = False,
    ) -> None:
        """Fetch a large file and resume after the bytes that `path` already holds, in this run or a later one.

        Compare a checksum afterwards: the file on the server may have changed between two attempts.

        Args:
            url: Address, `http` or `https`.
            path: File for the received bytes.
            max_bytes: Largest accepted file.
            on_size: Called with the size of `path` as it grows.
            own_server: Whether the owner of this machine named the server, which may then be private.

        Raises:
            DownloadError: If the file is missing, is too large, or several attempts fail.
            OSError: If `path` cannot be written.
        """
        pace = Pace(url, max_bytes, self._limits)
        _retry(url, lambda: self._append(url, path, max_bytes, on_size, pace, own_server))

    def _read(self, url: str, max_bytes: int, pace: Pace, own_server: bool) -> bytes:
        content = bytearray()
        with self._get(url, 0, pace, own_server) as response:
            while chunk := self._chunk(response):
                content += chunk
                pace.check(len(content))
                _check_size(url, len(content), max_bytes)
        return bytes(content)

    def _append(
        self,
        url: str,
        path: Path,
        max_bytes: int,
        on_size: Callable[[int], object] | None,
        pace: Pace,
        own_server: bool,
    ) -> None:
        start = path.stat().st_size if path.exists() else 0
        with self._get(url, start, pace, own_server) as response:
            if response.status_code == _RANGE_NOT_SATISFIABLE:
                return  # the file is complete
            resumed = response.status_code == _PARTIAL_CONTENT
            if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                reason = Message("the server sent another part than requested")
                raise DownloadError(url, reason, Message("Use another mirror"))
            # A server that ignores ranges sends the whole file again.
            with path.open("ab" if resumed else "wb") as file:
                while chunk := self._chunk(response):
                    file.write(chunk)
                    pace.check(file.tell())
                    _check_size(url, file.tell(), max_bytes)
                    if on_size is not None:
                        on_size(file.tell())

    def _get(self, url: str, start: int, pace: Pace, own_server: bool) -> requests.Response:
        headers = {"Range": f"bytes={start}-"} if start else {}
        pace.begin()
        with Deadline(self._limits.head_s) as deadline:
            session = self._session()
            self._local.deadline = deadline
            response = session.fetch(url, own_server, headers, _TIMEOUT_S)
            if deadline.over:  # a head that was cut off looks like a whole one
                response.close()
                raise TooSlowError
        pace.begin()
        if not response.ok and not (start and response.status_code == _RANGE_NOT_SATISFIABLE):
            response.close()
            raise _RefusedError(response)
        return response

    def _session(self) -> CheckedSession:
        """Return the session of this thread; requests does not guarantee that threads may share one."""
        if not hasattr(self._local, "session"):
            self._local.session = CheckedSession(self._limits.allowed, self._watch)
            # Wikimedia requires a name; `identity`, because sizes and ranges must be those of the file itself.
            agent = f"TrioVision/{triovision.__version__} (image geolocation, research)"
            self._local.session.headers.update({"User-Agent": agent, "Accept-Encoding": "identity"})
        session: CheckedSession = self._local.session
        return session

    def _watch(self, connection: socket.socket) -> None:
        self._local.deadline.watch(connection)

    def _chunk(self, response: requests.Response) -> bytes:
        """Read the next bytes, empty at the end. They are reserved first, so that threads keep to the common budget."""
        with self._lock:
            left = CHUNK_BYTES if self._max_bytes is None else self._max_bytes - self._received
            amount = min(CHUNK_BYTES, left)
            self._received += amount
        chunk = b""
        try:
            if self._stopped or (not amount and response.raw.length_remaining != 0):
                reason = Message("stopped on request") if self._stopped else Message("the byte budget is spent")
                raise DownloadError(response.url, reason, AGAIN)
            # `read1` returns the bytes at hand, so that a broken connection loses none.
            chunk = response.raw.read1(amount) if amount else b""
        finally:
            with self._lock:
                self._received -= amount - len(chunk)
        return chunk


def root_cause(exc: BaseException) -> BaseException:
    """Return the innermost error of an HTTP client, such as `Connection refused`."""
    while exc.__context__ is not None:
        exc = exc.__context__
    return exc


def _retry(url: str, work: Callable[[], T]) -> T:
    try:
        return _CALLER(_wait_s, work)
    except _RefusedError as exc:
        raise DownloadError(url, exc.message, AGAIN) from exc
    except PrivateAddressError as exc:
        remedy = Message("Use a server with a public address")
        raise DownloadError(url, Message("it leads into a private network"), remedy) from exc
    except UnknownHostError as exc:
        raise DownloadError(url, Message("there is no server of this name, or no network"), AGAIN) from exc
    except TooSlowError as exc:
        raise SlowDownloadError(url, Message("the server sends too slowly"), AGAIN) from exc
    except (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError) as exc:
        raise SlowDownloadError(url, Message("the server sends too slowly"), AGAIN) from exc
    except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
        raise DownloadError(url, Message("the connection failed ({why})", why=root_cause(exc)), AGAIN) from exc


def _wait_s(exc: Exception) -> bool | float:
    """Return whether to retry, or the seconds to wait where the server names them."""
    if isinstance(exc, _RefusedError):
        return exc.wait_s if exc.temporary and exc.wait_s else exc.temporary
    if isinstance(exc, requests.exceptions.InvalidSchema | requests.exceptions.InvalidURL | requests.TooManyRedirects):
        return False
    return isinstance(exc, TooSlowError | UnknownHostError | requests.RequestException | urllib3.exceptions.HTTPError)


def _check_size(url: str, size: int, most: int) -> None:
    if size > most:
        limit = f"{most / 1e6:g}"
        reason = Message("it has more than the {most} MB allowed", most=limit)
        raise DownloadError(url, reason, Message("Check the address"))
