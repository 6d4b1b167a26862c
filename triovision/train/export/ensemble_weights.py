"""Weights of the members of an ensemble, fitted on held-out photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from triovision.errors import RecipeError
from triovision.inference import ModelCard
from triovision.inference.card import Ensemble, Member
from triovision.inference.pooling import log_completed, union
from triovision.train.data.dataset import NO_LABEL, targets
from triovision.train.data.manifest import Manifest
from triovision.train.evaluation.calibration import HeldOut
from triovision.train.export.ensemble_members import HeldOutPhotos, MemberPredictions


def fit_weights(
    cards: Sequence[ModelCard], predictions: Sequence[MemberPredictions], photos: HeldOutPhotos, manifest: Manifest
) -> tuple[Ensemble, HeldOut]:
    """Fit the weights of the members; also returns the outputs of the ensemble, for calibration.

    All splits have equal weight. Unreadable photos are left out, and for the weights those of countries that no
    member knows.

    Args:
        cards: Cards of the members.
        predictions: Predictions of the members for `photos.fit`.
        photos: See `HeldOutPhotos`.
        manifest: All photos.

    Raises:
        RecipeError: If no photo is left.
    """
    labels = union([card.labels for card in cards])
    known = np.array([np.isin(labels, card.labels) for card in cards])
    probability = np.zeros((len(cards), len(photos.fit), len(labels)))
    for row, card, member in zip(probability, cards, predictions, strict=True):
        row[:, np.searchsorted(labels, card.labels)] = member.probability
    part = manifest.where(np.isin(np.arange(len(manifest)), photos.fit))
    target = targets(part, labels)
    read = np.asarray(~np.isnan(probability).any(axis=(0, 2)))
    usable = read & (target != NO_LABEL)
    if not usable.any():
        raise RecipeError(str(manifest.root), "has no held-out photo of a country that a member knows", "Add photos")
    log_probability = log_completed(probability, known)
    country_weights = fit_country_weights(
        log_probability[:, usable], target[usable], _photo_weight(photos.split[usable])
    )
    density = np.array([member.density for member in predictions])
    place_weights = fit_place_weights(density[:, usable], _photo_weight(photos.split[usable]))
    ensemble = Ensemble(
        members=tuple(
            Member(id=card.id, weights_sha256=str(card.weights_sha256), country_weight=country, place_weight=place)
            for card, country, place in zip(cards, country_weights.tolist(), place_weights.tolist(), strict=True)
        )
    )
    outputs = HeldOut(
        split=photos.split,
        place=part.table["place"].to_numpy(str),
        logits=np.tensordot(country_weights, log_probability, axes=1).astype(np.float32),
        target=target,
        position_deg=part.table[["lat", "lon"]].to_numpy(np.float64),
    )
    return ensemble, outputs.where(read)


def _photo_weight(splits: NDArray[np.str_]) -> NDArray[np.float64]:
    """Weight of each photo with equal weight for each split and sum 1, shape `(n,)`."""
    names, index, counts = np.unique(splits, return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(names) * counts[index]))


Floats = NDArray[np.float64]

_MAX_WEIGHT: Final = 20.0  # a temperature of 0.05, the smallest one fitted for a single model
_MAX_ITERATIONS: Final = 10_000
_TOLERANCE: Final = 1e-10


def fit_country_weights(log_probability: Floats, target: NDArray[np.int64], photo_weight: Floats) -> Floats:
    """Weights of the log-linear pool with the smallest negative log-likelihood, normalised to sum 1.

    They are fitted without the constraint on the sum, where the problem is convex; the temperature of the pool, fitted
    afterwards, replaces the sum.

    Args:
        log_probability: Log probabilities of the members, shape `(n_members, n, n_labels)`; see `log_completed`.
        target: Indices of the true labels, shape `(n,)`.
        photo_weight: Weight of each photo with sum 1, shape `(n,)`.
    """
    n_members, n, _ = log_probability.shape
    of_truth = log_probability[:, np.arange(n), target]

    def loss(weights: Floats) -> tuple[float, Floats]:
        pooled = np.tensordot(weights, log_probability, axes=1)
        normaliser = logsumexp(pooled, axis=1, keepdims=True)
        expected = (np.exp(pooled - normaliser) * log_probability).sum(axis=2)
        value = photo_weight @ (normaliser[:, 0] - weights @ of_truth)
        return float(value), (expected - of_truth) @ photo_weight

    start = np.full(n_members, 1 / n_members)
    weights = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, _MAX_WEIGHT)] * n_members).x
    return np.asarray(weights / weights.sum() if weights.sum() > 0 else start)


def fit_place_weights(density: Floats, photo_weight: Floats) -> Floats:
    """Weights of the mixture of places with the largest likelihood given the true countries, with sum 1.

    By expectation-maximisation: "Maximum Likelihood from Incomplete Data via the EM Algorithm" (Dempster et al., 1977).

    Args:
        density: Density of each member at the true position, shape `(n_members, n)`; photos with a NaN are left out.
        photo_weight: Weight of each photo, shape `(n,)`.

    Returns:
        Weights `(n_members,)`; equal ones if no photo is left.
    """
    usable = np.isfinite(density).all(axis=0)
    weight = photo_weight[usable] / max(photo_weight[usable].sum(), np.finfo(float).tiny)
    weights = np.full(len(density), 1 / len(density))
    for _ in range(_MAX_ITERATIONS if usable.any() else 0):
        responsibility = weights[:, None] * density[:, usable]
        updated = (responsibility / responsibility.sum(axis=0)) @ weight
        converged = np.abs(updated - weights).max() < _TOLERANCE
        weights = updated
        if converged:
            break
    return weights
