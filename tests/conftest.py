"""Photos and models that many tests need, and a server of files whose faults are ordered beforehand.

The worldwide model is a small random CLIP in the hub's format, beside the package's own weights and a part of its
gallery.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stamina
import torch
from PIL import Image
from safetensors.torch import save_file

from triovision import transfer_limits
from triovision.geo.reverse import country_at
from triovision.inference import country_classifier
from triovision.inference.card import CARD, WEIGHTS, Calibration, ModelCard, Provenance, sha256
from triovision.inference.geoclip import release
from triovision.inference.preprocessing import Preprocessing
from triovision.networks import build_classifier

# A model that is installed on this machine must not answer in place of the embedded one.
os.environ["TRIOVISION_MODELS"] = str(Path(__file__).parents[1] / "models")

#: timm's smallest EfficientNet, made for tests.
TINY = "test_efficientnet"
TINY_LABELS = ("CN", "FR", "NA", "US")
TINY_PREPROCESSING = Preprocessing(input_size=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the browser last: Playwright leaves an event loop in the main thread, where no test could start another."""
    items.sort(key=lambda item: "browser" in item.path.parts)


@pytest.fixture(scope="session")
def china() -> bytes:
    """The Summer Palace, shipped by scikit-learn."""
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "datasets" / "images" / "china.jpg").read_bytes()


