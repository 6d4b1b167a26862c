"""From logits to honest probabilities, sets and silences: fitted on validation, applied everywhere."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

Floats = NDArray[np.float64]
Logits = NDArray[np.floating]
Indices = NDArray[np.int64]


def probabilities(logits: Logits, temperature: float) -> Floats:
    """Calibrated probabilities `(n, n_labels)` of logits of the same shape."""
    calibrated: Floats = softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)
    return calibrated


def fit_temperature(logits: Logits, target: Indices) -> float:
    """The temperature with the lowest negative log-likelihood (Guo et al., 2017, section 4.2).

    Args:
        logits: Shape `(n, n_labels)`.
        target: Shape `(n,)`, indices of the true labels.
    """
    rows = np.arange(len(target))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(logits / math.exp(log_temperature), axis=1)[rows, target].mean())

    return math.exp(minimize_scalar(loss, bounds=(math.log(0.05), math.log(20)), method="bounded").x)


def fit_conformal_threshold(probability: Floats, target: Indices, coverage: float) -> float:
    """Threshold of a split conformal set, with the finite-sample correction.

    The score is 1 - p(truth) ("Least ambiguous set-valued classifiers", Sadinle et al., 2019). On exchangeable photos
    the countries at or above the threshold hold the truth at least `coverage` of the time.
    """
    score = np.sort(1 - probability[np.arange(len(target)), target])
    rank = math.ceil((len(score) + 1) * coverage)
    return 0.0 if rank > len(score) else float(1 - score[rank - 1])


def fit_abstention_threshold(confidence: Floats, correct: NDArray[np.bool_], wanted_accuracy: float) -> float:
    """The lowest threshold at which the answers that are given are right as often as wanted.

    Args:
        confidence: Probability of the most probable country, `(n,)`.
        correct: Whether that country is the truth; False for photos that show no known country.
        wanted_accuracy: Share of right answers among those at or above the threshold.
    """
    order = np.argsort(-confidence)
    accuracy = np.cumsum(correct[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(accuracy >= wanted_accuracy)
    return float(confidence[order[good[-1]]]) if len(good) else 1.0


def fit_radius_factor(error_km: Floats, radius_km: Floats, share: float) -> float:
    """What to multiply radii by so that the smallest possible share of them, yet at least `share`, holds the truth.

    Args:
        error_km: Distance from the predicted place to the truth, `(n,)`, n at least 1.
        radius_km: Radius around the place that is to hold the truth, above 0, `(n,)`.
        share: How often it is to hold the truth.
    """
    return float(np.quantile(error_km / radius_km, share, method="inverted_cdf"))
