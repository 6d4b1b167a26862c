"""A trained regressor, asked about photos and cities in the units of people."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from triovision.inference.registry import choose_device
from triovision.networks.resnetgps import ResNetGPS
from triovision.train.gps.standardisation import Standardisation
from triovision.train.position_losses import PositionLoss

Floats = NDArray[np.float64]
_ROWS = 4096


class Regressor:
    """Answers photos with positions.

    Args:
        network: In evaluation mode; it is moved to the fastest device.
        criterion: Knows what its outputs mean.
        city_scaling: Of the metadata that it takes.
    """

    def __init__(self, network: ResNetGPS, criterion: PositionLoss, city_scaling: Standardisation) -> None:
        self._device = choose_device(None)
        self._network = network.to(self._device)
        self._criterion = criterion.to(self._device)
        self._city_scaling = city_scaling

    def positions(self, features: NDArray[np.float32], city: Floats) -> Floats:
        """Latitude and longitude in degrees, shape `(n, 2)`.

        Args:
            features: Image features, shape `(n, n_features)`.
            city: Metadata as `city_metadata` gives it, shape `(n, m)`.
        """
        city_nm = torch.from_numpy(self._city_scaling.apply(city)).float()
        found = []
        with torch.inference_mode():
            for start in range(0, len(features), _ROWS):
                rows = slice(start, start + _ROWS)
                image = torch.from_numpy(features[rows]).to(self._device)
                outputs = self._network.locate(image, city_nm[rows].to(self._device))
                found.append(self._criterion.answers_deg(outputs).cpu().double().numpy())
        return np.concatenate(found)
