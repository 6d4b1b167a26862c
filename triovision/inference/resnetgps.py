"""The engine that answers with positions of its own: ResNetGPS, asked about the cities of the probable countries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triovision.errors import ModelError
from triovision.geo import WeightedPlaces
from triovision.geo.city_metadata import metadata_differences
from triovision.geo.city_queries import CityQueries
from triovision.inference.calibration import probabilities
from triovision.inference.card import CARD, Position
from triovision.inference.engine import CountryEngine
from triovision.inference.regressor import Regressor
from triovision.inference.standardisation import Standardisation
from triovision.networks import LocatingClassifier
from triovision.networks.positions import heaviest_positions_deg, standardised_positions_deg
from triovision.results import Photo


class ResNetGpsEngine(CountryEngine):
    """A country classifier whose features also go, with the metadata of candidate cities, to a regressor of positions.

    The photo passes through the backbone once. The regressor is then asked about all cities of the most probable
    countries at once, and its answers are weighted by `CityQueries`; by country they sum to the classifier's
    probabilities.

    Args:
        folder: Model folder with a card that has a section `position`, and weights.
        device: Where the network runs.

    Raises:
        ModelError: If the folder does not hold a usable model, or one that was trained with other metadata of cities.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        super().__init__(folder, device)
        self._network = cast(LocatingClassifier, self.network)
        self._position = cast(Position, self.card.position)
        if differences := metadata_differences(self._position.city_features):
            remedy = "Train it again, or use the version of TrioVision that trained it"
            raise ModelError(str(folder / CARD), f"was trained with other city metadata: {differences}", remedy)
        scaling = Standardisation(np.array(self._position.city_mean), np.array(self._position.city_scale))
        self._regressor = Regressor(self._network.regressor, _answers_deg(self._position, device), scaling, device)
        self._cities = CityQueries(self.card.labels, self._position.cities_per_country)

    def _forward(self, photos: Sequence[Photo]) -> NDArray[np.float32]:
        """Image features, shape `(n, n_image_features)`."""
        regressor = self._network.regressor
        return self._passed(regressor.resnet, photos, regressor.n_image_features)

    def _posterior(self, output: NDArray[np.float32]) -> tuple[NDArray[np.float64], WeightedPlaces]:
        features_nc = output[None]
        with torch.inference_mode():
            logits = self._network.countries(torch.from_numpy(features_nc).to(self.device)).cpu().numpy()
        probability = probabilities(logits, self.card.calibration.temperature)[0]
        asked = self._cities.select(probability, self._position.asked_countries)
        lat_deg, lon_deg = self._regressor.positions(features_nc, self._cities.metadata[asked]).T
        return probability, self._cities.places(probability, asked, lat_deg, lon_deg, self._position.scale_km)


def _answers_deg(position: Position, device: torch.device) -> Callable[[Tensor], Tensor]:
    if position.outputs == "von_mises_fisher_mixture":
        return heaviest_positions_deg
    mean_deg = torch.tensor(position.position_mean, device=device)
    return partial(
        standardised_positions_deg, mean_deg=mean_deg, std_deg=torch.tensor(position.position_scale, device=device)
    )
