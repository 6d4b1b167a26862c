"""What each member of an ensemble weighs, fitted on photos that none of them learnt from."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

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
