"""From the last layer of a regressor of positions to points and densities on the sphere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

COMPONENT_OUTPUTS: Final = 5
"""Numbers of the last layer for each component of a mixture."""
_WIDEST_LOG_CONCENTRATION: Final = 14.0  # exp(14) is a spread of 1 / sqrt(exp(14)) radians, 6 km


@dataclass(frozen=True)
class VonMisesFisherMixture:
    """A mixture of von Mises-Fisher distributions on the sphere for each of `n` photos.

    Attributes:
        directions: Mean directions, unit vectors `(n, k, 3)`.
        log_concentrations: Natural logarithms of the concentrations, `(n, k)`.
        log_weights: Natural logarithms of the components' weights, which sum to one, `(n, k)`.
    """

    directions: Tensor
    log_concentrations: Tensor
    log_weights: Tensor

    @staticmethod
    def from_outputs(outputs: Tensor) -> VonMisesFisherMixture:
        """Read a last layer of `5 k` numbers, five for each component after the other.

        The first three are a vector that points where the mean direction does; the fourth is the logarithm of the
        concentration, drawn softly into (-14, 14); the fifth is the logit of the weight.

        Raises:
            ValueError: If the width is no multiple of five.
        """
        if outputs.ndim != 2 or not outputs.shape[1] or outputs.shape[1] % COMPONENT_OUTPUTS:
            raise ValueError(f"`outputs` must have shape (n, {COMPONENT_OUTPUTS} k), got {tuple(outputs.shape)}")
        parts = outputs.reshape(len(outputs), outputs.shape[1] // COMPONENT_OUTPUTS, COMPONENT_OUTPUTS)
        widest = _WIDEST_LOG_CONCENTRATION
        return VonMisesFisherMixture(
            directions=F.normalize(parts[..., :3], dim=-1, eps=1e-6),
            log_concentrations=widest * torch.tanh(parts[..., 3] / widest),
            log_weights=F.log_softmax(parts[..., 4], dim=1),
        )

    def log_density(self, points_xyz: Tensor) -> Tensor:
        """Natural logarithm of the density per steradian at one unit vector a photo, `(n, 3)`; shape `(n,)`.

        In three dimensions the normaliser is κ / (2π (1 - exp(-2κ)) exp(κ)) (Mardia and Jupp, 2000, 9.3.4). Its
        exp(κ) is taken together with the exponent: κ (cos - 1) is -κ/2 times the squared chord, which keeps its digits
        where a cosine in single precision has lost them.
        """
        log_kappa = self.log_concentrations
        kappa = log_kappa.exp()
        squared_chord = (points_xyz.unsqueeze(1) - self.directions).square().sum(dim=-1)
        log_normaliser = log_kappa - math.log(2 * math.pi) - torch.log(-torch.expm1(-2 * kappa))
        return torch.logsumexp(self.log_weights + log_normaliser - kappa / 2 * squared_chord, dim=1)

    def heaviest_directions(self) -> Tensor:
        """Mean direction of the component with the largest weight, `(n, 3)`."""
        heaviest = self.log_weights.argmax(dim=1)
        return self.directions[torch.arange(len(heaviest), device=heaviest.device), heaviest]


def standardised_positions_deg(outputs: Tensor, mean_deg: Tensor, std_deg: Tensor) -> Tensor:
    """Positions `(n, 2)` in degrees, on the map, of outputs `(n, 2)` that were standardised.

    Angles off the map name the point on the sphere that they lead to, over pole and date line.
    """
    return positions_deg(unit_vectors((outputs * std_deg + mean_deg).double())).to(outputs.dtype)


def heaviest_positions_deg(outputs: Tensor) -> Tensor:
    """Positions `(n, 2)` in degrees of the heaviest component of each mixture, `(n, 5 k)` outputs.

    That is where most of the probability lies, which the peak of the density, often that of a light but narrow
    component, is not.
    """
    return positions_deg(VonMisesFisherMixture.from_outputs(outputs).heaviest_directions())


def unit_vectors(position_deg: Tensor) -> Tensor:
    """Unit vectors `(..., 3)` of latitudes and longitudes in degrees `(..., 2)`."""
    lat, lon = torch.deg2rad(position_deg).unbind(dim=-1)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], dim=-1)


def positions_deg(vectors_xyz: Tensor) -> Tensor:
    """Latitude in [-90, 90] and longitude in [-180, 180], degrees `(..., 2)`, of vectors `(..., 3)` of any length."""
    x, y, z = vectors_xyz.unbind(dim=-1)
    return torch.rad2deg(torch.stack([torch.atan2(z, torch.hypot(x, y)), torch.atan2(y, x)], dim=-1))
