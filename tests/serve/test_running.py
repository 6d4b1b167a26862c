"""A real server and raw connections: slow, huge and broken requests, clients that leave, and its end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.serve.colour_model import ColourModel, colours, jpeg
from triovision import Client, load_model, read_photo
from triovision.explain import ExplanationSettings
from triovision.inference.registry import EMBEDDED_MODEL
from triovision.serve import running

ROOT = Path(__file__).parents[2]


def connected(url):
    return closing(socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=60))


def until_closed(connection):
    """Everything that comes until the server closes the connection."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def form(*photos, boundary="x"):
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="photos"; filename="{number}.jpg"\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for number, data in enumerate(photos)
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def head(length, *lines, boundary="x"):
    lines = (*lines, f"Content-Type: multipart/form-data; boundary={boundary}", f"Content-Length: {length}")
    return "\r\n".join(["POST /predict HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def works(url):
    with Client(url) as client:
        photo = jpeg((9, 8, 7))
        return client.predict([("x", photo)]) == [ColourModel("colour.a").predict([read_photo(photo, "x")])[0]]


def test_headers_that_never_end_lose_their_connection(make_app, serve_app, monkeypatch):
    monkeypatch.setattr(running, "HEADERS_S", 0.3)
    url = serve_app(make_app())
    with connected(url) as silent, connected(url) as slow, connected(url) as second:
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        second.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HT")  # a second request that stops
        assert until_closed(silent) == until_closed(slow) == b""
        assert until_closed(second).count(b"200 OK") == 1
    assert works(url)


def test_a_connection_that_is_used_well_lives_longer_than_headers_may_take(make_app, serve_app, models, monkeypatch):
    monkeypatch.setattr(running, "HEADERS_S", 0.3)
    url, model = serve_app(make_app()), models.known["colour.a"]
    model.gate = threading.Event()
    timer = threading.Timer(1.0, model.gate.set)  # the answer takes longer
    timer.start()
    assert httpx.post(f"{url}/predict", files=[("photos", jpeg((1, 2, 3)))], timeout=60).status_code == 200
    timer.join()


def test_huge_headers_are_refused(make_app, serve_app):
    url = serve_app(make_app())
    for lines in (["X-Huge: " + "x" * 100_000], [f"X-{number}: {'y' * 100}" for number in range(1000)]):
        with connected(url) as connection:
            try:
                connection.sendall(head(0, *lines))
                assert until_closed(connection).split(b" ")[1] in {b"400", b"431"}
            except (ConnectionResetError, BrokenPipeError):
                pass  # it has not read all of them
    assert works(url)


def test_a_body_that_takes_too_long_is_refused(make_app, serve_app):
    url = serve_app(make_app(body_s=0.3))
    with connected(url) as connection:
        connection.sendall(head(1000) + b"--x\r\n")
        answer = until_closed(connection)
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert b'"remedy"' in answer
    assert works(url)


def test_a_body_without_end_is_refused_at_the_limit(make_app, serve_app):
    url = serve_app(make_app(max_request_bytes=200_000))
    with connected(url) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        sent = 0
        try:
            connection.sendall(b"%x\r\n" % len(form(b"")) + form(b"")[:-7] + b"-------\r\n")
            for _ in range(10_000):
                connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
                sent += 65536
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert sent < 100_000_000
    with connected(url) as connection:
        connection.sendall(head(10**12))
        assert b" 413 " in until_closed(connection).split(b"\r\n")[0]
    assert works(url)


@pytest.mark.parametrize("missing", [1, 100])
def test_a_body_shorter_than_it_says_costs_nobody_else(make_app, serve_app, missing):
    url = serve_app(make_app())
    body = form(jpeg((1, 2, 3)))
    with connected(url) as connection:
        connection.sendall(head(len(body) + missing) + body)
    with connected(url) as connection:
        connection.sendall(head(len(body)) + body[:-missing])
        connection.shutdown(socket.SHUT_WR)
        until_closed(connection)
    assert works(url)


def test_a_client_that_leaves_takes_its_photos_out_of_the_queue(make_app, serve_app, models):
    app, model = make_app(max_batch=1), models.known["colour.a"]
    url, service = serve_app(app), app.state.backend.service
    model.gate = threading.Event()
    model.entered.clear()
    body = form(*colours(30))
    with connected(url) as connection:
        connection.sendall(head(len(body)) + body)
        assert model.entered.wait(60)
    with service._changed:
        while len(service._unread):  # until the server sees that the client has gone
            service._changed.wait(0.01)
    model.gate.set()
    assert works(url)
    # Of the thirty, those in the network and before it may have been predicted; the rest was not.
    assert sum(map(len, model.batches)) < 12


def test_answers_of_many_clients_are_their_own(make_app, serve_app):
    url = serve_app(make_app(api_keys={f"{'k' * 20}{number}": str(number) for number in range(8)}))
    photos = colours(64)

    def visit(number):
        with Client(url, f"{'k' * 20}{number}") as client:
            own = [(f"{number}-{i}", photos[(number * 8 + i) % 64]) for i in range(16)]
            model = ColourModel("colour.a")
            expected = [model.predict([read_photo(data, name)])[0] for name, data in own]
            return [client.predict(own) == expected for _ in range(3)]

    with ThreadPoolExecutor(8) as threads:
        assert [all(right) for right in threads.map(visit, range(8))] == [True] * 8


def test_one_photo_is_answered_before_the_rest_of_many(make_app, serve_app, models):
    keys = {"m" * 20: "many", "o" * 20: "one"}
    app, model = make_app(api_keys=keys, max_batch=1, max_files=200), models.known["colour.a"]
    url, service = serve_app(app), app.state.backend.service
    model.gate = threading.Event()
    many = [("photos", (f"many {number}", data)) for number, data in enumerate(colours(100))]
    with ThreadPoolExecutor(2) as threads:
        headers = {"Authorization": "Bearer " + "m" * 20}
        first = threads.submit(httpx.post, f"{url}/predict", files=many, headers=headers, timeout=60)
        with service._changed:
            assert service._changed.wait_for(lambda: len(service._unread) > 50, 60)
        headers = {"Authorization": "Bearer " + "o" * 20}
        files = [("photos", ("one", jpeg((1, 2, 3))))]
        second = threads.submit(httpx.post, f"{url}/predict", files=files, headers=headers, timeout=60)
        with service._changed:
            queues = service._unread, service._ready  # a newcomer's photo is read at once
            assert service._changed.wait_for(lambda: any("one" in queue._waiting for queue in queues), 60)
        model.gate.set()
        assert second.result(60).status_code == first.result(60).status_code == 200
    order = [name for batch in model.batches for name in batch]
    assert order.index("one") < 10


def test_a_full_server_says_when_to_come_back(make_app, serve_app, models):
    app, model = make_app(max_batch=1, max_waiting=8, max_files=64), models.known["colour.a"]
    url, service = serve_app(app), app.state.backend.service
    model.gate = threading.Event()
    with ThreadPoolExecutor(4) as threads:
        waiting = [
            threads.submit(httpx.post, f"{url}/predict", files=[("photos", data) for data in colours(4)], timeout=60)
        ]
        with service._changed:
            assert service._changed.wait_for(lambda: len(service._unread) > 0, 60)
        answer = httpx.post(f"{url}/predict", files=[("photos", data) for data in colours(20)], timeout=60)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        model.gate.set()
        assert [one.result(60).status_code for one in waiting] == [200]


def test_the_end_finishes_what_was_accepted_and_refuses_new_work(make_app, serve_app, models):
    app, model = make_app(), models.known["colour.a"]
    url = serve_app(app)
    model.gate = threading.Event()
    model.entered.clear()
    photos = colours(10)
    with ThreadPoolExecutor(1) as threads, Client(url) as client:
        accepted = threads.submit(client.predict, [(str(i), data) for i, data in enumerate(photos)])
        assert model.entered.wait(60)
        app.state.server.should_exit = True
        while app.state.server.servers[0].sockets:
            pass
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/ready")
        model.gate.set()
        expected = [ColourModel("colour.a").predict([read_photo(data, str(i))])[0] for i, data in enumerate(photos)]
        assert accepted.result(60) == expected


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_command_serves_the_embedded_model_and_ends_by_sigterm(china):
    port = free_port()
    command = [sys.executable, "-m", "triovision", "serve", "--port", str(port), "--model", EMBEDDED_MODEL]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TRIOVISION_API_KEYS": "test:" + "k" * 24}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            lines = iter(server.stderr.readline, "")
            assert next(lines).strip() == f"http://127.0.0.1:{port}/docs"
            for line in lines:  # "Uvicorn running on …"
                if "running" in json.loads(line)["event"]:
                    break
            with Client(f"http://127.0.0.1:{port}", "k" * 24, retries=100) as client:
                served = client.predict([("china.jpg", china)], top_k=3)
                explanation = client.explain(china)
                first, second = (guess.country for guess in served[0].countries[:2])
                whole_window = ExplanationSettings(window=1, stride=1)  # two passes, and one value on the whole map
                contrast = client.explain(china, first, "Occlusion", against=second, settings=whole_window)
        finally:
            server.send_signal(signal.SIGTERM)
        rest = [json.loads(line) for line in lines]
        server.wait(60)
    assert [one["client"] for one in rest if one.get("route") == "/predict" and one["status"] == 200] == ["test"]
    model = load_model(EMBEDDED_MODEL)
    direct = model.predict([read_photo(china, "china.jpg")], 3)
    assert [replace(one, elapsed_ms=0) for one in served] == [replace(one, elapsed_ms=0) for one in direct]
    assert explanation.country == direct[0].countries[0].country
    assert (contrast.country, contrast.against, contrast.method) == (first, second, "Occlusion")
    assert np.unique(np.abs(contrast.heatmap_hw)).tolist() == [1]
