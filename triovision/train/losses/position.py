"""The losses of a regressor of positions that a recipe may name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from triovision.geo import EARTH_RADIUS_KM
from triovision.networks.positions import (
    COMPONENT_OUTPUTS,
    VonMisesFisherMixture,
    heaviest_positions_deg,
    standardised_positions_deg,
    unit_vectors,
)

#: Added to the haversine and to that of the supplement, whose roots have no slope at 0: 13 m on Earth.
_ROUNDING: Final = 1e-12


class PositionLoss(nn.Module, ABC):
    """What a network is trained for, and how its outputs are read as positions.

    Attributes:
        n_outputs: Width of the network's last layer.
    """

    n_outputs: int

    @abstractmethod
    def forward(self, outputs: Tensor, target_deg: Tensor) -> Tensor:
        """Mean loss over a batch.

        Args:
            outputs: Of the network, shape `(n, n_outputs)`.
            target_deg: True latitude and longitude in degrees, shape `(n, 2)`.
        """

    @abstractmethod
    def answers_deg(self, outputs: Tensor) -> Tensor:
        """Latitude and longitude in degrees, shape `(n, 2)`, on the map: within ±90 and ±180."""


class _StandardisedLoss(PositionLoss):
    """Of networks that give latitude and longitude, each less its mean and divided by its standard deviation."""

    n_outputs = 2
    mean_deg: Tensor
    std_deg: Tensor

    def __init__(self, mean_deg: Sequence[float], std_deg: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean_deg", torch.tensor(mean_deg, dtype=torch.float32))
        self.register_buffer("std_deg", torch.tensor(std_deg, dtype=torch.float32))

    def degrees(self, outputs: Tensor) -> Tensor:
        """Outputs in degrees, off the map where the network is."""
        return outputs * self.std_deg + self.mean_deg

    def answers_deg(self, outputs: Tensor) -> Tensor:
        """See the base."""
        return standardised_positions_deg(outputs, self.mean_deg, self.std_deg)


class MseDegrees(_StandardisedLoss):
    """Mean squared error of standardised degrees: the study's. Both sides of the date line are far apart for it."""

    def forward(self, outputs: Tensor, target_deg: Tensor) -> Tensor:
        """See the base."""
        return F.mse_loss(outputs, (target_deg - self.mean_deg) / self.std_deg)


class GreatCircle(_StandardisedLoss):
    """Great-circle distance in thousands of km."""

    def forward(self, outputs: Tensor, target_deg: Tensor) -> Tensor:
        """See the base."""
        return great_circle_km(self.degrees(outputs), target_deg).mean() / 1000


class VonMisesFisher(PositionLoss):
    """Negative log-likelihood, in nats per steradian, of a mixture of von Mises-Fisher distributions.

    Args:
        n_components: Components of the mixture.
    """

    def __init__(self, n_components: int) -> None:
        super().__init__()
        self.n_outputs = COMPONENT_OUTPUTS * n_components

    def forward(self, outputs: Tensor, target_deg: Tensor) -> Tensor:
        """See the base."""
        return -VonMisesFisherMixture.from_outputs(outputs).log_density(unit_vectors(target_deg)).mean()

    def answers_deg(self, outputs: Tensor) -> Tensor:
        """See the base."""
        return heaviest_positions_deg(outputs)


POSITION_LOSSES: Final = ("mse_degrees", "great_circle", "von_mises_fisher_mixture")
"""Names of the losses."""


def position_loss(
    name: str, mean_deg: Sequence[float], std_deg: Sequence[float], n_components: int = 8
) -> PositionLoss:
    """The loss of a name.

    Args:
        name: One of `POSITION_LOSSES`.
        mean_deg: Mean latitude and longitude of the training photos.
        std_deg: Their standard deviations.
        n_components: Components of a mixture; the other losses have none.

    Raises:
        ValueError: If the name is unknown, a statistic is not finite, a deviation is not positive, or there is no
            component.
    """
    statistics = torch.tensor([mean_deg, std_deg])
    if statistics.shape != (2, 2) or not statistics.isfinite().all() or not (statistics[1] > 0).all():
        given = f"{list(mean_deg)} and {list(std_deg)}"
        raise ValueError(f"`mean_deg` and `std_deg` must be two finite numbers each, the latter positive, got {given}")
    if n_components < 1:
        raise ValueError(f"`n_components` must be at least 1, got {n_components}")
    match name:
        case "mse_degrees":
            return MseDegrees(mean_deg, std_deg)
        case "great_circle":
            return GreatCircle(mean_deg, std_deg)
        case "von_mises_fisher_mixture":
            return VonMisesFisher(n_components)
    raise ValueError(f"`name` must be one of {', '.join(POSITION_LOSSES)}, got {name!r}")


def great_circle_km(from_deg: Tensor, to_deg: Tensor) -> Tensor:
    """Great-circle distance in km, shape `(n,)`, between latitudes and longitudes in degrees, `(n, 2)`.

    The formula of `triovision.geo.distance_km`, with a slope everywhere: 0 at distance 0 and at the antipode, where a
    distance has none. Latitudes beyond the poles lead over them.
    """
    lat1, lon1 = torch.deg2rad(from_deg).unbind(dim=-1)
    lat2, lon2 = torch.deg2rad(to_deg).unbind(dim=-1)
    cosines = lat1.cos() * lat2.cos()
    near = ((lat2 - lat1) / 2).sin().square() + cosines * ((lon2 - lon1) / 2).sin().square()
    far = ((lat2 + lat1) / 2).sin().square() + cosines * ((lon2 - lon1) / 2).cos().square()
    # Over the pole the cosines are negative, and rounding may leave a sum below 0.
    roots = [(haversine.clamp(min=0) + _ROUNDING).sqrt() for haversine in (near, far)]
    return 2 * EARTH_RADIUS_KM * torch.atan2(*roots)
