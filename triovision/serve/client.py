"""Clients of a server of predictions, for programs: synchronous and asynchronous.

They give the same `Prediction` values and errors as the library. The names of files stay on this machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast
from urllib.parse import quote

import httpx

from triovision.explanation_settings import ExplanationSettings
from triovision.geo import Evidence
from triovision.results import Explanation
from triovision.serve.exchange import (
    AGAIN,
    Outcome,
    Request,
    Source,
    Steps,
    arguments,
    asked_wait_s,
    explanation_steps,
    get_steps,
    http_options,
    prediction_steps,
    similarity_steps,
    step,
    wait_after_fault,
)

T = TypeVar("T")

_TIMEOUT_S: Final = 180.0
_RETRIES: Final = 5


class Client:
    """Client that waits for its answers; a context manager. Threads may share it.

    Args:
        url: Address of the server, such as `http://localhost:8600`.
        api_key: Key; None for that of the environment variable `TRIOVISION_API_KEY`, if there is one.
        timeout_s: Longest wait for an answer, in seconds.
        retries: Further tries when the server is busy; the wait before each is what the server asks for.
    """

    def __init__(
        self, url: str, api_key: str | None = None, *, timeout_s: float = _TIMEOUT_S, retries: int = _RETRIES
    ) -> None:
        self._retries = retries
        self._http = httpx.Client(**http_options(url, api_key, timeout_s))

    def predict(
        self,
        photos: Iterable[Source],
        top_k: int = 5,
        model: str | None = None,
        evidence: Evidence | None = None,
    ) -> list[Outcome]:
        """Return each photo's prediction or error, in order.

        Args:
            photos: Paths, bytes, or pairs of a name and bytes.
            top_k: Number of countries in each prediction.
            model: Id of a model of the server; None for its default model.
            evidence: Evidence that each prediction is conditioned on.

        Raises:
            ServerError: If the server is away or refuses the request.
            ModelError: If it has no such model, or the model fails.
            EvidenceError: If the evidence contradicts itself.
        """
        return self._run(prediction_steps(photos, top_k, model, evidence))

    def explain(
        self,
        photo: Source,
        country: str | None = None,
        method: str | None = None,
        model: str | None = None,
        *,
        against: str | None = None,
        settings: ExplanationSettings | None = None,
    ) -> Explanation:
        """Return the map of the parts of a photo that raise the score of a country, or of a country against another.

        Args:
            photo: Path, bytes, or a pair of a name and bytes.
            country: ISO 3166-1 alpha-2 code; None for the most probable country.
            method: A method of `model_details`; None for the first.
            model: Id of a model of the server; None for its default model.
            against: Country that it is compared with; None for none.
            settings: Settings of the method; None for the server's defaults.

        Raises:
            ServerError: If the server is away or refuses the request.
            PhotoError: If the photo cannot be used.
            ExplanationError: If the country or the method cannot be explained.
        """
        names = {"country": country, "against": against, "method": method, "model": model}
        return self._run(explanation_steps(photo, names, settings))

    def models(self) -> dict[str, Any]:
        """Return `default`, the id of the default model, and `models`, a list with id, summary, countries, licence."""
        return self._run(get_steps("/models"))

    def model_details(self, model: str) -> dict[str, Any]:
        """Return the `card` of a model, and the `methods` that explain it."""
        return self._run(get_steps(f"/models/{quote(model, safe='')}"))

    def similarity(self, model: str, countries: Sequence[str]) -> list[list[float]]:
        """Return how alike countries are to a model, a row per country."""
        return self._run(similarity_steps(model, countries))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        try:
            request = next(steps)
            while True:
                request = steps.send(self._send(request))
        except StopIteration as end:
            return cast(T, end.value)

    def _send(self, request: Request) -> httpx.Response:
        attempt = 0
        while True:
            try:
                response = self._http.request(**arguments(request))
            except (httpx.HTTPError, httpx.InvalidURL) as exc:
                wait_s = wait_after_fault(exc, attempt, self._http.base_url)
            else:
                if response.status_code not in AGAIN or attempt >= self._retries:
                    return response
                wait_s = asked_wait_s(response)
            attempt += 1
            time.sleep(wait_s)


class AsyncClient:
    """Client for asyncio; an asynchronous context manager. Its methods are those of `Client`.

    Args:
        url: Address of the server, such as `http://localhost:8600`.
        api_key: Key; None for that of the environment variable `TRIOVISION_API_KEY`, if there is one.
        timeout_s: Longest wait for an answer, in seconds.
        retries: Further tries when the server is busy; the wait before each is what the server asks for.
    """

    def __init__(
        self, url: str, api_key: str | None = None, *, timeout_s: float = _TIMEOUT_S, retries: int = _RETRIES
    ) -> None:
        self._retries = retries
        self._http = httpx.AsyncClient(**http_options(url, api_key, timeout_s))

    async def predict(
        self,
        photos: Iterable[Source],
        top_k: int = 5,
        model: str | None = None,
        evidence: Evidence | None = None,
    ) -> list[Outcome]:
        """Return each photo's prediction or error; see `Client.predict`."""
        return await self._run(prediction_steps(photos, top_k, model, evidence))

    async def explain(
        self,
        photo: Source,
        country: str | None = None,
        method: str | None = None,
        model: str | None = None,
        *,
        against: str | None = None,
        settings: ExplanationSettings | None = None,
    ) -> Explanation:
        """Return the explanation of a country; see `Client.explain`."""
        names = {"country": country, "against": against, "method": method, "model": model}
        return await self._run(explanation_steps(photo, names, settings))

    async def models(self) -> dict[str, Any]:
        """Return the models of the server; see `Client.models`."""
        return await self._run(get_steps("/models"))

    async def model_details(self, model: str) -> dict[str, Any]:
        """Return the card of a model; see `Client.model_details`."""
        return await self._run(get_steps(f"/models/{quote(model, safe='')}"))

    async def similarity(self, model: str, countries: Sequence[str]) -> list[list[float]]:
        """Return how alike countries are to a model; see `Client.similarity`."""
        return await self._run(similarity_steps(model, countries))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def _run(self, steps: Steps[T]) -> T:
        response: httpx.Response | None = None
        while True:  # files are read and answers decoded in another thread
            request, value = await asyncio.to_thread(step, steps, response)
            if request is None:
                return cast(T, value)
            response = await self._send(request)

    async def _send(self, request: Request) -> httpx.Response:
        attempt = 0
        while True:
            try:
                response = await self._http.request(**arguments(request))
            except (httpx.HTTPError, httpx.InvalidURL) as exc:
                wait_s = wait_after_fault(exc, attempt, self._http.base_url)
            else:
                if response.status_code not in AGAIN or attempt >= self._retries:
                    return response
                wait_s = asked_wait_s(response)
            attempt += 1
            await asyncio.sleep(wait_s)
