"""Settings of the server: limits, and the clients that may use it."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from triovision.errors import ServerError
from triovision.inference.prediction_service import MAX_WAITING
from triovision.photo import PhotoLimits

API_KEYS: Final = "TRIOVISION_API_KEYS"
_LEAST_KEY: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Limits of the server. Numbers are positive.

    Attributes:
        model_id: Model of requests that name none; None for the default model.
        photo: Limits of one photo.
        max_files: Most photos of one request.
        max_request_bytes: Largest body of a request.
        max_pending_bytes: Most bytes of all requests that are arriving or waiting, together.
        body_s: Longest time for a body to arrive, in seconds.
        answer_s: Longest time for an answer once the body has arrived; photos that have none by then are given up.
        max_waiting: Most photos that wait; one client has at most half of the free places.
        max_batch: Most photos in one forward pass; 1 for no batches, None for what suits the machine.
        max_explanations: Most explanations that wait or are computed.
        allow_urls: Whether photos may be fetched from links, to public addresses only.
        api_keys: Client by key; empty for a server that asks for none.
    """

    model_id: str | None = None
    photo: PhotoLimits = field(default_factory=PhotoLimits)
    max_files: int = 64
    max_request_bytes: int = 200_000_000
    max_pending_bytes: int = 500_000_000
    body_s: float = 60.0
    answer_s: float = 120.0
    max_waiting: int = MAX_WAITING
    max_batch: int | None = None
    max_explanations: int = 4
    allow_urls: bool = False
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check the numbers."""
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, int | float) and not isinstance(value, bool) and not value > 0:
                raise ValueError(f"`{one.name}` must be above 0, got {value!r}")

    def client_of(self, authorization: str) -> str | None:
        """Return the client of a header `Authorization`, or None for a wrong key; takes equally long for every key."""
        scheme, _, given = authorization.partition(" ")
        found = None
        for key, client in self.api_keys.items():
            if hmac.compare_digest(key.encode(), given.strip().encode()):
                found = client
        return found if scheme.lower() == "bearer" else None


def api_keys_of_environment() -> dict[str, str]:
    """Read `TRIOVISION_API_KEYS`: keys, or `name:key`, divided by commas. Returns the client by key.

    Raises:
        ServerError: If a key is shorter than 16 characters or given twice.
    """
    keys: dict[str, str] = {}
    for number, text in enumerate(filter(None, map(str.strip, os.environ.get(API_KEYS, "").split(","))), start=1):
        name, colon, key = text.rpartition(":")
        if len(key) < _LEAST_KEY or not key.isascii() or key in keys:
            reason = f"key {number} is given twice, or is no text of at least {_LEAST_KEY} plain characters"
            raise ServerError(API_KEYS, reason, "Make a key with `openssl rand -hex 24`")
        keys[key] = name if colon and name else f"client {number}"
    return keys
