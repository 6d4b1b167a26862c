"""Predictions for many photo files: threads decode ahead while the network runs on batches."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from triovision.errors import PhotoError
from triovision.inference.model import GeoModel
from triovision.photo import PhotoLimits, read_photo
from triovision.results import Photo, Prediction

_BATCH = 32


def read_photo_file(path: Path, limits: PhotoLimits | None = None) -> Photo:
    """Read a photo from a file. The size limit holds before the whole file is in memory.

    Raises:
        PhotoError: If the file cannot be read or is no usable photo.
    """
    limits = limits or PhotoLimits()
    try:
        # One byte more than allowed is enough for the refusal.
        with path.open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    except OSError as exc:
        raise PhotoError(path.name, f"cannot be opened ({exc.strerror})", "Check the path and its permissions") from exc
    return read_photo(data, path.name, limits)


def predict_files(
    model: GeoModel, paths: Iterable[Path], top_k: int = 5, batch_size: int = _BATCH
) -> Iterator[tuple[Path, Prediction | PhotoError]]:
    """Predict file by file, in order. A refused photo yields its error, and the others go on.

    At most two batches of decoded photos are in memory at a time.

    Args:
        model: Any model.
        paths: Photo files; the iterable is read lazily.
        top_k: Number of countries in each prediction.
        batch_size: Number of photos in one forward pass.
    """
    files = iter(paths)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        pending: deque[tuple[Path, Future[Photo]]] = deque()
        while True:
            for path in islice(files, 2 * batch_size - len(pending)):
                pending.append((path, pool.submit(read_photo_file, path)))
            if not pending:
                return
            batch = [pending.popleft() for _ in range(min(batch_size, len(pending)))]
            yield from _predict_batch(model, batch, top_k)


def _predict_batch(
    model: GeoModel, batch: list[tuple[Path, Future[Photo]]], top_k: int
) -> Iterator[tuple[Path, Prediction | PhotoError]]:
    outcomes: list[tuple[Path, Photo | PhotoError]] = []
    for path, future in batch:
        try:
            outcomes.append((path, future.result()))
        except PhotoError as exc:
            outcomes.append((path, exc))
    predictions = iter(model.predict([photo for _, photo in outcomes if isinstance(photo, Photo)], top_k))
    for path, outcome in outcomes:
        yield path, next(predictions) if isinstance(outcome, Photo) else outcome
