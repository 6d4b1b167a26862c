"""Bounds on downloads: reachable addresses, least rate over a window, deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from triovision.connections import Address, is_public
from triovision.errors import Message, TrioVisionError

AGAIN: Final = Message("Repeat the command to resume")


class DownloadError(TrioVisionError):
    """A file cannot be fetched or has wrong content; `subject` is its address or name."""


class SlowDownloadError(DownloadError):
    """A server sends too slowly, or all attempts together took too long."""


class TooSlowError(Exception):
    """A response arrives more slowly than the least rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferLimits:
    """Bounds on the reach and the time of downloads.

    Attributes:
        allowed: Whether a connection to an address is allowed, of the first server and of each that it redirects to.
        least_rate: Least rate over each window, in bytes per second.
        window_s: Length of a window, in seconds.
        head_s: Longest time for a connection and the head of a response, in seconds.
        spare_s: A file may take this long in addition to the time that its largest size takes at the least rate.
    """

    allowed: Callable[[Address], bool] = is_public
    least_rate: float = 2000.0
    window_s: float = 30.0
    head_s: float = 30.0
    spare_s: float = 600.0


#: Limits of transfers that are given none.
LIMITS: Final = TransferLimits()


class Pace:
    """Rate and deadline of one file over all attempts to fetch it.

    Args:
        url: Address of the file, for errors.
        max_bytes: Largest size of the file.
        limits: Bounds on the time.
    """

    def __init__(self, url: str, max_bytes: int, limits: TransferLimits) -> None:
        self._url, self._limits = url, limits
        self._end = time.monotonic() + limits.spare_s + max_bytes / limits.least_rate
        self._since, self._size = 0.0, -1

    def begin(self) -> None:
        """Begin the first window of a response."""
        self._since, self._size = time.monotonic(), -1
        self._check_end()

    def check(self, size: int) -> None:
        """Compare a window that has passed with the least rate.

        Args:
            size: Bytes that have arrived.

        Raises:
            TooSlowError: If it was too slow; another attempt may find a faster server.
            SlowDownloadError: If the deadline is over.
        """
        now = time.monotonic()
        if self._size < 0:
            self._since, self._size = now, size
        elif now - self._since >= self._limits.window_s:
            if size - self._size < self._limits.least_rate * (now - self._since):
                raise TooSlowError
            self._since, self._size = now, size
        self._check_end()

    def _check_end(self) -> None:
        if time.monotonic() >= self._end:
            raise SlowDownloadError(self._url, Message("the server took too long"), AGAIN)
