"""TrioVision: image geolocation.

The import is fast: torch is imported with the first use of `load_model` or `GeoModel`, and httpx with
that of `Client` or `AsyncClient`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triovision.inference import GeoModel, load_model
    from triovision.photo import read_photo
    from triovision.serve.client import AsyncClient, Client

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client", "GeoModel", "__version__", "load_model", "read_photo"]

_HOMES = {
    "AsyncClient": "triovision.serve.client",
    "Client": "triovision.serve.client",
    "GeoModel": "triovision.inference",
    "load_model": "triovision.inference",
    "read_photo": "triovision.photo",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the lazy names have types of their own
    if name not in _HOMES:
        raise AttributeError(f"module 'triovision' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
