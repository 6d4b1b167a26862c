"""Work behind the routes: models, photos and explanations, each with its deadline and its limits."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import BinaryIO, Final, cast

import numpy as np
from starlette.requests import Request

from triovision.errors import BusyError, ModelError, ModelFailure, ServerError, TrioVisionError
from triovision.explain import ExplainableModel, explain_country
from triovision.explanation_settings import ExplanationSettings
from triovision.geo import Evidence
from triovision.inference import GeoModel
from triovision.inference.loaded_models import LoadedModels
from triovision.inference.prediction import condition
from triovision.inference.prediction_service import PredictionService
from triovision.photo import DecoderPool
from triovision.photo.web import fetch_photo
from triovision.results import Explanation, Photo, Prediction
from triovision.serve.gate import PendingBytes
from triovision.serve.observation import LOGGER, Metrics
from triovision.serve.settings import ServeSettings

Read = Callable[[], Photo]
Outcome = Prediction | TrioVisionError

_FETCHES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What an explanation shall show.

    Attributes:
        country: Country to explain; None for the most probable one.
        against: Country that it is compared with; None for none.
        method: Name of a method; None for the model's first.
        settings: Settings of the method.
    """

    country: str | None = None
    against: str | None = None
    method: str | None = None
    settings: ExplanationSettings = field(default_factory=ExplanationSettings)


class ClientGoneError(Exception):
    """The client closed the connection before its answer was ready."""


class Backend:
    """Everything that the routes share.

    Args:
        settings: Limits of the server.
        models: Models in memory.
        pool: Decoder processes.
    """

    def __init__(self, settings: ServeSettings, models: LoadedModels, pool: DecoderPool) -> None:
        self.settings, self.models, self._pool = settings, models, pool
        self.metrics = Metrics()
        self.pending = PendingBytes(settings.max_pending_bytes)
        self.service = PredictionService(
            models,
            readers=os.cpu_count() or 1,
            max_batch=settings.max_batch,
            max_waiting=settings.max_waiting,
            on_batch=self.metrics.count_batch,
        )
        self.metrics.watch(self.service)
        self.default_id = settings.model_id
        self.fault: ModelError | None = None
        self._ready = False
        self._explaining = 0
        self._fetches = asyncio.Semaphore(_FETCHES)

    def start(self) -> None:
        """Load the default model and predict a blank photo, so that the first request finds everything ready."""
        try:
            if self.settings.model_id is None:
                model, fault = self.models.default()
                if fault is not None:
                    LOGGER.warning("the embedded model replaces the installed one")
            else:
                model = self.models.get(self.settings.model_id)
            blank = Photo(
                name="blank",
                image_hwc=np.full((64, 64, 3), 127, np.uint8),
                original_width_px=64,
                original_height_px=64,
                format="PNG",
            )
            self.models.run(model, lambda one: one.predict([blank], 1))
        except ModelError as error:
            self.fault = error
            LOGGER.error("the default model cannot be used: %s", error.reason)
        else:
            self.default_id = model.card.id
            self._ready = True

    @property
    def ready(self) -> bool:
        """Whether the default model is in memory and photos are accepted."""
        return self._ready and not self.service.closed

    async def model(self, model_id: str | None) -> GeoModel:
        """Return a model by id, or the default one.

        Raises:
            UnknownModelError: If there is none of this id.
            ModelError: If it cannot be used; folders of this machine are named in the log only.
        """
        wanted = model_id or self.default_id
        if wanted is None:
            raise BusyError("The server", "is loading its model", "Try again in a moment", 2)
        if not self.models.has(wanted):
            raise UnknownModelError(wanted)
        try:
            return await asyncio.to_thread(self.models.get, wanted)
        except ModelFailure:
            raise
        except ModelError as error:
            LOGGER.warning("%s cannot be used: %s", wanted, error.reason)
            raise ModelError(wanted, "cannot be used on this server", "Choose another model") from error

    def reader(self, file: BinaryIO, name: str) -> Read:
        """Return a function that decodes an uploaded file in another process."""

        def read() -> Photo:
            file.seek(0)
            limits = self.settings.photo
            return self._pool.read(file.read(limits.max_bytes + 1), name, limits)

        return read

    async def fetched(self, urls: Sequence[str]) -> list[Read]:
        """Fetch photos from links, all at once but few at a time, from public addresses only."""
        return await asyncio.gather(*map(self._fetched, urls))

    async def _fetched(self, url: str) -> Read:
        async with self._fetches:
            try:
                name, data = await asyncio.to_thread(fetch_photo, url)
            except TrioVisionError as error:
                return partial(_refuse, error)
        return partial(self._pool.read, data, name, self.settings.photo)

    @contextmanager
    def room_for_links(self, count: int) -> Iterator[None]:
        """Count the largest photo for each link in the block.

        Raises:
            BusyError: If the server holds too many bytes already.
        """
        size = count * self.settings.photo.max_bytes
        if not self.pending.take(size):
            raise BusyError("The server", "holds as many bytes of photos as it may", "Try again in a moment", 5)
        try:
            yield
        finally:
            self.pending.give_back(size)

    async def predict(self, request: Request, model_id: str, reads: Sequence[Read], top_k: int) -> list[Outcome]:
        """Return each photo's prediction or error, in order.

        Raises:
            BusyError: If too many photos wait already.
            ClientGoneError: If the client does not wait for the answer.
        """
        client: str = request.scope["state"]["client"]
        futures = self.service.submit(client, model_id, reads, top_k)
        outcomes = await _outcomes(request, futures, self.settings.answer_s)
        for outcome in outcomes:
            predicted = isinstance(outcome, Prediction)
            self.metrics.count_photos("predicted" if predicted else type(outcome).__name__, 1)
        return outcomes

    async def explain(
        self, request: Request, model: GeoModel, read: Read, question: Question
    ) -> tuple[Photo, Explanation]:
        """Explain a country, the most probable one if none is named.

        Raises:
            BusyError: If too many explanations wait already.
            TrioVisionError: If the photo, the method or a country cannot be used.
            ClientGoneError: If the client does not wait for the answer.
        """
        if self._explaining >= self.settings.max_explanations:
            raise BusyError("The server", "computes other explanations", "Try again in a moment", 5)
        self._explaining += 1
        gone = threading.Event()

        def on_step(_fraction: float) -> None:
            if gone.is_set():
                raise ClientGoneError

        def compute(one: GeoModel) -> Explanation:
            return explain_country(
                cast(ExplainableModel, one),
                photo,
                named,
                question.method,
                against=question.against,
                settings=question.settings,
                on_step=on_step,
            )

        try:
            photo = await asyncio.to_thread(read)
            named = question.country or await self._most_probable(request, model, photo)
            running = asyncio.ensure_future(asyncio.to_thread(self.models.run, model, compute))
            await _first(request, running, None)
            return photo, await running
        finally:
            gone.set()
            self._explaining -= 1

    async def _most_probable(self, request: Request, model: GeoModel, photo: Photo) -> str:
        (outcome,) = await self.predict(request, model.card.id, [lambda: photo], 1)
        if not isinstance(outcome, Prediction):
            raise outcome
        return outcome.countries[0].country

    def close(self) -> None:
        """Finish what was accepted, and end threads and processes."""
        self.service.close()
        self._pool.close()


