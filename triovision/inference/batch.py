"""Predictions for many photo files: decoder processes work ahead while the network runs on batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from triovision.errors import PhotoError
from triovision.inference.model import GeoModel
from triovision.photo import PhotoLimits, decoder_pool, read_photo
from triovision.results import Photo, Prediction

_BATCH = 32


def load_photo_file(path: Path, limits: PhotoLimits | None = None) -> tuple[bytes, str]:
    """Bytes and name of a photo file, for `DecoderPool`; of a file that is too large, enough for the refusal.

    Raises:
        PhotoError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read((limits or PhotoLimits()).max_bytes + 1), path.name
    except OSError as exc:
        raise PhotoError(path.name, f"cannot be opened ({exc.strerror})", "Check the path and its permissions") from exc


def read_photo_file(path: Path, limits: PhotoLimits | None = None) -> Photo:
    """Read a photo from a file, in this process. The size limit holds before the whole file is in memory.

    Raises:
        PhotoError: If the file cannot be read or is no usable photo.
    """
    return read_photo(*load_photo_file(path, limits), limits or PhotoLimits())


def predict_files(
    model: GeoModel, paths: Iterable[Path], top_k: int = 5, batch_size: int = _BATCH
) -> Iterator[tuple[Path, Prediction | PhotoError]]:
    """Predict file by file, in order. A refused photo yields its error, and the others go on.

    Photos are decoded in other processes. At most two batches of decoded photos are in memory at a time. The first
    batch is one photo, each further one twice as large as the one before, so that the first answer comes at once.

    Args:
        model: Any model.
        paths: Photo files; the iterable is read lazily.
        top_k: Number of countries in each prediction.
        batch_size: Largest number of photos in one forward pass.
    """
    outcomes = decoder_pool().read_many(paths, load_photo_file, batch_size)
    size = 1
    while batch := list(islice(outcomes, size)):
        yield from _predict_batch(model, batch, top_k)
        size = min(2 * size, batch_size)


def _predict_batch(
    model: GeoModel, batch: list[tuple[Path, Photo | PhotoError]], top_k: int
) -> Iterator[tuple[Path, Prediction | PhotoError]]:
    predictions = iter(model.predict([photo for _, photo in batch if isinstance(photo, Photo)], top_k))
    for path, outcome in batch:
        yield path, next(predictions) if isinstance(outcome, Photo) else outcome
