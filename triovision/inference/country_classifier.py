"""Engine of country classifiers: country probabilities, with the cities of each country as places."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from triovision.geo import CandidatePlaces, WeightedPlaces
from triovision.guesses import PlaceGuess
from triovision.inference.calibration import probabilities
from triovision.inference.card import ModelCard, read_card
from triovision.inference.device import choose_precision, forward
from triovision.inference.faults import BatchSize, worded_faults
from triovision.inference.network_engine import NetworkEngine
from triovision.inference.weights import load_network
from triovision.networks import class_vectors, target_layer
from triovision.results import Photo

_BATCH = 32


class CountryEngine(NetworkEngine):
    """A country classifier.

    Args:
        folder: Model folder with a card and weights.
        device: Device of the network.

    Raises:
        ModelError: If the folder does not hold a usable model.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.card: ModelCard = read_card(folder)
        self.device = device
        self.network: nn.Module = load_network(folder, self.card).to(device)
        self.target_layer: str | None = target_layer(self.card.architecture)
        self.precision = choose_precision(device)
        self._batch_size = BatchSize(_BATCH)
        self._turn = threading.Lock()

    @cached_property
    def _places(self) -> CandidatePlaces:
        """Cities of the labels; engines with places of their own do not build them."""
        return CandidatePlaces(self.card.labels)

    @contextmanager
    def private_network(self) -> Iterator[nn.Module]:
        """Lend a copy of the network for hooks and gradients. It shares the weights' memory.

        The network that predicts never carries a hook, so a slow explanation delays no prediction.
        """
        shared = {id(tensor): tensor for tensor in (*self.network.parameters(), *self.network.buffers())}
        yield copy.deepcopy(self.network, shared)

    def preprocess(self, photos: Sequence[Photo]) -> Tensor:
        """Return photos as the network's `batch_nchw`, `float32` on the engine's device."""
        return self.card.network_input.batch([photo.image_hwc for photo in photos]).to(self.device)

    def seen_box(self, photo: Photo) -> tuple[float, float, float, float]:
        """Return the part of the photo that the network sees: `(left, top, right, bottom)` as fractions."""
        height, width = photo.image_hwc.shape[:2]
        return self.card.network_input.seen_box(width, height)

    def logits(self, photos: Sequence[Photo]) -> NDArray[np.float32]:
        """Return raw outputs, shape `(n, n_labels)`.

        Raises:
            torch.OutOfMemoryError: If not even one photo fits.
        """
        return self._run(self.network, photos, len(self.labels))

    def _run(self, network: nn.Module, photos: Sequence[Photo], width: int) -> NDArray[np.float32]:
        """Run a network on photos in batches, shape `(n, width)`."""
        outputs = np.empty((len(photos), width), dtype=np.float32)

        def run(batch: Sequence[int]) -> None:
            batch_nchw = self.preprocess([photos[i] for i in batch])
            with self._turn:
                outputs[list(batch)] = forward(network, batch_nchw, self.precision).cpu().numpy()

        for group in self._groups_of_one_size(photos):
            self._batch_size.run(group, run)
        return outputs

    def _groups_of_one_size(self, photos: Sequence[Photo]) -> list[list[int]]:
        """Group the indices of photos whose network inputs have the same height and width."""
        groups: dict[tuple[int, int], list[int]] = {}
        for i, photo in enumerate(photos):
            height, width = photo.image_hwc.shape[:2]
            groups.setdefault(self.card.network_input.size(width, height), []).append(i)
        return list(groups.values())

    def country_similarity(self, countries: Sequence[str]) -> NDArray[np.float32]:
        """Return the cosine similarity of the countries' class vectors, shape `(k, k)`.

        Raises:
            ValueError: If a country is no label of the model.
        """
        rows = [self.labels.index(country) for country in countries]
        with worded_faults(self.card.id):
            vectors = F.normalize(class_vectors(self.network)[rows], dim=1)
            similarity: NDArray[np.float32] = (vectors @ vectors.T).cpu().numpy()
        return similarity

    def _forward(self, photos: Sequence[Photo]) -> NDArray[np.float32]:
        return self.logits(photos)

    def _posterior(self, output: NDArray[np.float32]) -> tuple[NDArray[np.float64], WeightedPlaces, PlaceGuess | None]:
        probability = probabilities(output[None], self.card.calibration.temperature)[0]
        return probability, self._places.weighted(probability), None
