"""Routes, errors, limits and logs, without a network."""

import asyncio
import io
import json
import logging
import re
import sys
import threading

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.serve.colour_model import colours, jpeg
from triovision.errors import ModelError, PhotoError
from triovision.explain import ExplanationSettings
from triovision.photo import DecoderPool, PhotoLimits
from triovision.results import Explanation
from triovision.serve import backend
from triovision.serve.observation import JsonLines


def files(*photos):
    return [("photos", (f"{number}.jpg", data)) for number, data in enumerate(photos)]


def test_each_photo_has_its_own_prediction_or_error_in_order(ask):
    red, blue = jpeg((250, 0, 0)), jpeg((0, 0, 250))
    answer = ask("POST", "/predict", files=files(red, b"no photo", blue, b""), data={"top_k": "2"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["model"] == "colour.a"
    first, second, third, fourth = body["results"]
    assert first["prediction"]["countries"][0]["country"] == "FR"
    assert third["prediction"]["countries"][0]["country"] == "JP"
    assert [len(one["prediction"]["countries"]) for one in (first, third)] == [2, 2]
    assert [one["prediction"] for one in (second, fourth)] == [None, None]
    assert second["error"]["type"] == fourth["error"]["type"] == "PhotoError"
    assert second["error"]["subject"] == "1.jpg"
    assert first["error"] is None
    assert "full" not in body


def test_a_model_can_be_named(ask):
    answer = ask("POST", "/predict", files=files(jpeg((9, 9, 9))), data={"model": "colour.b"})
    assert answer.json()["results"][0]["prediction"]["model"] == "colour.b"
    unknown = ask("POST", "/predict", files=files(jpeg((9, 9, 9))), data={"model": "colour.c"})
    assert unknown.status_code == 404
    assert unknown.json()["error"]["type"] == "ModelError"


def test_evidence_conditions_each_prediction(ask):
    photos = files(jpeg((250, 0, 0)), jpeg((0, 250, 0)))
    answer = ask("POST", "/predict", files=photos, data={"continent": "AS", "top_k": "3"}).json()
    for result in answer["results"]:
        assert [one["country"] for one in result["prediction"]["countries"]] == ["JP"]
        assert result["prediction"]["evidence"]["continent"] == "AS"
    contradicted = ask("POST", "/predict", files=photos, data={"clue": ["language:fr", "driving_side:left"]}).json()
    assert [one["error"]["type"] for one in contradicted["results"]] == ["EvidenceError"] * 2


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("continent", "Mars"),
        ("country", "XX"),
        ("box", "1,2,3"),
        ("box", "50,0,40,10"),
        ("box", "nan,0,40,10"),
        ("near", "48,2,0"),
        ("near", "100,2,30"),
        ("near", "here"),
        ("clue", "taste:sweet"),
        ("shadow", "yesterday,30"),
        ("shadow", "2024-06-01T12:00:00,30"),
        ("shadow", "2024-06-01T12:00:00+00:00"),
    ],
)
def test_evidence_that_cannot_be_read_is_refused_in_words(ask, field, text):
    answer = ask("POST", "/predict", files=files(jpeg((9, 9, 9))), data={field: text})
    assert answer.status_code == 422
    assert answer.json()["error"]["type"] == "EvidenceError"


@pytest.mark.parametrize(
    "options",
    [
        {"data": {"top_k": "3"}},
        {"files": files(b"x"), "data": {"top_k": "0"}},
        {"files": files(b"x"), "data": {"top_k": "many"}},
        {"files": files(b"x"), "data": {"model": "../../etc"}},
        {"files": files(b"x"), "params": {"detail": "everything"}},
        {"files": files(b"x"), "data": {"url": "http://localhost/x.jpg"}},
        {"json": {"photos": []}},
    ],
)
def test_a_wrong_request_is_refused_in_words(ask, options):
    answer = ask("POST", "/predict", **options)
    assert answer.status_code == 422
    assert answer.json()["error"]["remedy"]


def test_a_body_that_is_no_form_is_refused(ask):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert ask("POST", "/predict", content=b"--y\r\nnothing", headers=headers).status_code in {400, 422}
    answer = ask("POST", "/predict", files=files(*[b"x"] * 5), _max_files=4)
    assert answer.status_code == 400
    assert "Too many files" in answer.json()["error"]["reason"]


def test_limits_of_size_and_pixels(ask):
    large = jpeg((1, 2, 3), side=300)
    answer = ask("POST", "/predict", files=files(large), _max_request_bytes=500)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "ServerError")
    limits = PhotoLimits(max_pixels=10_000)
    small = jpeg((1, 2, 3))
    results = ask("POST", "/predict", files=files(large, small), _photo=limits).json()["results"]
    assert results[0]["error"]["type"] == "PhotoError"
    assert results[1]["prediction"]
    limits = PhotoLimits(max_bytes=900)
    results = ask("POST", "/predict", files=files(large + bytes(900), small), _photo=limits).json()["results"]
    assert "MB" in results[0]["error"]["reason"]
    assert results[1]["prediction"]


