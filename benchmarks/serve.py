"""The server under 1 to 64 clients, with and without batches across requests, and one client beside one with many.

Two servers run, one with batches and one that predicts photo by photo, and answer in turn. Every client has a key of
its own and asks for one photo at a time. Each answer is compared with the library's own: the same country and place
first, probabilities within 0.001, because a network rounds differently in batches of different sizes.
"""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.images import china
from triovision import Client, load_model, read_photo
from triovision.errors import ServerError
from triovision.results import Prediction

ROOT = Path(__file__).parents[1]
MODEL = "efficientnet_lites.places14k"
VARIANTS, WIDTH_PX, HEIGHT_PX = 24, 1024, 768
CLIENTS = (1, 8, 32, 64)
ROUNDS = 4
KEYS = [f"benchmark-key-number-{number:04}" for number in range(max(CLIENTS) + 2)]
MOST_DIFFERENCE = 1e-3
MANY_CONNECTIONS, MANY_BATCH = 4, 32


@dataclass(slots=True)
class Answers:
    """What clients got.

    Attributes:
        seconds: Time of each request.
        wrong: Answers that are not those of the library.
        exact: Answers that equal them in every number.
        wall_s: From the first request to the last answer.
    """

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    exact: int = 0
    wall_s: float = 0.0

    def add(self, other: Answers) -> None:
        """Add those of another round."""
        self.seconds += other.seconds
        self.wrong += other.wrong
        self.exact += other.exact
        self.wall_s += other.wall_s

    def row(self) -> str:
        """Return the figures in one line."""
        p50, p95 = np.quantile(self.seconds, [0.5, 0.95]) * 1000
        rate = len(self.seconds) / self.wall_s
        return f"p50 {p50:7.0f} ms   p95 {p95:7.0f} ms   {rate:6.1f} photos/s   {self.wrong} wrong, {self.exact} exact"


