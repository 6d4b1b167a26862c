"""What a client and a server exchange: the requests of a call, one after another, and the value of their answers.

It knows nothing of connections, so that both clients share it.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote

import httpx

from triovision.errors import Message, PhotoError, ServerError, TrioVisionError
from triovision.explanation_settings import ExplanationSettings
from triovision.geo import Evidence
from triovision.photo.limits import PhotoLimits
from triovision.photo.names import shown_name
from triovision.results import Explanation, Prediction
from triovision.serve.wire import decode_error, decode_explanation, decode_predictions, evidence_fields, garbled

API_KEY: Final = "TRIOVISION_API_KEY"
AGAIN: Final = frozenset({429, 503})

Source = str | os.PathLike[str] | bytes | tuple[str, bytes]
Outcome = Prediction | TrioVisionError

T = TypeVar("T")

_CONNECT_S: Final = 10.0
_BATCH: Final = 16
_BATCH_BYTES: Final = 60_000_000
_MOST_WAIT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request.

    Attributes:
        method: HTTP method.
        path: Path on the server.
        params: Query.
        data: Form fields, a list of texts each.
        files: Form files: field, name and content.
    """

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
Steps = Generator[Request, httpx.Response, T]


def http_options(url: str, api_key: str | None, timeout_s: float) -> dict[str, Any]:
    """Options of an httpx client; without a key, that of the environment."""
    key = os.environ.get(API_KEY) if api_key is None else api_key
    return {
        "base_url": url.rstrip("/"),
        "timeout": httpx.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
        "headers": {"Authorization": f"Bearer {key}"} if key else {},
    }


def step(steps: Steps[T], response: httpx.Response | None) -> tuple[Request | None, T | None]:
    """Advance by one step. Returns the next request, or the value at the end."""
    try:
        return (next(steps) if response is None else steps.send(response)), None
    except StopIteration as end:  # which no coroutine may raise
        return None, end.value


def prediction_steps(
    photos: Iterable[Source], top_k: int, model: str | None, evidence: Evidence | None
) -> Steps[list[Outcome]]:
    """Predict photos, some in each request; the value is each photo's prediction or error."""
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
            request = Request(method="POST", path="/predict", params={"detail": "full"}, data=fields, files=files)
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


def explanation_steps(
    photo: Source, names: Mapping[str, str | None], settings: ExplanationSettings | None
) -> Steps[Explanation]:
    """Explain a country for a photo; `names` are the country, what it is compared with, the method and the model."""
    file = _load(photo, 1)
    if isinstance(file.content, PhotoError):
        raise file.content
    values = names if settings is None else {**names, **{name: repr(value) for name, value in asdict(settings).items()}}
    fields = {name: [value] for name, value in values.items() if value}
    files = [("photo", ("photo 0", file.content))]
    request = Request(method="POST", path="/explain", params={"detail": "full"}, data=fields, files=files)
    try:
        body = _value((yield request))
    except PhotoError as error:
        raise _named_error(error, 0, file.name) from None
    return replace(decode_explanation(body), photo=file.name)


def get_steps(path: str) -> Steps[dict[str, Any]]:
    """Get an object."""
    body = _value((yield Request(method="GET", path=path)))
    return cast(dict[str, Any], body)


def similarity_steps(model: str, countries: Sequence[str]) -> Steps[list[list[float]]]:
    """Get how alike countries are to a model."""
    path = f"/models/{quote(model, safe='')}/similarity"
    body = _value((yield Request(method="GET", path=path, params={"country": list(countries)})))
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


def arguments(request: Request) -> dict[str, Any]:
    """Arguments of httpx for a request."""
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


def wait_after_fault(exc: Exception, attempt: int, url: httpx.URL) -> float:
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


def asked_wait_s(response: httpx.Response) -> float:
    """Seconds that a busy server asks to wait, at most a minute."""
    text = response.headers.get("Retry-After", "")
    return min(_MOST_WAIT_S, float(text)) if text.isascii() and text.isdecimal() else 1.0
