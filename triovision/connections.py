"""Connections to public addresses: one DNS answer, every address of it checked, and a deadline that cuts them off.

An address comes from a stranger or from a server that redirects, and this computer may see servers that others must
not. So the name of a server is resolved once, all of the answer is checked, and the connection goes to a checked
address: a second answer of the DNS cannot lead elsewhere.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from types import TracebackType
from typing import Final, Self

Address = IPv4Address | IPv6Address

_MAX_ADDRESSES: Final = 3  # tried one after the other
_UNICAST: Final = IPv6Network("2000::/3")  # outside lie NAT64, IPv4-mapped, local and multicast addresses
_NOT_PUBLIC: Final = (IPv6Network("2002::/16"), IPv6Network("3fff::/20"))  # IPv4 inside IPv6; documentation


class PrivateAddressError(Exception):
    """A name leads to an address that is not allowed."""


class UnknownHostError(Exception):
    """There is no server of this name, or no network."""


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public Internet and holds no other address inside."""
    if isinstance(address, IPv6Address):
        outside = address not in _UNICAST or any(address in network for network in _NOT_PUBLIC)
        return address.is_global and not outside
    return address.is_global and not address.is_multicast


class Deadline:
    """Shuts the watched connection down when the time is over, even in the middle of a slow answer or handshake.

    Args:
        seconds: Time from the beginning of the `with` block.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True
        self._twin: socket.socket | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Start the time."""
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the time and forget the connection, which stays open."""
        self._timer.cancel()
        self._forget()

    @property
    def over(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self._end

    @property
    def left_s(self) -> float:
        """Seconds left.

        Raises:
            TimeoutError: If there are none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def watch(self, connection: socket.socket) -> None:
        """Watch this connection instead of the one before; a duplicate, for TLS takes the original over."""
        self._forget()
        with self._lock:
            self._twin = socket.socket(fileno=os.dup(connection.fileno()))  # a TLS socket has no `dup` of its own

    def _shut(self) -> None:
        with self._lock:
            if self._twin is not None:
                try:
                    self._twin.shutdown(socket.SHUT_RDWR)
                except OSError:  # closed by the other side
                    return

    def _forget(self) -> None:
        with self._lock:
            if self._twin is not None:
                self._twin.close()
                self._twin = None


def connect(host: str, port: int, allowed: Callable[[Address], bool], timeout_s: float) -> socket.socket:
    """Connect to a server whose addresses are all allowed.

    Args:
        host: Name or address of the server, an IPv6 address with or without brackets.
        port: Its port.
        allowed: Whether a connection to an address is allowed.
        timeout_s: Longest wait for each address.

    Raises:
        UnknownHostError: If the name has no address.
        PrivateAddressError: If one of its addresses is not allowed.
        OSError: If no address answers.
    """
    addresses = _checked_addresses(host.strip("[]"), port, allowed)
    for number, address in enumerate(addresses, start=1):
        try:
            return socket.create_connection((str(address), port), timeout=timeout_s)
        except OSError:
            if number == len(addresses):
                raise
    raise UnknownHostError(host)


def _checked_addresses(host: str, port: int, allowed: Callable[[Address], bool]) -> list[Address]:
    """Addresses of a server; one forbidden address among them refuses it."""
    try:
        answer = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise UnknownHostError(host) from exc
    addresses = list(dict.fromkeys(ip_address(str(entry[4][0])) for entry in answer))
    if not all(allowed(address) for address in addresses):
        raise PrivateAddressError(host)
    return addresses[:_MAX_ADDRESSES]
