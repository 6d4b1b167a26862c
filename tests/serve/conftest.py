"""Applications over a model of colours, and a real server on a free port."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
import uvicorn

from tests.serve.colour_model import ColourModels
from triovision.photo import DecoderPool
from triovision.serve.app import create_app
from triovision.serve.running import configuration
from triovision.serve.settings import ServeSettings


@pytest.fixture(scope="session")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(2) as made:
        made.close = lambda: None  # shared by the applications of all tests
        yield made
        del made.close


@pytest.fixture
def models() -> ColourModels:
    return ColourModels()


@pytest.fixture
def make_app(models: ColourModels, pool: DecoderPool) -> Iterator[Callable]:
    """Makes applications; keywords are fields of the settings."""
    made = []

    def make(**settings):
        app = create_app(ServeSettings(**settings), models, pool)
        app.state.backend.start()
        made.append(app)
        return app

    yield make
    for model in models.known.values():
        if model.gate is not None:
            model.gate.set()
    for app in made:
        app.state.backend.service.close()


@pytest.fixture
def serve_app() -> Iterator[Callable]:
    """Starts a real server for an application on a free port; returns its address. It ends with the test."""
    with ExitStack() as stack:

        def serve(app, **options):
            config = configuration(app, "127.0.0.1", 0)
            for name, value in options.items():
                setattr(config, name, value)
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run)
            thread.start()
            stack.callback(thread.join)
            stack.callback(setattr, server, "should_exit", True)
            while not server.started:
                time.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            app.state.server = server
            return f"http://127.0.0.1:{port}"

        yield serve


@pytest.fixture
def ask(make_app: Callable) -> Callable:
    """Sends a request to an application without a network; keywords that begin with `_` are settings."""
    apps = {}

    def send(method, path, **options):
        settings = {name[1:]: options.pop(name) for name in list(options) if name.startswith("_")}
        key = tuple(sorted(settings.items()))
        if key not in apps:
            apps[key] = make_app(**settings)

        async def exchange():
            transport = httpx.ASGITransport(apps[key], raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                return await client.request(method, path, **options)

        return asyncio.run(exchange())

    return send
