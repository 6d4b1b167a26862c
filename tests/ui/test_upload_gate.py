"""The gate, with an application behind it that reads its requests."""

import asyncio
import tempfile

import pytest
from starlette.requests import Request

from triovision.ui import upload_gate
from triovision.ui.memory_budget import MemoryBudget
from triovision.ui.session import Session

URL = "/_stcore/upload_file/{}/file"


@pytest.fixture
def budget(monkeypatch):
    found = MemoryBudget(1000)
    monkeypatch.setattr(upload_gate, "memory_budget", lambda: found)
    return found


@pytest.fixture
def ask(budget):
    """Sends a request through the gate; what is behind it answers with the bytes that count."""

    async def behind(_scope, receive, send):
        while (await receive())["more_body"]:
            continue
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(budget.used_bytes).encode()})

    def ask_(path, size, *, method="PUT", says_size=True, reads_body=True):
        sent = []
        messages = [{"type": "http.request", "body": bytes(size), "more_body": True}]
        messages.append({"type": "http.request", "body": b"", "more_body": False})
        headers = [(b"content-length", str(size).encode())] if says_size else []
        scope = {"type": "http", "method": method, "path": path, "headers": headers}

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        asyncio.run(upload_gate.UploadGate(behind)(scope, receive, send))
        assert reads_body != bool(messages)  # a browser that still sends would not see the answer
        return sent[0]["status"], sent[1]["body"].decode()

    return ask_


@pytest.fixture(autouse=True)
def visitor():
    """Session that has been shown a page."""
    return Session(id="a", admitted=True)


def test_an_upload_counts_while_it_is_read(ask, budget):
    assert ask(URL.format("a"), 250) == (200, "500")
    assert budget.used_bytes == 0


def test_an_upload_without_room_is_refused_in_words_and_its_session_learns_of_it(ask, budget):
    session, other = Session(id="crowded", admitted=True), Session(id="other", admitted=True)
    status, text = ask(URL.format("crowded"), 251)
    assert status == 413
    assert "Try again in a few minutes" in text
    assert (session.refused_uploads, other.refused_uploads) == (1, 0)
    assert budget.used_bytes == 0
    assert ask(URL.format("crowded"), 250)[0] == 200  # the rest goes on


def test_who_has_not_been_shown_a_page_may_not_upload(ask, budget):
    stranger, script = Session(id="stranger"), Session(admitted=True)
    assert script.id == ""
    for session_id in ("stranger", "unheard of", ""):
        status, text = ask(URL.format(session_id), 10, reads_body=False)
        assert status == 403
        assert "log in" in text
    assert budget.used_bytes == 0
    stranger.admitted = True
    assert ask(URL.format("stranger"), 10)[0] == 200


def test_a_request_that_hides_its_size_counts_as_the_largest_one(ask):
    assert ask(URL.format("a"), 10, says_size=False)[0] == 413


def test_other_requests_pass_when_there_is_no_room(ask, budget):
    owner = Session()
    budget.hold(owner, 1000)
    assert ask("/other", 10)[0] == 200
    assert ask(URL.format("a"), 10, method="DELETE")[0] == 200


def test_an_upload_is_not_written_to_disk(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/no such folder")
    body = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\n\r\n'
        + bytes(3_000_000)
        + b"\r\n--b--\r\n"
    )
    headers = [(b"content-type", b"multipart/form-data; boundary=b")]

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def size():
        async with Request({"type": "http", "method": "PUT", "headers": headers}, receive).form() as form:
            return form["f"].size

    assert asyncio.run(size()) == 3_000_000
