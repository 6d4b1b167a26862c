"""What engines share that answer from one pass through a network."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from triovision.geo import WeightedPlaces
from triovision.inference.answer import answer, check_top_k, ranked
from triovision.inference.card import ModelCard
from triovision.results import Photo, Prediction


class OnePassEngine(ABC):
    """The part of the `GeoModel` protocol that follows from one row of numbers a photo.

    Attributes:
        card: What the model is.
        device: Where the network runs.
        precision: Number format that it runs in.
    """

    card: ModelCard
    device: torch.device
    precision: torch.dtype

    @property
    def labels(self) -> tuple[str, ...]:
        """Countries in the order of the logits."""
        return self.card.labels

    def predict(self, photos: Sequence[Photo], top_k: int = 5) -> list[Prediction]:
        """One prediction a photo, in order.

        Args:
            photos: Decoded photos.
            top_k: Countries in each prediction, the most probable first; at most the number of labels.

        Raises:
            ValueError: If `top_k` is below 1.
        """
        check_top_k(top_k)
        start = time.perf_counter()
        outputs = self._forward(photos)
        network_ms = (time.perf_counter() - start) * 1000 / max(1, len(photos))
        return [self._prediction(photo, row, top_k, network_ms) for photo, row in zip(photos, outputs, strict=True)]

    @abstractmethod
    def _forward(self, photos: Sequence[Photo]) -> NDArray[Any]:
        """What one pass gives, a row a photo: all that the answer depends on."""

    @abstractmethod
    def _posterior(self, output: NDArray[Any]) -> tuple[NDArray[np.float64], WeightedPlaces]:
        """Probability of each label and of places, of one row of `_forward`."""

    def _prediction(self, photo: Photo, output: NDArray[Any], top_k: int, network_ms: float) -> Prediction:
        start = time.perf_counter()
        probability, posterior = self._posterior(output)
        answered = answer(ranked(self.labels, probability), posterior, self.card.calibration, top_k)
        return Prediction(
            photo=photo.name,
            model=self.card.id,
            **answered,
            elapsed_ms=network_ms + (time.perf_counter() - start) * 1000,
            device=str(self.device),
            precision=str(self.precision).removeprefix("torch."),
        )
