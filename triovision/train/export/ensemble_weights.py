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
from triovision.train.export.ensemble_members import HeldOutPhotos, MemberAnswers


def fit_weights(
    cards: Sequence[ModelCard], answers: Sequence[MemberAnswers], photos: HeldOutPhotos, manifest: Manifest
) -> tuple[Ensemble, HeldOut]:
    """What each member weighs, and what the pool says of the photos, by which it can be calibrated.

    Each split counts alike. Photos that cannot be read, and for the weights those of a country that no member knows,
    are left out.

    Args:
        cards: Of the members.
        answers: Of the members, to the photos of `photos.fit`.
        photos: See `HeldOutPhotos`.
        manifest: All photos.

    Raises:
        RecipeError: If no photo is left.
    """
    labels = union([card.labels for card in cards])
    known = np.array([np.isin(labels, card.labels) for card in cards])
    said = np.zeros((len(cards), len(photos.fit), len(labels)))
    for row, card, answered in zip(said, cards, answers, strict=True):
        row[:, np.searchsorted(labels, card.labels)] = answered.probability
    part = manifest.where(np.isin(np.arange(len(manifest)), photos.fit))
    target = targets(part, labels)
    read = np.asarray(~np.isnan(said).any(axis=(0, 2)))
    usable = read & (target != NO_LABEL)
    if not usable.any():
        raise RecipeError(str(manifest.root), "no held-out photo shows a country that a member knows", "Add photos")
    log_probability = log_completed(said, known)
    country_weights = fit_country_weights(log_probability[:, usable], target[usable], _alike(photos.split[usable]))
    density = np.array([answered.density for answered in answers])
    place_weights = fit_place_weights(density[:, usable], _alike(photos.split[usable]))
    ensemble = Ensemble(
        members=tuple(
            Member(id=card.id, weights_sha256=str(card.weights_sha256), country_weight=country, place_weight=place)
            for card, country, place in zip(cards, country_weights.tolist(), place_weights.tolist(), strict=True)
        )
    )
    seen = HeldOut(
        split=photos.split,
        place=part.table["place"].to_numpy(str),
        logits=np.tensordot(country_weights, log_probability, axes=1).astype(np.float32),
        target=target,
        position_deg=part.table[["lat", "lon"]].to_numpy(np.float64),
    )
    return ensemble, seen.where(read)


def _alike(splits: NDArray[np.str_]) -> NDArray[np.float64]:
    """What each photo counts, so that each split counts alike; they sum to one."""
    names, index, counts = np.unique(splits, return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(names) * counts[index]))


Floats = NDArray[np.float64]

_HEAVIEST: Final = 20.0  # a temperature of 0.05, the lowest that is fitted for a single model
_ROUNDS: Final = 10_000
_STILL: Final = 1e-10


def fit_country_weights(log_probability: Floats, target: NDArray[np.int64], photo_weight: Floats) -> Floats:
    """Weights of the log-linear pool with the lowest negative log-likelihood, scaled to sum to one.

    Found without the constraint on the sum, where the problem is convex: a temperature of the pool, fitted
    afterwards, stands for the sum.

    Args:
        log_probability: Of each member over all labels, shape `(n_members, n, n_labels)`; see `log_completed`.
        target: Indices of the true labels, shape `(n,)`.
        photo_weight: What each photo counts, summing to one, shape `(n,)`.
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
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, _HEAVIEST)] * n_members).x
    return np.asarray(found / found.sum() if found.sum() > 0 else start)


def fit_place_weights(density: Floats, photo_weight: Floats) -> Floats:
    """Shares of the mixture of places with the greatest likelihood, given the true countries; they sum to one.

    By expectation-maximisation: "Maximum Likelihood from Incomplete Data via the EM Algorithm" (Dempster et al., 1977).

    Args:
        density: Of each member at the true position, shape `(n_members, n)`; photos with a NaN say nothing of who is
            right, and are left out.
        photo_weight: What each photo counts, shape `(n,)`.

    Returns:
        Equal shares where no photo is left.
    """
    usable = np.isfinite(density).all(axis=0)
    weight = photo_weight[usable] / max(photo_weight[usable].sum(), np.finfo(float).tiny)
    shares = np.full(len(density), 1 / len(density))
    for _ in range(_ROUNDS if usable.any() else 0):
        part = shares[:, None] * density[:, usable]
        moved = (part / part.sum(axis=0)) @ weight
        still = np.abs(moved - shares).max() < _STILL
        shares = moved
        if still:
            break
    return shares
