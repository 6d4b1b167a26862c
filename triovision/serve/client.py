"""Clients of a server of predictions, for programs: synchronous and asynchronous.

They give the same `Prediction` values and errors as the library. The names of files stay on this machine.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast
from urllib.parse import quote

import httpx

from triovision.errors import Message, PhotoError, ServerError, TrioVisionError
from triovision.geo import Evidence
from triovision.photo.limits import PhotoLimits
from triovision.photo.names import shown_name
from triovision.results import Explanation, Prediction
from triovision.serve.wire import decode_error, decode_explanation, decode_predictions, evidence_fields, garbled

API_KEY: Final = "TRIOVISION_API_KEY"

Source = str | os.PathLike[str] | bytes | tuple[str, bytes]
Outcome = Prediction | TrioVisionError

T = TypeVar("T")

_TIMEOUT_S: Final = 180.0
_CONNECT_S: Final = 10.0
_RETRIES: Final = 5
_BATCH: Final = 16
_BATCH_BYTES: Final = 60_000_000
_MOST_WAIT_S: Final = 60.0
_AGAIN: Final = frozenset({429, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    files: list[tuple[str, tuple[str, bytes]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    content: bytes | PhotoError


#: Requests of one call, each answered by a response, and at last its value: the same for both clients.
_Steps = Generator[_Request, httpx.Response, T]


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
        self._http = httpx.Client(**_options(url, api_key, timeout_s))

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
        return self._run(_predict(photos, top_k, model, evidence))

    def explain(
        self, photo: Source, country: str | None = None, method: str | None = None, model: str | None = None
    ) -> Explanation:
        """Return the map of the parts of a photo that raise the probability of a country.

        Args:
            photo: Path, bytes, or a pair of a name and bytes.
            country: ISO 3166-1 alpha-2 code; None for the most probable country.
            method: A method of `model_details`; None for the first.
            model: Id of a model of the server; None for its default model.

        Raises:
            ServerError: If the server is away or refuses the request.
            PhotoError: If the photo cannot be used.
            ExplanationError: If the country or the method cannot be explained.
        """
        return self._run(_explain(photo, country, method, model))

    def models(self) -> dict[str, Any]:
        """Return `default`, the id of the default model, and `models`, a list with id, summary, countries, licence."""
        return self._run(_get("/models"))

    def model_details(self, model: str) -> dict[str, Any]:
        """Return the `card` of a model, and the `methods` that explain it."""
        return self._run(_get(f"/models/{quote(model, safe='')}"))

    def similarity(self, model: str, countries: Sequence[str]) -> list[list[float]]:
        """Return how alike countries are to a model, a row per country."""
        return self._run(_similarity(model, countries))

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

    def _run(self, steps: _Steps[T]) -> T:
        try:
            request = next(steps)
            while True:
                request = steps.send(self._send(request))
        except StopIteration as end:
            return cast(T, end.value)

    def _send(self, request: _Request) -> httpx.Response:
        attempt = 0
        while True:
            try:
                response = self._http.request(**_arguments(request))
            except (httpx.HTTPError, httpx.InvalidURL) as exc:
                wait_s = _wait_after_fault(exc, attempt, self._http.base_url)
            else:
                if response.status_code not in _AGAIN or attempt >= self._retries:
                    return response
                wait_s = _asked_wait_s(response)
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
        self._http = httpx.AsyncClient(**_options(url, api_key, timeout_s))

    async def predict(
        self,
        photos: Iterable[Source],
        top_k: int = 5,
        model: str | None = None,
        evidence: Evidence | None = None,
    ) -> list[Outcome]:
        """Return each photo's prediction or error; see `Client.predict`."""
        return await self._run(_predict(photos, top_k, model, evidence))

    async def explain(
        self, photo: Source, country: str | None = None, method: str | None = None, model: str | None = None
    ) -> Explanation:
        """Return the explanation of a country; see `Client.explain`."""
        return await self._run(_explain(photo, country, method, model))

    async def models(self) -> dict[str, Any]:
        """Return the models of the server; see `Client.models`."""
        return await self._run(_get("/models"))

    async def model_details(self, model: str) -> dict[str, Any]:
        """Return the card of a model; see `Client.model_details`."""
        return await self._run(_get(f"/models/{quote(model, safe='')}"))

    async def similarity(self, model: str, countries: Sequence[str]) -> list[list[float]]:
        """Return how alike countries are to a model; see `Client.similarity`."""
        return await self._run(_similarity(model, countries))

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

    async def _run(self, steps: _Steps[T]) -> T:
        response: httpx.Response | None = None
        while True:  # files are read and answers decoded in another thread
            request, value = await asyncio.to_thread(_step, steps, response)
            if request is None:
                return cast(T, value)
            response = await self._send(request)

    async def _send(self, request: _Request) -> httpx.Response:
        attempt = 0
        while True:
            try:
                response = await self._http.request(**_arguments(request))
            except (httpx.HTTPError, httpx.InvalidURL) as exc:
                wait_s = _wait_after_fault(exc, attempt, self._http.base_url)
            else:
                if response.status_code not in _AGAIN or attempt >= self._retries:
                    return response
                wait_s = _asked_wait_s(response)
            attempt += 1
            await asyncio.sleep(wait_s)


def _options(url: str, api_key: str | None, timeout_s: float) -> dict[str, Any]:
    key = os.environ.get(API_KEY) if api_key is None else api_key
    return {
        "base_url": url.rstrip("/"),
        "timeout": httpx.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
        "headers": {"Authorization": f"Bearer {key}"} if key else {},
    }


