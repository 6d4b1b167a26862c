"""Engine of GeoCLIP: similarity of a photo to 100,000 positions, summed by country."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from triovision.geo import SPACING_KM, WeightedPlaces
from triovision.geo.city_metadata import nearest_city_names
from triovision.inference.calibration import log_probabilities, probabilities
from triovision.inference.card import ModelCard, read_card
from triovision.inference.faults import BatchSize, worded_faults
from triovision.inference.geoclip import release
from triovision.inference.geoclip.loading import load_gallery, load_image_processor, load_network
from triovision.inference.geoclip.release import OnProgress
from triovision.inference.integrity import HashedFile
from triovision.inference.model import GeoModel
from triovision.inference.network_engine import NetworkEngine
from triovision.inference.preprocessing import centre_box
from triovision.results import Photo

_BATCH = 8


def _no_progress(done: int, total: int) -> None:
    """Progress callback that does nothing."""


class GeoClipEngine(NetworkEngine):
    """The worldwide engine.

    It computes in `float32` on every device: rounding to `bfloat16` changes the order of the 100,000 positions.

    Args:
        folder: Model folder with a card and the hub's files.
        device: Device of the network.
        on_progress: Called with the numbers of embedded and of all positions when the model is loaded for the first
            time.

    Raises:
        ModelError: If the folder does not hold a usable model, or a package of the extra is missing.
    """

    #: Dotted name of the layers whose attention explains a prediction.
    attention_layers = "vision.vision_model.encoder.layers"
    #: The network has no convolutional grid for class activation maps.
    target_layer: str | None = None
    precision = torch.float32

    def __init__(self, folder: Path, device: torch.device, on_progress: OnProgress = _no_progress) -> None:
        self.card: ModelCard = read_card(folder)
        self.device = device
        self.gallery, self._country_index = load_gallery(folder, self.card)
        self._countries = np.array(self.card.labels)[self._country_index]
        self._names = nearest_city_names(self.gallery.lat_deg, self.gallery.lon_deg, self._countries.tolist())
        self._image_processor = load_image_processor(folder)
        network = load_network(folder, self.card, self.gallery, self._country_index, on_progress)
        self.network: nn.Module = network.to(device)
        self._position_logits = network.position_logits
        self._batch_size = BatchSize(_BATCH)
        self._turn = threading.Lock()

    @classmethod
    def open(cls, folder: Path, card: ModelCard, device: torch.device, members: Sequence[GeoModel]) -> Self:
        """Load the model; see `Engine`."""
        release.package_folder()  # names the missing package before any file is read
        return super().open(folder, card, device, members)

    @classmethod
    def files(cls, folder: Path, card: ModelCard) -> Iterable[HashedFile]:
        """Return the files of the hub and of the package; see `Engine`."""
        return release.model_files(folder, card)

    @contextmanager
    def private_network(self) -> Iterator[nn.Module]:
        """Lend a copy of the network with eager attention. It shares the weights' memory."""
        shared = {id(tensor): tensor for tensor in (*self.network.parameters(), *self.network.buffers())}
        network = copy.deepcopy(self.network, cast(dict[int, Any], shared))
        cast(Any, network).vision.set_attn_implementation("eager")
        yield network

    def preprocess(self, photos: Sequence[Photo]) -> Tensor:
        """Return photos as the network's `batch_nchw`, `float32` on the engine's device, by the hub's preprocessing."""
        # Copies, because photos are read-only and torch would warn.
        images = [photo.image_hwc.copy() for photo in photos]
        processed = self._image_processor(images=images, return_tensors="pt", input_data_format="channels_last")
        batch_nchw: Tensor = processed["pixel_values"]
        return batch_nchw.to(self.device)

    def seen_box(self, photo: Photo) -> tuple[float, float, float, float]:
        """Return the part of the photo that the network sees: `(left, top, right, bottom)` as fractions."""
        height, width = photo.image_hwc.shape[:2]
        return centre_box(width, height)

    def position_probability(self, photos: Sequence[Photo]) -> NDArray[np.float64]:
        """Return the uncalibrated probability of each position of the gallery, shape `(n, n_positions)`."""
        rows = [np.empty((0, len(self.gallery)))]

        def run(batch: Sequence[int]) -> None:
            batch_nchw = self.preprocess([photos[i] for i in batch])
            with self._turn, torch.inference_mode():
                logits = self._position_logits(batch_nchw).cpu().numpy()
            rows.append(probabilities(logits, temperature=1))

        self._batch_size.run(range(len(photos)), run)
        return np.concatenate(rows)

    def country_similarity(self, countries: Sequence[str]) -> NDArray[np.float32]:
        """Return the cosine similarity of the countries' mean embeddings, shape `(k, k)`; zero without a position.

        Raises:
            ValueError: If a country is no label of the model.
        """
        rows = [self.labels.index(country) for country in countries]
        with worded_faults(self.card.id):
            vectors = self._country_vectors[rows]
            similarity: NDArray[np.float32] = (vectors @ vectors.T).cpu().numpy()
        return similarity

    @cached_property
    def _country_vectors(self) -> Tensor:
        network = cast(Any, self.network)
        sums = torch.zeros(len(self.labels), network.gallery.shape[1], device=self.device)
        return F.normalize(sums.index_add_(0, network.country_index, network.gallery), dim=1)

    def _forward(self, photos: Sequence[Photo]) -> NDArray[np.float64]:
        return self.position_probability(photos)

    def _posterior(self, output: NDArray[np.float64]) -> tuple[NDArray[np.float64], WeightedPlaces, None]:
        index, n_labels = self._country_index, len(self.labels)
        by_country = np.asarray(np.bincount(index, output, n_labels), np.float64)
        probability = probabilities(log_probabilities(by_country)[None], self.card.calibration.temperature)[0]
        factor = np.divide(probability, by_country, out=np.zeros(n_labels), where=by_country > 0)
        posterior = WeightedPlaces(
            lat_deg=self.gallery.lat_deg,
            lon_deg=self.gallery.lon_deg,
            weight=output * factor[index],
            countries=self._countries,
            names=self._names,
            resolution_km=SPACING_KM,  # neighbouring positions are one place to a reader
        )
        return probability, posterior, None