def photos() -> list[bytes]:
    """Return JPEG files of different parts of a photo."""
    files = []
    for number in range(VARIANTS):
        random = np.random.default_rng(number)
        side = int(random.integers(120, 400))
        left, top = int(random.integers(0, 640 - side)), int(random.integers(0, 427 - side * 3 // 4))
        part = china().crop((left, top, left + side, top + side * 3 // 4)).resize((WIDTH_PX, HEIGHT_PX))
        file = io.BytesIO()
        part.save(file, "JPEG", quality=88)
        files.append(file.getvalue())
    return files


@contextmanager
def server(max_batch: int) -> Iterator[str]:
    """Start the server, and yield its address once it is ready."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--model", MODEL, "--max-batch", str(max_batch), "--max-waiting", "2048"]
    environment = os.environ | {"TRIOVISION_API_KEYS": ",".join(f"{i}:{key}" for i, key in enumerate(KEYS))}
    command = [sys.executable, "-m", "triovision", "serve", "--port", str(port), *options]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - ours
        try:
            url = f"http://127.0.0.1:{port}"
            while True:
                try:
                    with Client(url, KEYS[0], retries=100) as client:
                        client.models()
                    break
                except ServerError:
                    time.sleep(0.5)
            yield url
        finally:
            process.terminate()


def is_right(outcome: object, expected: Prediction) -> bool:
    """Whether an answer is that of the library, up to the rounding of the network."""
    if not isinstance(outcome, Prediction) or outcome.place.name != expected.place.name:
        return False
    theirs, ours = ({guess.country: guess.probability for guess in one.countries} for one in (outcome, expected))
    return outcome.countries[0].country == expected.countries[0].country and all(
        abs(theirs[country] - probability) <= MOST_DIFFERENCE for country, probability in ours.items()
    )


def is_exact(outcome: Prediction, expected: Prediction) -> bool:
    """Whether an answer equals that of the library in every number of its countries and places."""
    return (outcome.countries, outcome.places) == (expected.countries, expected.places)


def ask(url: str, clients: int, count: int, files: Sequence[bytes], expected: Sequence[Prediction]) -> Answers:
    """Let clients ask for one photo after another, so many together."""
    found, lock, numbers = Answers(), threading.Lock(), iter(range(count))
    begin = threading.Barrier(clients + 1)

    def visit(client_number: int) -> None:
        with Client(url, KEYS[client_number]) as client:
            begin.wait()
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                start = time.perf_counter()
                (outcome,) = client.predict([files[number % len(files)]], top_k=len(expected[0].countries))
                seconds = time.perf_counter() - start
                with lock:
                    _note(found, outcome, expected[number % len(files)], seconds)

    with ThreadPoolExecutor(clients) as threads:
        running = [threads.submit(visit, number) for number in range(clients)]
        begin.wait()
        start = time.perf_counter()
        for one in running:
            one.result()
        found.wall_s = time.perf_counter() - start
    return found


def _note(found: Answers, outcome: object, expected: Prediction, seconds: float) -> None:
    found.seconds.append(seconds)
    if is_right(outcome, expected) and isinstance(outcome, Prediction):
        found.exact += is_exact(outcome, expected)
    else:
        found.wrong += 1


def beside(url: str, many: int, files: Sequence[bytes], expected: Sequence[Prediction]) -> Answers:
    """Let one client ask for single photos while another one waits for many, over several connections."""
    asked: Iterator[int] = iter(range(0, many, MANY_BATCH))
    lock, busy = threading.Lock(), threading.Barrier(MANY_CONNECTIONS + 1)
    left = threading.Semaphore(0)

    def send_many() -> int:
        wrong = 0
        with Client(url, KEYS[-1], retries=100) as client:
            busy.wait()
            while True:
                with lock:
                    first = next(asked, None)
                if first is None:
                    left.release()
                    return wrong
                numbers = [number % len(files) for number in range(first, first + MANY_BATCH)]
                outcomes = client.predict([files[number] for number in numbers], top_k=len(expected[0].countries))
                wrong += sum(not is_right(one, expected[number]) for one, number in zip(outcomes, numbers, strict=True))

    found = Answers()
    with ThreadPoolExecutor(MANY_CONNECTIONS) as threads, Client(url, KEYS[0]) as client:
        running = [threads.submit(send_many) for _ in range(MANY_CONNECTIONS)]
        busy.wait()
        start, number = time.perf_counter(), 0
        while not left.acquire(blocking=False):
            begun = time.perf_counter()
            (outcome,) = client.predict([files[number % len(files)]], top_k=len(expected[0].countries))
            _note(found, outcome, expected[number % len(files)], time.perf_counter() - begun)
            number += 1
        found.wall_s = time.perf_counter() - start
        found.wrong += sum(one.result() for one in running)
    return found


@click.command()
@click.option("--photos", "count", default=256, show_default=True, help="Photos of each number of clients.")
@click.option("--many", default=1000, show_default=True, help="Photos of the client beside the single one.")
@click.option("--max-batch", default=16, show_default=True, help="Most photos in a batch of the first server.")
def main(count: int, many: int, max_batch: int) -> None:
    """Print the figures; exit code 1 if an answer is wrong."""
    files, model = photos(), load_model(MODEL, "cpu")
    labels = len(model.card.labels)
    expected = [model.predict([read_photo(data, "photo 1")], labels)[0] for data in files]
    print(f"{torch.get_num_threads()} threads, {MODEL}, JPEG files of {WIDTH_PX} x {HEIGHT_PX}", flush=True)
    del model
    wrong = 0
    with ExitStack() as stack:
        servers = {f"batches of up to {max_batch}": max_batch, "photo by photo": 1}
        urls = {name: stack.enter_context(server(size)) for name, size in servers.items()}
        for url in urls.values():
            ask(url, 2, 16, files, expected)  # warms up
        for clients in CLIENTS:
            print(f"{clients} clients")
            totals = {name: Answers() for name in urls}
            for _ in range(ROUNDS):  # in turn, because other programs disturb both
                for name, url in urls.items():
                    totals[name].add(ask(url, clients, max(clients, count // ROUNDS), files, expected))
            for name, total in totals.items():
                wrong += total.wrong
                print(f"  {name:20} {total.row()}", flush=True)
        print(f"one client with single photos, beside a client with {many}")
        for name, url in urls.items():
            alone = ask(url, 1, count // 4, files, expected)
            found = beside(url, many, files, expected)
            wrong += alone.wrong + found.wrong
            ratio = np.quantile(found.seconds, 0.95) / np.quantile(alone.seconds, 0.95)
            print(f"  {name:20} {found.row()}   p95 {ratio:.1f} x that of the client alone", flush=True)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
