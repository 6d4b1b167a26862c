"""The application: one backend, its routes, the gate before them, and errors as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import Request

import triovision
from triovision.errors import BusyError, EvidenceError, ExplanationError, PhotoError, ServerError, TrioVisionError
from triovision.inference.loaded_models import LoadedModels
from triovision.photo import DecoderPool, decoder_pool
from triovision.serve.backend import Backend, ClientGoneError, UnknownModelError
from triovision.serve.gate import Gate, RefusedBodyError, error_answer
from triovision.serve.routes import open_routes, routes
from triovision.serve.settings import ServeSettings

_STATUS: Final[dict[type[TrioVisionError], int]] = {
    UnknownModelError: 404,
    EvidenceError: 422,
    ExplanationError: 422,
    PhotoError: 422,
    BusyError: 503,
    ServerError: 422,
}
_MOST_FIELDS: Final = 100
_MOST_FIELD_BYTES: Final = 10_000
_CLIENT_GONE: Final = 499


def create_app(
    settings: ServeSettings | None = None, models: LoadedModels | None = None, pool: DecoderPool | None = None
) -> FastAPI:
    """Make the application; it loads its model when it starts.

    Args:
        settings: Limits; None for the defaults.
        models: Models in memory; None for those of this machine.
        pool: Decoder processes; None for those that the process shares.
    """
    settings = settings or ServeSettings()
    backend = Backend(settings, models or LoadedModels(), pool or decoder_pool())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(asyncio.to_thread(backend.start))
        yield
        await loading
        await asyncio.to_thread(backend.close)

    app = FastAPI(
        title="TrioVision",
        summary="Where was this photo taken?",
        description="Countries, places and their probabilities for photos; see also `triovision.Client`.",
        version=triovision.__version__,
        lifespan=lifespan,
        docs_url=None,  # its scripts come from other servers
        redoc_url=None,
        form_limits={
            "max_files": settings.max_files,
            "max_fields": _MOST_FIELDS,
            "max_part_size": _MOST_FIELD_BYTES,
        },
    )
    app.state.backend = backend
    app.add_middleware(Gate, settings=settings, metrics=backend.metrics, pending=backend.pending)
    app.include_router(open_routes)
    keys = [Security(HTTPBearer(auto_error=False))] if settings.api_keys else []  # for the document; the gate checks
    app.include_router(routes, dependencies=keys)
    for kind, handler in (
        (RefusedBodyError, _refused_body),
        (HTTPException, _http_error),
        (RequestValidationError, _wrong_request),
        (TrioVisionError, _worded),
        (ClientGoneError, _gone),
        (Exception, _fault),
    ):
        app.add_exception_handler(kind, handler)
    return app


async def _worded(_request: Request, error: Any) -> Response:  # noqa: ANN401 - Starlette passes any exception
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    return error_answer(status, error)


async def _refused_body(_request: Request, refusal: Any) -> Response:  # noqa: ANN401
    busy = isinstance(refusal.error, BusyError)
    return error_answer(refusal.status_code, refusal.error, {} if busy else {"Connection": "close"})


async def _http_error(_request: Request, error: Any) -> Response:  # noqa: ANN401
    worded = ServerError("The request", str(error.detail), "See /docs")
    return error_answer(error.status_code, worded, error.headers)


async def _wrong_request(_request: Request, error: Any) -> Response:  # noqa: ANN401
    """Name the wrong fields without what they held."""
    faults = "; ".join(f"`{'.'.join(map(str, one['loc'][1:]))}`: {one['msg']}" for one in error.errors()[:20])
    return error_answer(422, ServerError("The request", f"has wrong fields ({faults})", "See /docs"))


async def _gone(_request: Request, _error: Any) -> Response:  # noqa: ANN401
    return Response(status_code=_CLIENT_GONE)


async def _fault(_request: Request, _error: Any) -> Response:  # noqa: ANN401
    return error_answer(500, ServerError("The server", "failed", "Look at its log"))