def _step(steps: _Steps[T], response: httpx.Response | None) -> tuple[_Request | None, T | None]:
    """Advance by one step. Returns the next request, or the value at the end."""
    try:
        return (next(steps) if response is None else steps.send(response)), None
    except StopIteration as end:  # which no coroutine may raise
        return None, end.value


def _predict(
    photos: Iterable[Source], top_k: int, model: str | None, evidence: Evidence | None
) -> _Steps[list[Outcome]]:
    if isinstance(photos, str | bytes | os.PathLike):
        raise TypeError("`photos` must be a list of photos, even for a single one")
    fields: dict[str, Any] = {"top_k": [str(top_k)]} | ({} if model is None else {"model": [model]})
    if evidence is not None:
        fields |= evidence_fields(evidence)
    outcomes: list[Outcome] = []
    for batch in _batches(map(_load, photos, count(1))):
        sent = [(file.name, file.content) for file in batch if isinstance(file.content, bytes)]
        answered: Iterator[Outcome] = iter(())
        if sent:
            files = [("photos", (f"photo {i}", content)) for i, (_, content) in enumerate(sent)]
            request = _Request(method="POST", path="/predict", params={"detail": "full"}, data=fields, files=files)
            body = _value((yield request))
            answered = iter(_outcomes(body, [name for name, _ in sent], evidence))
        outcomes += [next(answered) if isinstance(file.content, bytes) else file.content for file in batch]
    return outcomes


def _outcomes(body: Any, names: Sequence[str], evidence: Evidence | None) -> list[Outcome]:  # noqa: ANN401 - JSON
    results, full = body.get("results"), decode_predictions(body.get("full"))
    if not isinstance(results, list) or not len(results) == len(full) == len(names):
        raise garbled()
    return [
        _named_error(decode_error(result.get("error")), i, name)
        if prediction is None
        else replace(prediction, photo=name, evidence=evidence)
        for i, (name, prediction, result) in enumerate(zip(names, full, results, strict=True))
    ]


def _named_error(error: TrioVisionError, number: int, name: str) -> TrioVisionError:
    """Put the name of the file where the server names the part."""
    if error.subject != f"photo {number}":
        return error
    return type(error)(shown_name(name), error.reason, error.remedy)


def _explain(photo: Source, country: str | None, method: str | None, model: str | None) -> _Steps[Explanation]:
    file = _load(photo, 1)
    if isinstance(file.content, PhotoError):
        raise file.content
    fields = {name: [value] for name, value in (("country", country), ("method", method), ("model", model)) if value}
    files = [("photo", ("photo 0", file.content))]
    request = _Request(method="POST", path="/explain", params={"detail": "full"}, data=fields, files=files)
    try:
        body = _value((yield request))
    except PhotoError as error:
        raise _named_error(error, 0, file.name) from None
    return replace(decode_explanation(body), photo=file.name)


def _get(path: str) -> _Steps[dict[str, Any]]:
    body = _value((yield _Request(method="GET", path=path)))
    return cast(dict[str, Any], body)


def _similarity(model: str, countries: Sequence[str]) -> _Steps[list[list[float]]]:
    path = f"/models/{quote(model, safe='')}/similarity"
    body = _value((yield _Request(method="GET", path=path, params={"country": list(countries)})))
    return cast(list[list[float]], body.get("similarity"))


def _load(source: Source, number: int) -> _File:
    """Read a photo, at most one byte more than the largest that any server takes by default."""
    if isinstance(source, bytes):
        return _File(f"photo {number}", source)
    if isinstance(source, tuple):
        return _File(*source)
    path = Path(source)
    try:
        with path.open("rb") as file:
            return _File(path.name, file.read(PhotoLimits().max_bytes + 1))
    except OSError as exc:
        reason = f"cannot be opened ({exc.strerror})"
        return _File(path.name, PhotoError(path.name, reason, "Check the path and its permissions"))


def _batches(files: Iterable[_File]) -> Iterator[list[_File]]:
    """Divide files into requests of bounded number and size."""
    batch: list[_File] = []
    size = 0
    for file in files:
        length = len(file.content) if isinstance(file.content, bytes) else 0
        if batch and (len(batch) == _BATCH or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += length
    if batch:
        yield batch


def _arguments(request: _Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.path,
        "params": request.params or None,
        "data": request.data or None,
        "files": request.files or None,
    }


def _value(response: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    """Return the body of a good answer.

    Raises:
        TrioVisionError: The error that the server names.
    """
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise garbled()
    if response.is_success:
        return body
    raise decode_error(body.get("error"))


def _wait_after_fault(exc: Exception, attempt: int, url: httpx.URL) -> float:
    """Seconds until a further try, after a connection that the server closed while it was idle.

    Raises:
        ServerError: For every other fault, and for the second one.
    """
    if attempt == 0 and isinstance(exc, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError):
        return 0.1
    address = f"{url.scheme}://{url.host}" + ("" if url.port is None else f":{url.port}")
    if isinstance(exc, httpx.TimeoutException):
        raise ServerError(address, Message("the server took too long"), Message("Try again in a moment")) from exc
    reason = Message("the server cannot be reached")
    raise ServerError(address, reason, Message("Check that it runs, and its address")) from exc


def _asked_wait_s(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return min(_MOST_WAIT_S, float(text)) if text.isascii() and text.isdecimal() else 1.0
