"""Linear country classifier on frozen features: source weights, smoothed targets, principal axes, fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from torch import Tensor
from torch.nn import functional as F

from triovision.geo import candidate_cities, distance_km

Features = NDArray[np.float32]

_LBFGS_STEPS = 40


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """A linear layer.

    Attributes:
        weight: Shape `(n_labels, n_features)`.
        bias: Shape `(n_labels,)`.
    """

    weight: Features
    bias: Features

    def logits(self, features: Features) -> Features:
        """Return logits, shape `(n, n_labels)`."""
        return np.asarray(features @ self.weight.T + self.bias, np.float32)


def source_weights(table: pd.DataFrame, power: float) -> NDArray[np.float64]:
    """Weigh photos so that the n photos that a source gives a country count n**power together.

    Args:
        table: Rows with `source` and `country`.
        power: 1: every photo alike; 0: every source alike.

    Returns:
        Weights with sum 1, shape `(n,)`.
    """
    n = table.groupby(["source", "country"])["country"].transform("size").to_numpy(np.float64)
    weight = n ** (power - 1)
    return np.asarray(weight / weight.sum())


def country_centres(table: pd.DataFrame, labels: Sequence[str]) -> NDArray[np.float64]:
    """Mean position of the photos of each country, on the sphere; of a country without positions its largest city.

    Args:
        table: Rows with `country`, `lat` and `lon`.
        labels: Countries.

    Returns:
        Latitudes and longitudes in degrees, shape `(n_labels, 2)`.
    """
    centres = []
    for label in labels:
        rows = table[(table["country"] == label) & table["lat"].notna()]
        if not len(rows):
            city = candidate_cities([label], 1)
            centres.append((float(city.lat_deg[0]), float(city.lon_deg[0])))
            continue
        lat, lon = np.radians(rows["lat"].to_numpy()), np.radians(rows["lon"].to_numpy())
        x, y, z = (np.cos(lat) * np.cos(lon)).mean(), (np.cos(lat) * np.sin(lon)).mean(), np.sin(lat).mean()
        centres.append((float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)))))
    return np.array(centres)


def smoothed_targets(centres_deg: NDArray[np.float64], smoothing: float, smoothing_km: float) -> Features:
    """Target of each country: itself, and a part for the others that falls with their distance.

    Args:
        centres_deg: See `country_centres`.
        smoothing: Part of the others.
        smoothing_km: Distance at which it falls to 1/e.

    Returns:
        Rows that sum to 1, shape `(n_labels, n_labels)`.
    """
    lat, lon = centres_deg.T
    near = np.exp(-distance_km(lat[:, None], lon[:, None], lat[None], lon[None]) / smoothing_km)
    np.fill_diagonal(near, 0)
    near /= np.maximum(near.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    targets = (1 - smoothing) * np.eye(len(near)) + smoothing * near
    return np.asarray(targets / targets.sum(axis=1, keepdims=True), np.float32)


def principal_axes(features: Features, components: int) -> Features:
    """Return the axes of the largest second moments of features `(n, d)`, shape `(d, components)`; not centred."""
    moments = features.T @ features / len(features)
    d = len(moments)
    _, axes = eigh(moments, subset_by_index=[d - min(components, d), d - 1])
    return np.ascontiguousarray(axes[:, ::-1], np.float32)


def fit_head(features: Features, targets: Features, weights: NDArray[np.float64], penalty: float) -> LinearHead:
    """Fit a multinomial logistic regression with soft targets by L-BFGS.

    The loss is the weighted mean cross-entropy plus `penalty / 2 · |W|²`, where `W` acts on centred features that are
    scaled by one number, their root mean square.

    Args:
        features: Shape `(n, d)`.
        targets: Shape `(n, n_labels)`, rows sum to 1.
        weights: Shape `(n,)`, sum 1.
        penalty: Strength of the regularisation.
    """
    photo_weight = weights.astype(np.float32)
    mean = photo_weight @ features
    scale = float(np.sqrt((photo_weight @ (features - mean) ** 2).mean()))
    inputs, outputs = torch.from_numpy((features - mean) / scale), torch.from_numpy(targets)
    of_photo = torch.from_numpy(photo_weight)
    weight = torch.zeros(targets.shape[1], features.shape[1], requires_grad=True)
    bias = torch.zeros(targets.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=_LBFGS_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        losses = F.cross_entropy(inputs @ weight.T + bias, outputs, reduction="none")
        loss = of_photo @ losses + weight.square().sum() * penalty / 2
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    folded = np.asarray(weight.detach().numpy() / scale, np.float32)
    return LinearHead(folded, bias.detach().numpy() - folded @ mean)
