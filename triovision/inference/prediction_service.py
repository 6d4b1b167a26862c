"""Predictions for many clients at once: a fair bounded queue, decoding ahead, and batches across requests.

Nothing waits for a batch to fill: while the network runs on one, photos are decoded, and those that are ready form the
next. Both before decoding and before the network, the clients take turns.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Final

from triovision.errors import BusyError, ModelFailure, TrioVisionError
from triovision.inference.device import choose_device
from triovision.inference.fair_queue import FairQueue
from triovision.inference.loaded_models import LoadedModels
from triovision.results import Photo, Prediction

_logger = logging.getLogger(__name__)

_GPU_BATCH: Final = 16
_CPU_BATCH: Final = 4
MAX_WAITING: Final = 512
_MOST_WAIT_S: Final = 60


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    client: str
    model_id: str
    top_k: int
    read: Callable[[], Photo]
    future: Future[Prediction]


def usual_batch() -> int:
    """Most photos in one forward pass: 16 on a GPU; on a CPU half of the cores, but 4 at least and 16 at most.

    On two cores, batches of 4 answered more photos a second than single photos, and batches of 16 fewer.
    """
    if choose_device(None).type != "cpu":
        return _GPU_BATCH
    return max(_CPU_BATCH, min(_GPU_BATCH, (os.cpu_count() or 1) // 2))


def _ignore(_photos: int, _seconds: float) -> None:
    """Observer that does nothing."""


class PredictionService:
    """Queue of photos before the models of a process. Usable from several threads at once.

    Args:
        models: Models in memory.
        readers: Threads that read photos ahead; as many as the decoder pool has processes.
        max_batch: Most photos in one forward pass; 1 for no batches, None for `usual_batch()`.
        max_waiting: Most photos that wait to be read.
        on_batch: Called after each batch with its number of photos and its seconds.
    """

    def __init__(
        self,
        models: LoadedModels,
        *,
        readers: int = 1,
        max_batch: int | None = None,
        max_waiting: int = MAX_WAITING,
        on_batch: Callable[[int, float], object] = _ignore,
    ) -> None:
        self.models = models
        self._max_batch, self._on_batch = max_batch or usual_batch(), on_batch
        # One batch in the network and one ready behind it.
        self._most_read = max(self._max_batch, readers)
        self._unread: FairQueue[_Job] = FairQueue(max_waiting)
        self._ready: FairQueue[tuple[_Job, Photo]] = FairQueue(self._most_read)
        self._changed = threading.Condition()
        self._reading: Counter[str] = Counter()  # photos that are being read, by client
        self._closed = False
        self._photo_s = 0.1  # of the last batch, for the advice when to come back
        self._threads = [threading.Thread(target=self._read_photos, name="photo", daemon=True) for _ in range(readers)]
        self._threads.append(threading.Thread(target=self._predict_batches, name="prediction", daemon=True))
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Number of photos that no batch has taken yet."""
        with self._changed:
            return len(self._unread) + self._reading.total() + len(self._ready)

    @property
    def closed(self) -> bool:
        """Whether new photos are refused for good."""
        return self._closed

    @property
    def largest_request(self) -> int:
        """Most photos of one `submit`."""
        return self._unread.largest()

    def submit(
        self, client: str, model_id: str, reads: Sequence[Callable[[], Photo]], top_k: int
    ) -> list[Future[Prediction]]:
        """Accept photos, all or none of them.

        Args:
            client: Whose turn they take.
            model_id: Model that predicts.
            reads: Functions that return one photo each, or raise an error of ours; called in another thread.
            top_k: Number of countries in each prediction.

        Returns:
            One future per photo, in order. It holds the prediction, or the error of that photo or of the model. One
            that is cancelled leaves the queue.

        Raises:
            BusyError: If too many photos wait already, or the service is closed.
        """
        jobs = [_Job(client, model_id, top_k, read, Future()) for read in reads]
        with self._changed:
            if self._closed:
                raise BusyError("The server", "is ending", "Try again in a moment", 5)
            if not self._unread.has_room(client, len(jobs)):
                raise self._full(len(jobs))
            for job in jobs:
                self._unread.put(client, job)
            self._changed.notify_all()
        for job in jobs:
            job.future.add_done_callback(partial(self._forget, job))
        return [job.future for job in jobs]

    def close(self) -> None:
        """Refuse new photos, finish those that were accepted, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _full(self, count: int) -> BusyError:
        reason = f"has {len(self._unread)} photos waiting and no room for more of this client"
        if count > self._unread.largest():
            advice = f"Send at most {self._unread.largest()} photos at a time"
        else:
            advice = "Try again in a moment"
        wait_s = ceil(min(_MOST_WAIT_S, max(1.0, len(self._unread) * self._photo_s)))
        return BusyError("The server", reason, advice, wait_s)

    def _forget(self, job: _Job, future: Future[Prediction]) -> None:
        if future.cancelled():
            with self._changed:
                self._unread.remove(job.client, job)

    def _read_photos(self) -> None:
        while (job := self._next_unread()) is not None:
            photo = None
            try:
                if not job.future.cancelled():
                    photo = job.read()
            except Exception as exc:
                _fail(job, exc)
            with self._changed:
                self._reading[job.client] -= 1
                if photo is not None:
                    self._ready.put(job.client, (job, photo))
                self._changed.notify_all()

    def _next_unread(self) -> _Job | None:
        """Wait for a photo to read and for a place to put it; None at the end."""
        with self._changed:
            while (job := self._unread.take_one(self._may_read)) is None:
                if self._closed and not len(self._unread):
                    return None
                self._changed.wait()
            self._reading[job.client] += 1
            return job

    def _may_read(self, client: str) -> bool:
        """Whether a client's photo has a place. Its first one may exceed the limit, so that it joins the next batch."""
        read = self._reading.total() + len(self._ready)
        has_one = self._reading[client] > 0 or self._ready.holds(client)
        return read < self._most_read if has_one else read < 2 * self._most_read

    def _predict_batches(self) -> None:
        while batch := self._next_batch():
            running = [(job, photo) for job, photo in batch if job.future.set_running_or_notify_cancel()]
            if running:
                start = time.perf_counter()
                self._predict(running)
                seconds = time.perf_counter() - start
                self._photo_s = seconds / len(running)
                self._on_batch(len(running), seconds)

    def _next_batch(self) -> list[tuple[_Job, Photo]]:
        """Wait for photos of one model; empty at the end."""
        with self._changed:
            while not len(self._ready):
                if self._closed and not len(self._unread) and not self._reading.total():
                    return []
                self._changed.wait()
            batch = self._ready.take(self._max_batch, lambda ready: ready[0].model_id)
            self._changed.notify_all()
            return batch

    def _predict(self, batch: list[tuple[_Job, Photo]]) -> None:
        model_id, photos = batch[0][0].model_id, [photo for _, photo in batch]
        most = max(job.top_k for job, _ in batch)
        try:
            model = self.models.get(model_id)
            predictions = self.models.run(model, lambda one: one.predict(photos, most))
        except ModelFailure as failure:
            if len(batch) == 1:
                batch[0][0].future.set_exception(failure)
                return
            for one in batch:  # a photo on which the model fails costs the others nothing
                self._predict([one])
        except Exception as exc:
            _logger.warning("%s: a batch failed (%s)", model_id, type(exc).__name__)
            for job, _ in batch:
                job.future.set_exception(exc)
        else:
            for (job, _), prediction in zip(batch, predictions, strict=True):
                job.future.set_result(_cut(prediction, job.top_k))


def _fail(job: _Job, exc: Exception) -> None:
    if not isinstance(exc, TrioVisionError):
        _logger.warning("a photo could not be read (%s)", type(exc).__name__)
    if job.future.set_running_or_notify_cancel():
        job.future.set_exception(exc)


def _cut(prediction: Prediction, top_k: int) -> Prediction:
    """Return a prediction with the most probable countries only; a batch is predicted for the most of its photos."""
    return replace(prediction, countries=prediction.countries[:top_k])
