"""Models of a server of predictions, in place of models in this process."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from triovision.errors import Message, ModelError, ServerError
from triovision.explanation_settings import ExplanationSettings
from triovision.inference.card import ModelCard
from triovision.inference.model import GeoModel
from triovision.results import Explanation, Photo, Prediction
from triovision.serve.client import Client
from triovision.serve.wire import garbled

T = TypeVar("T")

_CARD_S: Final = 60.0  # a server may be restarted with another calibration


class RemoteModel:
    """A model that runs on a server.

    Attributes:
        card: Card of the model, with the calibration in force there.
        methods: Methods that explain it, the default first.
    """

    devices: tuple[str, ...] = ("remote",)

    def __init__(self, client: Client, card: ModelCard, methods: Sequence[str]) -> None:
        self._client, self.card, self.methods = client, card, tuple(methods)

    def predict(self, photos: Sequence[Photo], top_k: int = 5) -> list[Prediction]:
        """Return one prediction per photo, in order; see `GeoModel`.

        Raises:
            ModelError: If the server is away, busy or fails.
        """
        with _model_errors(self.card.id):
            outcomes = self._client.predict([(photo.name, _png(photo)) for photo in photos], top_k, self.card.id)
        predictions = [outcome for outcome in outcomes if isinstance(outcome, Prediction)]
        for outcome in outcomes:
            if not isinstance(outcome, Prediction):
                raise ModelError(self.card.id, outcome.reason, outcome.remedy) from outcome
        return predictions

    def country_similarity(self, countries: Sequence[str]) -> NDArray[np.float32]:
        """Return the cosine similarity of the countries in the model's feature space, shape `(k, k)`.

        Raises:
            ModelError: If the server is away.
        """
        with _model_errors(self.card.id):
            rows = self._client.similarity(self.card.id, countries)
        similarity = np.asarray(rows, np.float32)
        if similarity.shape != (len(countries), len(countries)):
            raise ModelError(self.card.id, garbled().reason, garbled().remedy)
        return similarity

    def explain(
        self,
        photo: Photo,
        country: str,
        method: str | None = None,
        *,
        against: str | None = None,
        settings: ExplanationSettings | None = None,
    ) -> Explanation:
        """Return the map of the parts of a photo that raise the score of a country; see `explain_country`.

        Raises:
            ExplanationError: If the method does not fit the model, or a country or a setting is wrong.
            ModelError: If the server is away, busy or fails.
        """
        with _model_errors(self.card.id):
            photo_file = (photo.name, _png(photo))
            return self._client.explain(photo_file, country, method, self.card.id, against=against, settings=settings)


class RemoteModels:
    """Models of a server by id, as `LoadedModels` has those of a process. Usable from several threads at once.

    Args:
        address: Address of the server. The key is that of `TRIOVISION_API_KEY`.
    """

    def __init__(self, address: str) -> None:
        self._client = Client(address)
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, RemoteModel]] = {}

    def get(self, model_id: str) -> GeoModel:
        """Return a model.

        Raises:
            ModelError: If the server is away or has no such model.
        """
        with self._lock:
            asked_at, model = self._known.get(model_id, (0.0, None))
        if model is None or time.monotonic() - asked_at > _CARD_S:
            with _model_errors(model_id):
                details = self._client.model_details(model_id)
                try:
                    card = ModelCard.model_validate(details["card"])
                    model = RemoteModel(self._client, card, [str(method) for method in details["methods"]])
                except (ValidationError, KeyError, TypeError) as exc:
                    raise garbled() from exc
            with self._lock:
                self._known[model_id] = time.monotonic(), model
        return model

    def default(self) -> tuple[GeoModel, ModelError | None]:
        """Return the default model of the server, and None.

        Raises:
            ModelError: If the server is away.
        """
        with _model_errors("default"):
            return self.get(str(self._client.models().get("default"))), None

    def has(self, model_id: str) -> bool:
        """Whether the server has a model of this id; False if it is away."""
        try:
            return any(card.id == model_id for card in self.cards())
        except ModelError:
            return False

    def cards(self) -> tuple[ModelCard, ...]:
        """Return the cards of all models of the server.

        Raises:
            ModelError: If the server is away.
        """
        with _model_errors("models"):
            listed = self._client.models().get("models")
            if not isinstance(listed, list):
                raise garbled()
            return tuple(self.get(str(model.get("id"))).card for model in listed)

    def run(self, model: GeoModel, work: Callable[[GeoModel], T]) -> T:
        """Run a model; its server takes care of one that fails."""
        return work(model)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _png(photo: Photo) -> bytes:
    """Return the pixels without loss, so that the server sees what the page sees."""
    file = io.BytesIO()
    Image.fromarray(photo.image_hwc).save(file, "PNG", compress_level=1)
    return file.getvalue()


@contextmanager
def _model_errors(model_id: str) -> Iterator[None]:
    """Turn an error of the server into one of the model, which the page shows in its place."""
    try:
        yield
    except ServerError as error:
        reason = Message("its server {server}: {reason}", server=error.subject, reason=error.reason)
        raise ModelError(model_id, reason, error.remedy) from error
