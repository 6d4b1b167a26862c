"""A server with the layout of the official one, whose faults are ordered beforehand, and tables and photos for it."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import stamina
from PIL import Image


class Mirror:
    """Files by their path, and what shall go wrong with each; faults are used up one a request."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cuts: dict[str, list[int]] = {}  # send so many bytes and hang up
        self.statuses: dict[str, list[int]] = {}
        self.holds: dict[str, int] = {}  # send so many bytes and wait for `release`
        self.held, self.release = threading.Event(), threading.Event()
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

    def do_GET(self) -> None:
        mirror, header = self.mirror, self.headers.get("Range")
        mirror.requests.append((self.path, header))
        data = mirror.files.get(self.path)
        if mirror.statuses.get(self.path):
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
        else:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    served = Mirror()
    handler = type("Handler", (_Handler,), {"mirror": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield served
    served.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def four_attempts_without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
def jpeg() -> Callable[..., bytes]:
    """A JPEG of smooth noise: `jpeg(seed, width, height, orientation)`."""

    def make(seed: int = 0, width: int = 120, height: int = 80, orientation: int = 1) -> bytes:
        coarse = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
        exif = Image.Exif()
        exif[0x0112] = orientation
        buffer = io.BytesIO()
        Image.fromarray(coarse).resize((width, height)).save(buffer, "JPEG", exif=exif)
        return buffer.getvalue()

    return make


@pytest.fixture
def tar_of() -> Callable[[dict[str, bytes]], bytes]:
    """A tar of the files by their names."""

    def make(files: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return buffer.getvalue()

    return make


@pytest.fixture
def photo_id() -> Callable[[int], str]:
    """The id of photo n: spread over several folders."""
    return lambda n: f"{n % 16:x}{n * 7919 + 1:015x}"


@pytest.fixture
def member(photo_id: Callable[[int], str]) -> Callable[[int], str]:
    """The name of photo n below the folder."""

    def name(n: int) -> str:
        i = photo_id(n)
        return f"{i[0]}/{i[1]}/{i[2]}/{i}.jpg"

    return name


@pytest.fixture
def write_manifest(tmp_path: Path, member: Callable[[int], str]) -> Callable[..., Path]:
    """A manifest of photos 0 to n - 1, in turn of the countries: `write_manifest(n, countries, base_url)`."""

    def write(photos: int, countries: tuple[str, ...] = ("FR", "NA"), base_url: str = "") -> Path:
        rows = [
            {
                "file": member(n),
                "country": countries[n % len(countries)],
                "lat": 1.5,
                "lon": 2.5,
                "place": f"place {n}",
                "url": f"{base_url}/photo/{n}.jpg",
            }
            for n in range(photos)
        ]
        folder = tmp_path / "manifest"
        folder.mkdir(exist_ok=True)
        half = photos // 2
        pd.DataFrame(rows[:half]).to_parquet(folder / "part-000.parquet")
        pd.DataFrame(rows[half:]).to_parquet(folder / "part-001.parquet")
        (folder / "_report.json").write_text("{}")
        return folder

    return write