class UnknownModelError(ModelError):
    """There is no model of this id on the server."""

    def __init__(self, model_id: str) -> None:
        super().__init__(model_id, "is not installed on this server", "Choose one of GET /models")


def conditioned(outcome: Outcome, evidence: Evidence | None, model: GeoModel, top_k: int) -> Outcome:
    """Return a prediction conditioned on evidence, or the error of evidence that contradicts it."""
    if evidence is None or not isinstance(outcome, Prediction):
        return outcome
    try:
        found = condition(outcome, evidence, model.card.calibration)
    except TrioVisionError as error:
        return error
    return replace(found, countries=found.countries[:top_k])


def _refuse(error: TrioVisionError) -> Photo:
    raise error


async def _outcomes(request: Request, futures: Sequence[Future[Prediction]], seconds: float) -> list[Outcome]:
    waiting = [asyncio.wrap_future(future) for future in futures]
    everything = asyncio.ensure_future(asyncio.wait(waiting))
    try:
        await _first(request, everything, seconds)
        return [_outcome(future, seconds) for future in waiting]
    finally:
        everything.cancel()
        for future in waiting:
            if not future.cancel() and not future.cancelled():  # those without an answer leave the queue
                future.exception()  # of a client that has gone, and nobody will see it


def _outcome(future: asyncio.Future[Prediction], seconds: float) -> Outcome:
    if not future.done():
        return ServerError("The photo", f"was not answered within {seconds:g} s", "Send fewer photos at a time")
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, TrioVisionError):
        return error
    return ServerError("The photo", "could not be predicted", "Look at the server's log")


async def _first(request: Request, work: asyncio.Future[object] | Awaitable[object], seconds: float | None) -> None:
    """Wait for the work, at most some seconds, as long as the client waits too."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if gone.done() and not task.done():
            raise ClientGoneError
    finally:
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
