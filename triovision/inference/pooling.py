"""Several models' probabilities of countries as one: a weighted log-linear pool over all of their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: What a member gives to a country at least, so that nobody's rounding to zero is a veto.
_FLOOR: Final = 1e-12


def union(labels: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """All countries that some member knows, in alphabetical order."""
    return tuple(sorted(set().union(*labels)))


def log_pool(probability: Floats, known: Mask, weights: Floats) -> Floats:
    """Logarithm of the pool, up to a constant for each photo: Σ w(m) · log p̃(m, c), shape `(n, n_labels)`.

    p̃ is `completed`. "Combining Probability Distributions" (Genest and Zidek, 1986, section 3.3); "Products of
    experts" (Hinton, 1999).

    Args:
        probability: Of each member, shape `(n_members, n, n_labels)`; what stands where a member does not know the
            country is not read.
        known: Which labels a member has, shape `(n_members, n_labels)`.
        weights: Of the members, shape `(n_members,)`.
    """
    pooled: Floats = np.tensordot(weights, log_completed(probability, known), axes=1)
    return pooled


def log_completed(probability: Floats, known: Mask) -> Floats:
    """Logarithm of `completed`, never below that of 1e-12."""
    return np.asarray(np.log(np.maximum(completed(probability, known), _FLOOR)))


def completed(probability: Floats, known: Mask) -> Floats:
    """Each member's probabilities over all labels, where it abstains from countries that it does not know.

    What a member says is taken as said of photos from the countries that it knows. How probable the others are it
    leaves to the other members: q(m, c) is the mean of what those say who know c, scaled to sum to one over the
    countries that they know. Then p̃(m, c) = q(m, c) for a country that the member does not know, and p(m, c) times
    1 - Σ q(m, c') over these for one that it knows. It does not depend on the members' weights, so that these are
    fitted by a convex problem, and a country that one member alone knows is that member's to judge whatever its weight.

    Args:
        probability: Of each member, shape `(n_members, n, n_labels)`; what stands where a member does not know the
            country is not read.
        known: Which labels a member has, shape `(n_members, n_labels)`.
    """
    said = np.where(known[:, None, :], probability, 0.0)
    return np.stack([_completed_one(said, known, m) for m in range(len(known))])


def _completed_one(said: Floats, known: Mask, member: int) -> Floats:
    others = np.delete(np.arange(len(known)), member)
    mean = said[others].sum(axis=0) / np.maximum(known[others].sum(axis=0), 1)
    scaled = mean / np.maximum(mean.sum(axis=1, keepdims=True), _FLOOR)
    outside = np.where(known[member], 0.0, scaled)
    inside = 1 - outside.sum(axis=1, keepdims=True)
    return np.asarray(np.where(known[member], said[member] * inside, outside))
