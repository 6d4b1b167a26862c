"""Log-linear pool of the country probabilities of several models with different labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Lowest probability of a country, so that one member's rounding to zero is no veto.
_FLOOR: Final = 1e-12


def union(labels: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the labels of all members together, in alphabetical order."""
    return tuple(sorted(set().union(*labels)))


def log_pool(probability: Floats, known: Mask, weights: Floats) -> Floats:
    """Return the logarithm of the pool up to a constant per photo: Σ w(m) · log p̃(m, c), shape `(n, n_labels)`.

    p̃ is the output of `completed`. "Combining Probability Distributions" (Genest and Zidek, 1986, section 3.3);
    "Products of experts" (Hinton, 1999).

    Args:
        probability: Probabilities by member, shape `(n_members, n, n_labels)`; entries of unknown labels are ignored.
        known: Whether a member knows a label, shape `(n_members, n_labels)`.
        weights: Weights of the members, shape `(n_members,)`.
    """
    pooled: Floats = np.tensordot(weights, log_completed(probability, known), axes=1)
    return pooled


def log_completed(probability: Floats, known: Mask) -> Floats:
    """Return the logarithm of `completed`, at least that of 1e-12."""
    return np.asarray(np.log(np.maximum(completed(probability, known), _FLOOR)))


def completed(probability: Floats, known: Mask) -> Floats:
    """Extend each member's probabilities to the labels that it does not know.

    A member's probabilities are conditional on the countries that it knows; the other members supply the rest. Let
    q(m, c) be the mean probability of c over the members that know it, scaled to sum to one over the countries that
    these members know. For a country that member m does not know, p̃(m, c) = q(m, c). For a country that it knows,
    p̃(m, c) = p(m, c) · (1 - Σ q(m, c')), with c' over the unknown ones. The members' weights do not appear, so fitting
    them is a convex problem, and a country that one member alone knows gets that member's probability whatever its
    weight.

    Args:
        probability: Probabilities by member, shape `(n_members, n, n_labels)`; entries of unknown labels are ignored.
        known: Whether a member knows a label, shape `(n_members, n_labels)`.

    Returns:
        Shape `(n_members, n, n_labels)`.
    """
    masked = np.where(known[:, None, :], probability, 0.0)
    return np.stack([_completed_one(masked, known, m) for m in range(len(known))])


def _completed_one(masked: Floats, known: Mask, member: int) -> Floats:
    others = np.delete(np.arange(len(known)), member)
    mean = masked[others].sum(axis=0) / np.maximum(known[others].sum(axis=0), 1)
    scaled = mean / np.maximum(mean.sum(axis=1, keepdims=True), _FLOOR)
    outside = np.where(known[member], 0.0, scaled)
    inside = 1 - outside.sum(axis=1, keepdims=True)
    return np.asarray(np.where(known[member], masked[member] * inside, outside))
