"""Engine of ResNetGPS: positions predicted from the photo and the metadata of candidate cities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triovision.errors import ModelError
from triovision.geo import WeightedPlaces
from triovision.geo.city_metadata import metadata_differences
from triovision.geo.city_queries import CityQueries
from triovision.inference.calibration import probabilities
from triovision.inference.card import CARD, RESTORE, Position
from triovision.inference.country_classifier import CountryEngine
from triovision.inference.regressor import Regressor
from triovision.inference.standardisation import Standardisation
from triovision.networks import LocatingClassifier
from triovision.networks.positions import heaviest_positions_deg, standardised_positions_deg
from triovision.results import Photo


class ResNetGpsEngine(CountryEngine):
    """A country classifier and a position regressor on the same image features.

    The photo passes through the backbone once. The regressor predicts a position for every city of the most probable
    countries, and `CityQueries` weights these positions; by country they sum to the classifier's probabilities.

    Args:
        folder: Model folder with a card that has a section `position`, and weights.
        device: Device of the network.

    Raises:
        ModelError: If the folder does not hold a usable model, or the model was trained with other city metadata.
    """

    sections: ClassVar[frozenset[str]] = frozenset({"position"})

    def __init__(self, folder: Path, device: torch.device) -> None:
        super().__init__(folder, device)
        if self.card.position is None:
            raise ModelError(str(folder / CARD), "lacks the section `position` of a ResNetGPS", RESTORE)
        self._position: Position = self.card.position
        self._network = cast(LocatingClassifier, self.network)
        if differences := metadata_differences(self._position.city_features):
            remedy = "Train the model again, or use the version of TrioVision that trained it"
            raise ModelError(str(folder / CARD), f"was trained with other city metadata: {differences}", remedy)
        scaling = Standardisation(np.array(self._position.city_mean), np.array(self._position.city_scale))
        self._regressor = Regressor(self._network.regressor, _to_degrees(self._position, device), scaling, device)
        self._cities = CityQueries(self.card.labels, self._position.cities_per_country)

    def _forward(self, photos: Sequence[Photo]) -> NDArray[np.float32]:
        """Return image features, shape `(n, n_image_features)`."""
        regressor = self._network.regressor
        return self._run(regressor.resnet, photos, regressor.n_image_features)

    def _posterior(self, output: NDArray[np.float32]) -> tuple[NDArray[np.float64], WeightedPlaces, None]:
        features_nc = output[None]
        with torch.inference_mode():
            logits = self._network.countries(torch.from_numpy(features_nc).to(self.device)).cpu().numpy()
        probability = probabilities(logits, self.card.calibration.temperature)[0]
        candidates = self._cities.select(probability, self._position.asked_countries)
        lat_deg, lon_deg = self._regressor.positions(features_nc, self._cities.metadata[candidates]).T
        places = self._cities.places(probability, candidates, lat_deg, lon_deg, self._position.scale_km)
        return probability, places, None


def _to_degrees(position: Position, device: torch.device) -> Callable[[Tensor], Tensor]:
    if position.outputs == "von_mises_fisher_mixture":
        return heaviest_positions_deg
    mean_deg = torch.tensor(position.position_mean, device=device)
    return partial(
        standardised_positions_deg, mean_deg=mean_deg, std_deg=torch.tensor(position.position_scale, device=device)
    )
