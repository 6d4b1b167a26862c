"""Predictions for batches of rows, as engines of distributed data call them: columns in, columns out.

The class knows none of these engines. Each of their processes makes one and calls it with batch after batch:
Ray Data by `map_batches(RowPredictor, …)`, Spark by `mapInPandas`, Daft by a class of its own around it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from triovision.collections.answer_rows import ANSWER_SCHEMA, answer_row
from triovision.collections.entries import make_entry
from triovision.errors import PhotoError
from triovision.photo import DecoderPool, decoder_pool
from triovision.results import Photo

if TYPE_CHECKING:
    from triovision.inference import GeoModel

_Row = dict[str, Any]

#: Columns of the answers of `RowPredictor`: the path as it came, `"answered"` or `"refused"`, the reason of a refusal
#: and its remedy, then `ANSWER_SCHEMA`, in which a refused photo has its `content` alone.
ROW_SCHEMA: Final = pa.schema([("path", pa.string()), ("status", pa.string()), ("reason", pa.string()), *ANSWER_SCHEMA])


class RowPredictor:
    """Callable that answers a batch of photos.

    Photos are decoded in bounded processes, so that a hostile file costs its own row and nothing else. The answers do
    not depend on the batch that a photo comes in, the rounding of the network aside.

    Args:
        model_id: Id of the model; None for the default one.
        device: Device of the network, such as `"cuda:1"`; None for the fastest present.
        batch_size: Number of photos in one forward pass.
        thumbnails: Whether the rows hold thumbnails.
        pool: Processes that decode; those of this process by default.

    Raises:
        ModelError: If the model or the device cannot be used.
    """

    def __init__(
        self,
        model_id: str | None = None,
        device: str | None = None,
        *,
        batch_size: int = 32,
        thumbnails: bool = False,
        pool: DecoderPool | None = None,
    ) -> None:
        from triovision.inference import load_model  # noqa: PLC0415 - PyTorch

        self.model = load_model(model_id, device)
        self.model_sha256 = answers_sha256(self.model)
        self._batch_size, self._thumbnails = batch_size, thumbnails
        self._pool = pool or decoder_pool()

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Answer a batch.

        Args:
            batch: Column `path` with texts, and column `bytes` with the whole files.

        Returns:
            Columns of `ROW_SCHEMA`, one row per row of the batch, in order.
        """
        rows = list(self._rows(zip(batch["path"], batch["bytes"], strict=True)))
        return {name: [row[name] for row in rows] for name in ROW_SCHEMA.names}

    def _rows(self, files: Iterator[tuple[str, bytes]]) -> Iterator[_Row]:
        outcomes = self._pool.read_many(files, _content, self._batch_size)
        while part := list(islice(outcomes, self._batch_size)):
            photos = [outcome for _, outcome in part if isinstance(outcome, Photo)]
            predictions = iter(self.model.predict(photos))
            for (path, data), outcome in part:
                key = hashlib.sha256(data).hexdigest()
                row: _Row = dict.fromkeys(ROW_SCHEMA.names) | {"path": path, "content": key}
                if isinstance(outcome, PhotoError):
                    yield row | {"status": "refused", "reason": f"{outcome.reason}. {outcome.remedy}."}
                else:
                    entry = make_entry(key, outcome, next(predictions))
                    answer = answer_row(entry, self.model_sha256, thumbnail=self._thumbnails)
                    yield row | {"status": "answered"} | answer


def answers_sha256(model: GeoModel) -> str:
    """Return the SHA-256 of all that the answers of a model depend on.

    These are its weights, its preprocessing, the calibration in force, and its landmarks with those that a person
    added; not what its card says about its training.

    Raises:
        ModelError: If the landmarks that a person added cannot be read.
    """
    from triovision.errors import ModelError  # noqa: PLC0415
    from triovision.inference.landmark_additions import additions_file  # noqa: PLC0415 - PyTorch
    from triovision.inference.stored_calibration import model_sha256  # noqa: PLC0415

    sections = {"labels", "preprocessing", "calibration", "position", "landmarks", "ensemble"}
    parts = [model_sha256(model.card), model.card.model_dump_json(include=sections)]
    try:
        parts.append(hashlib.sha256(additions_file(model.card.id).read_bytes()).hexdigest())
    except FileNotFoundError:
        pass
    except OSError as exc:
        remedy = "Check its permissions, or run `triovision models index clear`"
        raise ModelError(str(exc.filename), f"cannot be read ({exc.strerror})", remedy) from exc
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _content(file: tuple[str, bytes]) -> tuple[bytes, str]:
    path, data = file
    return data, path