def test_bodies_of_all_requests_have_one_budget(ask):
    answer = ask("POST", "/predict", files=files(jpeg((1, 2, 3), side=300)), _max_pending_bytes=600)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_a_key_is_asked_for_before_the_body_is_read(make_app):
    app = make_app(api_keys={"k" * 20: "page", "l" * 20: "desk"})

    async def never():
        pytest.fail("the body was read")
        yield b""

    async def statuses():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            found = []
            for headers in ({}, {"Authorization": "Bearer " + "x" * 20}, {"Authorization": "Basic " + "k" * 20}):
                headers["Content-Type"] = "multipart/form-data; boundary=x"
                answer = await client.post("/predict", content=never(), headers=headers)
                found.append((answer.status_code, answer.headers["WWW-Authenticate"]))
            good = {"Authorization": "Bearer " + "l" * 20}
            found.append((await client.get("/models", headers=good)).status_code)
            found += [(await client.get(path)).status_code for path in ("/health", "/ready", "/docs", "/openapi.json")]
            found.append((await client.get("/metrics")).status_code)
            return found

    assert asyncio.run(statuses()) == [(401, "Bearer")] * 3 + [200] * 5 + [401]


def test_explanations_come_as_a_picture_or_whole(ask, monkeypatch):
    def explain(model, photo, country, method, *, against, settings, on_step):
        on_step(0.5)
        asked.append((against, settings))
        heatmap = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
        return Explanation(
            photo=photo.name,
            model=model.card.id,
            country=country,
            method=method or "LayerCAM",
            layer="x",
            heatmap_hw=heatmap,
            box=(0, 0, 1, 1),
            elapsed_ms=1.0,
            against=against,
            signed=against is not None,
        )

    asked = []
    monkeypatch.setattr(backend, "explain_country", explain)
    photo = [("photo", ("x.jpg", jpeg((250, 0, 0))))]
    answer = ask("POST", "/explain", files=photo)
    assert answer.headers["Content-Type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).format == "PNG"
    whole = ask("POST", "/explain", files=photo, params={"detail": "full"}, data={"method": "Grad-CAM"}).json()
    assert (whole["country"], whole["method"]) == ("FR", "Grad-CAM")  # the most probable country
    assert asked == [(None, ExplanationSettings())] * 2
    fields = {"against": "JP", "window": "0.5", "stride": "0.25", "segments": "9", "samples": "11", "steps": "4"}
    contrast = ask("POST", "/explain", files=photo, params={"detail": "full"}, data=fields | {"seed": "5"}).json()
    assert (contrast["against"], contrast["signed"]) == ("JP", True)
    assert asked[2] == (
        "JP",
        ExplanationSettings(window=0.5, stride=0.25, segments=9, samples=11, steps=4, seed=5),
    )
    for wrong in ({"stride": "0.5"}, {"samples": "1000000"}, {"window": "nan"}, {"seed": "x"}):
        assert ask("POST", "/explain", files=photo, data=wrong).status_code == 422
    refused = ask("POST", "/explain", files=[("photo", ("x.jpg", b"no photo"))])
    assert (refused.status_code, refused.json()["error"]["type"]) == (422, "PhotoError")


def test_models_and_their_details(ask):
    body = ask("GET", "/models").json()
    assert body["default"] == "colour.a"
    assert [one["id"] for one in body["models"]] == ["colour.a", "colour.b"]
    assert ask("GET", "/models/colour.c").status_code == 404
    assert ask("GET", "/models/..%2F..%2Fetc").status_code in {404, 422}
    alike = ask("GET", "/models/colour.a/similarity", params={"country": ["FR", "JP"]}).json()
    assert alike == {"countries": ["FR", "JP"], "similarity": [[1.0, 0.0], [0.0, 1.0]]}
    assert ask("GET", "/models/colour.a/similarity", params={"country": ["FR", "XX"]}).status_code == 422
    assert ask("GET", "/models/colour.a/similarity").status_code == 422


def test_links_are_fetched_if_a_setting_allows_it_and_never_from_private_addresses(ask, monkeypatch):
    links = {"url": ["http://127.0.0.1/x.jpg", "http://169.254.169.254/latest"]}
    results = ask("POST", "/predict", data=links, files=files(jpeg((9, 9, 9))), _allow_urls=True).json()["results"]
    assert results[0]["prediction"]
    assert all("private network" in one["error"]["reason"] for one in results[1:])
    monkeypatch.setattr(backend, "fetch_photo", lambda _: ("tower.jpg", jpeg((250, 0, 0))))
    results = ask("POST", "/predict", data={"url": ["http://example.org/tower.jpg"]}, _allow_urls=True).json()[
        "results"
    ]
    assert results[0]["prediction"]["photo"] == "tower.jpg"
    busy = ask("POST", "/predict", data=links, _allow_urls=True, _max_pending_bytes=1000)
    assert busy.status_code == 503


def test_readiness_follows_the_model_and_the_service(make_app, models, monkeypatch):
    def get(app, path):
        async def exchange():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                return await client.get(path)

        return asyncio.run(exchange())

    app = make_app()
    assert get(app, "/ready").json() == {"status": "ready"}
    app.state.backend.service.close()
    ended = get(app, "/ready")
    assert (ended.status_code, get(app, "/health").status_code) == (503, 200)
    assert ended.headers["Retry-After"]

    def broken():
        raise ModelError("/secret/folder/card.json", "is missing", "Restore it")

    monkeypatch.setattr(models, "default", broken)
    answer = get(make_app(), "/ready")
    assert answer.status_code == 503
    assert "secret" not in answer.text


def test_folders_of_the_server_stay_in_its_log(ask, models, monkeypatch):
    def broken(_):
        raise ModelError("/secret/folder/card.json", "is missing", "Restore it")

    monkeypatch.setattr(models, "get", broken)
    answer = ask("POST", "/predict", files=files(jpeg((9, 9, 9))))
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_a_fault_of_our_own_is_an_error_in_words_too(ask, models, monkeypatch):
    monkeypatch.setattr(models, "cards", lambda: 1 / 0)
    answer = ask("GET", "/models")
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "ServerError"


def test_photos_that_are_not_answered_in_time_are_given_up_and_the_others_are_answered(ask, models, monkeypatch):
    model, reached, release = models.known["colour.a"], threading.Event(), threading.Event()
    predict, calls = model.predict, []

    def stop_at_the_second(photos, top_k=5):
        calls.append(photos)
        if len(calls) == 2:
            reached.set()
            assert release.wait(60)
        return predict(photos, top_k)

    async def wait_for_the_second(*_):
        await asyncio.to_thread(reached.wait, 60)

    ask("GET", "/health", _max_batch=1)
    monkeypatch.setattr(model, "predict", stop_at_the_second)
    monkeypatch.setattr(backend, "_first", wait_for_the_second)  # as if the time were over then
    results = ask("POST", "/predict", files=files(*colours(3)), _max_batch=1).json()["results"]
    release.set()
    assert sum(one["prediction"] is not None for one in results) == 1
    errors = [one["error"] for one in results if one["error"]]
    assert [one["type"] for one in errors] == ["ServerError"] * 2
    assert "within 120 s" in errors[0]["reason"]


def test_documents_need_no_other_server(ask):
    page = ask("GET", "/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert not re.search(r"<script|src=|https?://", page.text)
    for path in ask("GET", "/openapi.json").json()["paths"]:
        assert path in page.text


def test_metrics_count_requests_photos_and_batches(ask):
    ask("POST", "/predict", files=files(jpeg((9, 9, 9)), b"no photo"))
    ask("GET", "/somewhere/else")
    text = ask("GET", "/metrics").text
    assert 'triovision_requests_total{method="POST",route="/predict",status="200"} 1.0' in text
    assert 'triovision_requests_total{method="GET",route="other",status="404"} 1.0' in text
    assert 'triovision_photos_total{outcome="predicted"} 1.0' in text
    assert 'triovision_photos_total{outcome="PhotoError"} 1.0' in text
    assert "triovision_batch_photos_count 1.0" in text
    assert "triovision_waiting_photos 0.0" in text


def test_logs_are_json_without_names_of_files_or_places(ask, caplog):
    caplog.set_level(logging.DEBUG)
    secret = [("photos", ("grandmother.jpg", jpeg((9, 9, 9)))), ("photos", ("passport.jpg", b"no photo"))]
    ask("POST", "/predict", files=secret, data={"near": "48.85,2.35,30,Paris"}, params={"detail": "full"})
    ask("GET", "/models/grandmother.jpg")
    ask("GET", "/grandmother.jpg")
    lines = [JsonLines().format(record) for record in caplog.records if record.name.startswith("triovision")]
    requests = [line for line in map(json.loads, lines) if line["event"] == "request"]
    assert [(one["route"], one["status"]) for one in requests] == [
        ("/predict", 200),
        ("/models/{model_id}", 404),
        ("other", 404),
    ]
    assert requests[0]["photos"] == 2
    assert not re.search(r"grandmother|passport|Paris|48\.8", "\n".join(lines))


def test_a_logged_exception_keeps_its_message_to_itself():
    try:
        raise OSError("cannot open grandmother.jpg")
    except OSError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    line = json.loads(JsonLines().format(record))
    assert line["exception"] == "OSError"
    assert "grandmother" not in json.dumps(line)


def test_a_fault_while_a_photo_is_read_is_that_photos_error(ask, monkeypatch):
    read = DecoderPool.read

    def refuse(self, data, name, limits):
        if name == "0.jpg":
            raise PhotoError(name, "crashed the decoder", "Choose another")
        return read(self, data, name, limits)

    monkeypatch.setattr(DecoderPool, "read", refuse)
    results = ask("POST", "/predict", files=files(*colours(2))).json()["results"]
    assert results[0]["error"]["reason"] == "crashed the decoder"
    assert results[1]["prediction"]