@pytest.fixture(scope="session")
def write_tiny_model() -> Callable[..., Path]:
    """Writes a complete model folder with random weights of a seed; keywords replace fields of the card."""

    def write(models: Path, model_id: str = "test_efficientnet.noise", seed: int = 0, **fields: object) -> Path:
        folder = models / model_id
        folder.mkdir(parents=True)
        torch.manual_seed(seed)
        network = build_classifier(TINY, len(fields.get("labels", TINY_LABELS)))
        state = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
        save_file(state, folder / WEIGHTS)
        about: dict[str, Any] = {
            "id": model_id,
            "summary": "Random weights",
            "architecture": TINY,
            "preprocessing": TINY_PREPROCESSING,
            "labels": TINY_LABELS,
            "calibration": Calibration(
                temperature=1.0,
                conformal_threshold=0.2,
                conformal_coverage=0.9,
                abstention_threshold=0.0,
                fitted_on="nothing",
            ),
            "weights_sha256": sha256(folder / WEIGHTS),
            "provenance": Provenance(recipe={}, manifest_sha256="", photos=0, command="", data="noise"),
            "metrics": {},
            "knows": "nothing",
            "limits": "all",
            "licence": "Apache-2.0",
        }
        card = ModelCard(**about | fields)
        (folder / CARD).write_text(card.model_dump_json(), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines compute in `float32` on every machine."""
    monkeypatch.setattr(country_classifier, "choose_precision", lambda *_: torch.float32)


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """Six JPEG files of noise, and one text file that calls itself a photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(6):
        pixels = random.integers(0, 256, size=(80, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.jpg")
    (folder / "note.jpg").write_text("this is no photo")
    return folder


class Mirror:
    """Files by their path, and what shall go wrong with each; faults are used up one a request."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cuts: dict[str, list[int]] = {}  # send so many bytes and hang up
        self.statuses: dict[str, list[int]] = {}
        self.holds: dict[str, int] = {}  # send so many bytes and wait for `release`
        self.rates: dict[str, float] = {}  # send so many bytes a second
        self.held, self.release = threading.Event(), threading.Event()
        self.redirects: dict[str, str] = {}
        self.ignores_ranges = False
        self.requests: list[tuple[str, str | None]] = []
        self.url = ""

    def add_shard(self, number: int, tar: bytes) -> str:
        """Serve a tar and its MD5; returns the path of the tar."""
        path = f"/train/images_{number:03}.tar"
        self.files[path] = tar
        md5 = hashlib.md5(tar, usedforsecurity=False).hexdigest()
        self.files[f"/md5sum/train/md5.images_{number:03}.txt"] = f"{md5}  images_{number:03}.tar\n".encode()
        return path

    def ranges(self, path: str) -> list[str | None]:
        """The Range header of each request for a file, in order."""
        return [header for asked, header in self.requests if asked == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mirror: Mirror

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client was killed
            super().handle()

    def do_GET(self) -> None:
        mirror, header = self.mirror, self.headers.get("Range")
        mirror.requests.append((self.path, header))
        data = mirror.files.get(self.path)
        if self.path in mirror.redirects:
            self._answer(302, b"", {"Location": mirror.redirects[self.path]})
        elif mirror.statuses.get(self.path):
            self._answer(mirror.statuses[self.path].pop(0), b"")
        elif data is None:
            self._answer(404, b"not here")
        elif header and not mirror.ignores_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", header)[1])
            if start >= len(data):
                self._answer(416, b"")
            else:
                self._answer(206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})
        else:
            self._answer(200, data)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Retry-After": "1", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):  # the client was killed
            self._send(status, body)

    def _send(self, status: int, body: bytes) -> None:
        mirror = self.mirror
        if status < 300 and mirror.cuts.get(self.path):
            self.wfile.write(body[: mirror.cuts[self.path].pop(0)])
            self.close_connection = True
        elif status < 300 and self.path in mirror.holds:
            self.wfile.write(body[: mirror.holds.pop(self.path)])
            mirror.held.set()
            mirror.release.wait(60)
            self.close_connection = True
        elif status < 300 and self.path in mirror.rates:
            piece = math.ceil(mirror.rates[self.path] / 20)
            for start in range(0, len(body), piece):
                self.wfile.write(body[start : start + piece])
                if mirror.release.wait(piece / mirror.rates[self.path]):
                    break
        else:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def four_attempts_without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads may reach servers on this machine, also by a redirect, which no option of the program allows."""
    limits = transfer_limits.TransferLimits(allowed=lambda address: address.is_loopback)
    monkeypatch.setattr(transfer_limits, "LIMITS", limits)


@pytest.fixture
def start_server() -> Iterator[Callable[..., ThreadingHTTPServer]]:
    """Starts servers on this machine, each with a handler; they end with the test."""
    with ExitStack() as stack:

        def start(handler: type[BaseHTTPRequestHandler], host: str = "127.0.0.1") -> ThreadingHTTPServer:
            server = stack.enter_context(ThreadingHTTPServer((host, 0), handler))
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)  # first
            return server

        yield start


@pytest.fixture
def mirror(
    start_server: Callable[..., ThreadingHTTPServer],
    four_attempts_without_waiting: None,  # noqa: ARG001 - fixtures take fixtures so
    loopback: None,  # noqa: ARG001
) -> Iterator[Mirror]:
    served = Mirror()
    server = start_server(type("Handler", (_Handler,), {"mirror": served}))
    served.url = f"http://127.0.0.1:{server.server_port}"
    yield served
    served.release.set()


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the package `geoclip`, with every 200th position of its gallery."""
    pytest.importorskip("geoclip", reason="the optional extra: pip install -r requirements-geoclip.txt")
    whole, folder = release.package_folder(), tmp_path_factory.mktemp("package")
    for name in (release.LOCATION_WEIGHTS, release.PROJECTION_WEIGHTS, release.SCALE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(whole / name)
    lines = (whole / release.GALLERY).read_text("utf-8").splitlines()
    (folder / release.GALLERY).parent.mkdir(parents=True)
    (folder / release.GALLERY).write_text("\n".join([lines[0], *lines[1::200]]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def hub_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the hub has of CLIP, tiny and random: config, preprocessing, weights, and the words of the text tower."""
    transformers = pytest.importorskip("transformers", reason="the optional extra")
    folder, side, patch = tmp_path_factory.mktemp("clip"), 56, 14
    torch.manual_seed(0)
    layers = {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 32, "intermediate_size": 64}
    text = layers | {"vocab_size": 4, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    vision = layers | {"image_size": side, "patch_size": patch}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=768)
    clip = transformers.CLIPModel._from_config(config)
    for parameter in clip.parameters():
        if parameter.dim() > 1:  # CLIP's own start is so small that all photos look alike
            parameter.data.normal_(std=0.2)
    clip.vision_model.embeddings.patch_embedding.weight.data.normal_(std=0.5)
    clip.save_pretrained(folder)
    transformers.CLIPImageProcessor(size={"shortest_edge": side}, crop_size=side).save_pretrained(folder)
    words = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "a</w>": 3}
    transformers.CLIPTokenizer(vocab=words, merges=[]).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_card(package: Path, hub_files: Path) -> ModelCard:
    """The released card, with the files of this small model."""
    positions = np.loadtxt(package / release.GALLERY, delimiter=",", skiprows=1)
    card = release.released_card()
    names = [file.name for file in release.release_of(card).files]
    files = [
        {"name": name, "size_bytes": (hub_files / name).stat().st_size, "sha256": sha256(hub_files / name)}
        for name in names
    ]
    hashes = {name: sha256(package / name) for name in release.release_of(card).package_files}
    return card.model_copy(
        update={
            "architecture_args": card.architecture_args | {"files": files, "package_files": hashes},
            "labels": tuple(sorted({country for at in positions if (country := country_at(*map(float, at)))})),
            "weights_sha256": sha256(hub_files / "model.safetensors"),
        }
    )


@pytest.fixture
def small_package(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the engine find this package, and keep what it works out in a folder of the test."""
    monkeypatch.setattr(release, "package_folder", lambda: package)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return package


@pytest.fixture
def hub(mirror: Mirror, hub_files: Path, tiny_card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """The public hub, with the files of this small model and no other."""
    monkeypatch.setenv("HF_ENDPOINT", mirror.url)
    named = release.release_of(tiny_card)
    for file in named.files:
        path = f"/{named.repository}/resolve/{named.revision}/{file.name}"
        mirror.files[path] = (hub_files / file.name).read_bytes()
    return mirror


@pytest.fixture
def write_worldwide(
    hub_files: Path,
    tiny_card: ModelCard,
    small_package: Path,  # noqa: ARG001 - where the engine will look
) -> Callable[[Path], Path]:
    """Writes the small model into a folder of models."""

    def write(models: Path) -> Path:
        folder = models / tiny_card.id
        folder.mkdir(parents=True)
        for file in release.release_of(tiny_card).files:
            (folder / file.name).write_bytes((hub_files / file.name).read_bytes())
        (folder / CARD).write_text(tiny_card.model_dump_json(), encoding="utf-8")
        return folder

    return write
