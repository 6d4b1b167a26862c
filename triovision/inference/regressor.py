"""A trained regressor, asked about photos and cities in the units of people."""

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
    """Answers photos with positions.

    Args:
        network: In evaluation mode, on `device`.
        answers_deg: From its outputs to latitude and longitude in degrees, shape `(n, 2)`.
        city_scaling: Of the metadata that it takes.
        device: Where it runs.
    """

    def __init__(
        self,
        network: ResNetGPS,
        answers_deg: Callable[[Tensor], Tensor],
        city_scaling: Standardisation,
        device: torch.device,
    ) -> None:
        self._network = network
        self._answers_deg = answers_deg
        self._city_scaling = city_scaling
        self._device = device

    def positions(self, features: NDArray[np.float32], city: Floats) -> Floats:
        """Latitude and longitude in degrees, shape `(n, 2)`.

        Args:
            features: Image features, shape `(n, n_features)`; a single row stands for all cities.
            city: Metadata as `city_metadata` gives it, shape `(n, m)`.
        """
        city_nm = torch.from_numpy(self._city_scaling.apply(city)).float()
        found = []
        with torch.inference_mode():
            for start in range(0, len(city), _ROWS):
                rows = slice(start, start + _ROWS)
                image = torch.from_numpy(features if len(features) == 1 else features[rows]).to(self._device)
                outputs = self._network.locate(image, city_nm[rows].to(self._device))
                found.append(self._answers_deg(outputs).cpu().double().numpy())
        return np.concatenate(found)
