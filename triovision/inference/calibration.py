"""Temperature scaling, conformal country sets, abstention and radius factors."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

Floats = NDArray[np.float64]
Logits = NDArray[np.floating]
Indices = NDArray[np.int64]

_MIN_RADIUS_FACTOR = 0.001


def probabilities(logits: Logits, temperature: float) -> Floats:
    """Return calibrated probabilities for logits of shape `(n, n_labels)`, in the same shape."""
    calibrated: Floats = softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)
    return calibrated


def log_probabilities(probability: Floats) -> Floats:
    """Return the logarithms. They are logits: `probabilities` of them at temperature t is p^(1/t), renormalised."""
    with np.errstate(divide="ignore"):  # a probability of zero is minus infinity, and stays zero
        return np.asarray(np.log(probability))


def fit_temperature(logits: Logits, target: Indices, weight: Floats | None = None) -> float:
    """Return the temperature with the lowest negative log-likelihood (Guo et al., 2017, section 4.2).

    Args:
        logits: Shape `(n, n_labels)`.
        target: Shape `(n,)`, indices of the true labels.
        weight: Weight of each photo, shape `(n,)`; equal weights by default.
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import, and no prediction needs it

    rows = np.arange(len(target))

    def loss(log_temperature: float) -> float:
        of_truth = log_softmax(logits / math.exp(log_temperature), axis=1)[rows, target]
        return -float(np.average(of_truth, weights=weight))

    return math.exp(minimize_scalar(loss, bounds=(math.log(0.05), math.log(20)), method="bounded").x)


def fit_conformal_threshold(
    probability: Floats, target: Indices, coverage: float, weight: Floats | None = None
) -> float:
    """Return the threshold of a split conformal set, with the finite-sample correction.

    The score is 1 - p(true label) ("Least ambiguous set-valued classifiers", Sadinle et al., 2019). On exchangeable
    photos the set of countries at or above the threshold holds the true label with probability `coverage` or more.
    Weights are those of "Conformal Prediction Under Covariate Shift" (Tibshirani et al., 2019); a new photo has the
    mean weight.

    Args:
        probability: Shape `(n, n_labels)`.
        target: Shape `(n,)`, indices of the true labels.
        coverage: Target fraction.
        weight: Weight of each photo, shape `(n,)`; equal weights by default.
    """
    of_truth = probability[np.arange(len(target)), target]
    order = np.argsort(-of_truth, kind="stable")
    held = np.cumsum(np.ones(len(target)) if weight is None else weight[order] / weight.mean())
    rank = int(np.searchsorted(held, (len(target) + 1) * coverage - 1e-9))  # less a rounding error
    return float(of_truth[order[rank]]) if rank < len(target) else 0.0


def fit_abstention_threshold(
    confidence: Floats,
    correct: NDArray[np.bool_],
    target_accuracy: float,
    weight: Floats | None = None,
    min_photos: int = 1,
) -> float:
    """Return the lowest threshold above which predictions reach the target accuracy; 1 where none does.

    Args:
        confidence: Probability of the most probable country, shape `(n,)`.
        correct: Whether that country is right, shape `(n,)`; False for photos of no known country.
        target_accuracy: Fraction of right predictions among those at or above the threshold.
        weight: Weight of each photo, shape `(n,)`; equal weights by default.
        min_photos: Smallest number of photos at or above the threshold.
    """
    order = np.argsort(-confidence)
    held = np.ones(len(order)) if weight is None else weight[order]
    reached = np.cumsum(held * correct[order]) >= target_accuracy * np.cumsum(held) - 1e-9  # less a rounding error
    reached[: min_photos - 1] = False
    reached[:-1] &= np.diff(confidence[order]) < 0  # photos of equal confidence are on the same side
    good = np.flatnonzero(reached)
    return float(confidence[order[good[-1]]]) if len(good) else 1.0


def fit_radius_factor(error_km: Floats, radius_km: Floats, coverage: float, weight: Floats | None = None) -> float:
    """Return the smallest factor with which at least a fraction `coverage` of the radii hold the true place.

    It is at least 0.001: a photo whose position is the predicted city has no error, and a card refuses a factor of 0.

    Args:
        error_km: Distance from the predicted to the true place, shape `(n,)`, n at least 1.
        radius_km: Radius around the predicted place, above 0, shape `(n,)`.
        coverage: Target fraction.
        weight: Weight of each photo, shape `(n,)`; equal weights by default.
    """
    factor = float(np.quantile(error_km / radius_km, coverage, method="inverted_cdf", weights=weight))
    return max(_MIN_RADIUS_FACTOR, factor)
