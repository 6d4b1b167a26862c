"""Position regressor: city metadata in, latitudes and longitudes in degrees out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triovision.inference.standardisation import Standardisation
from triovision.networks import ResNetGPS

Floats = NDArray[np.float64]
_ROWS = 4096


class Regressor:
    """A trained ResNetGPS with the scaling of its inputs and outputs.

    Args:
        network: In evaluation mode, on `device`.
        to_degrees: Function from the network's outputs to latitude and longitude in degrees, shape `(n, 2)`.
        city_scaling: Standardisation of the city metadata.
        device: Device of the network.
    """

    def __init__(
        self,
        network: ResNetGPS,
        to_degrees: Callable[[Tensor], Tensor],
        city_scaling: Standardisation,
        device: torch.device,
    ) -> None:
        self._network = network
        self._to_degrees = to_degrees
        self._city_scaling = city_scaling
        self._device = device

    def positions(self, features: NDArray[np.float32], city: Floats) -> Floats:
        """Predict latitude and longitude in degrees, shape `(n, 2)`.

        Args:
            features: Image features, shape `(n, n_features)`; a single row is used for all cities.
            city: Output of `city_metadata`, shape `(n, m)`.
        """
        city_nm = torch.from_numpy(self._city_scaling.apply(city)).float()
        positions = []
        with torch.inference_mode():
            for start in range(0, len(city), _ROWS):
                rows = slice(start, start + _ROWS)
                image = torch.from_numpy(features if len(features) == 1 else features[rows]).to(self._device)
                outputs = self._network.locate(image, city_nm[rows].to(self._device))
                positions.append(self._to_degrees(outputs).cpu().double().numpy())
        return np.concatenate(positions)
