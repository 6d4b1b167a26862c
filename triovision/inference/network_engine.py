"""Base class of engines with one network: forward pass, posterior, prediction."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from triovision.geo import WeightedPlaces
from triovision.guesses import PlaceGuess
from triovision.inference.card import ModelCard
from triovision.inference.faults import check_finite, worded_faults
from triovision.inference.integrity import HashedFile, weights_file
from triovision.inference.model import GeoModel
from triovision.inference.prediction import build_prediction_fields, check_top_k, rank_countries
from triovision.results import Photo, Prediction


class NetworkEngine(ABC):
    """An engine that computes one row of outputs per photo and derives the prediction from that row.

    Attributes:
        card: Card of the model.
        device: Device of the network.
        precision: Number format of the network.
    """

    sections: ClassVar[frozenset[str]] = frozenset()
    card: ModelCard
    device: torch.device
    precision: torch.dtype

    @abstractmethod
    def __init__(self, folder: Path, device: torch.device) -> None:
        """Load the model of a folder."""

    @classmethod
    def open(cls, folder: Path, card: ModelCard, device: torch.device, members: Sequence[GeoModel]) -> Self:  # noqa: ARG003
        """Load a model; see `Engine`."""
        engine = cls(folder, device)
        engine.card = card  # with the calibration in force
        return engine

    @classmethod
    def files(cls, folder: Path, card: ModelCard) -> Iterable[HashedFile]:
        """Return the weights; see `Engine`."""
        yield weights_file(folder, card)

    @property
    def devices(self) -> tuple[str, ...]:
        """Device of the network."""
        return (str(self.device),)

    @property
    def labels(self) -> tuple[str, ...]:
        """Countries in the order of the logits."""
        return self.card.labels

    def predict(self, photos: Sequence[Photo], top_k: int = 5) -> list[Prediction]:
        """Return one prediction per photo, in order.

        Args:
            photos: Decoded photos.
            top_k: Number of countries in each prediction, most probable first; at most the number of labels.

        Raises:
            ValueError: If `top_k` is below 1.
            ModelFailure: If the network fails, whatever the reason, or its outputs are not finite.
        """
        check_top_k(top_k)
        with worded_faults(self.card.id):
            start = time.perf_counter()
            outputs = self._forward(photos)
            check_finite(self.card.id, outputs)
            network_ms = (time.perf_counter() - start) * 1000 / max(1, len(photos))
            return [self._prediction(photo, row, top_k, network_ms) for photo, row in zip(photos, outputs, strict=True)]

    @abstractmethod
    def _forward(self, photos: Sequence[Photo]) -> NDArray[Any]:
        """Run the network on photos. Returns one row of outputs per photo, shape `(n, d)`."""

    @abstractmethod
    def _posterior(self, output: NDArray[Any]) -> tuple[NDArray[np.float64], WeightedPlaces, PlaceGuess | None]:
        """Turn one row of `_forward` into label probabilities, a place posterior and the most similar landmark.

        The probabilities have shape `(n_labels,)`; the landmark is None for a model without an index.
        """

    def _prediction(self, photo: Photo, output: NDArray[Any], top_k: int, network_ms: float) -> Prediction:
        start = time.perf_counter()
        probability, posterior, landmark = self._posterior(output)
        check_finite(self.card.id, probability, posterior.weight, posterior.lat_deg, posterior.lon_deg)
        ranking = rank_countries(self.labels, probability)
        fields = build_prediction_fields(ranking, posterior, self.card.calibration, top_k, landmark)
        return Prediction(
            photo=photo.name,
            model=self.card.id,
            **fields,
            elapsed_ms=network_ms + (time.perf_counter() - start) * 1000,
            device=str(self.device),
            precision=str(self.precision).removeprefix("torch."),
        )
