"""Losses of position regressors: squared error of degrees, great-circle distance, von Mises-Fisher mixture."""

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
from triovision.train.losses.registry import LossRegistry

#: Added to the haversine and to that of the supplement, whose roots have an infinite slope at 0: 13 m on Earth.
_ROUNDING: Final = 1e-12


class PositionLoss(nn.Module, ABC):
    """Loss of a network, and the decoding of its outputs into positions.

    Args:
        mean_deg: Mean latitude and longitude of the training photos.
        std_deg: Their standard deviations.
        n_components: Components of a mixture; a loss without one ignores it.

    Attributes:
        n_outputs: Width of the network's last layer.
    """

    n_outputs: int

    def __init__(
        self,
        mean_deg: Sequence[float],  # noqa: ARG002 - each loss takes what it needs
        std_deg: Sequence[float],  # noqa: ARG002
        n_components: int,  # noqa: ARG002
    ) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, outputs: Tensor, target_deg: Tensor) -> Tensor:
        """Mean loss over a batch.

        Args:
            outputs: Outputs of the network, shape `(n, n_outputs)`.
            target_deg: True latitude and longitude in degrees, shape `(n, 2)`.
        """

    @abstractmethod
    def positions_deg(self, outputs: Tensor) -> Tensor:
        """Latitude within ±90 and longitude within ±180 in degrees, shape `(n, 2)`."""


#: Losses that a recipe of a position regressor may name.
POSITION_LOSSES: Final[LossRegistry[PositionLoss]] = LossRegistry("position")


class _StandardisedLoss(PositionLoss):
    """Loss of networks whose two outputs are standardised latitude and longitude."""

    n_outputs = 2
    mean_deg: Tensor
    std_deg: Tensor

    def __init__(self, mean_deg: Sequence[float], std_deg: Sequence[float], n_components: int) -> None:
        super().__init__(mean_deg, std_deg, n_components)
        self.register_buffer("mean_deg", torch.tensor(mean_deg, dtype=torch.float32))
        self.register_buffer("std_deg", torch.tensor(std_deg, dtype=torch.float32))

    def positions_deg(self, outputs: Tensor) -> Tensor:
        """Positions of standardised outputs, over the pole and across the date line where outputs lead there."""
        return standardised_positions_deg(outputs, self.mean_deg, self.std_deg)


@POSITION_LOSSES.register("mse_degrees")
class MseDegrees(_StandardisedLoss):
    """Mean squared error of standardised degrees. Both sides of the date line are far apart for it."""

    def forward(self, outputs: Tensor, target_deg: Tensor) -> Tensor:
        """Mean over photos and both coordinates, without a unit."""
        return F.mse_loss(outputs, (target_deg - self.mean_deg) / self.std_deg)


@POSITION_LOSSES.register("great_circle")
class GreatCircle(_StandardisedLoss):
    """Great-circle distance, see `great_circle_km`."""

    def forward(self, outputs: Tensor, target_deg: Tensor) -> Tensor:
        """Mean distance in thousands of km."""
        return great_circle_km(outputs * self.std_deg + self.mean_deg, target_deg).mean() / 1000


@POSITION_LOSSES.register("von_mises_fisher_mixture")
class VonMisesFisher(PositionLoss):
    """Negative log-likelihood of a mixture of von Mises-Fisher distributions."""

    def __init__(self, mean_deg: Sequence[float], std_deg: Sequence[float], n_components: int) -> None:
        super().__init__(mean_deg, std_deg, n_components)
        self.n_outputs = COMPONENT_OUTPUTS * n_components

    def forward(self, outputs: Tensor, target_deg: Tensor) -> Tensor:
        """Mean negative log density, of probability per steradian, in nats."""
        return -VonMisesFisherMixture.from_outputs(outputs).log_density(unit_vectors(target_deg)).mean()

    def positions_deg(self, outputs: Tensor) -> Tensor:
        """Mean direction of the heaviest component."""
        return heaviest_positions_deg(outputs)


def position_loss(
    name: str, mean_deg: Sequence[float], std_deg: Sequence[float], n_components: int = 8
) -> PositionLoss:
    """Build the loss of a name.

    Args:
        name: One of `POSITION_LOSSES`.
        mean_deg: Mean latitude and longitude of the training photos.
        std_deg: Their standard deviations.
        n_components: Components of a mixture; the other losses have none.

    Raises:
        RecipeError: If no loss has the name.
        ValueError: If a statistic is not finite, a deviation is not positive, or `n_components` is below 1.
    """
    loss = POSITION_LOSSES[name]
    statistics = torch.tensor([mean_deg, std_deg])
    if statistics.shape != (2, 2) or not statistics.isfinite().all() or not (statistics[1] > 0).all():
        given = f"{list(mean_deg)} and {list(std_deg)}"
        raise ValueError(f"`mean_deg` and `std_deg` must be two finite numbers each, the latter positive, got {given}")
    if n_components < 1:
        raise ValueError(f"`n_components` must be at least 1, got {n_components}")
    return loss(mean_deg, std_deg, n_components)


def great_circle_km(from_deg: Tensor, to_deg: Tensor) -> Tensor:
    """Great-circle distance in km, shape `(n,)`, between latitudes and longitudes in degrees, `(n, 2)`.

    The formula of `triovision.geo.distance_km` with a finite gradient everywhere: 0 at distance 0 and at the antipode,
    where the distance has none. A latitude beyond a pole is a point on the other side of it.
    """
    lat1, lon1 = torch.deg2rad(from_deg).unbind(dim=-1)
    lat2, lon2 = torch.deg2rad(to_deg).unbind(dim=-1)
    cosines = lat1.cos() * lat2.cos()
    near = ((lat2 - lat1) / 2).sin().square() + cosines * ((lon2 - lon1) / 2).sin().square()
    far = ((lat2 + lat1) / 2).sin().square() + cosines * ((lon2 - lon1) / 2).cos().square()
    # Beyond a pole the cosines are negative, and rounding may leave a sum below 0.
    roots = [(haversine.clamp(min=0) + _ROUNDING).sqrt() for haversine in (near, far)]
    return 2 * EARTH_RADIUS_KM * torch.atan2(*roots)
