"""Photos fetched from a link, from public addresses only.

A link comes from a stranger; see `connections`. A redirect is a new link and passes the same checks. There are no
proxies, no cookies and no passwords.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import unquote, urljoin

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

import triovision
from triovision.connections import Address, Deadline, PrivateAddressError, UnknownHostError, connect, is_public
from triovision.errors import Message, PhotoError
from triovision.photo.content import foreign_kind
from triovision.photo.limits import PhotoLimits
from triovision.photo.names import clean_text

_CHUNK_BYTES: Final = 64 * 1024
_HEAD_BYTES: Final = 1024  # enough to recognise a web page
_MAX_URL: Final = 2000
_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAVE: Final = Message("Save the photo and drop it on the page")
_CHECK: Final = Message("Check the link")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLimits:
    """Bounds on the fetching of one photo.

    Attributes:
        max_bytes: Largest content, in bytes.
        max_redirects: Most redirects to follow.
        connect_timeout_s: Longest wait for one connection, in seconds.
        read_timeout_s: Longest wait for the next bytes, in seconds.
        total_s: Longest time for everything after the first DNS answer, in seconds.
        ports: Ports that a link may name.
        allowed: Whether a connection to an address is allowed.
    """

    max_bytes: int = PhotoLimits().max_bytes
    max_redirects: int = 3
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 10.0
    total_s: float = 30.0
    ports: frozenset[int] = frozenset(_PORTS.values())
    allowed: Callable[[Address], bool] = is_public


def fetch_photo(url: str, limits: WebLimits = WebLimits()) -> tuple[str, bytes]:
    """Fetch the file behind a link; `read_photo` decides whether it is a photo.

    Args:
        url: Address that begins with `http://` or `https://`.
        limits: Limits of size, time and reach.

    Returns:
        File name, as the address gives it, and content.

    Raises:
        PhotoError: The link is refused, or fetching fails, for whatever reason.
    """
    subject = clean_text(url, 80) or "The link"
    try:
        with Deadline(limits.total_s) as deadline:
            return _fetch(_parsed(url.strip(), limits), limits, deadline)
    except _RefusedError as refusal:
        raise PhotoError(subject, refusal.reason, refusal.remedy) from refusal.__cause__


class _RefusedError(Exception):
    """Refusal of a link; `fetch_photo` adds its name."""

    def __init__(self, reason: Message, remedy: Message = _SAVE) -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class _Link:
    scheme: str
    host: str
    port: int
    target: str  # path and query

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}{self.target}"

    @property
    def name(self) -> str:
        return unquote(self.target.partition("?")[0].rpartition("/")[2]) or self.host


def _fetch(link: _Link, limits: WebLimits, deadline: Deadline) -> tuple[str, bytes]:
    for _ in range(limits.max_redirects + 1):
        try:
            answer = _request(link, limits, deadline)
            if isinstance(answer, bytes):
                return link.name, answer
            link = _parsed(urljoin(link.url, answer), limits)
        except (OSError, ValueError, http.client.HTTPException) as exc:  # ValueError: host names that are none
            _fail(exc, deadline)
    raise _RefusedError(Message("it redirects more than {count} times", count=limits.max_redirects))


def _request(link: _Link, limits: WebLimits, deadline: Deadline) -> bytes | str:
    """Return the content, or the address that the server redirects to."""
    connection = http.client.HTTPConnection(link.host.strip("[]"), link.port)
    connection.default_port = _PORTS[link.scheme]
    connection.sock = _connected(link, limits, deadline)
    try:
        agent = f"TrioVision/{triovision.__version__} (image geolocation, research)"
        headers = {"User-Agent": agent, "Accept": "image/*", "Accept-Encoding": "identity", "Connection": "close"}
        connection.request("GET", link.target, headers=headers)
        with connection.getresponse() as response:
            location = response.getheader("Location")
            if response.status in _REDIRECTS and location:
                return location
            if response.status != http.client.OK:
                status = clean_text(f"{response.status} {response.reason}", 60)
                raise _RefusedError(Message("the server responded with {status}", status=status), _CHECK)
            return _content(response, limits, deadline)
    finally:
        connection.close()


def _content(response: http.client.HTTPResponse, limits: WebLimits, deadline: Deadline) -> bytes:
    most = f"{limits.max_bytes / 1e6:g}"
    too_large = Message("it has more than the {most} MB allowed", most=most)
    if (response.length or 0) > limits.max_bytes:
        raise _RefusedError(too_large)
    content, checked = bytearray(), False
    while chunk := response.read1(_CHUNK_BYTES):
        content += chunk
        if len(content) > limits.max_bytes:
            raise _RefusedError(too_large)
        if not checked and len(content) >= _HEAD_BYTES:
            _check_kind(content)
            checked = True
        _ = deadline.left_s
    _ = deadline.left_s  # a connection that was shut down ends like a complete one
    if response.length:
        raise _RefusedError(Message("the connection broke off"))
    _check_kind(content)
    return bytes(content)


def _check_kind(content: bytearray) -> None:
    """Refuse a file that is no photo before all of it is fetched."""
    if kind := foreign_kind(bytes(content[:_HEAD_BYTES])):
        remedy = Message("Open the image alone in the browser and copy its address")
        raise _RefusedError(Message("it leads to {kind} and not to a photo", kind=kind), remedy)


def _connected(link: _Link, limits: WebLimits, deadline: Deadline) -> socket.socket:
    try:
        plain = connect(link.host, link.port, limits.allowed, min(limits.connect_timeout_s, deadline.left_s))
    except UnknownHostError as exc:
        reason = Message("there is no server of this name, or no network")
        raise _RefusedError(reason, Message("Check the link and the connection to the Internet")) from exc
    except PrivateAddressError as exc:
        raise _RefusedError(Message("it leads into a private network, where this page fetches nothing")) from exc
    plain.settimeout(limits.read_timeout_s)
    try:
        deadline.watch(plain)
        if link.scheme == "http":
            return plain
        context = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
        return context.wrap_socket(plain, server_hostname=link.host.strip("[]"))
    except BaseException:
        plain.close()
        raise


def _parsed(url: str, limits: WebLimits) -> _Link:
    if len(url) > _MAX_URL or any(ord(char) <= 32 or ord(char) == 127 for char in url) or "\\" in url:
        raise _RefusedError(Message("it is no valid link"), _CHECK)
    try:
        parts = parse_url(url)
    except LocationParseError as exc:
        raise _RefusedError(Message("it is no valid link"), _CHECK) from exc
    if parts.scheme not in _PORTS or not parts.host:
        remedy = Message("Copy the address of the image from the browser")
        raise _RefusedError(Message("it does not begin with https:// or http://"), remedy)
    if parts.auth is not None:
        raise _RefusedError(Message("it holds a user name or a password"))
    port = parts.port or _PORTS[parts.scheme]
    if port not in limits.ports:
        raise _RefusedError(Message("it names port {port}, where this page fetches nothing", port=port))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Link(parts.scheme, parts.host, port, target)


def _fail(exc: Exception, deadline: Deadline) -> NoReturn:
    """Put a failure of the connection into words."""
    if deadline.over or isinstance(exc, TimeoutError):
        raise _RefusedError(Message("the server took too long")) from exc
    if isinstance(exc, ssl.SSLCertVerificationError):
        raise _RefusedError(Message("the server has no valid certificate")) from exc
    raise _RefusedError(Message("the connection failed ({why})", why=clean_text(str(exc), 80))) from exc
