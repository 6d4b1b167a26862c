"""The one protocol behind which every engine stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from triovision.inference.card import ModelCard
from triovision.results import Photo, Prediction


class GeoModel(Protocol):
    """Answers where photos were taken. Safe to share between threads."""

    @property
    def card(self) -> ModelCard:
        """What the model is and how far to trust it."""
        ...

    def predict(self, photos: Sequence[Photo], top_k: int = 5) -> list[Prediction]:
        """One prediction a photo, in order, each with the `top_k` most probable countries."""
        ...

    def country_similarity(self, countries: Sequence[str]) -> NDArray[np.float32]:
        """Cosine similarity `(k, k)` of the countries as the model sees them."""
        ...
