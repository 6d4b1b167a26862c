"""Engine of a country classifier with a landmark index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from triovision.errors import Message, ModelError
from triovision.geo import WeightedPlaces
from triovision.geo.mixture import mix, with_point
from triovision.guesses import PlaceGuess
from triovision.inference.calibration import log_probabilities, probabilities
from triovision.inference.card import CARD, RESTORE, Landmarks, ModelCard
from triovision.inference.country_classifier import CountryEngine
from triovision.inference.integrity import HashedFile, weights_file
from triovision.inference.landmark_additions import with_additions
from triovision.inference.landmarks import INDEX, SAME_PLACE_KM, Match, match_probability, product, read_index
from triovision.networks import PooledBackbone, head_of
from triovision.results import Photo

Floats = NDArray[np.float64]


class LandmarkEngine(CountryEngine):
    """A country classifier and a landmark index on the same image features.

    The photo passes through the network once. The best landmark of the index, by similarity and by the country
    probabilities, gets a calibrated probability; the country classifier shares the rest, so the posterior over places
    is their mixture.

    Args:
        folder: Model folder with a card that has a section `landmarks`, weights and an index.
        device: Device of the network.

    Raises:
        ModelError: If the folder does not hold a usable model.
    """

    sections: ClassVar[frozenset[str]] = frozenset({"landmarks"})

    def __init__(self, folder: Path, device: torch.device) -> None:
        super().__init__(folder, device)
        self._section, file = _section(folder, self.card), _index_file(folder, self.card)
        index = read_index(file.read(), str(file.path))
        head = cast(nn.Linear, head_of(self.network))
        if index.projection.shape[0] != head.in_features:
            raise ModelError(str(file.path), Message("was made for another network"), RESTORE)
        if outside := {one.country for one in index.landmarks} - set(self.labels):
            reason = Message("has landmarks in countries without a label: {countries}", countries=", ".join(outside))
            raise ModelError(str(file.path), reason, RESTORE)
        self.index = with_additions(index, self.card)
        self._pooled = PooledBackbone(self.network)
        self._head_weight, self._head_bias = (tensor.cpu().numpy() for tensor in (head.weight, head.bias))

    @classmethod
    def files(cls, folder: Path, card: ModelCard) -> Iterable[HashedFile]:
        """Return the weights and the index; see `Engine`."""
        yield weights_file(folder, card)
        yield _index_file(folder, card)

    def features(self, photos: Sequence[Photo]) -> NDArray[np.float32]:
        """Return the inputs of the last layer, shape `(n, n_features)`."""
        return self._run(self._pooled, photos, self.index.projection.shape[0])

    def landmark_probability(self, match: Match) -> float:
        """Return the calibrated probability that a photo was taken within a kilometre of its best landmark."""
        return float(match_probability(np.array(match.evidence), self._section.coefficients, self._section.intercept))

    def _forward(self, photos: Sequence[Photo]) -> NDArray[np.float32]:
        return self.features(photos)

    def _posterior(self, output: NDArray[np.float32]) -> tuple[Floats, WeightedPlaces, PlaceGuess | None]:
        features_nc = output[None]
        logits = product(features_nc, self._head_weight.T) + self._head_bias
        section = self._section
        prior = self.index.prior(logits, self.labels, section.country_weight, section.photos_weight)
        match = self.index.match(self.index.embed(features_nc)[0], prior[0])
        country = probabilities(logits, section.head_temperature)[0]
        landmark = guess(match, self.landmark_probability(match))
        probability = mixed_countries(country, self.labels, landmark)
        places = with_point(self._places.weighted(country), landmark, SAME_PLACE_KM)
        if self.card.calibration.temperature == 1:
            return probability, places, landmark
        return _tempered(probability, self.labels, places, landmark, self.card.calibration.temperature)


def _tempered(
    probability: Floats, labels: Sequence[str], places: WeightedPlaces, landmark: PlaceGuess, temperature: float
) -> tuple[Floats, WeightedPlaces, PlaceGuess]:
    """Apply a temperature to the countries; within a country the shares of landmark and cities stay."""
    i = list(labels).index(landmark.country)
    tempered = probabilities(log_probabilities(probability)[None], temperature)[0]
    share = landmark.probability / probability[i] if probability[i] > 0 else 0.0
    posterior = mix([places], np.ones(1), dict(zip(labels, tempered.tolist(), strict=True)))
    return tempered, posterior, replace(landmark, probability=float(tempered[i]) * share)


def guess(match: Match, probability: float) -> PlaceGuess:
    """Return the landmark of a match as a place with a probability."""
    one = match.landmark
    return PlaceGuess(one.name, one.country, one.lat_deg, one.lon_deg, probability)


def mixed_countries(country_probability: Floats, labels: Sequence[str], landmark: PlaceGuess) -> Floats:
    """Mix country probabilities, shape `(n_labels,)`, with those of a landmark, whose country is certain.

    The classifier's probabilities share what the landmark leaves.
    """
    mixed = country_probability * (1 - landmark.probability)
    mixed[list(labels).index(landmark.country)] += landmark.probability
    return mixed


def _section(folder: Path, card: ModelCard) -> Landmarks:
    if card.landmarks is None:
        raise ModelError(str(folder / CARD), Message("lacks the section `landmarks`"), RESTORE)
    return card.landmarks


def _index_file(folder: Path, card: ModelCard) -> HashedFile:
    return HashedFile(folder / INDEX, _section(folder, card).index_sha256, RESTORE)
