"""A hub that is down, broken, slow or hostile: the installation ends, and the embedded model answers meanwhile.

The short form has the limits of a download divided by a hundred; the long one has those of the program.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import stamina

from triovision import transfer, transfer_limits
from triovision.inference import EMBEDDED_MODEL, GeoModel, load_model
from triovision.inference.card import ModelCard
from triovision.inference.geoclip import release
from triovision.inference.geoclip.installation import install
from triovision.photo import read_photo
from triovision.results import Photo
from triovision.transfer_limits import DownloadError

LONGEST_S = 300
HUB, ELSEWHERE = ip_address("127.0.0.1"), "127.0.0.2"


@pytest.fixture(scope="module")
def embedded() -> GeoModel:
    return load_model(EMBEDDED_MODEL)


@pytest.fixture
def photo(china: bytes) -> Photo:
    return read_photo(china, "china.jpg")


@pytest.fixture
def private(start_server: Callable[..., Any]) -> list[str]:
    """A server inside the private network, which must not be asked; the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    asked.append(f"http://{ELSEWHERE}:{start_server(Handler, ELSEWHERE).server_port}/secret")
    return asked


@pytest.fixture
def limits(mirror: Any, monkeypatch: pytest.MonkeyPatch, long_form: bool) -> Iterator[None]:  # noqa: ARG001 - its limits are replaced
    """Limits of the program, but that the hub may be on this machine; retries wait, unlike in other tests."""
    usual = transfer_limits.TransferLimits(allowed=lambda address: address == HUB)
    short = dataclasses.replace(usual, window_s=usual.window_s / 100, head_s=usual.head_s / 100, spare_s=6)
    monkeypatch.setattr(transfer_limits, "LIMITS", usual if long_form else short)
    if not long_form:
        monkeypatch.setattr(transfer, "_TIMEOUT_S", tuple(limit / 100 for limit in transfer._TIMEOUT_S))
        yield
        return
    stamina.set_testing(False)
    yield
    stamina.set_testing(True, attempts=4)


def weights_path(card: ModelCard) -> str:
    named = release.release_of(card)
    return f"/{named.repository}/resolve/{named.revision}/model.safetensors"


def down(_: Any, __: str, ___: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


def broken(hub: Any, path: str, *_: object) -> None:
    hub.statuses[path] = [500] * 100


def drip(hub: Any, path: str, *_: object) -> None:
    hub.rates[path] = 10


def silent(hub: Any, path: str, *_: object) -> None:
    hub.rates[path] = 0.001  # a first byte, and no more


def wrong(hub: Any, path: str, *_: object) -> None:
    hub.files[path] = bytes(len(hub.files[path]))


def redirect(hub: Any, path: str, private: str, *_: object) -> None:
    hub.redirects[path] = private


FAULTS: dict[Callable[..., None], str] = {
    down: "Connection refused",
    broken: "500",
    drip: "too slow|too long",
    silent: "too slow|too long",
    wrong: "SHA-256",
    redirect: "private network",
}


@pytest.mark.usefixtures("limits", "small_package")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_the_installation_ends_and_the_embedded_model_answers(  # noqa: PLR0917 - fixtures
    fault: Callable[..., None],
    hub: Any,
    tiny_card: ModelCard,
    private: list[str],
    embedded: GeoModel,
    photo: Photo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    long_form: bool,
) -> None:
    expected = embedded.predict([photo])[0].countries
    fault(hub, weights_path(tiny_card), private[0], monkeypatch)
    errors: list[Exception] = []

    def bring() -> None:
        try:
            install(tiny_card, tmp_path / "models", lambda *_: None)
        except DownloadError as error:
            errors.append(error)

    start, answers = time.perf_counter(), 0
    thread = threading.Thread(target=bring)
    thread.start()
    while thread.is_alive() or not answers:
        assert embedded.predict([photo])[0].countries == expected
        answers += 1
        thread.join(0.5)
    seconds = time.perf_counter() - start
    print(f"hub {fault.__name__}: ended after {seconds:.0f} s, the embedded model answered {answers} times meanwhile")
    (error,) = errors
    assert pytest.RaisesExc(DownloadError, match=FAULTS[fault]).matches(error), error
    assert private[1:] == []
    assert not (tmp_path / "models" / tiny_card.id).exists()
    if long_form:  # an experiment, in which time is what is asked
        assert seconds < LONGEST_S
