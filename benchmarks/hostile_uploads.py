"""Many hostile uploads to a running server: it goes on answering rightly, and its memory stays flat.

Mutants of image files, forms and requests that are cut, lie about their length, never end, arrive slowly, carry huge
headers or are no HTTP at all, each a pure function of its number. A slow one holds its connection for a second.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import click
import numpy as np

from benchmarks.images import jpeg
from benchmarks.mutation import random_mutant, structural_mutant
from triovision import Client
from triovision.errors import ServerError
from triovision.results import Prediction

ROOT = Path(__file__).parents[1]
MODEL = "tf_efficientnet_lite0.places10k"
BOUNDARY = "hostile"
Rng = np.random.Generator
SLOW_EVERY = 100
MOST_GROWTH_MB = 150.0
#: Longest wait for an answer; a server that keeps somebody waiting for longer has failed.
PATIENCE_S = 60.0


def form(photos: list[bytes], boundary: str = BOUNDARY) -> bytes:
    """Return a multipart form with photos."""
    disposition = 'Content-Disposition: form-data; name="photos"; filename="{number}.jpg"'
    parts = [
        f"--{boundary}\r\n{disposition.format(number=number)}\r\n\r\n".encode() + data + b"\r\n"
        for number, data in enumerate(photos)
    ]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()])


def head(length: int | None, *lines: str, path: str = "/predict") -> bytes:
    """Return the head of a request for a form; without a length, its body comes in chunks."""
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *lines, kind, size, "", ""]).encode("latin-1")


def upload(number: int) -> tuple[str, list[bytes]]:
    """Return the kind of an upload, and the pieces in which its bytes are sent, the later ones slowly."""
    random = np.random.default_rng(number)
    _, data = (random_mutant if number % 2 else structural_mutant)(number)
    body = form([data[:2_000_000]])
    if number % SLOW_EVERY == 0:
        return "slow", [head(len(body)), body[:1], body[1:2]]
    kinds = list(KINDS)
    kind = kinds[number % len(kinds)]
    return kind, [KINDS[kind](random, body)]


def _longer(random: Rng, body: bytes) -> bytes:
    return head(len(body) + int(random.integers(1, 10**6))) + body


def _shorter(random: Rng, body: bytes) -> bytes:
    return head(int(random.integers(0, len(body)))) + body


def _headers(random: Rng, body: bytes) -> bytes:
    lines = [f"X-{i}: {'y' * int(random.integers(0, 3000))}" for i in range(int(random.integers(1, 200)))]
    return head(len(body), *lines) + body


def _boundary(random: Rng, body: bytes) -> bytes:
    cut, ending = int(random.integers(0, len(body))), (b"\n", b"\r", b"")[int(random.integers(0, 3))]
    return head(cut) + body.replace(b"\r\n", ending)[:cut].ljust(cut, b"-")


def _chunks(random: Rng, body: bytes) -> bytes:
    sizes = [b"%x\r\n" % len(body), b"fffffffffffff\r\n", b"-1\r\n", b"zz\r\n", b"\r\n"]
    return head(None) + sizes[int(random.integers(0, len(sizes)))] + body + b"\r\n0\r\n\r\n"


def _fields(random: Rng, body: bytes) -> bytes:
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="clue"\r\n\r\n{"x" * 2000}\r\n'.encode()
    many = part * int(random.integers(1, 300)) + body
    return head(len(many)) + many


def _path(random: Rng, body: bytes) -> bytes:
    path = "/" + "".join(chr(int(one)) for one in random.integers(33, 126, 60))
    return head(len(body), path=path) + body


#: Bytes of an upload by its kind, from a form with a mutant.
KINDS: dict[str, Callable[[Rng, bytes], bytes]] = {
    "mutant": lambda _, body: head(len(body)) + body,
    "longer": _longer,
    "shorter": _shorter,
    "headers": _headers,
    "boundary": _boundary,
    "noise": lambda random, _: random.bytes(int(random.integers(1, 5000))),
    "chunks": _chunks,
    "fields": _fields,
    "path": _path,
}


def send(port: int, number: int) -> str:
    """Send an upload. Returns its kind and the status, or `closed`.

    Raises:
        TimeoutError: If the server neither answers nor closes the connection.
    """
    kind, pieces = upload(number)
    with closing(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)) as connection:
        answer = b""
        try:
            for i, piece in enumerate(pieces):
                connection.sendall(piece)
                if i:
                    time.sleep(0.2)
            if kind == "noise" or (kind == "longer" and number % 2):  # it waits for the rest otherwise
                connection.shutdown(socket.SHUT_WR)
            while len(answer) < 12 and (received := connection.recv(4096)):
                answer += received
        except (ConnectionResetError, BrokenPipeError):
            pass  # the server has refused it without reading all
    status = answer[9:12].decode("ascii", "replace") if answer.startswith(b"HTTP/1.1 ") else "closed"
    return f"{kind} {status}"


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process; Linux only."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def server() -> Iterator[tuple[int, int]]:
    """Start a server, and yield its port and process once it is ready."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--model", MODEL, "--body-timeout", "1", "--max-request-mb", "20"]
    command = [sys.executable, "-m", "triovision", "serve", "--port", str(port), *options]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
        try:
            while True:
                try:
                    with Client(f"http://127.0.0.1:{port}", retries=100) as client:
                        client.models()
                    break
                except ServerError:
                    time.sleep(0.5)
            yield port, process.pid
        finally:
            process.terminate()


@click.command()
@click.option("--count", default=10_000, show_default=True, help="Uploads.")
@click.option("--senders", default=8, show_default=True, help="Uploads at a time.")
def main(count: int, senders: int) -> None:
    """Print what the uploads got and the memory; exit code 1 if the server failed."""
    good, outcomes, wrong, start = jpeg(640, 480), Counter[str](), 0, time.perf_counter()
    with server() as (port, pid), Client(f"http://127.0.0.1:{port}") as client:
        (expected,) = client.predict([good])
        assert isinstance(expected, Prediction)
        before = 0.0
        with ThreadPoolExecutor(senders) as threads:
            for first in range(0, count, 500):
                outcomes.update(threads.map(lambda number: send(port, number), range(first, min(count, first + 500))))
                (outcome,) = client.predict([good])
                wrong += not (isinstance(outcome, Prediction) and outcome.countries == expected.countries)
                now = resident_mb(pid)
                before = before or now  # after the first ones: everything is loaded
                print(f"{min(count, first + 500):6} uploads: {now:.0f} MB", flush=True)
        growth = resident_mb(pid) - before
    for outcome, times in sorted(outcomes.items()):
        print(f"  {times:6} {outcome}")
    failed = wrong or growth > MOST_GROWTH_MB or any(outcome.endswith(" 500") for outcome in outcomes)
    seconds = time.perf_counter() - start
    print(f"{count} uploads in {seconds:.0f} s; memory +{growth:.0f} MB (at most {MOST_GROWTH_MB:g})")
    print(f"{wrong} good photos answered wrongly in between: {'FAILED' if failed else 'ok'}")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
