"""Protocols of a model that predicts and of an engine that opens one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from triovision.inference.card import ModelCard
from triovision.inference.integrity import HashedFile
from triovision.results import Photo, Prediction


class GeoModel(Protocol):
    """A loaded model. Threads may share it."""

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        ...

    @property
    def devices(self) -> tuple[str, ...]:
        """Devices on which it computes, such as `("cuda:0",)`."""
        ...

    def predict(self, photos: Sequence[Photo], top_k: int = 5) -> list[Prediction]:
        """Return one prediction per photo, in order, each with the `top_k` most probable countries.

        Raises:
            ModelFailure: If the model fails, whatever the reason.
        """
        ...

    def country_similarity(self, countries: Sequence[str]) -> NDArray[np.float32]:
        """Return the cosine similarity of the countries in the model's feature space, shape `(k, k)`."""
        ...


class Engine(GeoModel, Protocol):
    """A class of models. A card names it in its field `engine`; `registry.ENGINES` lists all of them.

    Attributes:
        sections: Optional sections that a card of this engine holds: `"position"`, `"ensemble"` or none.
    """

    sections: ClassVar[frozenset[str]]

    @classmethod
    def open(cls, folder: Path, card: ModelCard, device: torch.device, members: Sequence[GeoModel]) -> Self:
        """Load a model.

        Args:
            folder: Folder of the model.
            card: Its card, with the calibration in force.
            device: Device of the network.
            members: Loaded members of an ensemble, in the order of its card; empty for other models.

        Raises:
            ModelError: If the folder does not hold a usable model, or a package is missing.
        """
        ...

    @classmethod
    def files(cls, folder: Path, card: ModelCard) -> Iterable[HashedFile]:
        """Return the model's own files with their hashes, without those of its members.

        Raises:
            ModelError: If the card does not name them, or a package is missing. Files may come before the error.
        """
        ...
