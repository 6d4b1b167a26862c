"""Temperature scaling, conformal country sets, abstention and radius factors."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

Floats = NDArray[np.float64]
Logits = NDArray[np.floating]
Indices = NDArray[np.int64]


def probabilities(logits: Logits, temperature: float) -> Floats:
    """Return calibrated probabilities for logits of shape `(n, n_labels)`, in the same shape."""
    calibrated: Floats = softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)
    return calibrated


def fit_temperature(logits: Logits, target: Indices) -> float:
    """Return the temperature with the lowest negative log-likelihood (Guo et al., 2017, section 4.2).

    Args:
        logits: Shape `(n, n_labels)`.
        target: Shape `(n,)`, indices of the true labels.
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import, and no prediction needs it

    rows = np.arange(len(target))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(logits / math.exp(log_temperature), axis=1)[rows, target].mean())

    return math.exp(minimize_scalar(loss, bounds=(math.log(0.05), math.log(20)), method="bounded").x)


def fit_conformal_threshold(probability: Floats, target: Indices, coverage: float) -> float:
    """Return the threshold of a split conformal set, with the finite-sample correction.

    The score is 1 - p(true label) ("Least ambiguous set-valued classifiers", Sadinle et al., 2019). On exchangeable
    photos the set of countries at or above the threshold holds the true label with probability `coverage` or more.
    """
    score = np.sort(1 - probability[np.arange(len(target)), target])
    rank = math.ceil((len(score) + 1) * coverage)
    return 0.0 if rank > len(score) else float(1 - score[rank - 1])


def fit_abstention_threshold(confidence: Floats, correct: NDArray[np.bool_], target_accuracy: float) -> float:
    """Return the lowest threshold above which predictions reach the target accuracy; 1 where none does.

    Args:
        confidence: Probability of the most probable country, shape `(n,)`.
        correct: Whether that country is right, shape `(n,)`; False for photos of no known country.
        target_accuracy: Fraction of right predictions among those at or above the threshold.
    """
    order = np.argsort(-confidence)
    accuracy = np.cumsum(correct[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(accuracy >= target_accuracy)
    return float(confidence[order[good[-1]]]) if len(good) else 1.0


def fit_radius_factor(error_km: Floats, radius_km: Floats, coverage: float) -> float:
    """Return the smallest factor with which at least a fraction `coverage` of the radii hold the true place.

    Args:
        error_km: Distance from the predicted to the true place, shape `(n,)`, n at least 1.
        radius_km: Radius around the predicted place, above 0, shape `(n,)`.
        coverage: Target fraction.
    """
    return float(np.quantile(error_km / radius_km, coverage, method="inverted_cdf"))
