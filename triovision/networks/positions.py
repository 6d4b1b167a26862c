"""Output heads of position regressors: points and von Mises-Fisher mixtures on the sphere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

COMPONENT_OUTPUTS: Final = 5
"""Outputs of the last layer per component of a mixture."""
_WIDEST_LOG_CONCENTRATION: Final = 14.0  # exp(14) is a spread of 1 / sqrt(exp(14)) radians, 6 km


@dataclass(frozen=True)
class VonMisesFisherMixture:
    """A mixture of von Mises-Fisher distributions on the sphere for each of `n` photos.

    Attributes:
        directions: Mean directions, unit vectors `(n, k, 3)`.
        log_concentrations: Natural logarithms of the concentrations, `(n, k)`.
        log_weights: Natural logarithms of the component weights, `(n, k)`; the weights of a photo sum to one.
    """

    directions: Tensor
    log_concentrations: Tensor
    log_weights: Tensor

    @staticmethod
    def from_outputs(outputs: Tensor) -> VonMisesFisherMixture:
        """Split a last layer of `5 k` outputs into components of five.

        The first three outputs are a vector in the mean direction; the fourth is the logarithm of the concentration,
        squashed into (-14, 14) by tanh; the fifth is the logit of the weight.

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
        """Return the log-density per steradian at one unit vector per photo.

        In three dimensions the normaliser is κ / (2π (1 - exp(-2κ)) exp(κ)) (Mardia and Jupp, 2000, 9.3.4). Its
        exp(κ) joins the exponent: κ (cos - 1) is -κ/2 times the squared chord, which stays precise where a cosine in
        single precision does not.

        Args:
            points_xyz: Unit vectors, shape `(n, 3)`.

        Returns:
            Natural logarithms, shape `(n,)`.
        """
        log_kappa = self.log_concentrations
        kappa = log_kappa.exp()
        squared_chord = (points_xyz.unsqueeze(1) - self.directions).square().sum(dim=-1)
        log_normaliser = log_kappa - math.log(2 * math.pi) - torch.log(-torch.expm1(-2 * kappa))
        return torch.logsumexp(self.log_weights + log_normaliser - kappa / 2 * squared_chord, dim=1)

    def heaviest_directions(self) -> Tensor:
        """Return the mean direction of the component with the largest weight, shape `(n, 3)`."""
        heaviest = self.log_weights.argmax(dim=1)
        return self.directions[torch.arange(len(heaviest), device=heaviest.device), heaviest]


def standardised_positions_deg(outputs: Tensor, mean_deg: Tensor, std_deg: Tensor) -> Tensor:
    """Convert standardised outputs `(n, 2)` to latitudes and longitudes in degrees, shape `(n, 2)`.

    Angles outside the range continue over the pole or the date line to a point on the sphere.
    """
    return positions_deg(unit_vectors((outputs * std_deg + mean_deg).double())).to(outputs.dtype)


def heaviest_positions_deg(outputs: Tensor) -> Tensor:
    """Return the direction of the heaviest component of each mixture in degrees, shape `(n, 2)`.

    Most of the probability lies there; the peak of the density often belongs to a light but narrow component.

    Args:
        outputs: Outputs of the network, shape `(n, 5 k)`.
    """
    return positions_deg(VonMisesFisherMixture.from_outputs(outputs).heaviest_directions())


def unit_vectors(position_deg: Tensor) -> Tensor:
    """Convert latitudes and longitudes in degrees `(..., 2)` to unit vectors `(..., 3)`."""
    lat, lon = torch.deg2rad(position_deg).unbind(dim=-1)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], dim=-1)


def positions_deg(vectors_xyz: Tensor) -> Tensor:
    """Convert vectors of any length `(..., 3)` to latitudes in [-90, 90] and longitudes in [-180, 180] `(..., 2)`."""
    x, y, z = vectors_xyz.unbind(dim=-1)
    return torch.rad2deg(torch.stack([torch.atan2(z, torch.hypot(x, y)), torch.atan2(y, x)], dim=-1))
