"""The clients against a real server: equal values, errors in their classes, retries, and a fast import."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from tests.serve.colour_model import ColourModel, colours, jpeg
from triovision import AsyncClient, Client
from triovision.errors import EvidenceError, ModelError, PhotoError, ServerError
from triovision.geo import Evidence
from triovision.inference.prediction import condition
from triovision.photo import read_photo
from triovision.serve import client as client_module

ROOT = Path(__file__).parents[2]


def direct(data, name, top_k=5):
    return ColourModel("colour.a").predict([read_photo(data, name)], top_k)[0]


@pytest.fixture
def url(make_app, serve_app):
    return serve_app(make_app())


@pytest.fixture
def waits(monkeypatch):
    """Seconds that a client would have waited."""
    waited = []

    async def no_sleep(seconds):
        waited.append(seconds)

    # Other threads sleep, too: only the client's own modules are replaced.
    monkeypatch.setattr(client_module, "time", SimpleNamespace(sleep=waited.append))
    monkeypatch.setattr(client_module, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": no_sleep}))
    return waited


def test_predictions_equal_those_of_the_library_whatever_the_source(url, tmp_path):
    photos = colours(40)  # more than one request
    sources = []
    for number, data in enumerate(photos):
        path = tmp_path / f'{number} "é\\.jpg'
        path.write_bytes(data)
        sources.append([path, str(path), data, (f"{number}.jpg", data)][number % 4])
    with Client(url) as client:
        outcomes = client.predict(iter(sources), top_k=3)
    assert len(outcomes) == len(photos)
    for number, (data, outcome) in enumerate(zip(photos, outcomes, strict=True)):
        name = [f'{number} "é\\.jpg', f'{number} "é\\.jpg', f"photo {number + 1}", f"{number}.jpg"][number % 4]
        expected = direct(data, name, 3)
        assert outcome == expected
        assert np.array_equal(outcome.posterior.weight, expected.posterior.weight)


def test_the_asynchronous_client_gives_the_same(url):
    photos = colours(20)

    async def both():
        async with AsyncClient(url) as client:
            whole = client.predict([*photos, b"no photo"])
            one = client.predict([photos[0]], evidence=Evidence(continent="AS"))
            return await asyncio.gather(whole, one, client.models(), client.similarity("colour.a", ["FR"]))

    whole, (one,), models, alike = asyncio.run(both())
    assert whole[:-1] == [direct(data, f"photo {number}") for number, data in enumerate(photos, start=1)]
    assert isinstance(whole[-1], PhotoError)
    assert [guess.country for guess in one.countries] == ["JP"]
    assert models["default"] == "colour.a"
    assert alike == [[1.0]]


def test_evidence_gives_what_condition_gives(url):
    photo, evidence = jpeg((200, 100, 50)), Evidence(continent="EU")
    with Client(url) as client:
        (outcome,) = client.predict([photo], evidence=evidence)
        contradicted = client.predict([photo], evidence=Evidence(country="FR", continent="AS"))
    model = ColourModel("colour.a")
    expected = condition(direct(photo, "photo 1"), evidence, model.card.calibration)
    assert outcome == expected
    assert outcome.evidence == evidence
    assert outcome.evidence_probability == expected.evidence_probability
    assert isinstance(contradicted[0], EvidenceError)


def test_errors_stand_in_the_place_of_their_photos(url, tmp_path):
    good = jpeg((9, 9, 9))
    with Client(url) as client:
        outcomes = client.predict([tmp_path / "missing.jpg", good, ("note.jpg", b"no photo"), good])
        assert [type(one) for one in (outcomes[0], outcomes[2])] == [PhotoError, PhotoError]
        assert [one.subject for one in (outcomes[0], outcomes[2])] == ["missing.jpg", "note.jpg"]
        assert outcomes[1] == direct(good, "photo 2")
        with pytest.raises(ModelError, match="not installed"):
            client.predict([good], model="colour.c")
        with pytest.raises(PhotoError, match=r"note\.jpg"):
            client.explain(("note.jpg", b"no photo"))
        with pytest.raises(PhotoError, match="cannot be opened"):
            client.explain(tmp_path / "missing.jpg")
        with pytest.raises(TypeError):
            client.predict("photo.jpg")
        assert client.predict([]) == []


def test_names_of_files_stay_on_this_machine(make_app, serve_app, models):
    url = serve_app(make_app())
    with Client(url) as client:
        client.predict([("grandmother.jpg", jpeg((9, 9, 9)))])
    assert "grandmother" not in str(models.known["colour.a"].batches)


def test_a_key_opens_the_server(make_app, serve_app, monkeypatch):
    key = "k" * 24
    url = serve_app(make_app(api_keys={key: "page"}))
    with Client(url) as client, pytest.raises(ServerError, match="missing or unknown"):
        client.models()
    with Client(url, key) as client:
        assert client.predict([jpeg((9, 9, 9))])
    monkeypatch.setenv("TRIOVISION_API_KEY", key)
    with Client(url) as client:
        assert client.models()


class Faulty(BaseHTTPRequestHandler):
    """Answers with what `answers` holds: status, headers, body; None hangs up."""

    protocol_version = "HTTP/1.1"
    answers: list

    def do_GET(self):
        answer = self.answers.pop(0)
        if answer is None:
            self.close_connection = True
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


GOOD = (200, {}, b'{"default": "colour.a", "models": []}')
BUSY = b'{"error": {"type": "BusyError", "subject": "The server", "reason": "is full", "remedy": "Wait"}}'


def faulty(start_server, *answers):
    handler = type("Handler", (Faulty,), {"answers": list(answers)})
    return f"http://127.0.0.1:{start_server(handler).server_port}", handler.answers


def test_a_busy_server_is_asked_again_when_it_says(start_server, waits):
    busy = [(503, {"Retry-After": "7"}, BUSY), (429, {"Retry-After": "9999"}, BUSY), (503, {}, b"Service Unavailable")]
    url, _ = faulty(start_server, *busy, GOOD, *busy, GOOD)
    with Client(url) as client:
        assert client.models()["default"] == "colour.a"
    assert waits == [7, 60, 1]

    async def once():
        async with AsyncClient(url) as client:
            return await client.models()

    assert asyncio.run(once())["default"] == "colour.a"
    assert waits == [7, 60, 1] * 2


def test_a_server_that_stays_busy_is_an_error(start_server, waits):
    url, left = faulty(start_server, *[(503, {"Retry-After": "2"}, BUSY)] * 5)
    with Client(url, retries=2) as client, pytest.raises(ServerError, match="is full"):
        client.models()
    assert waits == [2, 2]
    assert len(left) == 2


@pytest.mark.usefixtures("waits")
def test_a_connection_that_broke_is_tried_once_more(start_server):
    url, _ = faulty(start_server, None, GOOD)
    with Client(url) as client:
        assert client.models()
    url, _ = faulty(start_server, None, None)
    with Client(url) as client, pytest.raises(ServerError, match="cannot be reached"):
        client.models()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"3"])
def test_a_server_of_something_else_is_an_error_in_words(start_server, body):
    url, _ = faulty(start_server, (200, {}, body))
    with Client(url) as client, pytest.raises(ServerError, match="none of TrioVision's"):
        client.models()


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "localhost:1", "ftp://127.0.0.1", "http://"])
def test_a_server_that_is_away_is_an_error_in_words(address):
    with pytest.raises(ServerError), Client(address) as client:
        client.models()


def test_a_slow_server_is_an_error_in_words():
    def slow(_request):
        raise httpx.ReadTimeout("slow")

    client = Client("http://server")
    client._http = httpx.Client(transport=httpx.MockTransport(slow), base_url="http://server")
    with pytest.raises(ServerError, match="took too long"):
        client.models()


def test_httpx_is_imported_with_the_first_use_and_torch_never():
    code = (
        "import sys, triovision; first = 'httpx' in sys.modules; triovision.Client; triovision.AsyncClient;"
        "print(first, 'httpx' in sys.modules, sorted({'torch', 'fastapi', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False True []"


def test_predictions_differ_where_photos_do():
    """Guard: comparisons above would hold for a model that always answers alike."""
    first, second = (direct(data, "x") for data in colours(2))
    assert replace(first, elapsed_ms=0) != replace(second, elapsed_ms=0)
