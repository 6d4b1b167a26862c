"""HTTP session whose connections are checked at every hop, directly or through the environment's proxy."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

from triovision.connections import Address, PrivateAddressError, connect

CONNECT_S: Final = 10.0
_PORTS: Final = {"http": 80, "https": 443}
_LOCAL_ENDINGS: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa")  # no public server has such a name

Allowed = Callable[[Address], bool]
Watch = Callable[[socket.socket], object]


class CheckedSession(requests.Session):
    """Session that connects to allowed addresses only, also after redirects.

    Two kinds of servers are exempt, because the owner of this machine named them: the proxy of the environment, and
    the first server of a request that says so, until another server redirects.

    Args:
        allowed: Whether a connection to an address is allowed.
        watch: Called with the socket of each request.
    """

    def __init__(self, allowed: Allowed, watch: Watch) -> None:
        super().__init__()
        for scheme in _PORTS:
            self.mount(f"{scheme}://", _CheckedAdapter(allowed, watch))
        self._exempt = _CheckedAdapter(_any_address, watch)  # with connections of its own
        self._own: tuple[str, str, int | None] | None = None

    def fetch(self, url: str, own: bool, headers: dict[str, str], timeout_s: tuple[float, float]) -> requests.Response:
        """Request a file; its content is left to be read.

        Args:
            url: Address, `http` or `https`.
            own: Whether the owner of this machine named the server, which may then have a private address.
            headers: Headers in addition to those of the session.
            timeout_s: Longest wait to connect, and between two pieces of the response, in seconds.

        Raises:
            PrivateAddressError: If a server has an address that is not allowed.
            UnknownHostError: If a server has none.
            requests.RequestException: If the request fails.
        """
        self._own = _server(url) if own else None
        return self.get(url, headers=headers, stream=True, timeout=timeout_s)

    def get_adapter(self, url: str) -> BaseAdapter:
        """Return the transport of a hop; requests asks for it once for each, in their order."""
        adapter = super().get_adapter(url)
        if self._own != _server(url):
            self._own = None  # nor does a later redirect lead back to the owner's server
        return adapter if self._own is None else self._exempt


class _CheckedAdapter(HTTPAdapter):
    """Transport of requests that connects to allowed addresses, or to a proxy for servers that are not known as local.

    Args:
        allowed: Whether a connection to an address is allowed.
        watch: Called with the socket before the handshake, and again before each request that uses it.
    """

    def __init__(self, allowed: Allowed, watch: Watch) -> None:
        self._allowed, self._watch = allowed, watch
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - those of requests
        """Let direct connections be checked."""
        super().init_poolmanager(*args, **kwargs)
        _connect_by(self.poolmanager, self._allowed, self._watch)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> PoolManager:  # noqa: ANN401 - those of requests
        """Let connections to a proxy be watched; the environment of this machine names it, so it may be local."""
        new = proxy not in self.proxy_manager
        manager: PoolManager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if new and not proxy.lower().startswith("socks"):  # which has connections of its own
            _connect_by(manager, _any_address, self._watch)
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - those of requests
        """Send a request, unless a proxy would be asked for a server whose name already says that it is local."""
        host = urlsplit(request.url or "").hostname or ""
        if select_proxy(request.url or "", kwargs.get("proxies")) and not self._may_ask_proxy(host):
            raise PrivateAddressError(host)
        return super().send(request, *args, **kwargs)

    def _may_ask_proxy(self, host: str) -> bool:
        """Whether a name may be public. The proxy looks it up, so only numbers and reserved names tell."""
        if self._allowed is _any_address:
            return True
        try:  # also the short forms of numbers, such as 127.1
            numbers = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            name = host.rstrip(".").lower()
            return "." in name and not name.endswith(_LOCAL_ENDINGS)
        return all(self._allowed(ip_address(str(number[4][0]).partition("%")[0])) for number in numbers)


def _connect_by(manager: PoolManager, allowed: Allowed, watch: Watch) -> None:
    """Let the pools of a manager connect to allowed addresses only."""

    class Checked(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            made = connect(self._dns_host, self.port, allowed, float(self.timeout or CONNECT_S))
            watch(made)
            return made

        def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - those of urllib3
            if self.sock is not None:  # kept from an earlier request
                watch(self.sock)
            super().request(*args, **kwargs)

    class CheckedTls(Checked, HTTPSConnection):
        pass

    manager.pool_classes_by_scheme = {
        "http": type("CheckedPool", (HTTPConnectionPool,), {"ConnectionCls": Checked}),
        "https": type("CheckedTlsPool", (HTTPSConnectionPool,), {"ConnectionCls": CheckedTls}),
    }


def _any_address(_: Address) -> bool:
    return True


def _server(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
